package decisions

import (
	"cmp"
	"context"
	"crypto/sha1" // Redis has this hash. It only finds a seal that changed in between.
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"rollcall/container"
	"rollcall/directory"
	"rollcall/fault"
	"rollcall/internal/stored"
	"rollcall/plan"
)

// The hashes of a container that its seal protects. The name of a record is that of its hash, a slash and its field.
const (
	hashDecisions = "decisions"
	hashPins      = "pins"
)

var sealedHashes = []any{hashDecisions, hashPins}

// maxRecord is the largest size of a record that is decoded, in bytes.
const maxRecord = 1 << 20

// Kept is what is stored about a container, as far as it can be trusted.
type Kept struct {
	// Decisions are the valid decisions by fingerprint. An approval is among them only if its signature is right. A
	// rejection, which changes nothing, is among them in any case.
	Decisions map[string]Decision
	// Pins are the pins with a right signature, sorted by entry.
	Pins []plan.Pin
	// Untrusted are the records that are not signed, changed or gone.
	Untrusted []Untrusted
	// Broken says why the list of records itself proves nothing, so that any record may be missing; else empty.
	Broken string
	// Digest identifies all of this.
	Digest string
	// Sequence is that of the last signed change; 0 if nothing was signed.
	Sequence int64
}

// Untrusted is a record that another program may have written.
type Untrusted struct {
	// Pin is the entry of a pin. It is the zero Ref for a decision.
	Pin directory.Ref
	// Decision is a decision. Of a record that is gone it has only the fingerprint and the verdict.
	Decision Decision
	// Label is what a person calls the entry.
	Label string
	// Problem says what is wrong with the record.
	Problem string
}

// The problems of a record.
const (
	notSigned   = "is not signed"
	notTheSame  = "was changed by another program"
	notThere    = "was removed by another program"
	notReadable = "cannot be read"
)

// contents are the records of a container as they are stored.
type contents struct {
	// text is the stored seal.
	text string
	seal seal
	// unkeyed is set if nothing is signed because there are no keys.
	unkeyed bool
	broken  string
	// lost is set if the seal is gone or older than a known one, and known is the sequence of that one.
	lost    bool
	known   int64
	records map[string]string
}

// read reads the seal and the records of some hashes of a container at one moment.
func (s *Store) read(ctx context.Context, c container.ID, keys []Key, hashes ...any) (*contents, error) {
	seen := s.Sequence(c) // Before the read, because another goroutine may change the records after it.
	_, data, err := s.eval(ctx, "load", readScript, c, hashes...)
	if err != nil {
		return nil, err
	}
	noted, _ := openSeal(keys, purposeFloor, c, data[1]) // Another text notes nothing.
	out := &contents{text: data[0], records: map[string]string{}, known: max(seen, noted.Sequence)}
	for i := 2; i < len(data); i += 2 {
		out.records[data[i]] = data[i+1]
	}
	out.judge(keys, c)
	switch {
	case out.broken == "":
		s.Saw(c, out.seal.Sequence)
	case out.lost && noted.Sequence < seen:
		return out, s.noteLoss(ctx, c, keys, seen)
	}
	return out, nil
}

func floorKey(c container.ID) string { return prefix(c) + "floor" }

// noteLoss notes on Redis, signed, which sequence this process knows of records that are gone. Processes that start
// later then know of the loss. The next adoption has a higher sequence.
func (s *Store) noteLoss(ctx context.Context, c container.ID, keys []Key, sequence int64) error {
	text, err := seal{Sequence: sequence}.text(keys, purposeFloor, c)
	if err != nil {
		return fault.New(fault.Internal, "decisions: note a loss", err)
	}
	return redisFault("note a loss", s.rdb.Set(ctx, floorKey(c), text, 0).Err())
}

// load reads the records of some hashes of a container, and signs their seal anew if an earlier key signed it, so that
// this key can be removed.
func (s *Store) load(ctx context.Context, c container.ID, keys []Key, hashes ...any) (*contents, error) {
	have, err := s.read(ctx, c, keys, hashes...)
	if err != nil || have.broken != "" || have.text == "" || strings.HasPrefix(have.text, keys[0].id+" ") {
		return have, err
	}
	next := seal{Sequence: have.seal.Sequence, Marks: maps.Clone(have.seal.Marks)}
	if done, err := s.put(ctx, "sign again", c, keys, have, next, nil); !done || err != nil {
		return have, nil // It is valid, and the next one to read it tries again.
	}
	return s.read(ctx, c, keys, hashes...)
}

