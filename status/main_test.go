package status_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/container"
	"rollcall/fault"
	"rollcall/internal/testclock"
	"rollcall/status"
)

const corp = container.ID("ldap:corp")

// fixture is a store with a clock of its own, and what tests do with it.
type fixture struct {
	*status.Store
	*testclock.Clock
	t   *testing.T
	rdb redis.UniversalClient
}

func open(t *testing.T, rdb redis.UniversalClient, cfg status.Config) *fixture {
	t.Helper()
	c := testclock.New()
	cfg.Now = c.Now
	return &fixture{status.New(rdb, cfg), c, t, rdb}
}

func (f *fixture) start() status.Run {
	f.t.Helper()
	run, err := f.Start(f.t.Context(), status.StartRequest{Container: corp,
		Trigger: status.Trigger{Kind: status.ByAPI, By: "ops"}})
	if err != nil {
		f.t.Fatalf("Start() = %v, want nil", err)
	}
	return run
}

// acquire takes the lease of a run; the end of the test closes it.
func (f *fixture) acquire(run status.Run, worker string) *status.Lease {
	f.t.Helper()
	l, err := f.Acquire(f.t.Context(), run.Container, run.ID, run.Epoch, worker)
	if err != nil {
		f.t.Fatalf("Acquire(epoch %d) = %v, want nil", run.Epoch, err)
	}
	f.t.Cleanup(l.Close)
	return l
}

func (f *fixture) get(id string) status.Run {
	f.t.Helper()
	run, err := f.Get(f.t.Context(), corp, id)
	if err != nil {
		f.t.Fatalf("Get() = %v, want nil", err)
	}
	return run
}

// reap returns what the reaper did with the run of corp: one thing or nothing.
func (f *fixture) reap() status.Reaped {
	f.t.Helper()
	all, err := f.Reap(f.t.Context(), []container.ID{"google_workspace:7", corp}, true)
	if err != nil || len(all) > 1 {
		f.t.Fatalf("Reap() = %v, %v, want at most one run", all, err)
	}
	if len(all) == 0 {
		return status.Reaped{}
	}
	return all[0]
}

// kill makes Redis forget a worker's lease, as if it had died 15 seconds ago.
func (f *fixture) kill(l *status.Lease) {
	f.t.Helper()
	l.Close()
	f.drop("lease")
}

// drop deletes keys of corp, as if they had expired.
func (f *fixture) drop(names ...string) {
	f.t.Helper()
	for _, name := range names {
		if err := f.rdb.Del(f.t.Context(), "rollcall:{ldap:corp}:"+name).Err(); err != nil {
			f.t.Fatal(err)
		}
	}
}

// expire checks that keys of corp expire within a time, and has them expire now.
func (f *fixture) expire(within time.Duration, names ...string) {
	f.t.Helper()
	for _, name := range names {
		if left := f.left(name); left <= 0 || left > within {
			f.t.Fatalf("the key %s expires in %v, want within %v", name, left, within)
		}
	}
	f.drop(names...)
}

// left returns how long a key of corp still lives.
func (f *fixture) left(name string) time.Duration {
	f.t.Helper()
	left, err := f.rdb.PTTL(f.t.Context(), "rollcall:{ldap:corp}:"+name).Result()
	if err != nil {
		f.t.Fatal(err)
	}
	return left
}

// age has keys of corp expire after a time.
func (f *fixture) age(left time.Duration, names ...string) {
	f.t.Helper()
	for _, name := range names {
		if ok, err := f.rdb.PExpire(f.t.Context(), "rollcall:{ldap:corp}:"+name, left).Result(); err != nil || !ok {
			f.t.Fatalf("the key %s is not there (%v)", name, err)
		}
	}
}

// commands receives a value after a command of one name was carried out on Redis.
type commands struct {
	name string
	done chan struct{}
}

// hear returns what receives the commands of rdb from now on.
func hear(rdb *redis.Client, name string) commands {
	c := commands{name, make(chan struct{}, 8)}
	rdb.AddHook(c)
	return c
}

// next waits until another command was carried out.
func (c commands) next(t *testing.T) {
	t.Helper()
	select {
	case <-c.done:
	case <-time.After(time.Minute):
		t.Fatalf("no %s was carried out for a minute", c.name)
	}
}

func (c commands) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c commands) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (c commands) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if cmd.Name() == c.name {
			select {
			case c.done <- struct{}{}:
			default:
			}
		}
		return err
	}
}

func (f *fixture) running() bool {
	f.t.Helper()
	running, err := f.IsRunning(f.t.Context(), corp)
	if err != nil {
		f.t.Fatal(err)
	}
	return running
}

// wantStale checks that an operation of a worker that lost its run is refused.
func wantStale(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, status.ErrStale) || fault.KindOf(err) != fault.Canceled {
		t.Errorf("%s = %v, want ErrStale of kind canceled", what, err)
	}
}

func wantKind(t *testing.T, what string, err error, want fault.Kind) {
	t.Helper()
	if err == nil || fault.KindOf(err) != want {
		t.Errorf("%s = %v, want %v", what, err, want)
	}
}

// wantEnd waits for the end of a lease's context and returns its cause.
func wantEnd(t *testing.T, l *status.Lease) error {
	t.Helper()
	select {
	case <-l.Context().Done():
		return context.Cause(l.Context())
	case <-time.After(time.Minute):
		t.Fatal("the context of the lease did not end within a minute")
		return nil
	}
}
