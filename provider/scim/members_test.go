package scim

import (
	"fmt"
	"testing"

	"rollcall/plan"
)

// TestMembersOfAPut checks that the members that stay are sent as the server showed them.
func TestMembersOfAPut(t *testing.T) {
	t.Parallel()
	user := map[string]any{"value": "1", "type": "User", "$ref": "../Users/1"}
	group := map[string]any{"value": "2", "type": "Group", "display": "Staff"}
	current := resource{"Members": []any{user, group}}
	for name, tc := range map[string]struct {
		op   plan.Op
		ids  []string
		want []any
	}{
		"add":    {plan.AddMember, []string{"1", "3"}, []any{user, group, map[string]any{"value": "3"}}},
		"remove": {plan.RemoveMember, []string{"1", "3"}, []any{group}},
		"last":   {plan.RemoveMember, []string{"1", "2"}, []any{}},
	} {
		m := &membership{c: &plan.Change{Op: tc.op}}
		if got := m.next(current, tc.ids); fmt.Sprint(got) != fmt.Sprint(tc.want) {
			t.Errorf("%s: members = %v, want %v", name, got, tc.want)
		}
	}
	if members, _ := current.members(); len(members) != 2 {
		t.Errorf("the resource has the members %v after the changes", members)
	}
}
