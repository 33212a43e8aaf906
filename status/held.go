package status

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/container"
	"rollcall/fault"
)

// HeldChange is one change that waits for a person.
type HeldChange struct {
	// Fingerprint identifies the entry, the action and the state before; see plan.Change.Fingerprint.
	Fingerprint string `json:"fingerprint"`
	Op          string `json:"op"`
	Kind        string `json:"kind"`
	ID          string `json:"id"`
	Label       string `json:"label,omitempty"`
	Address     string `json:"address,omitempty"`
	RemoteID    string `json:"remote_id,omitempty"`
	Member      string `json:"member,omitempty"`
	MemberLabel string `json:"member_label,omitempty"`
	Why         string `json:"why,omitempty"`    // absent, disabled, out_of_scope
	Guard       string `json:"guard"`            // the rule that holds it
	Reason      string `json:"reason"`           // the rule in words and numbers
	From        string `json:"from,omitempty"`   // the id that a reanchor replaces
	Fields      any    `json:"fields,omitempty"` // before and after
}

// HeldSet is what one plan holds.
type HeldSet struct {
	// Digest identifies the changes of the set.
	Digest  string       `json:"digest"`
	RunID   string       `json:"run_id"`
	At      time.Time    `json:"at"`
	Changes []HeldChange `json:"changes"`
}

// keepHeld is how long a set that was superseded can still be named in a decision; DecisionTTL how long one is valid.
const (
	keepHeld    = 7 * day
	DecisionTTL = 72 * time.Hour
)

func heldKey(c container.ID, digest string) string { return prefix(c) + "held:" + digest }

func heldCountsKey(c container.ID) string { return prefix(c) + "held:counts" }

// heldCounts is a set in numbers, for who asks often: the set itself can be megabytes.
type heldCounts struct {
	Digest string           `json:"digest"`
	Guards map[string]int64 `json:"guards"`
}

func (h *HeldSet) byGuard() map[string]int64 {
	out := map[string]int64{}
	for i := range h.Changes {
		out[h.Changes[i].Guard]++
	}
	return out
}

// SetHeld records what the newest plan of a container holds; an empty set says that nothing waits any more.
func (s *Store) SetHeld(ctx context.Context, c container.ID, set HeldSet) error {
	current := prefix(c) + "held"
	if len(set.Changes) == 0 {
		return redisFault("set held", s.rdb.Del(ctx, current, heldCountsKey(c)).Err())
	}
	data, err := squeeze(set)
	if err != nil {
		return fault.New(fault.Internal, "set held", err)
	}
	counts, err := json.Marshal(heldCounts{set.Digest, set.byGuard()})
	if err != nil {
		return fault.New(fault.Internal, "set held", err)
	}
	_, err = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Set(ctx, heldKey(c, set.Digest), data, keepHeld)
		p.Set(ctx, heldCountsKey(c), counts, keepHeld)
		p.Set(ctx, current, set.Digest, 0)
		return nil
	})
	return redisFault("set held", err)
}

// Held returns what the newest plan of a container holds; the Digest of an empty set is empty.
func (s *Store) Held(ctx context.Context, c container.ID) (HeldSet, error) {
	digest, err := s.rdb.Get(ctx, prefix(c)+"held").Result()
	if errors.Is(err, redis.Nil) {
		return HeldSet{Changes: []HeldChange{}}, nil
	}
	if err != nil {
		return HeldSet{}, redisFault("held", err)
	}
	set, err := s.HeldBy(ctx, c, digest)
	if fault.KindOf(err) == fault.NotFound && err != nil { // Nobody planned for a week: what waits is not known any more.
		return HeldSet{Changes: []HeldChange{}}, nil
	}
	return set, err
}

// HeldBy returns a set by its digest, also one that was superseded within a week; else the error is fault.NotFound.
func (s *Store) HeldBy(ctx context.Context, c container.ID, digest string) (HeldSet, error) {
	data, err := s.rdb.Get(ctx, heldKey(c, digest)).Bytes()
	if errors.Is(err, redis.Nil) {
		return HeldSet{}, fault.Errorf(fault.NotFound, "held set %q: not found", digest)
	}
	if err != nil {
		return HeldSet{}, redisFault("held", err)
	}
	var set HeldSet
	if err := expand(data, &set); err != nil {
		return HeldSet{}, fault.New(fault.Internal, "held", err)
	}
	return set, nil
}

func squeeze(v any) ([]byte, error) {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.DefaultCompression)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(json.NewEncoder(w).Encode(v), w.Close()); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func expand(data []byte, v any) error {
	r := flate.NewReader(bytes.NewReader(data))
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, v)
}
