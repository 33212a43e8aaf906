package status

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/container"
	"rollcall/fault"
)

// Decision is what a person decided about one held change. It is valid for DecisionTTL, and for as long as the entry
// is unchanged.
type Decision struct {
	Fingerprint string `json:"fingerprint"`
	// Verdict is approved or rejected.
	Verdict string `json:"verdict"`
	// By is the name of the API token, At when it decided.
	By      string    `json:"by"`
	At      time.Time `json:"at"`
	Expires time.Time `json:"expires"`
	// Op, ID and Label say what it was about.
	Op    string `json:"op"`
	ID    string `json:"id"`
	Label string `json:"label,omitempty"`
}

// Decide records a person's verdict about changes, in place of an earlier one.
func (s *Store) Decide(ctx context.Context, c container.ID, verdict, by string, changes []HeldChange) ([]Decision, error) {
	now := s.cfg.Now()
	out := make([]Decision, 0, len(changes))
	fields := make([]any, 0, 2*len(changes))
	for _, ch := range changes {
		d := Decision{
			Fingerprint: ch.Fingerprint, Verdict: verdict, By: cut(by, maxName), At: now, Expires: now.Add(DecisionTTL), Op: ch.Op, ID: ch.ID, Label: ch.Label,
		}
		text, err := json.Marshal(d)
		if err != nil {
			return nil, fault.New(fault.Internal, "decide", err)
		}
		out, fields = append(out, d), append(fields, d.Fingerprint, text)
	}
	if len(fields) == 0 {
		return out, nil
	}
	key := prefix(c) + "decisions"
	_, err := s.rdb.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.HSet(ctx, key, fields...)
		p.Expire(ctx, key, DecisionTTL+time.Hour)
		return nil
	})
	return out, redisFault("decide", err)
}

// Decisions returns the decisions that are valid, by fingerprint. Those that have expired are forgotten.
func (s *Store) Decisions(ctx context.Context, c container.ID) (map[string]Decision, error) {
	key := prefix(c) + "decisions"
	all, err := s.rdb.HGetAll(ctx, key).Result()
	if err != nil {
		return nil, redisFault("decisions", err)
	}
	now := s.cfg.Now()
	out := make(map[string]Decision, len(all))
	var stale []string
	for print, text := range all {
		var d Decision
		if err := json.Unmarshal([]byte(text), &d); err != nil || !now.Before(d.Expires) {
			stale = append(stale, print)
			continue
		}
		out[print] = d
	}
	if len(stale) > 0 {
		err = s.rdb.HDel(ctx, key, stale...).Err()
	}
	return out, redisFault("decisions", err)
}

// Undecide forgets what was decided about changes, by their fingerprints.
func (s *Store) Undecide(ctx context.Context, c container.ID, fingerprints []string) error {
	for chunk := range slices.Chunk(fingerprints, pinsAtOnce) {
		if err := s.rdb.HDel(ctx, prefix(c)+"decisions", chunk...).Err(); err != nil {
			return redisFault("undecide", err)
		}
	}
	return nil
}
