package api

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"

	"rollcall/status"
)

// pageKey is the name of the key that signs page tokens. Every API process uses the same key.
const pageKey = "page_tokens"

const (
	cursorSize = 8
	macSize    = 16
)

// tokenText is strict, so that a token has one spelling.
var tokenText = base64.RawURLEncoding.Strict()

// pageToken returns the token of the next page of a filtered list. The token contains a position and no page number,
// so that it stays valid when sessions are added. Its signature limits it to this list.
func pageToken(key []byte, q sessionQuery, at status.Cursor) string {
	cursor := binary.BigEndian.AppendUint64(nil, uint64(at))
	return tokenText.EncodeToString(append(cursor, sign(key, cursor, q)...))
}

// openPageToken returns the position in a token.
func openPageToken(key []byte, q sessionQuery) (status.Cursor, error) {
	raw, err := tokenText.DecodeString(q.token)
	if err == nil && len(raw) == cursorSize+macSize && hmac.Equal(raw[cursorSize:], sign(key, raw[:cursorSize], q)) {
		return status.Cursor(binary.BigEndian.Uint64(raw)), nil
	}
	return 0, invalidField("pageToken",
		"is not a token of this list: begin with the first page, and keep container and filter.")
}

// sign covers the position, the container and the filter. The position has a fixed length and the container has no
// zero byte, so that two lists never sign the same text.
func sign(key, cursor []byte, q sessionQuery) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(cursor)
	mac.Write([]byte(q.container))
	mac.Write([]byte{0})
	mac.Write([]byte(q.filter))
	return mac.Sum(nil)[:macSize]
}
