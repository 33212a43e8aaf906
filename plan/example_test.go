package plan_test

import (
	"fmt"
	"time"

	"rollcall/directory"
	"rollcall/plan"
)

// A person joins and another one leaves. The plan is computed and guarded.
func ExampleCompute() {
	user := func(id string) directory.Ref { return directory.Ref{Kind: directory.User, ID: directory.ID(id)} }
	p := plan.Compute(plan.Input{
		Now:    time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
		Policy: plan.Policy{UserDeleteAction: plan.ActionSuspend},
		Desired: []plan.Desired{
			{Ref: user("u-ada"), Label: "ada", Address: "ada@example.com", Active: true},
			{Ref: user("u-bob"), Label: "bob", Address: "bob@example.com", Active: true},
		},
		State: plan.State{Objects: []plan.Object{
			{Ref: user("u-bob"), RemoteID: "1002", Address: "bob@example.com", Active: true},
			{Ref: user("u-zoe"), RemoteID: "1003", Address: "zoe@example.com", Active: true},
		}},
	})
	apply, held := p.Guard(plan.Limits{}, plan.Budget{})
	for _, c := range apply.Changes {
		fmt.Println(c.Op.Verb(), c.Kind, c.Address)
	}
	fmt.Println("held:", len(held.Changes))
	// Output:
	// suspend user zoe@example.com
	// create user ada@example.com
	// held: 0
}
