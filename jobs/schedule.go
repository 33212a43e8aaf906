package jobs

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/robfig/cron/v3"

	"rollcall/container"
)

// schedule knows when which container is due. Every worker has one; which of them starts the run is settled on Redis.
type schedule struct {
	mu      sync.Mutex
	entries []scheduled
}

type scheduled struct {
	name container.ID
	spec string
	cron cron.Schedule
	next time.Time
}

type dueRun struct {
	name container.ID
	spec string
	at   time.Time
}

func newSchedule(containers []Container, now time.Time) (*schedule, error) {
	s := &schedule{}
	var errs []error
	for _, c := range containers {
		if c.Schedule == "" || c.Schedule == AfterSource {
			continue
		}
		parsed, err := cron.ParseStandard(c.Schedule)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: schedule %q: %w", c.Name, c.Schedule, err))
			continue
		}
		s.entries = append(s.entries, scheduled{c.Name, c.Schedule, parsed, parsed.Next(now)})
	}
	return s, errors.Join(errs...)
}

// due returns what has come due since it was last asked: each container once, however many of its ticks were missed.
func (s *schedule) due(now time.Time) []dueRun {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []dueRun
	for i := range s.entries {
		e := &s.entries[i]
		if e.next.IsZero() || now.Before(e.next) { // The thirtieth of February never comes.
			continue
		}
		at := e.next
		for e.next = e.cron.Next(e.next); !e.next.IsZero() && !now.Before(e.next); e.next = e.cron.Next(e.next) {
			at = e.next
		}
		out = append(out, dueRun{e.name, e.spec, at})
	}
	return out
}
