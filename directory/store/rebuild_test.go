package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/directory"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/source"
)

// meanwhile is called with each step of a builder of the index, before the step.
type meanwhile func(step string)

func (m meanwhile) DialHook(next redis.DialHook) redis.DialHook { return next }

func (m meanwhile) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (m meanwhile) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		const at = 3 + 8 // The script has eight keys.
		if args := cmd.Args(); cmd.Name() == "evalsha" && len(args) > at {
			if step, _ := args[at].(string); slices.Contains([]string{"start", "put", "finish"}, step) {
				m(step)
			}
		}
		return next(ctx, cmd)
	}
}

// rebuild loses the index and builds it anew.
func (d *dir) rebuild(before meanwhile) error {
	d.Helper()
	d.must(d.rdb.HDel(d.Context(), key("meta"), "find").Err())
	rdb := redis.NewClient(d.rdb.(*redis.Client).Options())
	defer rdb.Close()
	rdb.AddHook(before)
	_, err := (&dir{d.T, rdb, d.now}).part("corp").Read(d.Context(), provider.Query{})
	return err
}

// complete fails the test unless the index equals one that is built while nothing is written.
func (d *dir) complete() {
	d.Helper()
	index := func() []string { return slices.DeleteFunc(d.index(), func(m string) bool { return m[1] == 'V' }) }
	got := index()
	d.must(d.rebuild(func(string) {}))
	d.equal("the index", got, index())
}

// Entries that change, leave or come back while the index is being built are in it with all of their names and members.
func TestTheIndexIsBuiltBesideAWriter(t *testing.T) {
	each(t, func(d *dir) {
		for i, when := range []string{"start", "put", "finish"} {
			d.must(d.rdb.FlushDB(t.Context()).Err())
			d.sync("corp", "r1", at(0), snapshot(user("ada"), user("bob"), user("cyd"), user("dee"),
				group("staff", userRef("bob")), group("club", userRef("bob"))))
			d.sync("corp", "r2", at(1), snapshot(user("ada"), user("bob"), user("cyd"),
				group("staff", userRef("bob")), group("club", userRef("bob"))))
			p := d.part("corp")
			changes := d.plans(p, snapshot(user("ada", directory.Mail, "new@corp.example"), user("bob"), user("dee"),
				group("staff", userRef("ada"), userRef("bob")), group("club", userRef("bob"))))
			wrote := false
			d.must(d.rebuild(func(step string) {
				if step != when || wrote {
					return
				}
				wrote = true
				d.must(p.Begin(t.Context(), "r3", at(2)))
				d.apply(p, changes, 10)
				_, err := p.Commit(t.Context(), "r3")
				d.must(err)
			}))
			groups, err := d.above("bob")
			d.must(err)
			d.equal(fmt.Sprint("the groups of bob ", i), groups, []string{"club", "staff"})
			d.complete()
		}
	})
}

// A builder of the index beside a writer that does not rest comes to an end: it puts only those entries again that were
// written meanwhile, and gives up after many rounds.
func TestTheBuilderEndsBesideASteadyWriter(t *testing.T) {
	each(t, func(d *dir) {
		d.sync("corp", "r1", at(0), snapshot(user("ada"), user("bob"), group("staff", userRef("bob"))))
		p, writes := d.part("corp"), 0
		d.must(p.Begin(t.Context(), "", at(1)))
		write := func(string) {
			op := []plan.Op{plan.AddMember, plan.RemoveMember}[writes%2]
			member := userRef("ada")
			writes++
			d.apply(p, []plan.Change{{Op: op, Ref: groupRef("staff"), Member: &member}}, 1)
		}
		d.must(d.rebuild(func(step string) {
			if writes < 11 {
				write(step)
			}
		}))
		d.complete()
		if err := d.rebuild(write); !errors.Is(err, source.ErrBusy) {
			d.Errorf("Read() beside a writer that does not rest = %v, want ErrBusy", err)
		}
		groups, err := d.above("bob") // which builds the index
		d.must(err)
		d.equal("the groups of bob", groups, []string{"staff"})
	})
}

// looking is called around the first look into the index.
type looking struct{ before, after func() }

func (l *looking) DialHook(next redis.DialHook) redis.DialHook { return next }

func (l *looking) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		return l.around([]redis.Cmder{cmd}, func() error { return next(ctx, cmd) })
	}
}

func (l *looking) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		return l.around(cmds, func() error { return next(ctx, cmds) })
	}
}

func (l *looking) around(cmds []redis.Cmder, next func() error) error {
	looks := slices.ContainsFunc(cmds, func(c redis.Cmder) bool {
		return c.Name() == "hscan" || c.Name() == "zrangebylex"
	})
	if !looks || l.before == nil {
		return next()
	}
	l.before()
	l.before = nil
	err := next()
	l.after()
	return err
}

// What was read while another process built the index anew is not taken for all of it, even if that ended meanwhile.
func TestWhatWasReadDuringARebuildIsBusy(t *testing.T) {
	each(t, func(d *dir) {
		d.sync("corp", "r1", at(0), snapshot(user("ada"), group("staff", userRef("ada"))))
		for name, read := range map[string]func(*dir) error{
			"Around": func(d *dir) error { _, err := d.above("ada"); return err },
			"Find": func(d *dir) error {
				_, err := d.reader().Find(t.Context(), directory.User, "ada@corp.example")
				return err
			},
			"Search": func(d *dir) error { _, _, err := d.reader().Search(t.Context(), "ada", 5); return err },
		} {
			for _, ends := range []bool{true, false} {
				d.now = d.now.Add(time.Second)
				began, goOn, built := make(chan struct{}, 1), make(chan struct{}), make(chan error, 1)
				rdb := redis.NewClient(d.rdb.(*redis.Client).Options())
				rdb.AddHook(&looking{before: func() {
					go func() {
						built <- d.rebuild(func(step string) {
							if step == "put" {
								began <- struct{}{}
								<-goOn
							}
						})
					}()
					<-began
				}, after: func() {
					if ends {
						close(goOn)
						d.must(<-built)
					}
				}})
				if err := read(&dir{d.T, rdb, d.now}); !errors.Is(err, source.ErrBusy) {
					d.Errorf("%s() during a rebuild that ends meanwhile (%v) = %v, want ErrBusy", name, ends, err)
				}
				if !ends {
					close(goOn)
					d.must(<-built)
				}
				d.must(read(d))
				d.must(rdb.Close())
			}
		}
	})
}
