package entra

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"rollcall/directory"
)

// uuidLength is the length of the canonical text of a UUID.
const uuidLength = 36

// encodeAnchor returns the onPremisesImmutableId of an ID. For a UUID in its canonical text (lower case, RFC 9562) it
// is the base64 of the sixteen bytes, in the order of the text. For any other ID it is the base64 of the text. A text
// of sixteen bytes is preceded by a zero byte, because it would be decoded as a UUID otherwise.
//
// Entra Connect writes the bytes of objectGUID as Active Directory stores them, with three fields reversed. Its
// anchors are never taken for ours.
func encodeAnchor(id directory.ID) string {
	if raw, ok := parseUUID(string(id)); ok {
		return base64.StdEncoding.EncodeToString(raw)
	}
	if len(id) == 16 {
		return base64.StdEncoding.EncodeToString([]byte("\x00" + id))
	}
	return base64.StdEncoding.EncodeToString([]byte(id))
}

// decodeAnchor is the reverse of encodeAnchor. ok is false for an anchor that encodeAnchor never returns.
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

// parseUUID parses the canonical text of a UUID.
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

// isObjectID reports whether s may be the id of an object. Paths and filters contain only such ids.
func isObjectID(s string) bool {
	_, ok := parseUUID(strings.ToLower(s))
	return ok
}

const (
	// groupPrefix begins the uniqueName of every group of ours.
	groupPrefix = "rollcall-"
	// markPrefix begins the mail nickname of a group that was assigned to another entry.
	markPrefix = "rollcall-entry-"
	// longestNickname is the largest length of a mail nickname in Graph.
	longestNickname = 64
)

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

var markable = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// nicknameMark returns the mail nickname that assigns a group to another entry than its uniqueName names. It is empty
// where the configuration maps the nickname, or a nickname cannot contain the ID.
func (p *Provider) nicknameMark(id directory.ID) string {
	mark := markPrefix + string(id)
	if slices.Contains(p.groupFields, "mailNickname") || len(mark) > longestNickname ||
		!markable.MatchString(string(id)) {
		return ""
	}
	return mark
}

// entryOf returns the ID of the entry to which a group belongs, or "" for a group that is not ours. The mail nickname
// decides first, then the ledger, then the uniqueName.
func (p *Provider) entryOf(g *group) directory.ID {
	if g == nil || groupID(g.Name) == "" {
		return ""
	}
	if id, marked := strings.CutPrefix(g.Nickname, markPrefix); marked &&
		p.nicknameMark(directory.ID(id)) == g.Nickname {
		return directory.ID(id)
	}
	if id := p.marks.entry(g.ID); id != "" {
		return id
	}
	return groupID(g.Name)
}

// deriveNickname derives the mail nickname of a new object from a text, unless the nickname is mapped.
func (it *item) deriveNickname(id directory.ID, text string) {
	body := it.body.(map[string]any)
	if _, mapped := body["mailNickname"]; mapped {
		return
	}
	it.nickname = safeNickname(id)
	body["mailNickname"] = nickname(text, it.nickname)
}

// nickname derives a mail nickname from a text. It is ASCII without spaces and the characters that Graph refuses,
// without a dot at either end and without consecutive dots.
func nickname(text, otherwise string) string {
	var b strings.Builder
	for _, r := range text {
		if !refusedInNickname(r) && (r != '.' || !strings.HasSuffix(b.String(), ".")) {
			b.WriteRune(r)
		}
	}
	name := strings.Trim(b.String(), ".")
	if len(name) > longestNickname {
		name = strings.TrimRight(name[:longestNickname], ".")
	}
	if name == "" {
		return otherwise
	}
	return name
}

// safeNickname returns a mail nickname that Graph accepts and that no other object has. It depends only on the ID.
func safeNickname(id directory.ID) string {
	sum := sha256.Sum256([]byte(id))
	return groupPrefix + hex.EncodeToString(sum[:16])
}

// sendCreates sends requests that create objects. A request that is refused for a derived mail nickname, or for a proxy
// address that may be made of it, is repeated with the safe one.
func (p *Provider) sendCreates(ctx context.Context, items []*item) {
	p.send(ctx, items...)
	var again []*item
	for _, it := range items {
		if r := refused(it.err); it.nickname != "" && r != nil && r.Status == http.StatusBadRequest &&
			(r.concerns("mailNickname") || r.concerns("proxyAddresses")) {
			it.body.(map[string]any)["mailNickname"] = it.nickname
			again = append(again, it)
		}
	}
	p.send(ctx, again...)
}
