package plan_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/plan"
)

func TestFormBringsValuesIntoOneForm(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		form plan.Form
		in   string
		want string // "!" for a refusal
	}{
		{plan.Form{}, "Berlin ", "Berlin"},
		{plan.Form{}, "a|b", "!"},
		{plan.Form{Many: true}, "b|a|b", "a|b"},
		{plan.Form{Missing: "no such field"}, "a", "!"},
		{plan.Form{Missing: "no such field"}, "", ""},
		{plan.Form{Type: plan.TruthValue}, "TRUE", "true"},
		{plan.Form{Type: plan.TruthValue}, "yes", "!"},
		{plan.Form{Type: plan.WholeValue}, "-007", "-7"},
		{plan.Form{Type: plan.WholeValue}, "1.5", "!"},
		{plan.Form{Type: plan.WholeValue, Many: true}, "07|7", "7"},
		{plan.Form{Type: plan.NumberValue}, "1.50", "1.5"},
		{plan.Form{Type: plan.NumberValue}, "1e3", "1000"},
		{plan.Form{Type: plan.NumberValue}, "Infinity", "!"},
		{plan.Form{Type: plan.NumberValue}, "nan", "!"},
		{plan.Form{Type: plan.DateValue}, "2026-02-28", "2026-02-28"},
		{plan.Form{Type: plan.DateValue}, "20260228", "!"},
	} {
		var in []string
		if tt.in != "" {
			in = strings.Split(tt.in, "|")
		}
		got, err := tt.form.Values(in)
		text := strings.Join(got, "|")
		if err != nil {
			text = "!"
		}
		if diff := cmp.Diff(tt.want, text); diff != "" {
			t.Errorf("%+v: Values(%q) (-want +got):\n%s", tt.form, tt.in, diff)
		}
	}
}

// A value is compared as the tenant keeps it. One that the tenant would refuse is named and left as it is, and the
// other fields go on. A field that the tenant does not have keeps no account from being created.
func TestAFormDecidesWhatIsWritten(t *testing.T) {
	t.Parallel()
	forms := []plan.Form{{Field: "badge", Type: plan.WholeValue}, {Field: "remote", Type: plan.TruthValue},
		{Field: "site", Missing: "the tenant has no field site: define it"}}
	known := []plan.KnownValues{{Field: "unit", Noun: "organizational unit", Values: []string{"/Staff"}}}
	for name, tc := range map[string]struct {
		have, want []string // fields of the account, or nil for none, and of the entry
		lines      []string
		says       string
	}{
		"the same number": {[]string{"badge", "7", "remote", "true"}, []string{"badge", "007", "remote", "TRUE"},
			[]string{}, ""},
		"another number": {[]string{"badge", "7"}, []string{"badge", "08"}, []string{"update user/a badge:7>8"}, ""},
		"a value that is kept in another form": {[]string{"badge", "none"}, []string{"badge", "7"},
			[]string{"update user/a badge:none>7"}, ""},
		"no number": {[]string{"badge", "7", "title", "T"}, []string{"badge", "x", "title", "U"},
			[]string{"update user/a title:T>U", "held user/a mapping"}, `badge: the field takes a whole number`},
		"no such field": {[]string{"title", "T"}, []string{"site", "Berlin", "title", "U"},
			[]string{"update user/a title:T>U", "held user/a mapping"}, "site: the tenant has no field site: define it"},
		"a new account without the field": {nil, []string{"site", "Berlin", "title", "U"},
			[]string{"create user/a", "held user/a mapping"}, "site: the tenant has no field site: define it"},
		"a new account with no number": {nil, []string{"badge", "x"}, []string{"held user/a mapping"},
			"badge: the field takes a whole number"},
		"a known value": {[]string{"unit", "/"}, []string{"unit", "/staff"}, []string{"update user/a unit:/>/staff"}, ""},
		"an unknown value": {[]string{"unit", "/", "title", "T"}, []string{"unit", "/Lab", "title", "U"},
			[]string{"update user/a title:T>U", "held user/a mapping"},
			`unit: the tenant has no organizational unit "/Lab": create it, or correct the mapping`},
	} {
		in := plan.Input{Now: now, Policy: suspend, Desired: []plan.Desired{want("a", "a@x", tc.want...)},
			State: plan.State{Forms: forms, Known: known}}
		if tc.have != nil {
			in.State.Objects = []plan.Object{have("a", "1", "a@x", tc.have...)}
		}
		p := plan.Compute(in)
		if diff := cmp.Diff(tc.lines, lines(p)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if got := details(p)["user/a"]; !strings.HasPrefix(got, tc.says) {
			t.Errorf("%s: held %q, want %q", name, got, tc.says)
		}
		for _, c := range p.Changes {
			for _, f := range c.Fields {
				if f.Name == "site" {
					t.Errorf("%s: %s writes the missing field", name, c.Op)
				}
			}
		}
	}
}
