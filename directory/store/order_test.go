package store_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"rollcall/directory"
	"rollcall/directory/store"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider"
)

// object is an object job, which reads one entry's state and writes it.
func (d *dir) object(p *store.Part, readAt int, e directory.Entry) error {
	d.Helper()
	changes := d.lookUp(p, e)
	d.must(p.Begin(d.Context(), "", at(readAt)))
	return d.outcome(p, changes)
}

func (d *dir) lookUp(p *store.Part, e directory.Entry) []plan.Change {
	d.Helper()
	desired := store.Desired(snapshot(e))
	state, err := p.Read(d.Context(), provider.Query{Lookups: []provider.Lookup{{Ref: e.Ref()}}})
	d.must(err)
	return plan.Compute(plan.Input{Desired: desired, State: state, Only: []directory.Ref{e.Ref()},
		Capabilities: p.Capabilities()}).Changes
}

func (d *dir) outcome(p *store.Part, changes []plan.Change) error {
	for _, r := range p.Apply(d.Context(), changes) {
		if r.Err != nil {
			return r.Err
		}
	}
	return nil
}

func (d *dir) title(want string) {
	d.Helper()
	if got := d.read(d.reader(), userRef("ada")).Entries[0].Attributes.Get("title"); got != want {
		d.Errorf("the title is %q, want %q", got, want)
	}
}

func TestObjectJobWritesOneEntry(t *testing.T) {
	each(t, func(d *dir) {
		d.sync("corp", "r1", at(0), snapshot(user("ada", "title", "old"), user("bob")))
		d.must(d.object(d.part("corp"), 1, user("ada", "title", "new")))
		d.title("new")
		if _, changed := d.sync("corp", "r2", at(2), snapshot(user("ada", "title", "new"), user("bob"))); !changed {
			d.Error("Commit() after an object job's write: changed = false, want true: other providers must hear of it")
		}
	})
}

// A guard that sees one disabled entry alone would take it for the whole directory.
func TestGuardOfAnObjectJobCountsTheOthers(t *testing.T) {
	each(t, func(d *dir) {
		d.sync("corp", "r1", at(0), snapshot(user("ada"), user("bob"), user("eve")))
		off := user("ada")
		off.Active = false
		p := d.part("corp")
		state, err := p.Read(d.Context(), provider.Query{Lookups: []provider.Lookup{{Ref: off.Ref()}}})
		d.must(err)
		in := plan.Input{Desired: store.Desired(snapshot(off)), State: state, Only: []directory.Ref{off.Ref()},
			Capabilities: p.Capabilities()}
		apply, held := plan.Compute(in).Guard(plan.Limits{}, plan.Budget{})
		if len(apply.Changes) != 1 || len(held.Changes) != 0 {
			d.Errorf("%d changes are applied and %d held (%+v), want one suspension", len(apply.Changes), len(held.Changes),
				held.Changes)
		}
		if _, held = plan.Compute(in).Guard(plan.Limits{}, plan.Budget{User: 3}); len(held.Changes) != 1 {
			d.Error("a spent budget does not hold an object job")
		}
	})
}

func TestAnOlderReadNeverOverwritesANewerOne(t *testing.T) {
	each(t, func(d *dir) {
		d.sync("corp", "r1", at(0), snapshot(user("ada", "title", "first")))

		// A run read the source, then an object job did, and wrote first.
		p := d.part("corp")
		changes := d.plans(p, snapshot(user("ada", "title", "older"), user("bob")))
		d.must(d.object(d.part("corp"), 2, user("ada", "title", "newer")))
		d.must(p.Begin(t.Context(), "r2", at(1)))
		for i, r := range p.Apply(t.Context(), changes) {
			if changes[i].ID == "ada" {
				d.kind("Apply() of an older run", r.Err, fault.Conflict)
			} else {
				d.must(r.Err)
			}
		}
		_, err := p.Commit(t.Context(), "r2")
		d.must(err)
		d.title("newer")

		// An object job read the source before a run did, and writes after it.
		p = d.part("corp")
		changes = d.lookUp(p, user("ada", "title", "stale"))
		d.sync("corp", "r3", at(10), snapshot(user("ada", "title", "newest")))
		d.must(p.Begin(t.Context(), "", at(9)))
		d.kind("Apply() of an older object job", d.outcome(p, changes), fault.Conflict)
		d.title("newest")

		// It read an entry that has left since.
		p = d.part("corp")
		changes = d.lookUp(p, user("new"))
		d.sync("corp", "r4", at(20), snapshot(user("ada", "title", "newest"), user("new")))
		d.sync("corp", "r5", at(21), snapshot(user("ada", "title", "newest")))
		d.must(p.Begin(t.Context(), "", at(19)))
		d.kind("Apply() of an entry that left", d.outcome(p, changes), fault.Conflict)
	})
}

