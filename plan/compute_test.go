package plan_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
	"rollcall/plan"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func user(id string) directory.Ref { return directory.Ref{Kind: directory.User, ID: directory.ID(id)} }
func group(id string) directory.Ref {
	return directory.Ref{Kind: directory.Group, ID: directory.ID(id)}
}

func fields(kv ...string) (a directory.Attributes) {
	for i := 0; i < len(kv); i += 2 {
		a = a.Set(kv[i], kv[i+1])
	}
	return a
}

// want is a person who should have an account.
func want(id, address string, f ...string) plan.Desired {
	return plan.Desired{Ref: user(id), Label: id, Address: address, Active: true, Fields: fields(f...), Version: "v-" +
		id, Source: "corp"}
}

// have is an account that carries an anchor, or none if id is empty.
func have(id, remote, address string, f ...string) plan.Object {
	return plan.Object{Ref: user(id), RemoteID: remote, Address: address, Active: true, Fields: fields(f...)}
}

// leftOut is a person without an address where the configuration leaves such people out.
func leftOut(id string) plan.Desired {
	d := want(id, "")
	d.Held, d.Detail, d.LeaveOut = plan.NoAddress, "the address came out empty", true
	return d
}

// withheld is a person with a new title and a name that cannot be written.
func withheld(id string, required bool) plan.Desired {
	d := want(id, id+"@x", "title", "new")
	d.Withheld = []plan.Withheld{{Field: "name", Detail: "name: from cn", Required: required}}
	return d
}

func team(id, address string, members ...string) plan.Desired {
	d := plan.Desired{Ref: group(id), Label: id, Address: address, Active: true}
	for _, m := range members {
		passive := strings.HasSuffix(m, "?")
		d.Members = append(d.Members, plan.Member{Ref: user(strings.TrimSuffix(m, "?")), Passive: passive})
	}
	return d
}

func teamObject(id, remote, address string, members ...string) plan.Object {
	return plan.Object{Ref: group(id), RemoteID: remote, Address: address, Active: true, Members: members}
}

var suspend = plan.Policy{UserDeleteAction: plan.ActionSuspend, GroupDeleteAction: plan.ActionDoNothing,
	DeleteAfter: 720 * time.Hour}

// lines renders what a test compares, with one line for each change, held entry or note.
func lines(p plan.Plan) []string {
	out := []string{}
	for _, c := range p.Changes {
		s := fmt.Sprintf("%s %s", c.Op, c.Ref)
		if c.Member != nil {
			s += " " + c.Member.String()
		}
		for _, f := range c.Fields {
			if c.Op != plan.Create {
				s += fmt.Sprintf(" %s:%s>%s", f.Name, strings.Join(f.Before, ","), strings.Join(f.After, ","))
			}
		}
		if c.Why != "" {
			s += " because " + string(c.Why)
		}
		out = append(out, s)
	}
	for _, h := range p.Held {
		out = append(out, fmt.Sprintf("held %s %s", h.Ref, h.Reason))
	}
	for _, n := range p.Notes {
		out = append(out, fmt.Sprintf("note %s %s", n.Ref, n.Reason))
	}
	return out
}

