package api

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"

	"rollcall/status"
)

// pageKey names the key that signs page tokens. Every process of the API has the same.
const pageKey = "page_tokens"

const (
	cursorSize = 8
	macSize    = 16
)

// tokenText is strict: a token has one spelling.
var tokenText = base64.RawURLEncoding.Strict()

// pageToken returns the token of what follows a place in the list of a container under a filter. It names a place and not
// a page number, so that it stays valid while new sessions arrive; it is signed, so that it is good for this list only.
func pageToken(key []byte, q sessionQuery, at status.Cursor) string {
	cursor := binary.BigEndian.AppendUint64(nil, uint64(at))
	return tokenText.EncodeToString(append(cursor, sign(key, cursor, q)...))
}

// openPageToken returns the place that a token names.
func openPageToken(key []byte, q sessionQuery) (status.Cursor, error) {
	raw, err := tokenText.DecodeString(q.token)
	if err == nil && len(raw) == cursorSize+macSize && hmac.Equal(raw[cursorSize:], sign(key, raw[:cursorSize], q)) {
		return status.Cursor(binary.BigEndian.Uint64(raw)), nil
	}
	return 0, invalidField("pageToken", "is not a token of this list: begin with the first page, and keep container and filter.")
}

// sign covers the place, the container and the filter. The first has a fixed length and the second no zero byte, so that
// no two lists have the same text.
func sign(key, cursor []byte, q sessionQuery) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(cursor)
	mac.Write([]byte(q.container))
	mac.Write([]byte{0})
	mac.Write([]byte(q.filter))
	return mac.Sum(nil)[:macSize]
}