// TestNoMixture checks that a plan made from one state is not carried out on another, even where its read is the
// newest.
func TestNoMixture(t *testing.T) {
	each(t, func(d *dir) {
		d.sync("corp", "r1", at(0), snapshot(user("ada", "title", "t0", "room", "r0")))
		p := d.part("corp")
		changes := d.plans(p, snapshot(user("ada", "title", "t0", "room", "r2"))) // room only
		d.must(d.object(d.part("corp"), 1, user("ada", "title", "t1", "room", "r0")))
		d.must(p.Begin(t.Context(), "r2", at(2)))
		d.kind("Apply() on another state", d.outcome(p, changes), fault.Conflict)
	})
}

func TestAnObjectJobConcludesNoDeparture(t *testing.T) {
	each(t, func(d *dir) {
		d.sync("corp", "r1", at(0), snapshot(user("ada")))
		p := d.part("corp")
		d.must(p.Begin(t.Context(), "", at(1)))
		d.kind("Apply(delete)", d.outcome(p, []plan.Change{{Op: plan.Delete, Ref: userRef("ada")}}), fault.Unsafe)
		if n := len(d.read(d.reader()).Entries); n != 1 {
			d.Errorf("%d entries are left, want 1", n)
		}
	})
}

func TestARunThatWasTakenOverIsStopped(t *testing.T) {
	each(t, func(d *dir) {
		s := snapshot(user("ada"), user("bob"))
		zombie, heir := d.part("corp"), d.part("corp")
		changes := d.plans(zombie, s)
		d.must(zombie.Begin(t.Context(), "r1", at(0)))
		d.must(zombie.Begin(t.Context(), "r1", at(0)))

		for _, run := range []string{"r1", "r2"} { // The same run in a later epoch is another.
			d.must(heir.Begin(t.Context(), run, at(1)))
			d.kind("Apply() of a run that was taken over", d.outcome(zombie, changes), fault.Canceled)
			_, err := zombie.Commit(t.Context(), "r1")
			d.kind("Commit() of a run that was taken over", err, fault.Canceled)
			d.kind("Begin() of a run that was taken over", zombie.Begin(t.Context(), "r1", at(0)), fault.Canceled)
			d.unavailable(d.reader(), "is being written by run "+run)
		}
		d.apply(heir, changes, 10)
		for range 2 { // The second time as after a lost answer.
			changed, err := heir.Commit(t.Context(), "r2")
			d.must(err)
			if !changed {
				d.Error("Commit() = false, want true")
			}
		}
		d.kind("Begin() after a newer run ended", zombie.Begin(t.Context(), "r1", at(0)), fault.Canceled)
		d.kind("Apply() after a newer run ended", d.outcome(zombie, changes), fault.Conflict)
		d.kind("Apply() after a newer run ended", d.outcome(zombie, []plan.Change{{Op: plan.Create, Ref: userRef("cyd")}}),
			fault.Unavailable)
		d.equal("Entries", d.read(d.reader()).Entries, s.Entries)
	})
}

func TestBeginFailsIfARunWroteSinceTheStateWasRead(t *testing.T) {
	each(t, func(d *dir) {
		slow, dying := d.part("corp"), d.part("corp")
		changes := d.plans(dying, snapshot(user("ada")))
		d.must(dying.Begin(t.Context(), "r1", at(0)))
		d.plans(slow, snapshot(user("ada")))
		d.apply(dying, changes, 1)
		d.kind("Begin()", slow.Begin(t.Context(), "r2", at(1)), fault.Unavailable)
	})
}

