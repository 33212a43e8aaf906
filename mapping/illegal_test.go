package mapping_test

import (
	"slices"
	"strings"
	"testing"

	"rollcall/directory"
	"rollcall/directory/store"
	"rollcall/mapping"
	"rollcall/plan"
)

// stored is the entry after the first hop. The local directory keeps every character.
func stored(t *testing.T, e directory.Entry) directory.Entry {
	t.Helper()
	d := store.Desired(directory.Snapshot{Entries: []directory.Entry{e}})[0]
	for i, a := range e.Attributes {
		e.Attributes[i].Values = d.Fields.Values(a.Name)
	}
	return e
}

func TestCharactersThatAreNeverWritten(t *testing.T) {
	t.Parallel()
	opts := mapping.Options{User: map[string]string{"title": "ldap.title", "street": "ldap.street"}}
	for _, test := range []struct{ attribute, value, field, says string }{
		{"givenName", "An\u202en", "name.givenName", "U+202E"},
		{"givenName", "An\u2066n", "name.givenName", "U+2066"},
		{"title", "Dr\x00X", "title", "U+0000"},
		{"title", "Dr\tDr", "title", "U+0009"},
		{"title", "Dr\u0085X", "title", "U+0085"},
		{"street", "A\r\n\tB", "", ""},
		{"street", "A\x1bB", "street", "U+001B"},
		{"title", "شركة\u200f", "", ""}, // A mark is no override.
		{"mail", "a\u202en@example.com", plan.AddressField, "U+202E"},
		{"mail", "a\x07n@example.com", plan.AddressField, "U+0007"},
	} {
		d := one(t, opts, stored(t, with(user("ann"), test.attribute, test.value)))
		if d.Held != "" || (len(d.Withheld) == 0) != (test.field == "") {
			t.Errorf("%q: Held = %q (%s), Withheld = %+v", test.value, d.Held, d.Detail, d.Withheld)
			continue
		}
		if test.field == "" {
			continue
		}
		w := d.Withheld[0]
		if w.Field != test.field || !strings.Contains(w.Detail, test.says) ||
			!strings.Contains(w.Detail, "from "+test.attribute+")") {
			t.Errorf("%q: Withheld = %+v, want %s with %s and %s", test.value, w, test.field, test.says, test.attribute)
		}
		there := slices.ContainsFunc(d.Fields, func(a directory.Attribute) bool { return a.Name == test.field })
		if there || test.field == plan.AddressField && d.Address != "" {
			t.Errorf("%q: the field is desired: %+v", test.value, d)
		}
		if required := test.attribute == "givenName" || test.attribute == "mail"; w.Required != required {
			t.Errorf("%q: Required = %v, want %v", test.value, w.Required, required)
		}
	}
}
