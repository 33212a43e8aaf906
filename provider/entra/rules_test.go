package entra_test

import (
	"strings"
	"testing"

	"rollcall/directory"
	"rollcall/mapping"
	"rollcall/plan"
	"rollcall/provider/entra"
)

// TestRules checks that a value that Microsoft's pages forbid is held when planning, with the value and the page.
// Allowed values are created.
func TestRules(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 64)
	for _, tc := range []struct {
		field, value string
		says         string // empty for an allowed value
	}{
		{directory.Mail, "pl+us@example.com", `'+'`},
		{directory.Mail, "a&b@example.com", `'&'`},
		{directory.Mail, "jürgen@example.com", `'ü'`},
		{directory.Mail, "dot.@example.com", "period"},
		{directory.Mail, long + "x@example.com", "65 characters"},
		{directory.Mail, "o'neil_x-y.z!#^~@example.com", ""},
		{directory.Mail, long + "@example.com", ""},
		{"nickname", "All Sales", `' '`},
		{"nickname", "sales@x", `'@'`},
		{"nickname", "Sales&Co", ""},
		{"country", "D", "two letters"},
		{"country", "D1", "two letters"},
		{"country", "DE", ""},
		{"other", "jürgen@example.com", `'ü'`},
		{"other", "pl+us@example.com", ""},
	} {
		m, err := mapping.Compile(entra.Spec(), mapping.Options{User: map[string]string{
			"mailNickname": `ldap["nickname"]`, "usageLocation": `ldap["country"]`, "mail": `ldap["other"]`,
		}})
		if err != nil {
			t.Fatal(err)
		}
		e := person(1)
		e.Attributes = e.Attributes.Clone().Set(tc.field, tc.value)
		r, err := m.Desire(mapping.Input{Snapshot: directory.Snapshot{Entries: []directory.Entry{e}},
			Domains: []string{"example.com"}})
		if err != nil {
			t.Fatal(err)
		}
		d := r.Desired[0]
		if held := d.Held == plan.BadMapping && strings.Contains(d.Detail, tc.value) &&
			strings.Contains(d.Detail, "https://learn.microsoft.com/"); held != (tc.says != "") ||
			!strings.Contains(d.Detail, tc.says) || tc.says == "" && d.Held != "" {
			t.Errorf("%s = %q: %q %q, want it to say %q", tc.field, tc.value, d.Held, d.Detail, tc.says)
		}
	}
}
