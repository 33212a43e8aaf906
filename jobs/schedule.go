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
		if w.homes.why(w.schedule[i].name) != "" {
			continue // The worker with the newer configuration fires.
		}
		errs = append(errs, w.fire(ctx, &w.schedule[i], now))
	}
	for i := range w.cfg.Containers {
		if w.homes.why(w.cfg.Containers[i].Name) != "" {
			continue
		}
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
	} else if missed := now.Sub(at); missed > (slowestTurn+1)*w.cfg.ReapEvery {
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

// follow starts the runs that a finished run makes due. A provider runs after each run of its sources that changed
// something. Marks store the pending runs, so that none is lost when a worker dies; see status.Mark.
func (w *Worker) follow(ctx context.Context, c *Container, run status.Run, changed bool) {
	ctx = context.WithoutCancel(ctx)
	w.promoted(ctx, c, run)
	switch {
	case !c.Name.IsSource():
		w.again(ctx, c)
	case !run.DryRun && run.State == status.Completed && run.Paused == "":
		w.after(ctx, c, run, changed)
	}
}

// after starts the providers that follow a source.
func (w *Worker) after(ctx context.Context, source *Container, run status.Run, changed bool) {
	mark, err := w.cfg.Status.Marked(ctx, source.Name, status.Follow)
	if err != nil {
		w.cfg.Log.ErrorContext(ctx, "read the follow mark", "container", string(source.Name), "run_id", run.ID, "err", err)
	}
	changed = changed || mark != "" || err != nil // An unreadable mark may be set.
	all := true
	for _, c := range w.followers(source) {
		if c.Schedule != AfterSource || !changed && (run.Mode == status.Delta || !w.wants(ctx, c)) {
			continue
		}
		if err := w.startAfter(ctx, c, run); err != nil {
			all = false
			w.cfg.Log.ErrorContext(ctx, "start the provider after its source", "container", string(c.Name), "run_id", run.ID,
				"err", err)
		}
	}
	if !all || mark == "" {
		return
	}
	if err := w.cfg.Status.ClearMark(ctx, source.Name, status.Follow, mark); err != nil {
		w.cfg.Log.WarnContext(ctx, "clear a mark; one unnecessary run may follow", "container", string(source.Name), "err",
			err)
	}
}

// startAfter starts a provider after its source. A provider with a live run may have read the state before the
// change, so it is started again when that run ends. The mark is set first, because the run may end at this moment.
func (w *Worker) startAfter(ctx context.Context, c *Container, source status.Run) error {
	if err := w.cfg.Status.SetMark(ctx, c.Name, againMark(source.Mode), source.ID); err != nil {
		return err
	}
	return w.startMarked(ctx, c, source.Mode, source.ID)
}

// againMark returns the mark for one more run of a mode.
func againMark(mode status.Mode) status.Mark {
	if mode == status.Delta {
		return status.AgainDelta
	}
	return status.Again
}

// startMarked starts a provider that has a mark for one more run with this value. The start clears the mark. Beside a
// live run the mark stays for the end of that run, which may have read the state before the change.
func (w *Worker) startMarked(ctx context.Context, c *Container, mode status.Mode, by string) error {
	_, err := w.client.start(ctx, status.StartRequest{Container: c.Name, Mode: mode,
		Trigger: status.Trigger{Kind: status.AfterSource, By: by}})
	if _, live := errors.AsType[*status.LiveError](err); live {
		return nil
	}
	return err
}

// repeatSoon has a provider run once more after this run, which left something to the next one. Without it, the next
// run could be a day away. A repetition is not repeated at once, but follows the next run of a source.
func (w *Worker) repeatSoon(ctx context.Context, c *Container, run status.Run) {
	if c.Schedule != AfterSource || w.repeats(ctx, run) {
		return
	}
	ctx = context.WithoutCancel(ctx)
	if err := w.cfg.Status.SetMark(ctx, c.Name, status.Again, run.ID); err != nil {
		w.cfg.Log.WarnContext(ctx, "set a mark", "container", string(c.Name), "run_id", run.ID, "err", err)
	}
}

// repeats reports whether a run repeats an earlier run of its own container.
func (w *Worker) repeats(ctx context.Context, run status.Run) bool {
	if run.Trigger.Kind != status.AfterSource {
		return false
	}
	_, err := w.cfg.Status.Get(ctx, run.Container, run.Trigger.By)
	return err == nil
}

// wants reports whether a provider should follow its source although nothing changed there. It should if a repetition
// is pending, if its last run was a repetition or did not carry out its whole plan, or if that run was a day ago. The
// daily run makes deletions and verifications of members that have fallen due.
func (w *Worker) wants(ctx context.Context, c *Container) bool {
	if mark, err := w.cfg.Status.Marked(ctx, c.Name, status.Again); err == nil && mark != "" {
		return true
	}
	runs, _, err := w.cfg.Status.List(ctx, c.Name, 0, 1)
	if err != nil || len(runs) == 0 {
		return err == nil
	}
	last := runs[0]
	if last.Mode == status.Delta { // It made no deletion and verified no member that has fallen due.
		summary, err := w.cfg.Status.Summary(ctx, c.Name)
		return err == nil && w.cfg.Now().Sub(summary.CompletedReadAt) > 24*time.Hour
	}
	if last.State.Open() && !last.DryRun { // It reads the present state.
		return false
	}
	return last.Partial() || w.repeats(ctx, last) || last.State != status.Completed || last.Paused != "" ||
		last.FailedChanges > 0 ||
		w.cfg.Now().Sub(last.FinishedAt) > 24*time.Hour
}

// again starts a provider once more if its source changed during its run.
func (w *Worker) again(ctx context.Context, c *Container) {
	for _, mode := range []status.Mode{status.Full, status.Delta} {
		by, err := w.cfg.Status.Marked(ctx, c.Name, againMark(mode))
		if err == nil && by != "" {
			err = w.startMarked(ctx, c, mode, by)
		}
		if err != nil {
			w.cfg.Log.ErrorContext(ctx, "start the provider again", "container", string(c.Name), "err", err)
		}
		if by != "" {
			return // The end of that run looks at the other mark.
		}
	}
}

// promoted puts the full run that waited for the end of a delta run into its queue. If this worker dies before, the
// reaper does it.
func (w *Worker) promoted(ctx context.Context, c *Container, ended status.Run) {
	if ended.Mode != status.Delta {
		return
	}
	run, live, err := w.cfg.Status.Live(ctx, c.Name)
	if err == nil && live && run.State == status.Queued {
		err = w.client.enqueue(ctx, run)
	}
	if err != nil {
		w.cfg.Log.WarnContext(ctx, "enqueue the run that waited", "container", string(c.Name), "err", err)
	}
}

// wholeEvery is how often a source that cannot tell its changes is read as a whole at most.
const wholeEvery = 15 * time.Minute

// readWhole starts a full run of a source because changes cannot be told, unless one began lately.
func (w *Worker) readWhole(ctx context.Context, c *Container, why string) {
	ctx = context.WithoutCancel(ctx)
	summary, err := w.cfg.Status.Summary(ctx, c.Name)
	if err == nil && w.cfg.Now().Sub(summary.CompletedReadAt) < wholeEvery {
		return
	}
	if err == nil {
		err = w.begin(ctx, c.Name, status.Trigger{Kind: status.ByWatch, By: why})
	}
	if err != nil {
		w.cfg.Log.WarnContext(ctx, "start a full run because changes cannot be told", "container", string(c.Name), "err", err)
	}
}

const lossText = "Redis has lost all its data, and this run restores what it can. Runs that were under way have " +
	"ended; the history of runs, approvals, pins and the counts of the last 24 hours are gone."

// noticeLoss starts the sources when Redis has lost its data. All workers find the same runs.
func (w *Worker) noticeLoss(ctx context.Context) error {
	id, err := w.cfg.Status.Data(ctx)
	if err != nil {
		return err
	}
	if id == w.data {
		return nil
	}
	w.cfg.Log.ErrorContext(ctx, "redis has lost all its data: the sources start by themselves")
	for _, c := range w.cfg.Containers {
		if !c.Name.IsSource() || w.homes.why(c.Name) != "" {
			continue
		}
		_, err := w.client.start(ctx, status.StartRequest{
			ID:        uuid.NewSHA1(uuid.NameSpaceOID, []byte(id+" "+string(c.Name))).String(),
			Container: c.Name, Trigger: status.Trigger{Kind: status.ByLoss},
		})
		if _, live := errors.AsType[*status.LiveError](err); err != nil && !live {
			return err // The next turn tries again.
		}
	}
	w.data = id
	return nil
}

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