func TestCompute(t *testing.T) {
	t.Parallel()
	with := func(o plan.Object, f func(*plan.Object)) plan.Object { f(&o); return o }
	off := func(d plan.Desired) plan.Desired { d.Active, d.Why = false, plan.Disabled; return d }
	adopt := suspend
	adopt.Adoption = plan.AdoptByAddress
	remove := suspend
	remove.UserDeleteAction, remove.GroupDeleteAction = plan.ActionDelete, plan.ActionDelete
	nothing := plan.Policy{UserDeleteAction: plan.ActionDoNothing, GroupDeleteAction: plan.ActionDoNothing}
	for _, tc := range []struct {
		name string
		in   plan.Input
		want []string
	}{
		{"joiner", plan.Input{Desired: []plan.Desired{want("a", "a@x")}}, []string{"create user/a"}},
		{"as it should be", plan.Input{
			Desired: []plan.Desired{want("a", "a@x", "name", "A")},
			State:   plan.State{Objects: []plan.Object{have("a", "1", "a@x", "name", "A")}},
		}, []string{}},
		{"a rename keeps the account", plan.Input{
			Desired: []plan.Desired{want("a", "new@x", "name", "B")},
			State:   plan.State{Objects: []plan.Object{have("a", "1", "old@x", "name", "A")}},
		}, []string{"update user/a address:old@x>new@x name:A>B"}},
		{"what the mapping does not name is left alone", plan.Input{
			Desired: []plan.Desired{want("a", "a@x", "name", "A")},
			State:   plan.State{Objects: []plan.Object{have("a", "1", "a@x", "name", "A", "title", "CEO")}},
		}, []string{}},
		{"an emptied field is cleared", plan.Input{
			Desired: []plan.Desired{{Ref: user("a"), Address: "a@x", Active: true,
				Fields: directory.Attributes{{Name: "title"}}}},
			State: plan.State{Objects: []plan.Object{have("a", "1", "a@x", "title", "CEO")}},
		}, []string{"update user/a title:CEO>"}},
		{"law 4: two anchored objects are ambiguous", plan.Input{
			Desired: []plan.Desired{want("a", "a@x")}, State: plan.State{Objects: []plan.Object{have("a", "1", "a@x"),
				have("a", "2", "b@x")}},
		}, []string{"held user/a ambiguous"}},
		{"law 4: two absent twins are ambiguous too", plan.Input{
			Desired: []plan.Desired{want("z", "z@x")}, State: plan.State{Objects: []plan.Object{have("a", "1", "a@x"),
				have("a", "2", "b@x"), have("z", "3", "z@x")}},
		}, []string{"held user/a ambiguous"}},
		{"law 4: the anchored one keeps the address", plan.Input{
			Desired: []plan.Desired{want("a", "a@x"), want("b", "a@x"), want("c", "a@x")},
			State:   plan.State{Objects: []plan.Object{have("b", "1", "a@x")}},
		}, []string{"held user/a same_address", "held user/c same_address"}},
		{"law 4: nobody has it: all are held", plan.Input{
			Desired: []plan.Desired{want("a", "a@x"), want("b", "a@x")},
		}, []string{"held user/a same_address", "held user/b same_address"}},
		{"who is disabled and has no account claims nothing", plan.Input{
			Desired: []plan.Desired{want("a", "a@x"), off(want("b", "a@x"))},
		}, []string{"create user/a", "note user/b disabled"}},
		{"a user and a group share one namespace", plan.Input{
			Desired: []plan.Desired{want("a", "a@x"), team("g", "a@x")},
		}, []string{"held user/a same_address", "held group/g same_address"}},
		{"law 5: a foreign account blocks the name and nothing else", plan.Input{
			Desired: []plan.Desired{want("a", "a@x")}, State: plan.State{Objects: []plan.Object{have("", "1", "a@x"),
				have("", "2", "other@x")}},
		}, []string{"held user/a address_taken"}},
		{"a foreign alias blocks too", plan.Input{
			Desired: []plan.Desired{want("a", "a@x")}, Policy: adopt,
			State: plan.State{Objects: []plan.Object{with(have("", "1", "b@x"),
				func(o *plan.Object) { o.Aliases = []string{"a@x"} })}},
		}, []string{"held user/a address_taken"}},
		{"adoption by policy", plan.Input{
			Desired: []plan.Desired{want("a", "a@x", "name", "A")}, Policy: adopt,
			State: plan.State{Objects: []plan.Object{have("", "1", "a@x", "name", "B")}},
		}, []string{"adopt user/a name:B>A"}},
		{"an administrator is never adopted", plan.Input{
			Desired: []plan.Desired{want("a", "a@x")}, Policy: adopt,
			State: plan.State{Objects: []plan.Object{with(have("", "1", "a@x"),
				func(o *plan.Object) { o.Protected = "administrator" })}},
		}, []string{"held user/a address_taken"}},
		{"what is never written is never adopted", plan.Input{
			Desired: []plan.Desired{want("a", "a@x")}, Policy: adopt,
			State: plan.State{Objects: []plan.Object{with(have("", "1", "a@x"),
				func(o *plan.Object) { o.ReadOnly = "synchronised" })}},
		}, []string{"held user/a address_taken"}},
		{"leaver", plan.Input{
			Desired: []plan.Desired{want("z", "z@x")}, State: plan.State{Objects: []plan.Object{have("a", "1", "a@x"),
				have("z", "2", "z@x")}},
		}, []string{"suspend user/a because absent"}},
		{"disabled", plan.Input{
			Desired: []plan.Desired{off(want("a", "a@x"))}, State: plan.State{Objects: []plan.Object{have("a", "1", "a@x")}},
		}, []string{"suspend user/a because disabled"}},
		{"disabled, and without a usable mapping", plan.Input{
			Desired: []plan.Desired{func() plan.Desired { d := off(want("a", "")); d.Held = plan.NoAddress; return d }()},
			State:   plan.State{Objects: []plan.Object{have("a", "1", "a@x")}},
		}, []string{"suspend user/a because disabled"}},
		{"without an address, and left out", plan.Input{
			Desired: []plan.Desired{leftOut("a"), leftOut("b"), leftOut("c"), team("g", "g@x", "a?")},
			State: plan.State{Objects: []plan.Object{
				have("b", "2", "b@x"), have("", "3", "c@x"), teamObject("g", "9", "g@x"),
			}},
			Links: map[directory.Ref]plan.Link{user("c"): {RemoteID: "3"}},
		}, []string{"held user/b no_address", "held user/c no_address", "note user/a no_address"}},
		{"out of scope", plan.Input{
			OutOfScope: []directory.Ref{user("a")}, State: plan.State{Objects: []plan.Object{have("a", "1", "a@x")}},
		}, []string{"suspend user/a because out_of_scope"}},
		{"do_nothing", plan.Input{Policy: nothing, State: plan.State{Objects: []plan.Object{have("a", "1", "a@x")}}},
			[]string{"note user/a absent"}},
		{"law 5: a protected leaver", plan.Input{
			State: plan.State{Objects: []plan.Object{with(have("a", "1", "a@x"),
				func(o *plan.Object) { o.Protected = "administrator" })}},
		}, []string{"held user/a protected"}},
		{"an unusable entry is not absent", plan.Input{
			Findings: []directory.Finding{{Ref: user("a"), Problem: "two entries"}},
			State:    plan.State{Objects: []plan.Object{have("a", "1", "a@x")}},
		}, []string{"held user/a unusable"}},
		{"an unusable entry without an account is named, too", plan.Input{
			Findings: []directory.Finding{{Ref: user("a"), DN: "uid=a", Problem: "two entries"},
				{Ref: user(""), DN: "uid=b", Problem: "no id"}},
		}, []string{"held user/ unusable", "held user/a unusable"}},
		{"a field that cannot be written is named, and the rest goes on", plan.Input{
			Desired: []plan.Desired{withheld("a", true), withheld("b", true), withheld("c", false)},
			State:   plan.State{Objects: []plan.Object{have("a", "1", "a@x")}},
		}, []string{"update user/a title:>new", "create user/c", "held user/a mapping", "held user/b mapping",
			"held user/c mapping"}},
		{"law 6: ours is lifted", plan.Input{
			Desired: []plan.Desired{want("a", "a@x")},
			State: plan.State{Objects: []plan.Object{with(have("a", "1", "a@x"),
				func(o *plan.Object) { o.Active, o.Suspender = false, plan.Us })}},
		}, []string{"restore user/a"}},
		{"law 6: a mark that was left over goes", plan.Input{
			Desired: []plan.Desired{want("a", "a@x")},
			State: plan.State{Objects: []plan.Object{with(have("a", "1", "a@x"),
				func(o *plan.Object) { o.Suspender = plan.Us })}},
		}, []string{"restore user/a"}},
		{"law 6: somebody else's is not", plan.Input{
			Desired: []plan.Desired{want("a", "a@x")},
			State: plan.State{Objects: []plan.Object{with(have("a", "1", "a@x"),
				func(o *plan.Object) { o.Active, o.Suspender = false, plan.Else })}},
		}, []string{"note user/a suspended_by_else"}},
		{"law 6: nobody knows whose", plan.Input{
			Desired: []plan.Desired{want("a", "a@x")},
			State: plan.State{Objects: []plan.Object{with(have("a", "1", "a@x"),
				func(o *plan.Object) { o.Active, o.Suspender = false, plan.Unknown })}},
		}, []string{"held user/a suspended_by_whom"}},
		{"law 10: within the grace period", plan.Input{
			Policy: remove, Links: map[directory.Ref]plan.Link{user("a"): {Departed: now.Add(-719 * time.Hour)}},
			State: plan.State{Objects: []plan.Object{with(have("a", "1", "a@x"),
				func(o *plan.Object) { o.Active, o.Suspender = false, plan.Us })}},
		}, []string{"note user/a absent"}},
		{"law 10: after it", plan.Input{
			Policy: remove, Links: map[directory.Ref]plan.Link{user("a"): {Departed: now.Add(-720 * time.Hour)}},
			State: plan.State{Objects: []plan.Object{with(have("a", "1", "a@x"),
				func(o *plan.Object) { o.Active, o.Suspender = false, plan.Us })}},
		}, []string{"delete user/a because absent"}},
		{"law 10: suspended late, deleted later", plan.Input{
			Policy: remove, Links: map[directory.Ref]plan.Link{user("a"): {Departed: now.Add(-720 * time.Hour)}},
			State: plan.State{Objects: []plan.Object{have("a", "1", "a@x")}},
		}, []string{"suspend user/a because absent"}},
		{"unsettled", plan.Input{
			Desired: []plan.Desired{want("a", "a@x")}, State: plan.State{Unsettled: []directory.Ref{user("a")}},
		}, []string{"held user/a unsettled"}},
		{"a lost anchor makes no twin", plan.Input{
			Desired: []plan.Desired{want("a", "a@x")}, Links: map[directory.Ref]plan.Link{user("a"): {RemoteID: "1"}},
			State: plan.State{Objects: []plan.Object{have("", "1", "renamed@x")}},
		}, []string{"held user/a anchor_lost"}},
		{"a re-created directory is offered for approval", plan.Input{
			Desired: []plan.Desired{func() plan.Desired { d := want("a2", "a@x"); d.Rekey = "4711"; return d }()},
			Links:   map[directory.Ref]plan.Link{user("a1"): {RemoteID: "1", Rekey: "4711"}},
			State:   plan.State{Objects: []plan.Object{have("a1", "1", "a@x")}},
		}, []string{"reanchor user/a2"}},
		{"another person with the same address is not re-anchored", plan.Input{
			Desired: []plan.Desired{func() plan.Desired { d := want("a2", "a@x"); d.Rekey = "4712"; return d }(),
				want("z", "z@x")},
			Links: map[directory.Ref]plan.Link{user("a1"): {RemoteID: "1", Rekey: "4711"}},
			State: plan.State{Objects: []plan.Object{have("a1", "1", "a@x"), have("z", "2", "z@x")}},
		}, []string{"suspend user/a1 because absent", "held user/a2 address_kept"}},
		{"a rename frees the address for a joiner", plan.Input{
			Desired: []plan.Desired{want("a", "new@x"), want("b", "old@x")},
			State:   plan.State{Objects: []plan.Object{have("a", "1", "old@x")}},
		}, []string{"update user/a address:old@x>new@x", "create user/b"}},
		{"unless the old address stays as an alias", plan.Input{
			Desired:      []plan.Desired{want("a", "new@x"), want("b", "old@x")},
			State:        plan.State{Objects: []plan.Object{have("a", "1", "old@x")}},
			Capabilities: plan.Capabilities{RenameKeepsAddress: true},
		}, []string{"update user/a address:old@x>new@x", "held user/b address_kept"}},
		{"two who swap addresses are held", plan.Input{
			Desired: []plan.Desired{want("a", "b@x"), want("b", "a@x")},
			State:   plan.State{Objects: []plan.Object{have("a", "1", "a@x"), have("b", "2", "b@x")}},
		}, []string{"held user/a address_kept", "held user/b address_kept"}},
		{"members join and leave; foreign and passive ones stay", plan.Input{
			Desired: []plan.Desired{want("a", "a@x"), want("b", "b@x"), want("c", "c@x"), want("d", "d@x"),
				team("g", "g@x", "a", "b", "d?")},
			State: plan.State{Objects: []plan.Object{
				have("a", "1", "a@x"), have("b", "2", "b@x"), have("c", "3", "c@x"), have("d", "4", "d@x"), have("", "9", "f@x"),
				teamObject("g", "7", "g@x", "1", "3", "9", "external"),
			}},
		}, []string{"remove_member group/g user/c", "add_member group/g user/b"}},
		{"a new group and its members", plan.Input{
			Desired: []plan.Desired{want("a", "a@x"), team("g", "g@x", "a", "unknown")},
		}, []string{"create user/a", "create group/g", "add_member group/g user/a"}},
		{"a group that left is left alone by default", plan.Input{
			State: plan.State{Objects: []plan.Object{teamObject("g", "7", "g@x")}},
		}, []string{"note group/g absent"}},
		{"an object job concludes no departure", plan.Input{
			Only: []directory.Ref{user("a")}, State: plan.State{Objects: []plan.Object{have("a", "1", "a@x"),
				have("b", "2", "b@x")}},
		}, []string{}},
		{"an object job suspends who is disabled, and nobody else", plan.Input{
			Only: []directory.Ref{user("a")}, Desired: []plan.Desired{off(want("a", "a@x")), off(want("b", "b@x"))},
			State: plan.State{Objects: []plan.Object{have("a", "1", "a@x"), have("b", "2", "b@x")}},
		}, []string{"suspend user/a because disabled"}},
		{"a mirror keeps disabled entries and deletes absent ones", plan.Input{
			Capabilities: plan.Capabilities{Mirror: true},
			Desired:      []plan.Desired{off(want("a", "", "cn", "A")), off(want("b", "")), want("c", "", "cn", "C")},
			State: plan.State{Objects: []plan.Object{
				have("a", "user/a", "", "cn", "A", "title", "x"), have("c", "user/c", "", "cn", "C"), have("gone", "user/gone", ""),
			}},
		}, []string{"suspend user/a because disabled", "update user/a title:x>", "create user/b",
			"delete user/gone because absent"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.in.Now = now
			if tc.in.Policy == (plan.Policy{}) {
				tc.in.Policy = suspend
			}
			if diff := cmp.Diff(tc.want, lines(plan.Compute(tc.in))); diff != "" {
				t.Errorf("Compute() (-want +got):\n%s", diff)
			}
		})
	}
}

func TestComputeIgnoresWhatAProviderNormalises(t *testing.T) {
	t.Parallel()
	p := plan.Compute(plan.Input{
		Now: now, Policy: suspend,
		Capabilities: plan.Capabilities{Normal: map[string]plan.Normal{"name": plan.Trim | plan.Squeeze,
			"mails": plan.Fold | plan.Unordered}},
		Desired: []plan.Desired{{Ref: user("a"), Address: "a@x", Active: true,
			Fields: directory.Attributes{{Name: "mails", Values: []string{"B@x", "a@x"}},
				{Name: "name", Values: []string{" Ada  Lovelace "}}}}},
		State: plan.State{Objects: []plan.Object{{Ref: user("a"), RemoteID: "1", Address: "a@x", Active: true,
			Fields: directory.Attributes{{Name: "mails", Values: []string{"a@x", "b@x"}},
				{Name: "name", Values: []string{"Ada Lovelace"}}}}}},
	})
	if !p.Empty() {
		t.Errorf("Compute() = %v, want no change", lines(p))
	}
}
