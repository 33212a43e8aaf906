package jobs

import (
	"fmt"
	"time"

	"github.com/robfig/cron/v3"
)

// longestYear is how far a schedule is followed to find its longest gap. Except for the leap day, every combination
// of days occurs in that time.
const longestYear = 366 * 24 * time.Hour

// LongestGap returns the longest time between two runs of a cron schedule. It is zero without a schedule, and for one
// without any run.
func LongestGap(schedule string, now time.Time) (time.Duration, error) {
	if schedule == "" || schedule == AfterSource {
		return 0, nil
	}
	parsed, err := cron.ParseStandard(schedule)
	if err != nil {
		return 0, fmt.Errorf("schedule %q: %w", schedule, err)
	}
	return longestGap(parsed, now), nil
}

// longestGap looks at every tick of one day and at the first tick of each other day. The ticks are the same on every
// day that has some, and a schedule of every minute has half a million ticks a year.
func longestGap(c cron.Schedule, now time.Time) time.Duration {
	if every, ok := c.(cron.ConstantDelaySchedule); ok {
		return every.Delay
	}
	first := c.Next(now)
	first = c.Next(midnight(first).AddDate(0, 0, 1).Add(-time.Nanosecond)) // the first of a whole day
	if first.IsZero() {
		return 0
	}
	var longest time.Duration
	last := first
	for next := c.Next(last); !next.IsZero() && midnight(next).Equal(midnight(first)); next = c.Next(last) {
		longest, last = max(longest, next.Sub(last)), next
	}
	span := last.Sub(first) // from the first tick of a day to its last
	for day := first; day.Sub(first) < longestYear; {
		next := c.Next(day.Add(span))
		if next.IsZero() {
			break
		}
		longest, day = max(longest, next.Sub(day.Add(span))), next
	}
	return longest
}

func midnight(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, t.Location())
}
