package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/fault"
	"rollcall/plan"
	"rollcall/status"
)

// A provider follows its sources: it runs after each source run that changed something. That a change waits to be
// followed is written down before it can be lost, and rubbed out when the provider's run was started:
//
//	rollcall:{ldap:corp}:follow           the source run that was about to write. Whoever completes the next one follows it too
//	rollcall:{google_workspace:1}:again   the source run that found the provider's run live: it runs again after its end
func followKey(c status.Container) string { return fmt.Sprintf("rollcall:{%s}:follow", c) }

func againKey(c status.Container) string { return fmt.Sprintf("rollcall:{%s}:again", c) }

// clearScript deletes a mark that is still the one that was read. A later one is somebody else's to follow.
var clearScript = redis.NewScript(`if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end return 1`)

// planned returns what notes, ahead of a source run's first write, that there is something to follow: the run may die
// after its last write, and the next one finds nothing changed.
func (w *Worker) planned(c *Container, run status.Run) func(context.Context, plan.Plan) error {
	return func(ctx context.Context, apply plan.Plan) error {
		if !c.Name.IsSource() || run.DryRun || apply.Empty() {
			return nil
		}
		if err := w.cfg.Redis.Set(ctx, followKey(c.Name), run.ID, 0).Err(); err != nil {
			return fault.New(fault.Unavailable, "note what is to be followed", err)
		}
		return nil
	}
}

// follow starts what a finished run makes due.
func (w *Worker) follow(ctx context.Context, c *Container, run status.Run, changed bool) {
	ctx = context.WithoutCancel(ctx)
	switch {
	case !c.Name.IsSource():
		w.again(ctx, c)
	case !run.DryRun && run.State == status.Completed:
		w.after(ctx, c, run, changed)
	}
}

// after starts the providers that follow a source.
func (w *Worker) after(ctx context.Context, source *Container, run status.Run, changed bool) {
	mark, err := w.cfg.Redis.Get(ctx, followKey(source.Name)).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		w.cfg.Log.ErrorContext(ctx, "read what is to be followed", "container", string(source.Name), "run_id", run.ID, "err", err)
	}
	changed = changed || !errors.Is(err, redis.Nil) // What cannot be read may be there.
	all := true
	for i := range w.cfg.Containers {
		c := &w.cfg.Containers[i]
		if c.Schedule != AfterSource || !slices.Contains(c.Sources, source.Name.Name()) {
			continue
		}
		if !changed && !w.wants(ctx, c) {
			continue
		}
		if err := w.startAfter(ctx, c, run); err != nil {
			all = false
			w.cfg.Log.ErrorContext(ctx, "start the provider after its source", "container", string(c.Name), "run_id", run.ID, "err", err)
		}
	}
	if all && mark != "" {
		w.clear(ctx, followKey(source.Name), mark)
	}
}

// startAfter starts a provider after its source. One whose run is live, and may have read what was before, is started
// again when that run ends; the mark is made first, because the end may come in this moment.
func (w *Worker) startAfter(ctx context.Context, c *Container, source status.Run) error {
	if err := w.cfg.Redis.Set(ctx, againKey(c.Name), source.ID, 24*time.Hour).Err(); err != nil {
		return err
	}
	_, err := w.client.Start(ctx, c.Name, false, status.Trigger{Kind: status.AfterSource, By: source.ID})
	if _, live := errors.AsType[*status.LiveError](err); live {
		return nil
	}
	if err == nil {
		w.clear(ctx, againKey(c.Name), source.ID)
	}
	return err
}

// clear rubs a mark out. One that stays costs a run.
func (w *Worker) clear(ctx context.Context, key, value string) {
	if err := clearScript.Run(ctx, w.cfg.Redis, []string{key}, value).Err(); err != nil {
		w.cfg.Log.WarnContext(ctx, "clear a mark", "key", key, "err", err)
	}
}

// wants reports whether a provider should follow its source although nothing changed there: it was to run again, its
// last run did not carry out its whole plan, or that was a day ago, so that what falls due (deletions, verification of
// members) is done.
func (w *Worker) wants(ctx context.Context, c *Container) bool {
	if n, err := w.cfg.Redis.Exists(ctx, againKey(c.Name)).Result(); err == nil && n > 0 {
		return true
	}
	runs, _, err := w.cfg.Status.List(ctx, c.Name, 0, 1)
	if err != nil || len(runs) == 0 {
		return err == nil
	}
	last := runs[0]
	if last.State.Open() && !last.DryRun { // It is under way, and what it reads is what there is.
		return false
	}
	return last.DryRun || last.Trigger.Kind == status.ByApproval || last.Trigger.Kind == status.ByRevert || last.State != status.Completed || last.FailedChanges > 0 ||
		w.cfg.Now().Sub(last.FinishedAt) > 24*time.Hour
}

// again starts a provider once more whose source changed while it ran.
func (w *Worker) again(ctx context.Context, c *Container) {
	by, err := w.cfg.Redis.GetDel(ctx, againKey(c.Name)).Result()
	if errors.Is(err, redis.Nil) {
		return
	}
	if err == nil {
		if err = w.begin(ctx, c.Name, status.Trigger{Kind: status.AfterSource, By: by}); err != nil {
			err = errors.Join(err, w.cfg.Redis.SetNX(ctx, againKey(c.Name), by, 24*time.Hour).Err())
		}
	}
	if err != nil {
		w.cfg.Log.ErrorContext(ctx, "start the provider again", "container", string(c.Name), "err", err)
	}
}