// judge opens the seal.
func (c *contents) judge(keys []Key, name container.ID) {
	var err error
	switch {
	case len(keys) == 0 && c.text == "":
		c.unkeyed = true
		return
	case len(keys) == 0:
		c.broken = "the decisions are signed, and this process has no key: set ROLLCALL_DECISIONS_KEY_FILE"
		return
	case c.text != "":
		if c.seal, err = openSeal(keys, purposeSeal, name, c.text); err != nil {
			c.broken = "the list of decisions and pins " + err.Error()
			return
		}
	case c.known > 0:
		c.broken, c.lost = "the list of decisions and pins is gone from Redis", true
		return
	}
	if c.lost = c.seal.Sequence < c.known; c.lost {
		c.broken = "Redis has decisions and pins of " + stamp(c.seal.Sequence) + ", and those of " + stamp(c.known) +
			" are gone: it was restored, or another program put them back"
	}
}

func stamp(millis int64) string { return time.UnixMilli(millis).UTC().Format(time.RFC3339) }

// problem says why a record is not trusted; empty for a record that is.
func (c *contents) problem(name, text string) string {
	m, known := c.seal.Marks[name]
	switch {
	case c.unkeyed:
		return ""
	case c.broken != "" || !known:
		return notSigned
	case m.Sum != sumOf(text):
		return notTheSame
	}
	return ""
}

// Kept returns what is stored about a container.
func (s *Store) Kept(ctx context.Context, c container.ID) (Kept, error) {
	return s.keptIn(ctx, c, sealedHashes...)
}

// keptIn returns what is stored about a container in some hashes. The records of the others count as missing.
func (s *Store) keptIn(ctx context.Context, c container.ID, hashes ...any) (Kept, error) {
	keys, err := s.keys()
	if err != nil {
		return Kept{}, err
	}
	have, err := s.load(ctx, c, keys, hashes...)
	if err != nil {
		return Kept{}, err
	}
	return have.kept(s.cfg.Now()), nil
}

func (c *contents) kept(now time.Time) Kept {
	k := Kept{Decisions: map[string]Decision{}, Pins: []plan.Pin{}, Broken: c.broken, Digest: c.digest(),
		Sequence: c.seal.Sequence}
	for _, name := range slices.Sorted(maps.Keys(c.records)) {
		text := c.records[name]
		if hash, field, _ := strings.Cut(name, "/"); hash == hashPins {
			k.addPin(field, text, c.problem(name, text))
		} else {
			k.addDecision(field, text, c.problem(name, text), now)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.seal.Marks)) {
		m := c.seal.Marks[name]
		_, there := c.records[name]
		if m.expired(now) || c.broken != "" {
			continue
		}
		hash, field, _ := strings.Cut(name, "/")
		lost := Untrusted{Problem: notThere, Decision: Decision{Fingerprint: field, Verdict: m.Verdict,
			Expires: time.UnixMilli(m.Expires).UTC()}}
		if hash == hashPins {
			ref, _ := plan.ParseRef(field)
			lost = Untrusted{Problem: notThere, Pin: ref}
		} else if d, has := k.Decisions[field]; m.Verdict == string(plan.Rejected) && (!has || d.Verdict != m.Verdict) {
			k.Decisions[field] = lost.Decision
		}
		if !there {
			k.Untrusted = append(k.Untrusted, lost)
		}
	}
	slices.SortFunc(k.Pins, func(a, b plan.Pin) int { return a.Ref.Compare(b.Ref) })
	return k
}

func (k *Kept) addPin(field, text, problem string) {
	ref, _ := plan.ParseRef(field)
	p, err := decode[plan.Pin](text)
	if err != nil || p.Ref != ref {
		problem = cmp.Or(problem, notReadable)
	}
	if problem == "" {
		k.Pins = append(k.Pins, p)
	} else {
		k.Untrusted = append(k.Untrusted, Untrusted{Pin: ref, Label: stored.Cut(p.Label, maxName), Problem: problem})
	}
}

// decode reads a record.
func decode[T plan.Pin | Decision](text string) (v T, err error) {
	if len(text) > maxRecord {
		return v, fault.Errorf(fault.Invalid, "a record has %d bytes", len(text))
	}
	return v, json.Unmarshal([]byte(text), &v)
}

