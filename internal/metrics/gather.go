package metrics

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"rollcall/fault"
	"rollcall/internal/redisfault"
	"rollcall/status"
)

// gather reads everything. What can be read is on the sheet also when the error says that something could not.
func (s *State) gather(ctx context.Context, to *sheet) error {
	if err := s.cfg.Redis.Ping(ctx).Err(); err != nil {
		return redisfault.Of("metrics: ping", err)
	}
	errs := make([]error, len(s.cfg.Containers)+1)
	var g errgroup.Group
	g.SetLimit(8)
	g.Go(func() error { errs[len(errs)-1] = s.shared(ctx, to); return nil })
	for i := range s.cfg.Containers {
		g.Go(func() error { errs[i] = s.container(ctx, to, &s.cfg.Containers[i]); return nil })
	}
	_ = g.Wait() // Each leaves its error.
	return errors.Join(errs...)
}

// shared is what belongs to no container.
func (s *State) shared(ctx context.Context, to *sheet) error {
	workers, err := s.cfg.Status.Workers(ctx)
	if err == nil {
		to.set("rollcall_workers", float64(len(workers)))
	}
	queues, queued := s.cfg.Queues(ctx)
	for _, q := range queues {
		for _, state := range taskState.Values {
			to.set("rollcall_queue_tasks", float64(q.Tasks[state]), q.Name, state)
		}
		to.set("rollcall_queue_latency_seconds", q.Latency.Seconds(), q.Name)
	}
	used, limit, told, remembered := memory(ctx, s.cfg.Redis)
	if told {
		to.set("rollcall_redis_memory_used_bytes", used)
		to.set("rollcall_redis_memory_max_bytes", limit)
	}
	return errors.Join(err, queued, remembered)
}

// memory returns the memory that Redis uses and its limit. Of a cluster it returns those of the fullest node. told is
// false if Redis does not give them, as with some hosted services.
func memory(ctx context.Context, rdb redis.UniversalClient) (used, limit float64, told bool, err error) {
	var mu sync.Mutex
	ask := func(ctx context.Context, node *redis.Client) error {
		text, err := node.Info(ctx, "memory").Result()
		switch {
		case tolerable(err):
			return nil
		case err != nil:
			return redisfault.Of("metrics: memory", err)
		}
		mu.Lock()
		defer mu.Unlock()
		if n, ok := field(text, "used_memory"); ok && n >= used {
			used, told = n, true
			limit, _ = field(text, "maxmemory")
		}
		return nil
	}
	switch rdb := rdb.(type) {
	case *redis.ClusterClient:
		err = rdb.ForEachMaster(ctx, ask)
	case *redis.Client:
		err = ask(ctx, rdb)
	}
	return used, limit, told, err
}

// field returns a number of what INFO says.
func field(text, name string) (float64, bool) {
	for line := range strings.Lines(text) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), name+":"); ok {
			n, err := strconv.ParseFloat(v, 64)
			return n, err == nil
		}
	}
	return 0, false
}

// container is what there is to say of one container.
func (s *State) container(ctx context.Context, to *sheet, c *Container) error {
	st, err := s.cfg.Status.Standing(ctx, c.Name)
	if err != nil {
		return err
	}
	held, err := s.cfg.Decisions.HeldCounts(ctx, c.Name)
	if err != nil {
		return err
	}
	name := string(c.Name)
	to.at("rollcall_last_success_timestamp_seconds", st.CompletedAt, name)
	s.last(to, name, &st)
	live(to, name, st.Open)
	to.counts("rollcall_held_changes", guard.Values, held.Guards, name)
	to.counts("rollcall_held_entries", reason.Values, st.HeldEntries, name)
	errs := []error{s.copyAge(ctx, to, c), s.pollAge(ctx, to, c), entries(ctx, to, c), quotas(ctx, to, c),
		s.configurations(ctx, to, c), s.untrusted(ctx, to, c), s.paused(ctx, to, c)}
	changed, left, err := s.unseen(ctx, c, &st)
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	if !c.Name.IsSource() {
		pinned, err := s.cfg.Decisions.CountPins(ctx, c.Name)
		if err != nil {
			return errors.Join(append(errs, err)...)
		}
		to.set("rollcall_pinned_entries", float64(pinned), name)
		to.set("rollcall_leaver_pending_seconds", s.since(earliest(st.LeaverSince, left)), name)
	}
	due, err := s.due(ctx, c, &st, changed)
	to.at("rollcall_sync_expected_by_timestamp_seconds", due, name)
	return errors.Join(append(errs, err)...)
}

// paused says whether a person paused the container.
func (s *State) paused(ctx context.Context, to *sheet, c *Container) error {
	p, err := s.cfg.Decisions.PauseOf(ctx, c.Name)
	if err != nil {
		return err
	}
	n := 0.0
	if p != nil {
		n = 1
	}
	to.set("rollcall_container_paused", n, string(c.Name))
	return nil
}

