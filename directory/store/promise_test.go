package store_test

import (
	"context"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"rollcall/directory"
	"rollcall/directory/store"
	"rollcall/fault"
)

// unavailable fails the test unless the local directory cannot be read, for a reason that has these words.
func (d *dir) unavailable(r *store.Reader, words ...string) {
	d.Helper()
	for _, q := range []directory.Query{{}, {Refs: []directory.Ref{userRef("ada")}}} {
		s, err := r.Read(d.Context(), q)
		d.kind("Read()", err, fault.Unavailable)
		if len(s.Entries) > 0 {
			d.Errorf("Read() gave %d entries with its error, want none", len(s.Entries))
		}
		for _, w := range append(words, "source ldap:corp") {
			if err != nil && !strings.Contains(err.Error(), w) {
				d.Errorf("Read() = %q, want it to say %q", err, w)
			}
		}
	}
}

func TestProviderNeverSeesAnUnfinishedDirectory(t *testing.T) {
	each(t, func(d *dir) {
		s := snapshot(user("ada"), user("bob"), group("staff", userRef("ada")))
		d.unavailable(d.reader(), "has never completed a sync: run it first")

		// A first run dies after each of its writes in turn, and the next takes over.
		for cut := 0; ; cut++ {
			p := d.part("corp")
			changes := d.plans(p, s)
			d.must(p.Begin(t.Context(), "dead", at(cut)))
			d.unavailable(d.reader(), "is being written by run dead")
			if len(changes) == 0 {
				break
			}
			d.apply(p, changes[:1], 1)
			d.unavailable(d.reader(), "is being written by run dead")
		}
		d.sync("corp", "later", at(100), s)
		d.equal("Entries", d.read(d.reader()).Entries, s.Entries)

		// So does one that changes what is there already.
		p := d.part("corp")
		changes := d.plans(p, snapshot(user("bob")))
		d.must(p.Begin(t.Context(), "dead", at(200)))
		d.apply(p, changes[:1], 1)
		d.unavailable(d.reader(), "is being written by run dead since 2026-03-01T12:00:00Z",
			"sync the source again if it died")
		d.sync("corp", "later", at(300), s)
		d.equal("Entries", d.read(d.reader()).Entries, s.Entries)
	})
}

// between runs something after each pipeline of a client that begins with a command.
type between struct {
	command string
	run     func()
}

func (h between) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h between) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (h between) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		if cmds[0].Name() == h.command {
			h.run()
		}
		return err
	}
}

func TestReadFailsIfARunWroteMeanwhile(t *testing.T) {
	each(t, func(d *dir) {
		before, after := snapshot(user("ada"), user("bob")), snapshot(user("bob"), user("cyd"))
		d.sync("corp", "r0", at(0), before)
		rdb := redis.NewClient(d.rdb.(*redis.Client).Options())
		defer rdb.Close()
		r := store.NewReader(store.New(store.Config{Redis: rdb, Slug: "corp"}))
		first := true
		rdb.AddHook(between{"hmget", func() {
			if first { // Right after the first glimpse.
				first = false
				d.sync("corp", "r1", at(1), after)
			}
		}})
		_, err := r.Read(t.Context(), directory.Query{Refs: []directory.Ref{userRef("ada")}})
		d.kind("Read() while a run comes and goes", err, fault.Unavailable)
		if err != nil && !strings.Contains(err.Error(), "source ldap:corp changed while it was being read: read it again") {
			d.Errorf("Read() = %v", err)
		}
		d.equal("Entries", d.read(r).Entries, after.Entries)
	})
}

func TestAfterRedisWasLostTheSourceRunsFirst(t *testing.T) {
	each(t, func(d *dir) {
		s := snapshot(user("ada"), user("bob"))
		d.sync("corp", "r1", at(0), s)
		r := d.reader()
		d.must(d.rdb.FlushDB(t.Context()).Err())
		d.unavailable(r, "has never completed a sync: run it first")
		_, _, err := r.Version(t.Context(), "corp", userRef("ada"))
		d.kind("Version() of a lost directory", err, fault.Unavailable)
		d.sync("corp", "r2", at(1), s)
		d.equal("Entries", d.read(r).Entries, s.Entries)
	})
}

// TestRedisIsLostDuringARun loses Redis at every step. The rest of that run must not make half a directory look
// whole.
func TestRedisIsLostDuringARun(t *testing.T) {
	each(t, func(d *dir) {
		old, s := snapshot(user("ada"), user("bob")), snapshot(user("ada"), user("bob"), user("cyd"))
		for cut := range 3 {
			d.must(d.rdb.FlushDB(t.Context()).Err())
			d.sync("corp", "r1", at(0), old)
			lose := func(step int) {
				if step == cut {
					d.must(d.rdb.FlushDB(t.Context()).Err())
				}
			}
			p := d.part("corp")
			changes := d.plans(p, s)
			lose(0)
			err := p.Begin(t.Context(), "r2", at(1))
			lose(1)
			if err == nil {
				err = p.Apply(t.Context(), changes)[0].Err
			}
			lose(2)
			if err == nil {
				_, err = p.Commit(t.Context(), "r2")
			}
			d.kind("the run", err, fault.Unavailable)
			d.unavailable(d.reader(), "has never completed a sync")
		}
	})
}

func TestLostKeysAreNoticed(t *testing.T) {
	each(t, func(d *dir) {
		for _, key := range []string{"user", "group", "digest"} {
			d.must(d.rdb.FlushDB(t.Context()).Err())
			s := snapshot(user("ada"), group("staff"))
			d.sync("corp", "r1", at(0), s)
			d.must(d.rdb.Del(t.Context(), "rollcall:{ldap:corp}:dir:"+key).Err())
			d.unavailable(d.reader(), "is damaged", "delete the keys rollcall:{ldap:corp}:dir:*")
		}
	})
}

func TestNoSourcesIsNoEmptyDirectory(t *testing.T) {
	t.Parallel()
	if _, err := store.NewReader().Read(t.Context(), directory.Query{}); fault.KindOf(err) != fault.Invalid {
		t.Errorf("Read() without sources = %v, want invalid", err)
	}
}