func (k *Kept) addDecision(field, text, problem string, now time.Time) {
	d, err := decode[Decision](text)
	switch {
	case err != nil || d.Fingerprint != field:
		d, problem = Decision{Fingerprint: field}, cmp.Or(problem, notReadable)
	case !now.Before(d.Expires):
		return
	}
	if problem == "" || d.Verdict == string(plan.Rejected) {
		k.Decisions[field] = d
	}
	if problem != "" {
		k.Untrusted = append(k.Untrusted, Untrusted{Decision: d, Label: d.Label, Problem: problem})
	}
}

// write is one change of a record. An empty value deletes it.
type write struct {
	name, value string
	expires     time.Time
	verdict     string
	// present limits the write to a record that is there.
	present bool
}

// mostTries bounds how often a change is tried again because another process changed the records in between.
const mostTries = 20

// change changes records and the seal in one step. edit gets the records by name, and may be called again.
func (s *Store) change(ctx context.Context, op string, c container.ID,
	edit func(have map[string]string) []write) error {
	keys, err := s.signers()
	if err != nil {
		return err
	}
	for range mostTries {
		have, err := s.load(ctx, c, keys, sealedHashes...)
		if err != nil {
			return err
		}
		writes := edit(have.records)
		if len(writes) == 0 {
			return nil
		}
		if have.broken != "" {
			return fault.Errorf(fault.Conflict, "%s: run `rollcall adopt-decisions %s`", have.broken, c)
		}
		next := seal{Sequence: have.seal.Sequence, Marks: maps.Clone(have.seal.Marks)}
		done, err := s.put(ctx, op, c, keys, have, next, append(writes, have.expired(s.cfg.Now())...))
		if done || err != nil {
			return err
		}
	}
	return fault.Errorf(fault.Unavailable, "decisions: %s: other processes change the records of %s all the time", op, c)
}

// expired returns the deletions of decisions that have expired.
func (c *contents) expired(now time.Time) (out []write) {
	for name, text := range c.records {
		if d, err := decode[Decision](text); strings.HasPrefix(name, hashDecisions) && err == nil && !now.Before(d.Expires) {
			out = append(out, write{name: name})
		}
	}
	return out
}

// put carries out writes if the seal is still the one that was read.
func (s *Store) put(ctx context.Context, op string, c container.ID, keys []Key, have *contents, next seal,
	writes []write) (done bool, err error) {
	now := s.cfg.Now()
	next.Sequence = max(next.Sequence+1, have.known+1, now.UnixMilli())
	if next.Marks == nil {
		next.Marks = map[string]mark{}
	}
	maps.DeleteFunc(next.Marks, func(_ string, m mark) bool { return m.expired(now) })
	before := ""
	if have.text != "" {
		sum := sha1.Sum([]byte(have.text))
		before = hex.EncodeToString(sum[:])
	}
	args := []any{before, "", (DecisionTTL + time.Hour).Milliseconds()}
	for _, w := range writes {
		hash, field, _ := strings.Cut(w.name, "/")
		args = append(args, hash, field, w.value, w.present)
		if delete(next.Marks, w.name); w.value != "" && len(keys) > 0 {
			next.Marks[w.name] = mark{Sum: sumOf(w.value), Expires: stored.Millis(w.expires), Verdict: w.verdict}
		}
	}
	if len(keys) > 0 {
		if args[1], err = next.text(keys, purposeSeal, c); err != nil {
			return false, fault.New(fault.Internal, "decisions: "+op, err)
		}
	}
	word, _, err := s.eval(ctx, op, changeScript, c, args...)
	if err != nil || word != "ok" {
		return false, err
	}
	if len(keys) > 0 {
		s.Saw(c, next.Sequence)
	}
	return true, nil
}

// signers returns the present keys for a decision. The error is fault.Unavailable while the process stands aside.
func (s *Store) signers() ([]Key, error) {
	if why := s.cfg.Aside(); why != "" {
		return nil, fault.Errorf(fault.Unavailable, "this process must not decide: %s", why)
	}
	return s.keys()
}

// keys returns the present keys.
func (s *Store) keys() ([]Key, error) {
	if s.cfg.Keys == nil {
		return nil, nil
	}
	keys, err := s.cfg.Keys()
	if err != nil {
		return nil, fault.New(fault.Invalid, "decisions: keys", err)
	}
	return keys, nil
}

// Saw notes that a container had this sequence, as the audit log says or as this process read. Earlier records are
// then noticed.
func (s *Store) Saw(c container.ID, sequence int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sequences[c] = max(s.sequences[c], sequence)
}

// Sequence returns the highest sequence that this process saw of a container; 0 if it saw none.
func (s *Store) Sequence(c container.ID) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sequences[c]
}
