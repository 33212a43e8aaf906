package decisions_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"rollcall/decisions"
	"rollcall/internal/redistest"
)

// A receipt is kept for a limited time, replaced by a later one, and deleted when its entry comes back.
func TestReceipts(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb)
		flush := func(trail *decisions.Trail) {
			t.Helper()
			if err := trail.Flush(t.Context()); err != nil {
				t.Fatalf("Flush() = %v", err)
			}
		}
		receipts := func() map[string]decisions.Receipt {
			t.Helper()
			got, err := f.Receipts(t.Context(), google, "user/1", "user/2", "user/3")
			if err != nil {
				t.Fatalf("Receipts() = %v", err)
			}
			return got
		}
		seen := f.Now().UTC()
		full := decisions.Receipt{
			Op: "suspend", Why: "absent", Seen: seen, Decided: seen.Add(time.Second), Confirmed: seen.Add(3 * time.Second),
			Sessions: decisions.SessionsEnded, Foreign: true, RunID: "r", Job: true,
		}
		trail := f.Trail(google)
		trail.Confirm("user/1", decisions.Receipt{Op: "suspend"})
		trail.Confirm("user/2", decisions.Receipt{Op: "delete"})
		trail.Confirm("user/1", full)
		flush(trail)
		if diff := cmp.Diff(map[string]decisions.Receipt{"user/1": full, "user/2": {Op: "delete"}}, receipts()); diff != "" {
			t.Errorf("Receipts() (-want +got):\n%s", diff)
		}
		if full.Took() != 3*time.Second || (&decisions.Receipt{Seen: seen}).Took() != 0 {
			t.Errorf("Took() = %v, want 3s, and 0 where the clocks disagree", full.Took())
		}
		key := "rollcall:{google_workspace:1}:receipt:user/1"
		if ttl := rdb.PTTL(t.Context(), key).Val(); ttl <= 89*24*time.Hour || ttl > 90*24*time.Hour {
			t.Errorf("a receipt is kept for %v, want 90 days", ttl)
		}
		trail.Return("user/1")
		flush(trail)
		if got := receipts(); len(got) != 1 || got["user/2"].Op != "delete" {
			t.Errorf("Receipts() after the return of user/1 = %+v", got)
		}
	})
}
