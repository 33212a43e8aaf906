package decisions

import (
	"context"
	"encoding/json"
	"time"

	"rollcall/container"
	"rollcall/fault"
)

// Receipt says when the departure of one person was noticed, decided and confirmed by one tenant.
type Receipt struct {
	// Op is what the tenant confirmed, suspend or delete, and Why the reason; see plan.Op and plan.Reason.
	Op  string `json:"op"`
	Why string `json:"why,omitempty"`
	// Seen is when the local directory had the departure. Decided is when a plan with the change had passed the guards.
	// Confirmed is when the tenant had confirmed it.
	Seen      time.Time `json:"seen"`
	Decided   time.Time `json:"decided"`
	Confirmed time.Time `json:"confirmed"`
	// Sessions says whether the sessions of the account ended, too: ended, failed, or empty where they were not to end.
	Sessions string `json:"sessions,omitempty"`
	// Foreign is set where the account had been suspended by another party.
	Foreign bool `json:"foreign,omitempty"`
	// RunID is the id of the run, or of the object job if Job is set.
	RunID string `json:"run_id"`
	Job   bool   `json:"job,omitempty"`
}

// What became of sessions.
const (
	SessionsEnded  = "ended"
	SessionsFailed = "failed"
)

// Took returns the time from the departure to its confirmation. It is zero where the clocks disagree.
func (r *Receipt) Took() time.Duration { return max(0, r.Confirmed.Sub(r.Seen)) }

// keepReceipts is how long a receipt is kept.
const keepReceipts = 90 * day

func receiptKey(c container.ID, entry string) string { return prefix(c) + "receipt:" + entry }

// Confirm stores the receipt of an entry's departure at the next Flush.
func (t *Trail) Confirm(entry string, r Receipt) {
	text, err := json.Marshal(r)
	if err == nil { // Texts and times only: it cannot fail.
		t.add(tried{entry: entry, line: string(text), receipt: true})
	}
}

// Return deletes the receipt of an entry that came back, at the next Flush.
func (t *Trail) Return(entry string) { t.add(tried{entry: entry, receipt: true}) }

// Receipts returns the receipts of these entries, as far as there are any. entry is "user/<id>".
func (s *Store) Receipts(ctx context.Context, c container.ID, entries ...string) (map[string]Receipt, error) {
	out := make(map[string]Receipt, len(entries))
	if len(entries) == 0 {
		return out, nil
	}
	keys := make([]string, len(entries))
	for i, entry := range entries {
		keys[i] = receiptKey(c, entry)
	}
	all, err := s.rdb.MGet(ctx, keys...).Result()
	if err != nil {
		return nil, redisFault("receipts", err)
	}
	for i, v := range all {
		text, ok := v.(string)
		if !ok {
			continue
		}
		var r Receipt
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			return nil, fault.Errorf(fault.Internal, "decisions: receipt of %s: %w", entries[i], err)
		}
		out[entries[i]] = r
	}
	return out, nil
}
