package store_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"rollcall/directory"
	"rollcall/plan"
)

// TestAnyDirectoryIsMirrored walks through random directories, with runs that die at random places in between.
func TestAnyDirectoryIsMirrored(t *testing.T) {
	each(t, func(d *dir) {
		rng := rand.New(rand.NewPCG(1, 2))
		for i := range 25 {
			s := random(rng)
			if rng.IntN(3) == 0 {
				p := d.part("corp")
				changes := d.plans(p, random(rng))
				d.must(p.Begin(t.Context(), "dead", at(2*i)))
				d.apply(p, changes[:rng.IntN(len(changes)+1)], 1+rng.IntN(5))
			}
			d.sync("corp", fmt.Sprint("r", i), at(2*i+1), s)
			got := d.read(d.reader())
			d.equal(fmt.Sprint("Entries of directory ", i), got.Entries, s.Entries)
			d.equal(fmt.Sprint("Versions of directory ", i), got.Versions, versionsOf(s))
		}
	})
}

func random(rng *rand.Rand) directory.Snapshot {
	var entries []directory.Entry
	for i := range 12 {
		if rng.IntN(4) == 0 {
			continue
		}
		e := user(fmt.Sprint("u", i), "title", fmt.Sprint(rng.IntN(3)))
		if rng.IntN(3) == 0 {
			e.Attributes = e.Attributes.Set(directory.Mail)
		}
		if rng.IntN(4) == 0 {
			e.DN = ""
		}
		e.Active = rng.IntN(4) > 0
		entries = append(entries, e)
	}
	for i := range 4 {
		if rng.IntN(4) == 0 {
			continue
		}
		var members []directory.Ref
		for m := range 12 {
			if rng.IntN(2) == 0 {
				members = append(members, userRef(fmt.Sprint("u", m)))
			}
		}
		if rng.IntN(2) == 0 {
			members = append(members, groupRef(fmt.Sprint("g", rng.IntN(4))))
		}
		entries = append(entries, group(fmt.Sprint("g", i), members...))
	}
	return snapshot(entries...)
}

// TestDeadRunsDeletionsAreRemembered checks that what a run deleted before it died has left, and since then.
func TestDeadRunsDeletionsAreRemembered(t *testing.T) {
	each(t, func(d *dir) {
		d.sync("corp", "r1", at(0), snapshot(user("ada"), user("bob")))
		p := d.part("corp")
		d.now = at(5)
		changes := d.plans(p, snapshot(user("bob")))
		if len(changes) != 1 || changes[0].Op != plan.Delete {
			d.Fatalf("changes = %+v, want one deletion", changes)
		}
		d.must(p.Begin(t.Context(), "dead", at(5)))
		d.apply(p, changes, 1)
		d.now = at(9)
		if _, changed := d.sync("corp", "r2", at(9), snapshot(user("bob"))); !changed {
			d.Error("Commit() after a dead run's deletion: changed = false, want true")
		}
		if got := d.read(d.reader()).Departed; len(got) != 1 || !got[0].Left.Equal(at(5)) {
			d.Errorf("Departed = %+v, want ada at %v", got, at(5))
		}
	})
}
