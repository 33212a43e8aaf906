package jobs_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/fault"
	"rollcall/internal/testclock"
	"rollcall/ledger"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/reconcile"
	"rollcall/status"
)

// mirror is a local directory that reports whether anything changed since the last commit.
type mirror struct {
	*tenant
	writes atomic.Int64
}

var _ reconcile.Committer = (*mirror)(nil)

func (m *mirror) Apply(ctx context.Context, batch []plan.Change) []provider.Result {
	m.writes.Add(int64(len(batch)))
	return m.tenant.Apply(ctx, batch)
}

func (m *mirror) Clock(context.Context) (time.Time, error)       { return time.Now(), nil }
func (m *mirror) Begin(context.Context, string, time.Time) error { return nil }
func (m *mirror) Commit(context.Context, string) (changed bool, _ error) {
	return m.writes.Swap(0) > 0, nil
}

// forgetful is a ledger that does not take the facts of a run while out is set.
type forgetful struct {
	reconcile.Ledger
	out atomic.Bool
}

func (f *forgetful) SetFacts(ctx context.Context, facts ledger.Facts) error {
	if f.out.Load() {
		return fault.Errorf(fault.Internal, "the ledger takes no facts")
	}
	return f.Ledger.SetFacts(ctx, facts)
}

// following is a site with a provider that has followed its source once.
func following(t *testing.T) (*site, *forgetful) {
	t.Helper()
	s := newSite(t)
	first := &forgetful{Ledger: s.links(corp)}
	s.follow, s.first, s.mirror = true, first, &mirror{tenant: s.local}
	s.worker("w1")
	s.until(corp, s.start(corp).ID, status.Completed)
	s.runs(1)
	return s, first
}

// runs waits until the provider has had that many runs and the last one is over.
func (s *site) runs(n int) {
	s.t.Helper()
	testclock.Eventually(s.t, waiting, "the providers follow", func() bool {
		runs, _, err := s.status.List(s.t.Context(), google, 0, 10)
		return err == nil && len(runs) == n && runs[0].State == status.Completed
	})
}

func (s *site) join() {
	s.source.mu.Lock()
	defer s.source.mu.Unlock()
	s.source.n++
}

// A source run that died after its commit has changed the local directory. The next run finds nothing to change, and
// the provider follows that one.
func TestAProviderFollowsAChangeWhoseRunDidNotEndWell(t *testing.T) {
	t.Parallel()
	s, first := following(t)
	s.join()
	first.out.Store(true)
	s.until(corp, s.start(corp).ID, status.Failed)
	first.out.Store(false)
	s.until(corp, s.start(corp).ID, status.Completed)
	s.runs(2)
	if got := s.remote.count(); got != 21 {
		t.Errorf("the tenant has %d objects, want 21 with the joiner", got)
	}
	s.until(corp, s.start(corp).ID, status.Completed) // And that was that.
	s.runs(2)
}

// interlude calls do before the first script that sets a mark.
type interlude struct {
	mark status.Mark
	do   func()
	done atomic.Bool
}

func (i *interlude) DialHook(next redis.DialHook) redis.DialHook { return next }

func (i *interlude) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		args := cmd.Args()
		if len(args) > 5 && args[4] == "set" && args[5] == string(i.mark) && i.done.CompareAndSwap(false, true) {
			i.do()
		}
		return next(ctx, cmd)
	}
}

func (i *interlude) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// noMark checks that a mark is not set.
func (s *site) noMark(mark status.Mark) {
	s.t.Helper()
	if value, err := s.status.Marked(s.t.Context(), google, mark); value != "" || err != nil {
		s.t.Errorf("the mark %s is %q, err %v; want none", mark, value, err)
	}
}