func TestCallsOutOfOrder(t *testing.T) {
	each(t, func(d *dir) {
		p := d.part("corp")
		d.kind("Apply() before Begin()", d.outcome(p, []plan.Change{{Op: plan.Delete, Ref: userRef("a")}}), fault.Internal)
		_, err := p.Commit(t.Context(), "r1")
		d.kind("Commit() before Begin()", err, fault.Internal)
		d.must(p.Begin(t.Context(), "r1", at(0)))
		_, err = p.Commit(t.Context(), "r2")
		d.kind("Commit() of another run", err, fault.Internal)
		d.kind("Begin() of an object job on the Part of a run", p.Begin(t.Context(), "", at(1)), fault.Internal)
		d.kind("Apply(adopt)", d.outcome(p, []plan.Change{{Op: plan.Adopt, Ref: userRef("a")}}), fault.Internal)
		d.kind("Apply() of another source's entry", d.outcome(p, []plan.Change{{Op: plan.Create, Ref: userRef("a"),
			Fields: []plan.FieldChange{{Name: store.FieldSource, After: []string{"other"}}}}}), fault.Internal)
		d.kind("Apply() without an id", d.outcome(p, []plan.Change{{Op: plan.Create, Ref: userRef("")}}), fault.Invalid)
	})
}

func TestClockOnlyRises(t *testing.T) {
	each(t, func(d *dir) {
		last := noon
		for range 100 {
			now, err := d.part("corp").Clock(t.Context())
			d.must(err)
			if !now.After(last) {
				d.Fatalf("Clock() = %v after %v", now, last)
			}
			last = now
		}
	})
}

// TestBatchesSideBySide adds members to one group from several batches at once.
func TestBatchesSideBySide(t *testing.T) {
	each(t, func(d *dir) {
		var members []directory.Ref
		for i := range 400 {
			members = append(members, userRef(fmt.Sprintf("u%03d", i)))
		}
		s := snapshot(group("all", members...))
		p := d.part("corp")
		changes := d.plans(p, s)
		d.must(p.Begin(t.Context(), "r1", at(0)))
		d.apply(p, changes[:1], 1)
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				for j := 1 + i; j < len(changes); j += 40 {
					var batch []plan.Change
					for k := j; k < min(j+40, len(changes)); k += 4 {
						batch = append(batch, changes[k])
					}
					if err := d.outcome(p, batch); err != nil {
						d.Errorf("Apply() = %v", err)
					}
				}
			})
		}
		wg.Wait()
		_, err := p.Commit(t.Context(), "r1")
		d.must(err)
		d.equal("Entries", d.read(d.reader()).Entries, s.Entries)
	})
}

// Data of an earlier version has values in the order of the server, and a digest that covers it. It stays as it is,
// with its version, so that no pin ends.
func TestAReorderOfValuesIsNoChange(t *testing.T) {
	each(t, func(d *dir) {
		ada := user("ada")
		ada.Attributes = ada.Attributes.Set(directory.Mail, "b@corp.example", "a@corp.example")
		d.sync("corp", "one", noon, snapshot(ada, user("bob")))
		const earlier = "000000000000000000000000"
		const key = "rollcall:{ldap:corp}:dir:digest"
		token := d.rdb.HGet(d.Context(), key, ada.Ref().String()).Val()
		d.must(d.rdb.HSet(d.Context(), key, ada.Ref().String(), strings.ReplaceAll(token, ada.Digest(), earlier)).Err())
		inFormat1(d, ada, user("bob"))
		ada.Attributes = ada.Attributes.Clone().Set(directory.Mail, "a@corp.example", "b@corp.example")
		if n, _ := d.sync("corp", "two", at(1), snapshot(ada, user("bob"))); n != 0 {
			d.Errorf("%d changes, want none", n)
		}
		d.equal("the version", d.read(d.reader()).Versions[ada.Ref()], earlier)
	})
}
