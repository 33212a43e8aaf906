package preview_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
	"rollcall/mapping"
	"rollcall/plan"
	"rollcall/preview"
)

func user(id directory.ID) directory.Ref  { return directory.Ref{Kind: directory.User, ID: id} }
func group(id directory.ID) directory.Ref { return directory.Ref{Kind: directory.Group, ID: id} }

func TestCompare(t *testing.T) {
	t.Parallel()
	title := func(v string) directory.Attributes { return directory.Attributes{{Name: "title", Values: []string{v}}} }
	before := mapping.Result{Desired: []plan.Desired{
		{Ref: user("a"), Label: "ada", Address: "ada@example.com", Active: true, Fields: title("Dr")},
		{Ref: user("b"), Label: "ben", Address: "ben@example.com", Active: true},
		{Ref: user("c"), Label: "cem", Active: false, Why: plan.Disabled},
		{Ref: user("d"), Label: "dan", Active: true},
		{Ref: group("g"), Label: "team", Active: true, Members: []plan.Member{{Ref: user("a")}, {Ref: user("b")}}},
	}}
	after := mapping.Result{
		Desired: []plan.Desired{
			{Ref: user("a"), Label: "ada", Address: "a@example.com", Active: true, Fields: title("Prof")},
			{Ref: user("c"), Label: "cem", Active: true},
			{Ref: user("d"), Label: "dan", Active: true, Held: plan.BadMapping, Detail: "no family name"},
			{Ref: user("e"), Label: "eve", Active: true},
			{Ref: group("g"), Label: "team", Active: true, Members: []plan.Member{{Ref: user("a")}, {Ref: user("e")}}},
		},
		OutOfScope: []directory.Ref{user("b")},
		Decisions:  []mapping.Decision{{Ref: user("b"), Rule: mapping.ExcludeKey, Setting: "ben*"}},
	}
	ben, eve := user("b"), user("e")
	want := []preview.Difference{
		{Effect: preview.LeavesScope, Ref: user("b"), Label: "ben", Detail: "exclude (ben*)"},
		{Effect: preview.LeavesGroup, Ref: group("g"), Label: "team", Member: &ben, MemberLabel: "ben"},
		{Effect: preview.Activated, Ref: user("c"), Label: "cem", Detail: "disabled"},
		{Effect: preview.Address, Ref: user("a"), Label: "ada", Changes: []plan.FieldChange{
			{Name: plan.AddressField, Before: []string{"ada@example.com"}, After: []string{"a@example.com"}},
		}},
		{Effect: preview.Fields, Ref: user("a"), Label: "ada", Changes: []plan.FieldChange{
			{Name: "title", Before: []string{"Dr"}, After: []string{"Prof"}},
		}},
		{Effect: preview.Unmapped, Ref: user("d"), Label: "dan", Detail: "no family name"},
		{Effect: preview.EntersScope, Ref: user("e"), Label: "eve"},
		{Effect: preview.JoinsGroup, Ref: group("g"), Label: "team", Member: &eve, MemberLabel: "eve"},
	}
	if diff := cmp.Diff(want, preview.Compare(before, after)); diff != "" {
		t.Errorf("Compare() differs (-want +got):\n%s", diff)
	}
	if same := preview.Compare(after, after); len(same) != 0 {
		t.Errorf("Compare() of equal states = %v, want nothing", same)
	}
}

// A field that only one of the two mappings has is shown with its values.
func TestCompareUnmappedField(t *testing.T) {
	t.Parallel()
	with := mapping.Result{Desired: []plan.Desired{{
		Ref: user("a"), Active: true, Fields: directory.Attributes{{Name: "title", Values: []string{"Dr"}}},
	}}}
	without := mapping.Result{Desired: []plan.Desired{{Ref: user("a"), Active: true}}}
	for name, c := range map[string]struct {
		before, after mapping.Result
		want          plan.FieldChange
	}{
		"dropped": {with, without, plan.FieldChange{Name: "title", Before: []string{"Dr"}}},
		"added":   {without, with, plan.FieldChange{Name: "title", After: []string{"Dr"}}},
	} {
		got := preview.Compare(c.before, c.after)
		if len(got) != 1 || !cmp.Equal(got[0].Changes, []plan.FieldChange{c.want}) {
			t.Errorf("%s: Compare() = %+v, want the change %+v", name, got, c.want)
		}
	}
}