// A run that gives way to a newer entry is repeated once, although its source does not change any more. If that does
// not help, the provider follows the next run of its source.
func TestAProviderIsRepeatedAfterARunThatLeftSomething(t *testing.T) {
	t.Parallel()
	s, _ := following(t)
	var left atomic.Int64
	left.Store(1)
	s.remote.before = func(context.Context, plan.Change) error {
		if left.Add(-1) >= 0 {
			return fault.Errorf(fault.Conflict, "changed meanwhile: %w", provider.ErrSuperseded)
		}
		return nil
	}
	s.join()
	s.until(corp, s.start(corp).ID, status.Completed)
	s.runs(3)
	if got := s.remote.count(); got != 21 {
		t.Errorf("the tenant has %d objects, want 21 with the joiner", got)
	}
	left.Store(2)
	s.join()
	s.until(corp, s.start(corp).ID, status.Completed)
	s.runs(5)
	s.noMark(status.Again)
	s.until(corp, s.start(corp).ID, status.Completed)
	s.runs(6)
	if got := s.remote.count(); got != 22 {
		t.Errorf("the tenant has %d objects, want 22 with both joiners", got)
	}
}

// starting calls do before each script that starts a run after a source.
type starting struct{ do func() }

func (b starting) DialHook(next redis.DialHook) redis.DialHook { return next }

func (b starting) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if slices.Contains(cmd.Args(), any(string(status.AfterSource))) {
			b.do()
		}
		return next(ctx, cmd)
	}
}

func (b starting) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// A worker may be killed at the moment when it starts the provider again. The mark is still there at that moment.
func TestAProviderThatIsToRunAgainKeepsItsMarkUntilItStarts(t *testing.T) {
	t.Parallel()
	s, _ := following(t)
	reached, goOn := gated(s)
	s.join()
	s.until(corp, s.start(corp).ID, status.Completed) // Its provider run waits at its write.
	<-reached
	var starts, marked atomic.Int64
	s.rdb.(*redis.Client).AddHook(starting{func() {
		starts.Add(1)
		if value, err := s.status.Marked(s.t.Context(), google, status.Again); err == nil && value != "" {
			marked.Add(1)
		}
	}})
	if err := s.status.SetMark(t.Context(), google, status.Again, "a-run"); err != nil {
		t.Fatal(err)
	}
	goOn()
	s.runs(3)
	if starts.Load() == 0 || marked.Load() != starts.Load() {
		t.Errorf("%d starts, %d of them with the mark; want all", starts.Load(), marked.Load())
	}
	s.noMark(status.Again)
}

// The provider's run ends at the moment when the end of the source's run finds it live.
func TestAProviderFollowsAChangeThatCameWhileItsRunEnded(t *testing.T) {
	t.Parallel()
	s, _ := following(t)
	reached, goOn := gated(s)
	s.join()
	s.until(corp, s.start(corp).ID, status.Completed) // Its provider run waits at its write.
	<-reached
	s.rdb.(*redis.Client).AddHook(&interlude{mark: status.Again, do: func() {
		goOn()
		s.runs(2)
	}})
	s.join()
	s.until(corp, s.start(corp).ID, status.Completed)
	s.runs(3)
	if got := s.remote.count(); got != 22 {
		t.Errorf("the tenant has %d objects, want 22 with both joiners", got)
	}
}

// During a long run of the provider its source is read many times without changes. The run is not repeated.
func TestAProviderUnderWayIsNotWantedForNothing(t *testing.T) {
	t.Parallel()
	s, _ := following(t)
	reached, goOn := gated(s)
	s.join()
	s.until(corp, s.start(corp).ID, status.Completed) // Its provider run waits at its write.
	<-reached
	s.until(corp, s.start(corp).ID, status.Completed)
	goOn()
	s.runs(2)
	s.noMark(status.Again)
	s.until(corp, s.start(corp).ID, status.Completed)
	s.runs(2)
}

// The worker that was to start the provider again died before it did. An older version stored the mark under a key of
// its own.
func TestAProviderThatWasToRunAgainFollowsTheNextSourceRun(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]func(s *site) error{
		"mark": func(s *site) error { return s.status.SetMark(s.t.Context(), google, status.Again, "a-run") },
		"key of an older version": func(s *site) error {
			return s.rdb.Set(s.t.Context(), "rollcall:{google_workspace:1}:again", "a-run", time.Minute).Err()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := following(t)
			if err := set(s); err != nil {
				t.Fatal(err)
			}
			s.until(corp, s.start(corp).ID, status.Completed)
			s.runs(2)
			s.noMark(status.Again)
		})
	}
}
