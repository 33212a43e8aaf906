package plan_test

import (
	"fmt"
	"testing"
	"time"

	"rollcall/directory"
	"rollcall/plan"
)

func TestConfirmedHolds(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	c := plan.Confirmed{Witness: "3", VerifyBy: now.Add(time.Hour)}
	for _, tc := range []struct {
		name    string
		witness string
		now     time.Time
		want    bool
	}{
		{"the witness stands still", "3", now, true},
		{"the witness moved", "4", now, false},
		{"its turn has come", "3", now.Add(time.Hour), false},
		{"no witness is no word", "", now, false},
	} {
		if got := c.Holds(tc.witness, tc.now); got != tc.want {
			t.Errorf("%s: Holds() = %v, want %v", tc.name, got, tc.want)
		}
	}
	if (plan.Confirmed{VerifyBy: now.Add(time.Hour)}).Holds("", now) {
		t.Error("Holds() without any witness = true, want false")
	}
}

func TestVerifyBySpreadsGroups(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	const groups, slots = 7000, 7 // slots of half a day
	var due [slots]int
	for i := range groups {
		id := directory.ID(fmt.Sprintf("group-%05d", i))
		by := plan.VerifyBy(now, id)
		after := by.Sub(now)
		if after < 84*time.Hour || after > 7*24*time.Hour {
			t.Fatalf("VerifyBy(%s) is %v away, want 3.5 to 7 days", id, after)
		}
		if again := plan.VerifyBy(now, id); !again.Equal(by) {
			t.Fatalf("VerifyBy(%s) = %v, then %v: want the same", id, by, again)
		}
		due[min(slots-1, int((after-84*time.Hour)/(12*time.Hour)))]++
	}
	for i, n := range due {
		if n < 800 || n > 1200 {
			t.Errorf("half day %d: %d groups come due, want about 1000: %v", i, n, due)
		}
	}
}
