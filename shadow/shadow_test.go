package shadow_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
	"rollcall/plan"
	"rollcall/shadow"
)

// scene is a dry run: the changes of its plan, and the accounts.
type scene struct {
	changes  []plan.Change
	accounts []plan.Object
}

var began = time.Date(2026, 5, 4, 8, 0, 0, 0, time.UTC)

func compare(t *testing.T, scenes ...scene) shadow.Report {
	t.Helper()
	var all []shadow.Snapshot
	for i, s := range scenes {
		taken := shadow.Take(began.Add(time.Duration(i)*time.Hour), "google_workspace:1", &plan.Plan{Changes: s.changes},
			&plan.State{Objects: s.accounts})
		text, err := json.Marshal(taken) // As the command keeps it.
		if err != nil {
			t.Fatal(err)
		}
		var kept shadow.Snapshot
		if err := json.Unmarshal(text, &kept); err != nil {
			t.Fatal(err)
		}
		all = append(all, kept)
	}
	return shadow.Compare(all)
}

func ref(id string) directory.Ref { return directory.Ref{Kind: directory.User, ID: directory.ID(id)} }

func account(name, title string) plan.Object {
	o := plan.Object{Ref: directory.Ref{Kind: directory.User}, RemoteID: "r-" + name, Address: name + "@example.com",
		Active: true}
	if title != "" {
		o.Fields = directory.Attributes{{Name: "title", Values: []string{title}}}
	}
	return o
}

func suspended(o plan.Object) plan.Object { o.Active = false; return o }

// adopt takes over an account, and sets its title where it differs.
func adopt(name, before, after string) plan.Change {
	c := plan.Change{Op: plan.Adopt, Ref: ref(name), Label: name, RemoteID: "r-" + name, Address: name + "@example.com"}
	if before != after {
		c.Fields = []plan.FieldChange{{Name: "title", Before: []string{before}, After: []string{after}}}
	}
	return c
}

func create(name string) plan.Change {
	return plan.Change{Op: plan.Create, Ref: ref(name), Label: name, Address: name + "@example.com"}
}

func at(hour int) time.Time { return began.Add(time.Duration(hour) * time.Hour) }

func TestCompare(t *testing.T) {
	t.Parallel()
	ada := account("ada", "Chief")
	for _, tt := range []struct {
		name   string
		scenes []scene
		want   shadow.Report
	}{
		{"in step", []scene{{[]plan.Change{adopt("ada", "Chief", "Chief")}, []plan.Object{ada}},
			{[]plan.Change{adopt("ada", "Chief", "Chief")}, []plan.Object{ada}}}, shadow.Report{}},
		{"a creation that is made two hours later", []scene{
			{[]plan.Change{create("bob")}, nil}, {[]plan.Change{create("bob")}, nil},
			{[]plan.Change{adopt("bob", "", "")}, []plan.Object{account("bob", "")}},
		}, shadow.Report{Agreed: []shadow.Item{{Text: "create user bob", Since: at(0), Until: at(2)}}}},
		{"a field that is set, and one that is not", []scene{
			{[]plan.Change{adopt("ada", "Chief", "Head"), adopt("eve", "A", "B")}, []plan.Object{ada, account("eve", "A")}},
			{[]plan.Change{adopt("ada", "Head", "Head"), adopt("eve", "A", "B")},
				[]plan.Object{account("ada", "Head"), account("eve", "A")}},
		}, shadow.Report{Agreed: []shadow.Item{{Text: "set title of user ada", Since: at(0), Until: at(1)}},
			Open: []shadow.Item{{Text: "set title of user eve", Since: at(0)}}}},
		{"a field that the other tool sets otherwise", []scene{
			{[]plan.Change{adopt("ada", "Chief", "Chief")}, []plan.Object{ada}},
			{[]plan.Change{adopt("ada", "Boss", "Chief")}, []plan.Object{account("ada", "Boss")}},
		}, shadow.Report{Open: []shadow.Item{{Text: "set title of user ada", Since: at(1)}},
			Differences: []shadow.Item{{Text: "changed title of user ada@example.com, and Rollcall wants another value",
				Since: at(1), Until: at(1)}}}},
		{"a change of the directory that the other tool made first", []scene{
			{[]plan.Change{adopt("ada", "Chief", "Chief")}, []plan.Object{ada}},
			{[]plan.Change{adopt("ada", "Boss", "Boss")}, []plan.Object{account("ada", "Boss")}},
		}, shadow.Report{Prompt: 1}},
		{"a creation that the directory no longer wants", []scene{{[]plan.Change{create("bob")}, nil}, {}},
			shadow.Report{Withdrawn: 1}},
		{"an account of nobody", []scene{{}, {nil, []plan.Object{account("eve", "")}}}, shadow.Report{
			Differences: []shadow.Item{{Text: "created user eve@example.com, for which Rollcall has no entry", Since: at(1),
				Until: at(1)}}}},
		{"a suspension of a person who is there", []scene{
			{[]plan.Change{adopt("ada", "Chief", "Chief")}, []plan.Object{ada}},
			{[]plan.Change{adopt("ada", "Chief", "Chief")}, []plan.Object{suspended(ada)}},
		}, shadow.Report{Differences: []shadow.Item{{Text: "suspended user ada@example.com, which is active in the directory",
			Since: at(1), Until: at(1)}}}},
		{"a leaver who is suspended at once", []scene{
			{[]plan.Change{adopt("ada", "Chief", "Chief")}, []plan.Object{ada}}, {nil, []plan.Object{suspended(ada)}},
		}, shadow.Report{Prompt: 1}},
		{"a leaver who is suspended an hour later", []scene{
			{[]plan.Change{adopt("ada", "Chief", "Chief")}, []plan.Object{ada}}, {nil, []plan.Object{ada}},
			{nil, []plan.Object{ada}}, {nil, []plan.Object{suspended(ada)}},
		}, shadow.Report{Agreed: []shadow.Item{{Text: leaver, Since: at(1), Until: at(3)}}}},
		{"a leaver who stays active", []scene{
			{[]plan.Change{adopt("ada", "Chief", "Chief")}, []plan.Object{ada}}, {nil, []plan.Object{ada}},
			{nil, []plan.Object{ada}},
		}, shadow.Report{Open: []shadow.Item{{Text: leaver, Since: at(1)}}}},
		{"a deletion that Rollcall would undo", []scene{
			{[]plan.Change{adopt("ada", "Chief", "Chief")}, []plan.Object{ada}}, {[]plan.Change{create("ada")}, nil},
		}, shadow.Report{Open: []shadow.Item{{Text: "create user ada", Since: at(1)}}, Differences: []shadow.Item{
			{Text: "deleted user ada@example.com, which Rollcall would create", Since: at(1), Until: at(1)}}}},
	} {
		tt.want.Snapshots, tt.want.From, tt.want.To = len(tt.scenes), at(0), at(len(tt.scenes)-1)
		if diff := cmp.Diff(tt.want, compare(t, tt.scenes...)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

const leaver = "suspend user ada@example.com, which the directory no longer has in scope, or holds"
