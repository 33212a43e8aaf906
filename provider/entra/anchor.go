package entra

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
	"unicode"
	"unicode/utf8"

	"rollcall/directory"
)

// uuidLength is that of the canonical text of a UUID.
const uuidLength = 36

// encodeAnchor returns the onPremisesImmutableId of an ID: base64 of sixteen bytes for a UUID in its canonical text
// (lower case, RFC 9562), in the order in which the text has them; of the text for any other ID. A text of sixteen bytes
// is preceded by a zero byte, as it would read like a UUID.
//
// Entra Connect writes the bytes of objectGUID as Active Directory stores them, with three fields reversed. Ours are
// never mistaken for them.
func encodeAnchor(id directory.ID) string {
	if raw, ok := parseUUID(string(id)); ok {
		return base64.StdEncoding.EncodeToString(raw)
	}
	if len(id) == 16 {
		return base64.StdEncoding.EncodeToString([]byte("\x00" + id))
	}
	return base64.StdEncoding.EncodeToString([]byte(id))
}

// decodeAnchor is the reverse of encodeAnchor; ok is false for what it never writes.
func decodeAnchor(anchor string) (id directory.ID, ok bool) {
	raw, err := base64.StdEncoding.Strict().DecodeString(anchor)
	if err != nil || len(raw) == 0 {
		return "", false
	}
	if len(raw) == 16 {
		id = directory.ID(formatUUID(raw))
	} else {
		id = directory.ID(strings.TrimPrefix(string(raw), "\x00"))
	}
	return id, printable(string(id)) && encodeAnchor(id) == anchor
}

func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// parseUUID reads the canonical text of a UUID.
func parseUUID(s string) ([]byte, bool) {
	if len(s) != uuidLength || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' || strings.ToLower(s) != s {
		return nil, false
	}
	raw, err := hex.DecodeString(s[:8] + s[9:13] + s[14:18] + s[19:23] + s[24:])
	return raw, err == nil
}

func formatUUID(raw []byte) string {
	s := hex.EncodeToString(raw)
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// isObjectID reports whether s may be the id of an object. Nothing else comes into a path or a filter.
func isObjectID(s string) bool {
	_, ok := parseUUID(strings.ToLower(s))
	return ok
}

// groupPrefix begins the uniqueName of every group of ours.
const groupPrefix = "rollcall-"

// uniqueName returns the uniqueName of a group.
func uniqueName(id directory.ID) string { return groupPrefix + string(id) }

// groupID is the reverse of uniqueName.
func groupID(name string) directory.ID {
	id, ours := strings.CutPrefix(name, groupPrefix)
	if !ours {
		return ""
	}
	return directory.ID(id)
}

// ID returns the ID whose onPremisesImmutableId a text is, and false where it is none.
func ID(anchor string) (directory.ID, bool) { return decodeAnchor(anchor) }
