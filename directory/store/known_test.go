package store_test

import (
	"slices"
	"testing"

	"rollcall/directory"
)

// TestKnown checks that a part lists every entry that it has or had, the present ones last.
func TestKnown(t *testing.T) {
	each(t, func(d *dir) {
		d.sync("corp", "r1", at(0), snapshot(user("ada"), user("Bob"), group("staff", userRef("ada"))))
		d.sync("corp", "r2", at(1), snapshot(user("ada"), group("staff", userRef("ada"))))
		refs, err := d.part("corp").Known(d.Context())
		d.must(err)
		if len(refs) != 3 || refs[0] != userRef("Bob") {
			d.Fatalf("Known() = %v, want the departed one and then the others", refs)
		}
		slices.SortFunc(refs, directory.Ref.Compare)
		d.equal("Known", refs, []directory.Ref{userRef("Bob"), userRef("ada"), groupRef("staff")})
	})
}
