package googleworkspace_test

import (
	"strings"
	"testing"

	"rollcall/directory"
	"rollcall/mapping"
	"rollcall/plan"
	"rollcall/provider/googleworkspace"
)

// TestVendorsRules checks that a value that Google always refuses is held as a mapping problem, with the value, the
// rule and the page. Odd values that are allowed pass.
func TestVendorsRules(t *testing.T) {
	t.Parallel()
	m, err := mapping.Compile(googleworkspace.Spec(), mapping.Options{
		Domain: "example.com", User: map[string]string{"orgUnitPath": "ldap.unit", "recoveryPhone": "ldap.phone"},
		Group: map[string]string{plan.AddressField: "mail"},
	})
	if err != nil {
		t.Fatal(err)
	}
	entry := func(kind directory.Kind, name, value string) directory.Entry {
		e := directory.Entry{Kind: kind, ID: "1", Active: true}
		for name, value := range map[string]string{
			"cn": "Pat Smith", "givenName": "Pat", "familyName": "Smith", "mail": "pat@example.com", "unit": "/Staff",
			"phone": "+4930123456",
		} {
			e.Attributes = e.Attributes.Set(name, value)
		}
		e.Attributes = e.Attributes.Set(name, value)
		return e
	}
	long := strings.Repeat("x", 64)
	for _, tc := range []struct {
		kind        directory.Kind
		name, value string
		said        string // empty for an allowed value
	}{
		{directory.User, "mail", "pl+us@example.com", "'+'"},
		{directory.User, "mail", "a&b@example.com", "'&'"},
		{directory.User, "mail", "a=b@example.com", "'='"},
		{directory.User, "mail", "wow!@example.com", "'!'"},
		{directory.User, "mail", "jürgen@example.com", "'ü'"},
		{directory.User, "mail", "a..b@example.com", "period"},
		{directory.User, "mail", ".a@example.com", "period"},
		{directory.User, "mail", "a.@example.com", "period"},
		{directory.User, "mail", long + "x@example.com", "65 characters before the @"},
		{directory.User, "mail", "Postmaster@example.com", "reserved"},
		{directory.User, "mail", long + "@example.com", ""},
		{directory.User, "mail", "-o'brien_2%x^@example.com", ""},
		{directory.User, "givenName", "Pat <Bob>", "'<'"},
		{directory.User, "familyName", strings.Repeat("ü", 60), ""},
		{directory.User, "unit", "Staff", "full path"},
		{directory.User, "unit", "/Staff//Berlin", "full path"},
		{directory.User, "unit", "/", ""},
		{directory.User, "phone", "030 12345", "E.164"},
		{directory.Group, "mail", "postmaster@example.com", ""},
		{directory.Group, "mail", long + "x@example.com", "65 characters before the @"},
		{directory.Group, "mail", "über@example.com", "'ü'"},
	} {
		snapshot := directory.Snapshot{Entries: []directory.Entry{entry(tc.kind, tc.name, tc.value)}}
		r, err := m.Desire(mapping.Input{Snapshot: snapshot, Domains: []string{"example.com"}})
		if err != nil {
			t.Fatal(err)
		}
		d := r.Desired[0]
		if tc.said == "" {
			if d.Held != "" {
				t.Errorf("%s %q is held: %s", tc.name, tc.value, d.Detail)
			}
			continue
		}
		page := strings.Contains(d.Detail, "https://")
		if d.Held != plan.BadMapping || !strings.Contains(d.Detail, tc.said) ||
			!strings.Contains(strings.ToLower(d.Detail), strings.ToLower(tc.value)) || !page {
			t.Errorf("%s %q: held %q: %s; want mapping, the value, %q and the page", tc.name, tc.value, d.Held, d.Detail,
				tc.said)
		}
	}
	// The simulated tenant accepts the odd addresses and refuses the others.
	w := open(t, setup{})
	for address, taken := range map[string]bool{"-o'brien_2%x^@example.com": true, "pl+us@example.com": false,
		"a..b@example.com": false} {
		if r := w.do(newUser(directory.ID(address), address)); (r.Err == nil) != taken {
			t.Errorf("create of %s = %v, want it taken: %v", address, r.Err, taken)
		}
	}
}
