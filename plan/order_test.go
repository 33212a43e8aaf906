package plan_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"rollcall/directory"
	"rollcall/plan"
)

// An order suspends the account at once and passes every guard and policy but protection. It stands while the source
// wants the user, cannot read it or leaves it out of scope, and ends when the source says the same.
func TestOrderToLeave(t *testing.T) {
	t.Parallel()
	ada := directory.Ref{Kind: directory.User, ID: "ada"}
	team := directory.Ref{Kind: directory.Group, ID: "team"}
	suspended := plan.Object{Ref: ada, RemoteID: "1", Address: "ada@example.com", Suspender: plan.Us}
	active := plan.Object{Ref: ada, RemoteID: "1", Address: "ada@example.com", Active: true}
	protected := active
	protected.Protected = "administrator"
	wanted := plan.Desired{Ref: ada, Label: "Ada", Address: "ada@example.com", Active: true}
	off, unmapped := wanted, wanted
	off.Active, off.Why = false, plan.Disabled
	here := off // inactive by the mapping of this provider alone
	off.Disabled = true
	unmapped.Held, unmapped.Detail = plan.NoAddress, "it has no address"
	for _, tc := range []struct {
		name   string
		in     plan.Input
		object plan.Object
		// suspends says that the account is suspended, agreed that the order has ended.
		suspends, agreed bool
		held             string
	}{
		{name: "wanted", in: plan.Input{Desired: []plan.Desired{wanted}}, object: active, suspends: true},
		{name: "suspended", in: plan.Input{Desired: []plan.Desired{wanted}}, object: suspended},
		{name: "nothing is done about leavers", object: active, suspends: true, in: plan.Input{
			Desired: []plan.Desired{wanted}, Policy: plan.Policy{UserDeleteAction: plan.ActionDoNothing}}},
		{name: "deleted at once", object: active, suspends: true, in: plan.Input{
			Desired: []plan.Desired{wanted}, Policy: plan.Policy{UserDeleteAction: plan.ActionDelete}}},
		{name: "a read in doubt", object: active, suspends: true,
			in: plan.Input{Desired: []plan.Desired{wanted}, Doubts: []string{"half of it is missing"}}},
		{name: "no address", in: plan.Input{Desired: []plan.Desired{unmapped}}, object: active, suspends: true},
		{name: "unusable", object: active, suspends: true, held: "has no id",
			in: plan.Input{Findings: []directory.Finding{{Ref: ada, Problem: "has no id"}}}},
		{name: "out of scope", in: plan.Input{OutOfScope: []directory.Ref{ada}}, object: active, suspends: true},
		{name: "one entry", in: plan.Input{Desired: []plan.Desired{wanted}, Only: []directory.Ref{ada}}, object: active,
			suspends: true},
		{name: "protected", in: plan.Input{Desired: []plan.Desired{wanted}}, object: protected,
			held: "has to leave by order of grace since 2026-03-01T11:00:00Z and is never suspended or deleted: administrator"},
		{name: "pinned active", in: plan.Input{Desired: []plan.Desired{wanted},
			Pins: []plan.Pin{{Ref: ada, Account: plan.StandsActive}}}, object: active, suspends: true},
		{name: "disabled", in: plan.Input{Desired: []plan.Desired{off}}, object: suspended, agreed: true},
		{name: "disabled and not yet suspended", in: plan.Input{Desired: []plan.Desired{off}}, object: active,
			suspends: true},
		{name: "disabled and protected", in: plan.Input{Desired: []plan.Desired{off}}, object: protected, agreed: true,
			held: "administrator"},
		{name: "disabled, in a run about others", object: active,
			in: plan.Input{Desired: []plan.Desired{off}, Only: []directory.Ref{team}}},
		{name: "inactive for this provider", in: plan.Input{Desired: []plan.Desired{here}}, object: suspended},
		{name: "left", object: suspended, agreed: true,
			in: plan.Input{Departed: []directory.Departure{{Ref: ada, Left: now}}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			in := tc.in
			in.Now, in.State.Objects = now, []plan.Object{tc.object}
			in.Orders = []plan.Order{{Ref: ada, By: "grace", At: now.Add(-time.Hour)}}
			if len(in.Desired) > 0 { // A group that would take the user in.
				in.Desired = append(in.Desired, plan.Desired{Ref: team, Active: true, Members: []plan.Member{{Ref: ada}}})
				in.State.Objects = append(in.State.Objects, plan.Object{Ref: team, RemoteID: "g", Active: true})
			}
			limits := plan.Limits{Approval: "every change waits"}
			apply, held := plan.Compute(in).Guard(limits, plan.Budget{})
			var suspends, others []string
			for i := range apply.Changes {
				if c := &apply.Changes[i]; c.Op == plan.Suspend && c.Why == plan.Ordered && c.Since.Equal(now.Add(-time.Hour)) {
					suspends = append(suspends, c.RemoteID)
				} else {
					others = append(others, c.Op.String())
				}
			}
			if (len(suspends) == 1) != tc.suspends || len(others) > 0 {
				t.Errorf("suspended %v, other changes %v, want a suspension: %v", suspends, others, tc.suspends)
			}
			for _, c := range held.Changes {
				if !tc.agreed && (c.Op == plan.Restore || c.Op == plan.AddMember || c.Op == plan.Delete) {
					t.Errorf("%s is planned and only held", c.Op)
				}
			}
			if got := slices.Equal(apply.Agreed, []directory.Ref{ada}); got != tc.agreed {
				t.Errorf("the order has ended: %v, want %v", got, tc.agreed)
			}
			if details := text(apply.Held); tc.held == "" && details != "" || !strings.Contains(details, tc.held) {
				t.Errorf("held: %q, want %q", details, tc.held)
			}
		})
	}
}

