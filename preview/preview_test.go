package preview_test

import (
	"encoding/json"
	"strconv"
	"strings"
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

// TestSummarize checks that a summary counts everything, names a bounded part of it, and shows no secret.
func TestSummarize(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 1000)
	c := preview.Container{Name: "google_workspace:1", Held: plan.Plan{Changes: []plan.Change{
		{Op: plan.Suspend, Held: "too many", Guard: plan.RuleLimit},
		{Op: plan.Suspend, Held: "too many", Guard: plan.RuleLimit},
		{Op: plan.Create, Held: "always", Guard: plan.RuleApproval},
	}}}
	for i := range 70 {
		c.Differences = append(c.Differences, preview.Difference{Effect: preview.Fields,
			Ref: user(directory.ID(strconv.Itoa(i))), Label: long, Changes: []plan.FieldChange{
				{Name: "title", After: []string{long}}, {Name: "customSchemas.Keys.apiToken", Before: []string{"hunter2"}},
			}})
	}
	got := preview.Summarize([]preview.Container{c}, []string{long})
	text, err := json.Marshal(got)
	if err != nil || len(text) > 60_000 || strings.Contains(string(text), "hunter2") {
		t.Errorf("Summarize() has %d bytes (%v), and shows the secret: %v", len(text), err,
			strings.Contains(string(text), "hunter2"))
	}
	s := got.Containers[0]
	if len(s.Effects) != 1 || s.Effects[0].Total != 70 || len(s.Effects[0].Named) != 50 {
		t.Errorf("Effects = %+v, want one with 70 entries and 50 names", s.Effects)
	}
	want := []preview.Count{{Op: plan.Suspend, Reason: "too many", Total: 2},
		{Op: plan.Create, Reason: "always", Total: 1}}
	if diff := cmp.Diff(want, s.Held); diff != "" || s.HeldTotal != 3 || s.Harmful != 2 || got.Harmful != 2 {
		t.Errorf("Held differs (-want +got):\n%s, %d in total, %d harmful", diff, s.HeldTotal, s.Harmful)
	}
	var back preview.Document
	if err := json.Unmarshal(text, &back); err != nil || !cmp.Equal(back.Containers[0].Held, s.Held) {
		t.Errorf("the document does not survive JSON: %v", err)
	}
}
