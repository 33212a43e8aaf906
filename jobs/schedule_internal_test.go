package jobs

import (
	"testing"
	"time"
)

// The thirtieth of February never comes: it must not come at once, and every hour.
func TestACronThatNeverComesIsNeverDue(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s, err := newSchedule([]Container{{Name: "ldap:corp", Schedule: "0 0 30 2 *"}}, now)
	if err != nil {
		t.Fatal(err)
	}
	if due := s.due(now); len(due) != 0 {
		t.Errorf("due() = %+v, want nothing", due)
	}
}
