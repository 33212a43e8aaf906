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
