package mapping_test

import (
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
