package mapping_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/mapping"
)

func TestEvaluateShowsEveryExpression(t *testing.T) {
	t.Parallel()
	m := compile(t, mapping.Options{
		UserFilter: `userName != ""`,
		User:       map[string]string{"title": "mails[5]", "active": "true", "address": "userName"},
	})
	ann := user("ann")
	want := []mapping.Value{
		{Field: "user_filter", Expression: `userName != ""`, Values: []string{"true"}},
		{Field: "active", Expression: "true", Values: []string{"true"}},
		{Field: "address", Expression: "userName", Problem: `"ann" is no address: it has no @`},
		{Field: "rekey_by", Expression: "coalesce(employeeNumber, mail)", Values: []string{"ann@example.com"}},
		{Field: "name.familyName", Expression: "coalesce(familyName, cn)", Values: []string{"ann"}},
		{Field: "name.givenName", Expression: "givenName", Values: []string{"Ann"}},
		{Field: "title", Expression: "mails[5]", Problem: "column 6: index out of range: 5 (array length is 1)"},
	}
	if diff := cmp.Diff(want, m.Evaluate(&ann, nil)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestActivityIsDecidedBy(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		active, filter string
		own            bool
		by             string
	}{
		{own: true},
		{active: "active", own: true},
		{active: `active && ldap.employeeType != "left"`, own: true, by: "employeeType"},
		{active: `lower(ldap["Status"]) == "in" && len(mails) > 0 && source == "corp" && givenName != ""`,
			by: "Status givenName mail"},
		{active: "true", filter: "active", own: true},
		{active: "true"},
	} {
		user := map[string]string{}
		if tc.active != "" {
			user["active"] = tc.active
		}
		own, by := compile(t, mapping.Options{User: user, UserFilter: tc.filter}).Activity()
		if own != tc.own || strings.Join(by, " ") != tc.by {
			t.Errorf("active: %s, user_filter: %s: Activity() = %t, %q, want %t, %q", tc.active, tc.filter, own, by, tc.own,
				tc.by)
		}
	}
}
