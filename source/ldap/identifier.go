package ldap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-ldap/ldap/v3"
	"github.com/google/uuid"

	"rollcall/directory"
)

// identifier is a uniqueness attribute with the way in which its values become IDs and back.
type identifier struct {
	attr   string
	decode func(raw []byte) (string, error)
	// assertion returns the value for a filter, escaped (RFC 4515, section 3); an error says that no entry can have
	// the ID.
	assertion func(id string) (string, error)
	// ignoreCase is set where the attribute's matching rule takes Ben and ben for one value.
	ignoreCase bool
}

func identifierFor(attr string, types *schema) identifier {
	switch types.key(attr) {
	case "entryuuid", "objectidentifier":
		return identifier{attr, lowerText, textAssertion, false}
	case "objectguid", "ms-ds-consistencyguid":
		return identifier{attr, guidText, guidAssertion, false}
	case "objectsid":
		return identifier{attr, sidText, sidAssertion, false}
	}
	return identifier{attr, plainText, textAssertion, types.ignoresCase(attr)}
}

// edirectoryGUID is the identifier of eDirectory: 16 bytes.
const edirectoryGUID = "GUID"

// identifier returns the identifier with this attribute. Only with its preset is GUID taken for eDirectory's: elsewhere
// it may be an attribute with any text.
func (c *Config) identifier(attr string, types *schema) identifier {
	if c.Preset == PresetEDirectory && strings.EqualFold(attr, edirectoryGUID) {
		return identifier{attr, uuidText, uuidAssertion, false}
	}
	return identifierFor(attr, types)
}

// uuidText is the text of a GUID with bytes that are stored in the order in which they are written.
func uuidText(raw []byte) (string, error) {
	if len(raw) != len(uuid.UUID{}) {
		return "", fmt.Errorf("%d bytes, want 16", len(raw))
	}
	return uuid.UUID(raw).String(), nil
}

func uuidAssertion(id string) (string, error) {
	raw, err := guidBytes(id)
	return escapeBytes(raw), err
}

// key returns a text that is equal for IDs that the attribute's matching rule takes for equal.
func (i *identifier) key(id directory.ID) string {
	if i.ignoreCase {
		return prepare(string(id))
	}
	return string(id)
}

// of returns the ID of an entry with these values, or what is wrong with them.
func (i *identifier) of(values [][]byte) (id directory.ID, problem string) {
	switch {
	case len(values) == 0 || len(values) == 1 && len(values[0]) == 0:
		return "", "it has no " + i.attr + ": the bind account may not see it, or object_uniqueness_field names the " +
			"wrong attribute"
	case len(values) > 1:
		return "", fmt.Sprintf("it has %d values of %s, which must be unique", len(values), i.attr)
	}
	text, err := i.decode(values[0])
	if err != nil {
		return "", fmt.Sprintf("its %s cannot be used: %v", i.attr, err)
	}
	return directory.ID(text), ""
}

func plainText(raw []byte) (string, error) {
	if !utf8.Valid(raw) {
		return "", errors.New(notText(raw))
	}
	return string(raw), nil
}

func lowerText(raw []byte) (string, error) {
	text, err := plainText(raw)
	return strings.ToLower(text), err
}

func textAssertion(id string) (string, error) { return ldap.EscapeFilter(id), nil }

// swapped returns a GUID of 16 bytes with its first three groups in the other order. Active Directory stores them
// little-endian ([MS-DTYP], section 2.3.4.2).
func swapped(raw []byte) []byte {
	raw = slices.Clone(raw)
	slices.Reverse(raw[:4])
	slices.Reverse(raw[4:6])
	slices.Reverse(raw[6:8])
	return raw
}

// guidText is the canonical text of Active Directory's GUIDs.
func guidText(raw []byte) (string, error) {
	if len(raw) == len(uuid.UUID{}) {
		raw = swapped(raw)
	}
	return uuidText(raw)
}

// guidBytes returns the bytes of a GUID in the order in which they are written.
func guidBytes(id string) ([]byte, error) {
	u, err := uuid.Parse(id)
	if err != nil || len(id) != 36 { // Parse takes other forms, too.
		return nil, fmt.Errorf("%q is not a GUID", id)
	}
	return u[:], nil
}

func guidAssertion(id string) (string, error) {
	raw, err := guidBytes(id)
	if err == nil {
		raw = swapped(raw)
	}
	return escapeBytes(raw), err
}

// sidText is S-1-5-… ([MS-DTYP], sections 2.4.2.1 and 2.4.2.2).
func sidText(raw []byte) (string, error) {
	if len(raw) < 8 || len(raw) != 8+4*int(raw[1]) {
		return "", fmt.Errorf("%d bytes are not a SID", len(raw))
	}
	var authority uint64
	for _, b := range raw[2:8] {
		authority = authority<<8 | uint64(b)
	}
	text := fmt.Sprintf("S-%d-%d", raw[0], authority)
	for at := 8; at < len(raw); at += 4 {
		text += "-" + strconv.FormatUint(uint64(binary.LittleEndian.Uint32(raw[at:])), 10)
	}
	return text, nil
}

func sidAssertion(id string) (string, error) {
	parts := strings.Split(id, "-")
	if len(parts) < 3 || parts[0] != "S" || len(parts)-3 > 255 {
		return "", fmt.Errorf("%q is not a SID", id)
	}
	revision, err1 := strconv.ParseUint(parts[1], 10, 8)
	authority, err2 := strconv.ParseUint(parts[2], 10, 48)
	if err1 != nil || err2 != nil {
		return "", fmt.Errorf("%q is not a SID", id)
	}
	raw := binary.BigEndian.AppendUint64(nil, authority)
	raw[0], raw[1] = byte(revision), byte(len(parts)-3)
	for _, p := range parts[3:] {
		sub, err := strconv.ParseUint(p, 10, 32)
		if err != nil {
			return "", fmt.Errorf("%q is not a SID", id)
		}
		raw = binary.LittleEndian.AppendUint32(raw, uint32(sub))
	}
	return escapeBytes(raw), nil
}

// escapeBytes writes every byte as \hh.
func escapeBytes(raw []byte) string {
	var b strings.Builder
	for _, c := range raw {
		fmt.Fprintf(&b, `\%02x`, c)
	}
	return b.String()
}
