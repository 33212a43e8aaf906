package store_test

import (
	"testing"
	"time"

	"rollcall/directory"
	"rollcall/directory/store"
	"rollcall/fault"
	"rollcall/internal/redistest"
	"rollcall/plan"
	"rollcall/provider"
)

func TestTwoSourcesAreOneDirectory(t *testing.T) {
	each(t, func(d *dir) {
		r := store.NewReader(d.part("corp"), d.part("acme"))
		d.sync("corp", "r1", at(0), snapshot(user("ada"), user("both"), group("staff", userRef("zoe"))))
		d.unavailable(store.NewReader(d.part("corp"), d.part("corp-not-yet")), "corp-not-yet has never completed")
		d.sync("acme", "r1", at(0), snapshot(of("acme", user("zoe"), user("both"))...))

		got := d.read(r)
		d.equal("Entries", got.Entries, snapshot(user("ada"), group("staff", userRef("zoe")),
			of("acme", user("zoe"))[0]).Entries)
		if len(got.Findings) != 1 || got.Findings[0].Ref != userRef("both") {
			t.Errorf("Findings = %+v, want one for user both", got.Findings)
		}
		want := directory.Finding{Ref: userRef("both"), DN: "uid=both,dc=corp",
			Problem: "sources ldap:acme (uid=both,dc=corp) and " +
				"ldap:corp (uid=both,dc=corp) have an entry with this id: take it out of the scope of all but one"}
		d.equal("Findings", got.Findings, []directory.Finding{want})

		got = d.read(r, userRef("both"), userRef("zoe"), userRef("nobody"))
		d.equal("Findings of a query", got.Findings, []directory.Finding{want})
		d.equal("Absent", got.Absent, []directory.Ref{userRef("nobody")})
		if len(got.Entries) != 1 || got.Entries[0].Source != "acme" {
			d.Errorf("Entries = %+v, want zoe of acme", got.Entries)
		}

		// One that moved from source to source has not left; one that left both left with the later.
		d.now = at(10)
		d.sync("corp", "r2", at(10), snapshot(user("ada"), user("zoe")))
		d.now = at(20)
		d.sync("acme", "r2", at(20), snapshot())
		got = d.read(r)
		d.equal("Departed", got.Departed, []directory.Departure{
			{Ref: userRef("both"), Source: "acme", Left: at(20), Label: "both"},
			{Ref: groupRef("staff"), Source: "corp", Left: at(10), Label: "The staff"},
		})
		got = d.read(r, userRef("both"))
		d.equal("Departed of a query", got.Departed, []directory.Departure{{Ref: userRef("both"), Source: "acme",
			Left: at(20), Label: "both"}})
	})
}

func TestVersion(t *testing.T) {
	each(t, func(d *dir) {
		e := user("ada")
		d.sync("corp", "r1", at(0), snapshot(e))
		r := d.reader()
		for ref, want := range map[directory.Ref]string{e.Ref(): e.Digest(), userRef("nobody"): ""} {
			got, since, err := r.Version(t.Context(), "corp", ref)
			d.must(err)
			if got != want || since.Equal(at(0)) != (want != "") || since.IsZero() != (want == "") {
				d.Errorf("Version(%s) = %q since %v, want %q", ref, got, since, want)
			}
		}
		_, _, err := r.Version(t.Context(), "acme", e.Ref())
		d.kind("Version() of another source", err, fault.Internal)
	})
}

func TestFind(t *testing.T) {
	each(t, func(d *dir) {
		r := store.NewReader(d.part("corp"), d.part("acme"))
		d.sync("corp", "r1", at(0), snapshot(user("id-1", directory.UserName, "Ada"), user("id-2", directory.UserName, "bob"),
			user("id-3", directory.UserName, "twin"), user("id-4", directory.UserName, "twin"),
			group("id-1", userRef("id-1")), user("gone", directory.UserName, "Gina")))
		d.sync("acme", "r1", at(0), snapshot(of("acme", user("id-9", directory.UserName, "gina"))...))
		ada := store.Match{Ref: userRef("id-1"), Source: "corp", Label: "Ada"}
		gina := store.Match{Ref: userRef("gone"), Source: "corp", Label: "Gina", Departed: at(5)}
		twins := []store.Match{{Ref: userRef("id-3"), Source: "corp", Label: "twin"},
			{Ref: userRef("id-4"), Source: "corp", Label: "twin"}}
		find := func(kind directory.Kind, text string, want ...store.Match) {
			d.Helper()
			got, err := r.Find(t.Context(), kind, text)
			d.must(err)
			d.equal("Find("+text+")", got, want)
		}
		find(directory.User, "id-1", ada)
		find(directory.User, "ID-1", ada)
		find(directory.User, " ADA ", ada)
		find(directory.User, "Id-1@Corp.Example", ada)
		find(directory.User, "UID=id-1,dc=corp", ada)
		find(directory.Group, "the ID-1", store.Match{Ref: groupRef("id-1"), Source: "corp", Label: "The id-1"})
		find(directory.User, "twin", twins...)
		find(directory.User, "")
		find(directory.User, "nobody")
		find(directory.User, "gina", store.Match{Ref: userRef("gone"), Source: "corp", Label: "Gina"},
			store.Match{Ref: userRef("id-9"), Source: "acme", Label: "gina"})

		// A rename is found by the new name, a departure by its old names.
		d.now = at(5)
		d.sync("corp", "r2", at(5), snapshot(user("id-1", directory.UserName, "countess"),
			user("id-4", directory.UserName, "twin")))
		d.sync("acme", "r2", at(5), snapshot())
		find(directory.User, "ada")
		find(directory.User, "countess", store.Match{Ref: userRef("id-1"), Source: "corp", Label: "countess"})
		find(directory.User, "twin", twins[1])
		find(directory.User, "gone@corp.example", gina)
		find(directory.User, "gone", gina)

		// Who comes back under another name is not found by the old one.
		d.sync("corp", "r3", at(6), snapshot(user("gone", directory.UserName, "regina")))
		find(directory.User, "regina", store.Match{Ref: userRef("gone"), Source: "corp", Label: "regina"})
		find(directory.User, "gina", store.Match{Ref: userRef("id-9"), Source: "acme", Label: "gina", Departed: at(5)})
	})
}

