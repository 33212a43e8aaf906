package jobs_test

import (
	"testing"
	"time"

	"rollcall/jobs"
)

func TestLongestGap(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 4, 9, 7, 0, 0, time.UTC)
	const day = 24 * time.Hour
	for schedule, want := range map[string]time.Duration{
		"":                                0,
		jobs.AfterSource:                  0,
		"@every 90m":                      90 * time.Minute,
		"CRON_TZ=UTC * * * * *":           time.Minute,
		"CRON_TZ=UTC */15 * * * *":        15 * time.Minute,
		"CRON_TZ=UTC 7,50 * * * *":        43 * time.Minute,
		"CRON_TZ=UTC 0 3 * * *":           day,
		"CRON_TZ=UTC 0 7 * * 1-5":         3 * day,
		"CRON_TZ=UTC * 8-18 * * 1-5":      2*day + 13*time.Hour + time.Minute,
		"CRON_TZ=UTC 0 0 1 * *":           31 * day,
		"CRON_TZ=UTC 30 6 * 2-11 *":       63 * day,
		"CRON_TZ=UTC 0 0 29 2 *":          1461 * day,
		"CRON_TZ=UTC 0 0 30 2 *":          0,
		"CRON_TZ=Europe/Berlin 0 3 * * *": day + time.Hour, // the night in which the clocks go back
	} {
		got, err := jobs.LongestGap(schedule, now)
		if err != nil || got != want {
			t.Errorf("LongestGap(%q) = %v, %v, want %v", schedule, got, err, want)
		}
	}
	if _, err := jobs.LongestGap("soon", now); err == nil {
		t.Error("LongestGap(soon) = nil, want an error")
	}
}
