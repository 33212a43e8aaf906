package mapping_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
	"rollcall/mapping"
	"rollcall/plan"
)

// The snapshot of one entry and every group gives for that entry what the whole snapshot gives. An object job reads
// just that.
func TestDesireOfOneEntryAndEveryGroup(t *testing.T) {
	t.Parallel()
	whole := large(60)
	m := compile(t, mapping.Options{FilterGroup: "g0"})
	all, err := m.Desire(mapping.Input{Snapshot: whole})
	if err != nil {
		t.Fatal(err)
	}
	in := func(r mapping.Result, ref directory.Ref) (self []plan.Desired, groups []directory.ID) {
		for _, d := range r.Desired {
			if d.Ref == ref {
				self = append(self, d)
			}
			if slices.ContainsFunc(d.Members, func(m plan.Member) bool { return m.Ref == ref }) {
				groups = append(groups, d.ID)
			}
		}
		return self, groups
	}
	some := 0
	for _, e := range whole.Entries {
		if e.Kind != directory.User {
			continue
		}
		one := whole
		one.Entries = nil
		for _, other := range whole.Entries {
			if other.Kind == directory.Group || other.ID == e.ID {
				one.Entries = append(one.Entries, other)
			}
		}
		got, err := m.Desire(mapping.Input{Snapshot: one})
		if err != nil {
			t.Fatal(err)
		}
		wantSelf, wantGroups := in(all, e.Ref())
		self, groups := in(got, e.Ref())
		if diff := cmp.Diff(wantSelf, self) + cmp.Diff(wantGroups, groups); diff != "" {
			t.Errorf("%s (-whole +alone):\n%s", e.ID, diff)
		}
		some += len(groups)
	}
	if some == 0 {
		t.Error("nobody is in a group")
	}
}