func TestTombstonesAreKeptForAYear(t *testing.T) {
	each(t, func(d *dir) {
		d.sync("corp", "r1", at(0), snapshot(user("ada"), user("bob")))
		d.sync("corp", "r2", at(1), snapshot(user("bob")))
		gone := func() int {
			s, err := d.part("corp").Status(t.Context())
			d.must(err)
			return s.Gone
		}
		d.now = noon.Add(400 * 24 * time.Hour)
		d.sync("corp", "r3", d.now, snapshot(user("bob")))
		if n := gone(); n != 1 {
			d.Errorf("after 400 days %d tombstones are left, want 1", n)
		}
		d.now = d.now.Add(25 * time.Hour)
		d.sync("corp", "r4", d.now, snapshot(user("bob")))
		if n := gone(); n != 0 {
			d.Errorf("after 401 days %d tombstones are left, want none", n)
		}
		found, err := d.reader().Find(t.Context(), directory.User, "ada@corp.example")
		d.must(err)
		if left := d.index(); len(found) != 0 || len(left) != 3 {
			d.Errorf("Find() = %v and the index has the names %q, want none and the 3 of bob", found, left)
		}
	})
}

func TestLookups(t *testing.T) {
	each(t, func(d *dir) {
		s := snapshot(user("ada"), user("bob"), group("staff", groupRef("inner"), userRef("bob")))
		d.sync("corp", "r1", at(0), s)
		state, err := d.part("corp").Read(t.Context(), provider.Query{
			Lookups: []provider.Lookup{{Ref: userRef("ada"), Groups: []provider.GroupRef{{ID: "staff"}}},
				{Ref: userRef("nobody")}},
			Versions: map[directory.Ref]string{userRef("ada"): s.Entries[0].Digest()},
		})
		d.must(err)
		staff := s.Entries[2]
		d.equal("Objects", state.Objects, []plan.Object{
			{Ref: userRef("ada"), RemoteID: "user/ada", Active: true, Version: s.Entries[0].Digest()},
			{Ref: groupRef("staff"), RemoteID: "group/staff", Label: "The staff", Active: true, Version: staff.Digest(),
				Fields: directory.Attributes{
					{Name: store.FieldDN, Values: []string{staff.DN}}, {Name: store.FieldSource, Values: []string{"corp"}},
					{Name: directory.DisplayName, Values: []string{"The staff"}},
				}, Members: []string{"group/inner", "user/bob"}, Listed: true},
		})
		d.equal("Others", state.Others, plan.Tally{User: 1})
	})
}

func TestOnCluster(t *testing.T) {
	t.Parallel()
	d := &dir{t, redistest.Cluster(t), noon}
	r := store.NewReader(d.part("corp"), d.part("acme"))
	s := many(300)
	d.sync("corp", "r1", at(0), s)
	d.sync("acme", "r1", at(0), snapshot(of("acme", user("zoe"))...))
	d.sync("corp", "r2", at(1), snapshot(s.Entries[:100]...))
	if n := len(d.read(r).Entries); n != 101 {
		d.Errorf("%d entries, want 101", n)
	}
	if _, err := d.part("corp").Clock(t.Context()); err != nil {
		d.Errorf("Clock() = %v", err)
	}
	if found, err := r.Find(t.Context(), directory.User, "zoe"); err != nil || len(found) != 1 {
		d.Errorf("Find() = %v, %v, want zoe", found, err)
	}
}
