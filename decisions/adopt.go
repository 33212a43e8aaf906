package decisions

import (
	"context"
	"strings"

	"rollcall/container"
	"rollcall/fault"
)

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
	have, err := s.load(ctx, c, keys)
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
			if p, err := decodePin(text); err == nil && p.String() == field {
				w.value = text
			}
		} else if d, err := decodeDecision(text); err == nil && d.Fingerprint == field && now.Before(d.Expires) {
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
