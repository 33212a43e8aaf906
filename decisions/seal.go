package decisions

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"rollcall/container"
	"rollcall/fault"
	"rollcall/plan"
)

// Key signs what is stored. All processes of an installation need the same keys.
type Key struct {
	id     string
	secret []byte
}

// minKey is the smallest length of a key in characters, which is that of 16 random bytes in hex.
const minKey = 32

// ParseKeys reads a file with one or two keys, one a line. The first one signs, and both are accepted. To replace a
// key, put the new one in front of the old one, and remove the old one a week later.
func ParseKeys(text string) ([]Key, error) {
	lines := strings.Fields(text)
	if len(lines) < 1 || len(lines) > 2 {
		return nil, fmt.Errorf("%d lines: want one key, or a new and an old one, each in a line (openssl rand -hex 32)",
			len(lines))
	}
	keys := make([]Key, 0, len(lines))
	for i, line := range lines {
		if len(line) < minKey {
			return nil, fmt.Errorf("line %d has %d characters: want at least %d random ones (openssl rand -hex 32)", i+1,
				len(line), minKey)
		}
		k := Key{secret: []byte(line)}
		k.id = hex.EncodeToString(k.sign("key", "", nil)[:keyIDSize/2])
		keys = append(keys, k)
	}
	return keys, nil
}

// keyIDSize is the length of a key's id in bytes. The id is derived from the key and reveals nothing about it.
const keyIDSize = 8

// ID identifies the key and reveals nothing about it.
func (k Key) ID() string { return k.id }

// Sign returns the HMAC-SHA256 of data of one purpose of the API.
func (k Key) Sign(purpose string, data []byte) []byte { return k.sign(purpose, "", data) }

// sign returns the HMAC-SHA256 of data of one purpose and container.
func (k Key) sign(purpose string, c container.ID, data []byte) []byte {
	mac := hmac.New(sha256.New, k.secret)
	fmt.Fprintf(mac, "rollcall\x00%s\x00%s\x00", purpose, c)
	mac.Write(data)
	return mac.Sum(nil)
}

// errOtherKey says that data was signed with a key that this process does not have.
var errOtherKey = errors.New("was signed with another key: give the API and all workers the same " +
	"ROLLCALL_DECISIONS_KEY_FILE")

// errChanged says that data does not match its signature.
var errChanged = errors.New("does not match its signature: it was changed by another program")

// verify checks the signature that the key with this id made.
func verify(keys []Key, id, purpose string, c container.ID, data, mac []byte) error {
	for _, k := range keys {
		if k.id != id {
			continue
		}
		if hmac.Equal(mac, k.sign(purpose, c, data)) {
			return nil
		}
		return errChanged
	}
	return errOtherKey
}

// sealed returns a record as JSON, after the id of the key and the signature in hex where there are keys.
func sealed(keys []Key, purpose string, c container.ID, record any) ([]byte, error) {
	text, err := json.Marshal(record)
	if err == nil && len(keys) > 0 {
		text = fmt.Appendf(nil, "%s %x %s", keys[0].id, keys[0].sign(purpose, c, text), text)
	}
	return text, err
}

// opened reads a record that sealed made, and says what is wrong with it.
func opened(keys []Key, purpose string, c container.ID, text string, record any) (problem string) {
	if !strings.HasPrefix(text, "{") {
		id, rest, _ := strings.Cut(text, " ")
		sum, data, _ := strings.Cut(rest, " ")
		mac, err := hex.DecodeString(sum)
		switch {
		case err != nil:
			return notReadable
		case len(keys) > 0:
			if err := verify(keys, id, purpose, c, []byte(data), mac); err != nil {
				return err.Error()
			}
		}
		text = data
	} else if len(keys) > 0 {
		return notSigned
	}
	if json.Unmarshal([]byte(text), record) != nil {
		return notReadable
	}
	return ""
}

// seal lists the records of a container that Rollcall wrote, so that a record that was added, changed, removed or
// brought back by another program is noticed. It is stored as the id of the key, the signature in hex, and JSON.
type seal struct {
	// Sequence grows with every change. It is at least the time in milliseconds.
	Sequence int64 `json:"seq"`
	// Marks has each record by its name.
	Marks map[string]mark `json:"marks"`
}

