package plan_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
	"rollcall/plan"
)

// TestAFirstImportSaysTheSame compares the plan of a first import, which keeps the fields of each new entry once, with
// a plan for the same entries by name, which does not.
func TestAFirstImportSaysTheSame(t *testing.T) {
	t.Parallel()
	in := plan.Input{Capabilities: plan.Capabilities{Mirror: true}}
	for _, id := range []directory.ID{"ada", "bob"} {
		in.Desired = append(in.Desired, plan.Desired{
			Ref: directory.Ref{Kind: directory.User, ID: id}, Label: string(id), Active: id == "ada", Version: "1",
			Fields: directory.Attributes{
				{Name: plan.MirrorDN, Values: []string{"uid=" + string(id)}},
				{Name: "mail", Values: []string{"a@example.org", "b@example.org"}},
				{Name: "none"},
				{Name: "userPassword", Values: []string{"secret"}},
			}})
	}
	whole := in
	for _, d := range in.Desired {
		in.Only = append(in.Only, d.Ref)
	}
	in.Whole = true
	texts := func(apply, held plan.Plan) (rows []string) {
		for row := range plan.Rows(apply, held) {
			text, err := json.Marshal(row)
			if err != nil {
				t.Fatal(err)
			}
			rows = append(rows, string(text))
		}
		return rows
	}
	for name, limits := range map[string]plan.Limits{"applied": {}, "held": {Approval: "always"}} {
		one, oneHeld := plan.Decide(whole, limits, plan.Budget{})
		other, otherHeld := plan.Compute(in).Guard(limits, plan.Budget{})
		if diff := cmp.Diff(texts(other, otherHeld), texts(one, oneHeld)); diff != "" {
			t.Errorf("%s: rows (-by name +first import):\n%s", name, diff)
		}
		if one.Digest() != other.Digest() || oneHeld.HeldDigest() != otherHeld.HeldDigest() {
			t.Errorf("%s: the digests differ", name)
		}
		if diff := cmp.Diff(other.Filled(), one.Filled()); diff != "" {
			t.Errorf("%s: Filled() (-by name +first import):\n%s", name, diff)
		}
	}
}
