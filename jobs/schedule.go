package jobs

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/robfig/cron/v3"

	"rollcall/container"
	"rollcall/status"
)

// scheduled is the schedule of one container. Its last firing is on Redis: any number of workers fire each tick once, a
// restart moves none, and what was missed while no worker lived is made up once.
type scheduled struct {
	name container.ID
	spec string
	cron cron.Schedule
}

// newSchedule returns the schedules of the containers that have one. The error says which do not parse.
func newSchedule(containers []Container) ([]scheduled, error) {
	var out []scheduled
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
		out = append(out, scheduled{c.Name, c.Schedule, parsed})
	}
	return out, errors.Join(errs...)
}

// firing is what Redis keeps of a firing. It has the schedule, because another schedule begins anew.
func (s *scheduled) firing(at time.Time) string {
	return strconv.FormatInt(at.UnixMilli(), 10) + " " + s.spec
}

// last reads a firing; false where there is none of this schedule, or one that lies ahead, as after a wrong clock.
func (s *scheduled) last(text string, now time.Time) (time.Time, bool) {
	at, spec, _ := strings.Cut(text, " ")
	millis, err := strconv.ParseInt(at, 10, 64)
	last := time.UnixMilli(millis).In(now.Location())
	return last, err == nil && spec == s.spec && !last.After(now)
}

// due returns the newest tick after last that has come; zero where none has. The thirtieth of February never comes.
func (s *scheduled) due(last, now time.Time) (at time.Time) {
	if every, is := s.cron.(cron.ConstantDelaySchedule); is {
		if n := now.Sub(last) / every.Delay; n > 0 {
			at = last.Add(n * every.Delay)
		}
		return at
	}
	for next := s.cron.Next(last); !next.IsZero() && !next.After(now); next = s.cron.Next(next) {
		at = next
	}
	return at
}

// tick starts the runs that are due by schedule, and those that a finished run made due and whose worker died before it
// started them.
func (w *Worker) tick(ctx context.Context) error {
	var errs []error
	now := w.cfg.Now()
	for i := range w.schedule {
		errs = append(errs, w.fire(ctx, &w.schedule[i], now))
	}
	for i := range w.cfg.Containers {
		errs = append(errs, w.catchUp(ctx, &w.cfg.Containers[i], now))
	}
	return errors.Join(errs...)
}

// fire starts the run of the newest tick that is due, and notes the firing. The run's id follows from the tick, so that
// a worker that repeats the firing finds the same run.
func (w *Worker) fire(ctx context.Context, s *scheduled, now time.Time) error {
	text, err := w.cfg.Status.Marked(ctx, s.name, status.Fired)
	if err != nil {
		return err
	}
	last, known := s.last(text, now)
	if !known {
		return w.cfg.Status.SetMark(ctx, s.name, status.Fired, s.firing(now))
	}
	at := s.due(last, now)
	if at.IsZero() {
		return nil
	}
	run, err := w.client.start(ctx, status.StartRequest{
		ID:        uuid.NewSHA1(uuid.NameSpaceOID, []byte(string(s.name)+" "+s.firing(at))).String(),
		Container: s.name, Trigger: status.Trigger{Kind: status.BySchedule, By: s.spec},
	})
	if live, is := errors.AsType[*status.LiveError](err); is {
		if live.Run.Partial() {
			return nil // It does not do what the tick is for, which comes when it ends.
		}
		w.cfg.Log.InfoContext(ctx, "not started: a run is live", "container", string(s.name), "run_id", live.Run.ID,
			"trigger", string(status.BySchedule))
	} else if err != nil {
		return err
	} else if missed := now.Sub(at); missed > 2*w.cfg.ReapEvery {
		w.cfg.Log.InfoContext(ctx, "missed tick made up", "container", string(s.name), "run_id", run.ID, "tick", at)
	}
	return w.cfg.Status.SetMark(ctx, s.name, status.Fired, s.firing(at))
}

// catchUp starts what has to follow the last run of a container, where its worker has not done so within followTime.
func (w *Worker) catchUp(ctx context.Context, c *Container, now time.Time) error {
	const followTime = 4 * time.Second
	kind := status.Again
	if c.Name.IsSource() {
		kind = status.Follow
	}
	mark, err := w.cfg.Status.Marked(ctx, c.Name, kind)
	if err != nil || mark == "" {
		return err
	}
	runs, _, err := w.cfg.Status.List(ctx, c.Name, 0, 1)
	if err != nil || len(runs) == 0 || runs[0].State.Open() || now.Sub(runs[0].FinishedAt) < followTime {
		return err
	}
	w.follow(ctx, c, runs[0], true)
	return nil
}