// mark identifies one record.
type mark struct {
	Sum string `json:"sum"`
	// Expires is the end of the record in milliseconds; 0 for a record without an end.
	Expires int64 `json:"expires,omitempty"`
	// Verdict is the verdict of a decision. A rejection counts even if its record is gone.
	Verdict string `json:"verdict,omitempty"`
}

func (m mark) expired(now time.Time) bool { return m.Expires != 0 && now.UnixMilli() >= m.Expires }

// sumOf identifies the text of a record.
func sumOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}

const purposeSeal, purposeFloor, purposeHeld = "seal", "floor", "held"

// text returns the seal as it is stored, signed with the first key.
func (s seal) text(keys []Key, purpose string, c container.ID) (string, error) {
	data, err := json.Marshal(s)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s %x %s", keys[0].id, keys[0].sign(purpose, c, data), data), nil
}

// openSeal returns the seal with this text if its signature is right.
func openSeal(keys []Key, purpose string, c container.ID, text string) (s seal, err error) {
	id, rest, _ := strings.Cut(text, " ")
	sum, data, _ := strings.Cut(rest, " ")
	mac, err := hex.DecodeString(sum)
	if err != nil || data == "" {
		return seal{}, errChanged
	}
	if err := verify(keys, id, purpose, c, []byte(data), mac); err != nil {
		return seal{}, err
	}
	if err := json.Unmarshal([]byte(data), &s); err != nil {
		return seal{}, errChanged
	}
	return s, nil
}

// A held set has its signature at its end. Compressed data has an end of its own, so that earlier builds ignore what
// follows it.
const (
	trailerMark = "sig1"
	trailerSize = len(trailerMark) + keyIDSize + sha256.Size
)

// signed returns data with a trailer.
func signed(k Key, c container.ID, name string, data []byte) []byte {
	mac := k.sign(purposeHeld+" "+name, c, data)
	return bytes.Join([][]byte{data, []byte(trailerMark), []byte(k.id), mac}, nil)
}

// unsigned returns data without its trailer, and whether it had one. The error says why the signature is wrong.
func unsigned(keys []Key, c container.ID, name string, data []byte) (text []byte, had bool, err error) {
	at := len(data) - trailerSize
	if at < 0 || !bytes.HasPrefix(data[at:], []byte(trailerMark)) {
		return data, false, nil
	}
	text, trailer := data[:at], data[at+len(trailerMark):]
	return text, true, verify(keys, string(trailer[:keyIDSize]), purposeHeld+" "+name, c, text, trailer[keyIDSize:])
}

// digest identifies all records and their seal.
func (c *contents) digest() string {
	all := sha256.New()
	fmt.Fprintf(all, "%d %s", len(c.text), c.text)
	for _, name := range slices.Sorted(maps.Keys(c.records)) {
		text := c.records[name]
		fmt.Fprintf(all, "%d %s %d %s", len(name), name, len(text), text)
	}
	return hex.EncodeToString(all.Sum(nil)[:16])
}

// Adopt signs all records of a container as they are, and returns their number. digest is that of Kept, so that what
// is signed is what a person saw. Records that cannot be read, and those of another entry or change, are deleted.
func (s *Store) Adopt(ctx context.Context, c container.ID, digest string) (int, error) {
	keys, err := s.signers()
	if err != nil {
		return 0, err
	}
	if len(keys) == 0 {
		return 0, fault.Errorf(fault.Conflict, "nothing is signed without a key: set ROLLCALL_DECISIONS_KEY_FILE")
	}
	have, err := s.load(ctx, c, keys, sealedHashes...)
	if err != nil {
		return 0, err
	}
	changed := fault.Errorf(fault.Conflict, "the decisions of %s have changed since they were listed: list them again", c)
	if have.digest() != digest {
		return 0, changed
	}
	var writes []write
	n, now := 0, s.cfg.Now()
	for name, text := range have.records {
		w := write{name: name}
		if hash, field, _ := strings.Cut(name, "/"); hash == hashPins {
			if p, err := decode[plan.Pin](text); err == nil && p.String() == field {
				w.value = text
			}
		} else if d, err := decode[Decision](text); err == nil && d.Fingerprint == field && now.Before(d.Expires) {
			w.value, w.expires, w.verdict = text, d.Expires, d.Verdict
		}
		if w.value != "" {
			n++
		}
		writes = append(writes, w)
	}
	done, err := s.put(ctx, "adopt", c, keys, have, seal{Sequence: have.seal.Sequence}, writes)
	if err == nil && !done {
		err = changed
	}
	return n, err
}