// An order that cannot be trusted keeps a user from an account and from an active one, and from nothing else.
func TestAnOrderThatCannotBeTrusted(t *testing.T) {
	t.Parallel()
	ada := directory.Ref{Kind: directory.User, ID: "ada"}
	account := plan.Object{Ref: ada, RemoteID: "1", Address: "ada@example.com", Suspender: plan.Us}
	active := account
	active.Active, active.Suspender = true, plan.Nobody
	wanted := plan.Desired{Ref: ada, Label: "Ada", Address: "ada@example.com", Active: true}
	off, renamed := wanted, wanted
	off.Active, off.Why = false, plan.Disabled
	renamed.Address = "lovelace@example.com"
	deleted := plan.Pin{Ref: ada, Account: plan.StandsActive, RemoteID: "1", Address: wanted.Address, Deleted: now}
	for _, tc := range []struct {
		name    string
		desired plan.Desired
		objects []plan.Object
		pins    []plan.Pin
		// without and with are what is done without the order and with it.
		without, with string
	}{
		{name: "suspend", desired: off, objects: []plan.Object{active}, without: "suspend", with: "suspend"},
		{name: "rename", desired: renamed, objects: []plan.Object{active}, without: "update", with: "update"},
		{name: "restore", desired: wanted, objects: []plan.Object{account}, without: "restore"},
		{name: "create", desired: wanted, without: "create"},
		{name: "undelete", desired: wanted, pins: []plan.Pin{deleted}, without: "undelete"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			in := plan.Input{Now: now, Desired: []plan.Desired{tc.desired}, Pins: tc.pins,
				State:        plan.State{Objects: tc.objects},
				Capabilities: plan.Capabilities{UndeleteWithin: time.Hour}}
			if got := ops(plan.Compute(in)); got != tc.without {
				t.Errorf("without the order: %s, want %s", got, tc.without)
			}
			in.Unordered = []plan.Held{{Ref: ada, Reason: plan.PinLost, Detail: "it is not signed"}}
			p := plan.Compute(in)
			if got := ops(p); got != tc.with || text(p.Held) != "it is not signed" {
				t.Errorf("with the order: %s, want %s; held: %s", got, tc.with, text(p.Held))
			}
			in.Unordered, in.Orders = nil, []plan.Order{{Ref: ada, By: "grace", At: now}}
			for _, c := range plan.Compute(in).Changes {
				if c.Op != plan.Suspend && (c.Op != plan.Undelete || !c.Inactive) {
					t.Errorf("with an order that is trusted: %+v", c)
				}
			}
		})
	}
}

func ops(p plan.Plan) string {
	var out []string
	for i := range p.Changes {
		out = append(out, p.Changes[i].Op.String())
	}
	return strings.Join(out, " ")
}

func text(held []plan.Held) string {
	var out []string
	for _, h := range held {
		out = append(out, h.Detail)
	}
	return strings.Join(out, "; ")
}
