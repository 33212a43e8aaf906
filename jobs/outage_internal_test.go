package jobs

import (
	"testing"
	"time"
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
