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
	for _, tc := range []struct {
		name string
		in   plan.Input
		want []string
	}{
		{"a rename frees the address for a joiner", plan.Input{
			Desired: []plan.Desired{want("a", "new@x"), want("b", "old@x")},
			State:   plan.State{Objects: []plan.Object{have("a", "1", "old@x")}},
		}, []string{"update user/a address:old@x>new@x", "create user/b"}},
		{"also where the old address stays as an alias at first", plan.Input{
			Desired:      []plan.Desired{want("a", "new@x"), want("b", "old@x")},
			State:        plan.State{Objects: []plan.Object{have("a", "1", "old@x")}},
			Capabilities: plan.Capabilities{RenameKeepsAddress: true},
		}, []string{"update user/a address:old@x>new@x", "create user/b"}},
		{"an alias is not taken", plan.Input{
			Desired:      []plan.Desired{want("a", "new@x"), want("b", "old@x")},
			State:        plan.State{Objects: []plan.Object{aliased(have("a", "1", "new@x"), "old@x")}},
			Capabilities: plan.Capabilities{RenameKeepsAddress: true},
		}, []string{"held user/b address_kept"}},
		{"unless a rename was made to free it", plan.Input{
			Desired:      []plan.Desired{want("a", "new@x"), want("b", "old@x")},
			Links:        map[directory.Ref]plan.Link{user("a"): {RemoteID: "1", Yields: "old@x"}},
			State:        plan.State{Objects: []plan.Object{aliased(have("a", "1", "new@x"), "old@x")}},
			Capabilities: plan.Capabilities{RenameKeepsAddress: true},
		}, []string{"create user/b"}},
		{"two who swap addresses are held", plan.Input{
			Desired: []plan.Desired{want("a", "b@x"), want("b", "a@x")},
			State:   plan.State{Objects: []plan.Object{have("a", "1", "a@x"), have("b", "2", "b@x")}},
		}, []string{"held user/a address_kept", "held user/b address_kept"}},
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
			"mails": plan.Fold | plan.Unordered, "country": plan.Trim | plan.Permanent}},
		Desired: []plan.Desired{{Ref: user("a"), Address: "a@x", Active: true,
			Fields: directory.Attributes{{Name: "mails", Values: []string{"B@x", "a@x"}},
				{Name: "name", Values: []string{" Ada  Lovelace "}}, {Name: "country", Values: []string{" "}}}}},
		State: plan.State{Objects: []plan.Object{{Ref: user("a"), RemoteID: "1", Address: "a@x", Active: true,
			Fields: directory.Attributes{{Name: "mails", Values: []string{"a@x", "b@x"}},
				{Name: "name", Values: []string{"Ada Lovelace"}}, {Name: "country", Values: []string{"GB"}}}}}},
	})
	if !p.Empty() {
		t.Errorf("Compute() = %v, want no change", lines(p))
	}
}
