package scim_test

import (
	"strings"
	"testing"

	"rollcall/fault"
	"rollcall/provider"
	simulator "rollcall/simulator/scim"
)

// TestServersThatDropAnchorsOfGroups checks that no group is left that cannot be found again, and that no group is
// deleted that may be another one's.
func TestServersThatDropAnchorsOfGroups(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		read, existed bool
		want          string
		left          int
	}{
		"new":                  {true, false, "so the group was deleted", 0},
		"without a full read":  {false, false, "delete it there", 1},
		"a group that existed": {true, true, "delete it there", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := open(t, behaving(simulator.Behaviours{DropGroupIDs: true, ReuseGroups: true}))
			if tc.existed {
				if _, err := w.tenant.AddGroup(map[string]any{"displayName": "Staff"}); err != nil {
					t.Fatal(err)
				}
			}
			if tc.read {
				w.read(provider.Query{})
			}
			result := w.apply(newGroup("g1", "Staff"))[0]
			if fault.KindOf(result.Err) != fault.Refused || !strings.Contains(result.Err.Error(), tc.want) {
				t.Errorf("Apply() = %v, want refused and %q", result.Err, tc.want)
			}
			if deleted := result.RemoteID == ""; deleted != (tc.left == 0) {
				t.Errorf("remote id = %q, want none only for a deleted group", result.RemoteID)
			}
			err := w.refused(newGroup("g2", "Board"), fault.Refused)
			if err != nil && !strings.Contains(err.Error(), "no group is created") {
				t.Errorf("a further group = %v, want it refused at once", err)
			}
			if n := len(w.tenant.Groups()); n != tc.left {
				t.Errorf("%d groups, want %d", n, tc.left)
			}
			w.must(newUser("u1", "ann@example.com"))
		})
	}
}