// untrusted counts what another program may have written in place of decisions.
func (s *State) untrusted(ctx context.Context, to *sheet, c *Container) error {
	kept, err := s.cfg.Decisions.Kept(ctx, c.Name)
	n := len(kept.Untrusted)
	if kept.Broken != "" {
		n++
	}
	if err == nil {
		to.set("rollcall_untrusted_decisions", float64(n), string(c.Name))
	}
	return err
}

// configurations counts the different ones of the container.
func (s *State) configurations(ctx context.Context, to *sheet, c *Container) error {
	found, err := s.cfg.Status.Configured(ctx, c.Name)
	if err != nil {
		return err
	}
	n := len(found.Digests)
	if n == 0 || c.Digest != "" && !slices.Contains(found.Digests, c.Digest) {
		n++
	}
	to.set("rollcall_configurations", float64(n), string(c.Name))
	return nil
}

// last is what the run that ended last came to.
func (s *State) last(to *sheet, name string, st *status.Standing) {
	to.at("rollcall_last_run_timestamp_seconds", st.LastAt, name)
	to.one("rollcall_last_run_result", result.Values, string(resultOf(st.LastState, st.LastStatus)), name)
	ended, failed := "", map[string]int64{}
	if run := st.Last; run != nil {
		began := run.StartedAt
		if began.IsZero() {
			began = run.CreatedAt
		}
		to.set("rollcall_last_run_duration_seconds", max(0, run.FinishedAt.Sub(began).Seconds()), name)
		if run.State == status.Failed {
			ended = run.FailKind
		}
		failed = run.Faults
	}
	if run := st.Open; run != nil && !run.DryRun && run.Outage.Times > 0 {
		ended = fault.Unavailable.String()
	}
	to.one("rollcall_last_run_fault", ofFault.Values, ended, name)
	to.counts("rollcall_failed_changes", ofFault.Values, failed, name)
}

// live is how far the live run has come.
func live(to *sheet, name string, run *status.Run) {
	if run == nil {
		to.one("rollcall_run_active", liveState.Values, "", name)
		return
	}
	to.one("rollcall_run_active", liveState.Values, string(run.State), name)
	done, expected := run.Done()
	part := 0.0
	switch {
	case expected > 0:
		part = float64(done) / float64(expected)
	case !run.PlannedAt.IsZero():
		part = 1
	}
	to.set("rollcall_run_changes_expected", float64(expected), name)
	to.set("rollcall_run_changes_done", float64(done), name)
	to.set("rollcall_run_progress_ratio", part, name)
}

func (s *State) copyAge(ctx context.Context, to *sheet, c *Container) error {
	if c.ReadAt == nil {
		return nil
	}
	at, err := c.ReadAt(ctx)
	if err == nil && !at.IsZero() {
		to.set("rollcall_source_age_seconds", s.since(at), string(c.Name))
	}
	return err
}

// pollAge is how long no poll of a source was good that has a cursor, and so can tell its changes.
func (s *State) pollAge(ctx context.Context, to *sheet, c *Container) error {
	if !c.Polled {
		return nil
	}
	f, err := c.Facts(ctx)
	if err != nil || f.Cursor.IsZero() {
		return err
	}
	p, err := s.cfg.Status.Poll(ctx, c.Name)
	if err == nil {
		to.set("rollcall_poll_age_seconds", s.since(cmp.Or(p.At, f.LastFull)), string(c.Name))
	}
	return err
}

func entries(ctx context.Context, to *sheet, c *Container) error {
	f, err := c.Facts(ctx)
	if err == nil && !f.LastFull.IsZero() {
		to.set("rollcall_directory_entries", float64(f.Users), string(c.Name), string(status.User))
		to.set("rollcall_directory_entries", float64(f.Groups), string(c.Name), string(status.Group))
	}
	return err
}

func quotas(ctx context.Context, to *sheet, c *Container) error {
	var errs []error
	for _, q := range c.Quotas {
		states, err := q.States(ctx)
		errs = append(errs, err)
		for _, b := range states {
			lane := b.Bucket
			if q.Lane != nil {
				lane = q.Lane(lane)
			}
			to.set("rollcall_quota_limit_per_second", b.Limit, string(c.Name), lane)
			to.set("rollcall_quota_used_ratio", b.Used, string(c.Name), lane)
			to.set("rollcall_quota_paused_seconds", b.Paused.Seconds(), string(c.Name), lane)
		}
	}
	return errors.Join(errs...)
}

// since is how long ago a time was, in seconds; 0 for none.
func (s *State) since(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return max(0, s.cfg.Now().Sub(t).Seconds())
}

// earliest returns the earlier of two times of which either may be zero.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
