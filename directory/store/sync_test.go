package store_test

import (
	"testing"

	"rollcall/directory"
	"rollcall/plan"
)

func TestSyncIsWhatTheSourceSaid(t *testing.T) {
	each(t, func(d *dir) {
		dark := user("dee")
		dark.Active = false
		s := snapshot(user("ada", "title", "Countess"), user("bob"), dark,
			group("staff", userRef("ada"), userRef("bob"), groupRef("inner")), group("inner", userRef("dee")), group("empty"))
		n, changed := d.sync("corp", "r1", at(0), s)
		if n != 10 || !changed {
			d.Errorf("the first sync made %d changes, changed = %v, want 6 entries, 4 members and true", n, changed)
		}
		got := d.read(d.reader())
		d.equal("Entries", got.Entries, s.Entries)
		d.equal("Versions", got.Versions, versionsOf(s))

		n, changed = d.sync("corp", "r2", at(10), s)
		if n != 0 || changed {
			d.Errorf("a sync of the same made %d changes, changed = %v, want none", n, changed)
		}
		status, err := d.part("corp").Status(t.Context())
		d.must(err)
		if status.Generation != 1 || !status.Ready() || status.Users != 3 || status.Groups != 3 ||
			!status.ReadAt.Equal(at(10)) {
			d.Errorf("Status() = %+v, want generation 1 and 3 of each", status)
		}
	})
}

func TestSyncFollowsEveryChange(t *testing.T) {
	each(t, func(d *dir) {
		d.sync("corp", "r1", at(0), snapshot(user("ada", "title", "Miss"), user("bob"), user("cyd"),
			group("staff", userRef("ada"), userRef("bob"))))
		ada := user("ada", directory.EmployeeNumber, "7") // the title is gone
		ada.DN = "uid=ada,ou=moved,dc=corp"
		bob := user("bob")
		bob.Active = false
		s := snapshot(ada, bob, group("staff", userRef("bob"), userRef("eve"), groupRef("new")), group("new"), user("eve"))
		d.now = at(60)
		d.sync("corp", "r2", at(60), s)
		got := d.read(d.reader())
		d.equal("Entries", got.Entries, s.Entries)
		d.equal("Departed", got.Departed, []directory.Departure{{Ref: userRef("cyd"), Source: "corp", Left: at(60),
			Label: "cyd"}})

		bob.Active = true
		d.sync("corp", "r3", at(70), snapshot(ada, bob, user("cyd")))
		got = d.read(d.reader())
		d.equal("Entries when bob and cyd are back", got.Entries, []directory.Entry{ada, bob, user("cyd")})
		var gone []string
		for _, g := range got.Departed {
			gone = append(gone, g.String())
		}
		d.equal("Departed when cyd is back", gone, []string{"user/eve", "group/new", "group/staff"})
	})
}

func TestEmptyValuesAreNone(t *testing.T) {
	each(t, func(d *dir) {
		e := user("ada", "title", "")
		e.Attributes = append(e.Attributes, directory.Attribute{Name: "x"})
		d.sync("corp", "r1", at(0), snapshot(e)) // which plans again, and wants nothing
		if got := d.read(d.reader()).Entries[0]; len(got.Attributes) != 2 {
			d.Errorf("Attributes = %v, want userName and mail", got.Attributes)
		}
		if len(e.Attributes) != 4 {
			d.Errorf("the source's entry has %d attributes now, want 4", len(e.Attributes))
		}
	})
}

func TestApplyIsIdempotent(t *testing.T) {
	each(t, func(d *dir) {
		s := snapshot(user("ada"), user("bob"), group("staff", userRef("ada"), userRef("bob")))
		p := d.part("corp")
		changes := d.plans(p, s)
		d.must(p.Begin(t.Context(), "r1", at(0)))
		d.apply(p, changes, 100)
		d.apply(p, changes, 1)
		_, err := p.Commit(t.Context(), "r1")
		d.must(err)
		d.equal("Entries", d.read(d.reader()).Entries, s.Entries)

		p = d.part("corp")
		changes = d.plans(p, snapshot())
		d.must(p.Begin(t.Context(), "r2", at(1)))
		d.apply(p, changes, 100)
		d.apply(p, changes, 1)
		d.apply(p, []plan.Change{{Op: plan.RemoveMember, Ref: groupRef("staff"), MemberRemoteID: "user/ada"}}, 1)
	})
}

func TestWhatIsNotThereIsNotFound(t *testing.T) {
	each(t, func(d *dir) {
		p := d.part("corp")
		d.must(p.Begin(t.Context(), "r1", at(0)))
		ada := userRef("ada")
		for _, c := range []plan.Change{
			{Op: plan.Update, Ref: userRef("x")}, {Op: plan.Suspend, Ref: userRef("x")}, {Op: plan.Restore, Ref: userRef("x")},
			{Op: plan.AddMember, Ref: groupRef("x"), Member: &ada},
		} {
			if err := p.Apply(t.Context(), []plan.Change{c})[0].Err; err == nil {
				d.Errorf("Apply(%s) of an entry that is not there = nil, want an error", c.Op)
			}
		}
	})
}
