package plan_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"rollcall/directory"
	"rollcall/plan"
)

// tenant is a naive provider that does what a change says.
type tenant struct {
	objects map[string]*plan.Object
	deleted map[string]*plan.Object
	next    int
}

func (t *tenant) state() (s plan.State) {
	for _, o := range t.objects {
		c := *o
		c.Members = slices.Sorted(slices.Values(o.Members))
		c.Fields = o.Fields.Clone()
		s.Objects = append(s.Objects, c)
	}
	return s
}

func (t *tenant) remote(r directory.Ref) *plan.Object {
	for _, o := range t.objects {
		if o.Ref == r {
			return o
		}
	}
	return nil
}

func (t *tenant) apply(tb testing.TB, c plan.Change) {
	o := t.objects[c.RemoteID]
	if o == nil && c.RemoteID == "" {
		o = t.remote(c.Ref)
	}
	if c.Op == plan.Undelete {
		o = t.deleted[c.RemoteID]
	}
	if (o == nil) != (c.Op == plan.Create) {
		tb.Fatalf("%s %s: object %v", c.Op, c.Ref, o)
	}
	if o != nil && !o.Anchored() && c.Op != plan.Adopt {
		tb.Fatalf("law 5: %s of a foreign object %v", c.Op, o)
	}
	switch c.Op {
	case plan.Create:
		t.next++
		o = &plan.Object{Ref: c.Ref, RemoteID: fmt.Sprintf("n%d", t.next), Active: true, Address: c.Address}
		t.objects[o.RemoteID] = o
	case plan.Adopt, plan.Reanchor:
		o.Ref = c.Ref
	case plan.Suspend:
		o.Active, o.Suspender = false, plan.Us
	case plan.Restore:
		if o.Suspender != plan.Us {
			tb.Fatalf("law 6: restored %v", o)
		}
		o.Active, o.Suspender = true, plan.Nobody
	case plan.Delete:
		delete(t.objects, o.RemoteID)
		if t.deleted == nil {
			t.deleted = map[string]*plan.Object{}
		}
		t.deleted[o.RemoteID] = o
		for _, g := range t.objects {
			g.Members = slices.DeleteFunc(g.Members, func(id string) bool { return id == o.RemoteID })
		}
		return
	case plan.Undelete:
		delete(t.deleted, o.RemoteID)
		t.objects[o.RemoteID] = o
		if c.Inactive && o.Active {
			o.Active, o.Suspender = false, plan.Us
		} else if !c.Inactive && o.Suspender == plan.Us {
			o.Active, o.Suspender = true, plan.Nobody
		}
	case plan.AddMember:
		member := c.MemberRemoteID
		if member == "" {
			member = t.remote(*c.Member).RemoteID
		}
		o.Members = append(o.Members, member)
		return
	case plan.RemoveMember:
		o.Members = slices.DeleteFunc(o.Members, func(id string) bool { return id == c.MemberRemoteID })
		return
	}
	for _, f := range c.Fields {
		if f.Name == plan.AddressField {
			o.Address = f.After[0]
			continue
		}
		o.Fields = o.Fields.Set(f.Name, f.After...)
	}
	for _, other := range t.objects {
		if other != o && o.Address != "" && other.Address == o.Address {
			tb.Fatalf("%s %s: address %s is taken by %v", c.Op, c.Ref, o.Address, other)
		}
	}
}

// world is a random directory and a random tenant that share people, addresses and mistakes.
func world(r *rand.Rand) (plan.Input, *tenant) {
	in := plan.Input{Now: now, Policy: suspend}
	if r.IntN(2) == 0 {
		in.Policy.Adoption = plan.AdoptByAddress
	}
	t := &tenant{objects: map[string]*plan.Object{}}
	address := func() string { return fmt.Sprintf("a%d@x", r.IntN(30)) }
	for i := range 20 {
		id := fmt.Sprintf("u%02d", i)
		if r.IntN(4) > 0 {
			d := want(id, address(), "name", fmt.Sprint(r.IntN(3)))
			if r.IntN(6) == 0 {
				d.Active, d.Why = false, plan.Disabled
			}
			in.Desired = append(in.Desired, d)
		}
		if r.IntN(2) == 0 {
			anchor := id
			if r.IntN(4) == 0 {
				anchor = ""
			}
			o := have(anchor, "r"+id, fmt.Sprintf("a%d@x", i), "name", fmt.Sprint(r.IntN(3)))
			if r.IntN(5) == 0 {
				o.Active, o.Suspender = false, plan.Else
				if anchor != "" && r.IntN(2) == 0 {
					o.Suspender = plan.Us
				}
			}
			t.objects[o.RemoteID] = &o
		}
	}
	for i := range 5 {
		var m []string
		for j := range 20 {
			if r.IntN(3) == 0 {
				m = append(m, fmt.Sprintf("u%02d", j))
			}
		}
		in.Desired = append(in.Desired, team(fmt.Sprintf("g%d", i), fmt.Sprintf("g%d@x", i), m...))
	}
	return in, t
}

func TestLawsOverRandomDirectories(t *testing.T) {
	t.Parallel()
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 1))
		in, remote := world(r)
		in.State = remote.state()
		foreign := map[string]plan.Object{}
		for _, o := range in.State.Objects {
			if !o.Anchored() {
				foreign[o.RemoteID] = o
			}
		}
		first := plan.Compute(in)
		adopted := map[string]bool{}
		for _, c := range first.Changes {
			remote.apply(t, c)
			if c.Op == plan.Adopt {
				adopted[c.RemoteID] = true
			}
		}
		for id, before := range foreign {
			if after := remote.objects[id]; !adopted[id] && (after == nil || after.Address != before.Address ||
				after.Active != before.Active) {
				t.Fatalf("seed %d, law 5: foreign object %v became %v", seed, before, after)
			}
		}
		in.State = remote.state()
		if again := plan.Compute(in); !again.Empty() {
			t.Fatalf("seed %d, law 8: the plan right after its apply is %v, the first was %v", seed, lines(again), lines(first))
		}
	}
}
