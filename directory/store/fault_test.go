package store_test

import (
	"context"
	"testing"

	"github.com/redis/go-redis/v9"

	"rollcall/directory"
	"rollcall/directory/store"
	"rollcall/fault"
	"rollcall/internal/redistest"
	"rollcall/plan"
	"rollcall/provider"
)

// calls are all calls that reach Redis.
func calls(p *store.Part) map[string]func(context.Context) error {
	r := store.NewReader(p)
	return map[string]func(context.Context) error{
		"Status":     func(ctx context.Context) error { _, err := p.Status(ctx); return err },
		"Read state": func(ctx context.Context) error { _, err := p.Read(ctx, provider.Query{}); return err },
		"Begin":      func(ctx context.Context) error { return p.Begin(ctx, "r", at(0)) },
		"Clock":      func(ctx context.Context) error { _, err := p.Clock(ctx); return err },
		"Read":       func(ctx context.Context) error { _, err := r.Read(ctx, directory.Query{}); return err },
		"Version":    func(ctx context.Context) error { _, _, err := r.Version(ctx, "corp", userRef("a")); return err },
		"Find":       func(ctx context.Context) error { _, err := r.Find(ctx, directory.User, "a"); return err },
		"Apply create": func(ctx context.Context) error {
			return p.Apply(ctx, []plan.Change{{Op: plan.Create, Ref: userRef("a")}})[0].Err
		},
	}
}

func TestWithoutRedisAllIsUnavailable(t *testing.T) {
	t.Parallel()
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1, DialerRetries: 1})
	defer rdb.Close()
	p := store.New(store.Config{Redis: rdb, Slug: "corp"})
	if err := p.Begin(t.Context(), "", at(0)); err != nil {
		t.Fatalf("Begin() of an object job = %v, want nil: it asks nobody", err)
	}
	for name, call := range calls(p) {
		if err := call(t.Context()); fault.KindOf(err) != fault.Unavailable {
			t.Errorf("%s: %v, want unavailable", name, err)
		}
	}
}

func TestACanceledCallIsCanceled(t *testing.T) {
	t.Parallel()
	p := store.New(store.Config{Redis: redistest.Start(t), Slug: "corp"})
	if err := p.Begin(t.Context(), "r1", at(0)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, call := range calls(p) {
		if err := call(ctx); fault.KindOf(err) != fault.Canceled {
			t.Errorf("%s: %v, want canceled", name, err)
		}
	}
	if _, err := p.Commit(ctx, "r1"); fault.KindOf(err) != fault.Canceled {
		t.Errorf("Commit: %v, want canceled", err)
	}
}

// TestWhatWeDidNotWriteIsABug checks that an unreadable value is not taken for a missing one.
func TestWhatWeDidNotWriteIsABug(t *testing.T) {
	each(t, func(d *dir) {
		for key, field := range map[string]string{"user": "ada", "digest": "user/ada", "gone": "user/bob"} {
			d.must(d.rdb.FlushDB(t.Context()).Err())
			d.sync("corp", "r1", at(0), snapshot(user("ada"), user("bob")))
			d.sync("corp", "r2", at(1), snapshot(user("ada")))
			d.must(d.rdb.HSet(t.Context(), "rollcall:{ldap:corp}:dir:"+key, field, "{").Err())
			for _, q := range []directory.Query{{}, {Refs: []directory.Ref{userRef("ada"), userRef("bob")}}} {
				if key == "digest" { // Readers do not look at it.
					break
				}
				_, err := d.reader().Read(t.Context(), q)
				d.kind("Read() of a damaged "+key, err, fault.Internal)
			}
			if key == "gone" {
				continue
			}
			p := d.part("corp")
			_, err := p.Read(t.Context(), provider.Query{})
			d.kind("Read() of the state with a damaged "+key, err, fault.Internal)
			d.must(p.Begin(t.Context(), "r3", at(2)))
			d.kind("Apply() on a damaged "+key, d.outcome(p, []plan.Change{{Op: plan.Suspend, Ref: userRef("ada")}}),
				fault.Internal)
		}
	})
}
