package provider_test

import (
	"context"
	"fmt"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider"
)

// intranet is a provider that keeps its accounts in memory.
type intranet struct{ accounts map[string]*plan.Object }

// Capabilities implements provider.Provider.
func (intranet) Capabilities() plan.Capabilities {
	return plan.Capabilities{BatchSize: 10, Concurrency: 1}
}

// Read implements provider.Provider. It returns the complete state, or an error.
func (t intranet) Read(context.Context, provider.Query) (plan.State, error) {
	var state plan.State
	for _, o := range t.accounts {
		state.Objects = append(state.Objects, *o)
	}
	return state, nil
}

// Apply implements provider.Provider. A result belongs to each change, and a change of an unknown account is refused
// by an error with a kind.
func (t intranet) Apply(_ context.Context, batch []plan.Change) []provider.Result {
	results := make([]provider.Result, len(batch))
	for i, c := range batch {
		switch account := t.accounts[c.RemoteID]; {
		case c.Op == plan.Create:
			id := fmt.Sprint("account-", len(t.accounts)+1)
			t.accounts[id] = &plan.Object{Ref: c.Ref, RemoteID: id, Address: c.Address, Active: true}
			results[i] = provider.Result{RemoteID: id}
		case account == nil:
			results[i] = provider.Result{Err: fault.Errorf(fault.NotFound, "no account %s", c.RemoteID)}
		case c.Op == plan.Suspend:
			account.Active = false
			results[i] = provider.Result{RemoteID: c.RemoteID}
		}
	}
	return results
}

// A provider applies the changes of a plan, and its state then has them.
func ExampleProvider() {
	var p provider.Provider = intranet{map[string]*plan.Object{}}
	ada := directory.Ref{Kind: directory.User, ID: "4711"}
	results := p.Apply(context.Background(), []plan.Change{
		{Op: plan.Create, Ref: ada, Address: "ada@example.com"},
		{Op: plan.Suspend, Ref: directory.Ref{Kind: directory.User, ID: "4712"}, RemoteID: "account-9"},
	})
	fmt.Println(results[0].RemoteID, results[0].Err)
	fmt.Println(fault.KindOf(results[1].Err), "-", results[1].Err)
	state, err := p.Read(context.Background(), provider.Query{})
	if err != nil {
		panic(err)
	}
	fmt.Println(state.Objects[0].Ref, state.Objects[0].Address)
	// Output:
	// account-1 <nil>
	// not_found - no account account-9
	// user/4711 ada@example.com
}
