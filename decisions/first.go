package decisions

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"

	"rollcall/container"
	"rollcall/fault"
	"rollcall/internal/stored"
)

const (
	// MostFirst is how many changes of each rule the first part of a held set has.
	MostFirst = 100
	// mostWhole is the size of the largest set that has no first part, because the whole set is read as fast.
	mostWhole = 5000
)

// HeldFirst is the first part of a large held set. It is stored beside the set, which can take seconds to read.
type HeldFirst struct {
	// HeldSet has the first changes that each rule holds, at most MostFirst.
	HeldSet
	// By counts all changes of the set by rule, and then by action and kind, such as "delete user".
	By map[string]map[string]int64 `json:"by"`
}

func heldFirstKey(c container.ID) string { return prefix(c) + "held:first" }

// firstOf packs the first part of a set, or returns nil for a small set.
func firstOf(keys []Key, c container.ID, set HeldSet) ([]byte, error) {
	if len(set.Changes) <= mostWhole {
		return nil, nil
	}
	first, n := HeldFirst{set, map[string]map[string]int64{}}, map[string]int{}
	first.Changes = nil
	for i := range set.Changes {
		h := &set.Changes[i]
		if n[h.Guard]++; n[h.Guard] == 1 {
			first.By[h.Guard] = map[string]int64{}
		}
		first.By[h.Guard][h.Op+" "+h.Kind]++
		if n[h.Guard] <= MostFirst {
			first.Changes = append(first.Changes, *h)
		}
	}
	data, err := stored.Pack(first)
	if err == nil && len(keys) > 0 {
		data = signed(keys[0], c, firstName(set.Digest), data)
	}
	return data, err
}

// firstName is what the signature of a first part names, so that it is not taken for that of a whole set.
func firstName(digest string) string { return "first " + digest }

// HeldFirst returns the first part of a set. By is nil where there is none, as for a small set or one of an earlier
// build, or none that is trusted.
func (s *Store) HeldFirst(ctx context.Context, c container.ID, digest string) (first HeldFirst, err error) {
	data, err := s.rdb.Get(ctx, heldFirstKey(c)).Bytes()
	if errors.Is(err, redis.Nil) {
		return first, nil
	}
	if err != nil {
		return first, redisFault("held", err)
	}
	keys, err := s.keys()
	if err != nil {
		return first, err
	}
	text, had, wrong := unsigned(keys, c, firstName(digest), data)
	if len(keys) > 0 && (wrong != nil || !had) {
		return first, nil
	}
	if err := stored.Unpack(text, &first, maxHeld); err != nil {
		return first, fault.New(fault.Internal, "held", err)
	}
	if first.Digest != digest {
		return HeldFirst{}, nil
	}
	return first, nil
}
