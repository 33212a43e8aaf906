package jobs

import (
	"testing"
	"time"

	"rollcall/status"
)

func TestOutagePause(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		times               int64
		lasted, asked, want time.Duration
	}{
		{1, 0, 0, 15 * time.Second},
		{2, 20 * time.Second, 0, 30 * time.Second},
		{3, 50 * time.Second, 0, time.Minute},
		{9, 14 * time.Minute, 0, time.Minute},
		{1, 0, 40 * time.Second, 40 * time.Second},
		{20, 20 * time.Minute, 0, 5 * time.Minute},
		{40, 5 * time.Hour, 0, time.Hour},
		{1, 0, 3 * time.Hour, time.Hour},
	} {
		if got := outagePause(tc.times, tc.lasted, tc.asked); got != tc.want {
			t.Errorf("outagePause(%d, %v, %v) = %v, want %v", tc.times, tc.lasted, tc.asked, got, tc.want)
		}
	}
}

// One object gives no answer while other changes are made in each execution. They do not begin the outage anew.
func TestAnObjectWithoutAnswersDoesNotProlongAnOutage(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	first := unansweredAgain(status.Outage{}, start, true, time.Hour)
	if want := (status.Outage{Times: 1, Since: start}); first != want {
		t.Errorf("the first time is %+v, want %+v", first, want)
	}
	later := start.Add(time.Hour)
	for _, tc := range []struct {
		applied bool
		took    time.Duration
		want    status.Outage
	}{
		{false, time.Second, status.Outage{Times: 2, Since: start}},
		{true, time.Minute, status.Outage{Times: 2, Since: start}},
		{false, time.Hour, status.Outage{Times: 2, Since: start}},
		{true, 20 * time.Minute, status.Outage{Times: 1, Since: later}},
	} {
		if got := unansweredAgain(first, later, tc.applied, tc.took); got != tc.want {
			t.Errorf("applied %v in %v: the outage is %+v, want %+v", tc.applied, tc.took, got, tc.want)
		}
	}
}
