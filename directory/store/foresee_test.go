package store_test

import (
	"testing"

	"rollcall/directory"
	"rollcall/directory/store"
)

// TestForesee compares the foreseen directory with the one after the read was written. An entry with a finding stays.
func TestForesee(t *testing.T) {
	each(t, func(d *dir) {
		d.sync("corp", "r1", at(0), snapshot(user("ada"), user("ben"), user("odd"), group("staff", userRef("ben"))))
		d.now = at(5)
		d.sync("corp", "r2", at(5), snapshot(user("ada"), user("cem"), user("odd"), group("staff", userRef("ada"))))
		d.sync("acme", "r1", at(5), snapshot(of("acme", user("zoe"))...))
		r := store.NewReader(d.part("corp"), d.part("acme"))

		d.now = at(10)
		next := snapshot(user("ben"), user("cem", "title", "Dr"), group("staff", userRef("cem")))
		next.Findings = []directory.Finding{{Ref: userRef("odd"), Problem: "unusable"}}
		foreseen, err := r.Foresee(map[string]directory.Snapshot{"corp": next}).Read(t.Context(), directory.Query{})
		d.must(err)
		before := d.read(r)
		if len(before.Departed) != 1 || before.Departed[0].Ref != userRef("ben") {
			t.Errorf("Foresee changed the directory: %+v has left", before.Departed)
		}
		next.Entries = append(next.Entries, user("odd"))
		d.sync("corp", "r3", at(10), snapshot(next.Entries...))
		d.equal("the foreseen directory", foreseen, d.read(r))
	})
}

// TestForeseeOfANewSource foresees a part that was never written.
func TestForeseeOfANewSource(t *testing.T) {
	each(t, func(d *dir) {
		want := snapshot(user("ada"))
		got, err := d.reader().Foresee(map[string]directory.Snapshot{"corp": want}).Read(t.Context(), directory.Query{})
		d.must(err)
		d.equal("Entries", got.Entries, want.Entries)
	})
}
