package providertest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider"
)

// session is a tenant with the state that an engine keeps. It is the smallest engine with a ledger.
type session struct {
	Harness
	t         *testing.T
	policy    plan.Policy
	desired   map[directory.Ref]*plan.Desired
	links     map[directory.Ref]plan.Link
	confirmed map[directory.ID]plan.Confirmed
}

func newSession(t *testing.T, h Harness) *session {
	return &session{
		Harness: h, t: t, policy: policy, desired: map[directory.Ref]*plan.Desired{},
		links: map[directory.Ref]plan.Link{}, confirmed: map[directory.ID]plan.Confirmed{},
	}
}

func userRef(id directory.ID) directory.Ref  { return directory.Ref{Kind: directory.User, ID: id} }
func groupRef(id directory.ID) directory.Ref { return directory.Ref{Kind: directory.Group, ID: id} }

// anchor returns an ID in the form that directories use.
func anchor(n int) directory.ID { return directory.ID(fmt.Sprintf("5f3a1c9e-7b42-4d60-9e11-%012d", n)) }

func (s *session) address(local string) string { return local + "@" + s.Domain }

// addressOf returns the address of an entry with the given local part.
func (s *session) addressOf(kind directory.Kind, local string) string {
	if kind == directory.Group && s.Unnamed {
		return ""
	}
	return s.address(local)
}

// want adds an entry to the desired state, or replaces it.
func (s *session) want(ref directory.Ref, local string, more ...directory.Attribute) *plan.Desired {
	fields := s.UserFields
	if ref.Kind == directory.Group {
		fields = s.GroupFields
	}
	d := &plan.Desired{
		Ref: ref, Label: local, Source: "corp", Version: "1", Address: s.addressOf(ref.Kind, local), Active: true,
		Fields: sorted(slices.Concat(fields, more)), Rekey: "number of " + local,
	}
	s.desired[ref] = d
	return d
}

func sorted(a directory.Attributes) directory.Attributes {
	slices.SortStableFunc(a, func(x, y directory.Attribute) int { return strings.Compare(x.Name, y.Name) })
	return a
}

func one(name, value string) directory.Attribute {
	return directory.Attribute{Name: name, Values: []string{value}}
}

// read reads the whole tenant.
func (s *session) read() plan.State {
	s.t.Helper()
	state, err := s.Provider.Read(s.t.Context(), provider.Query{Known: s.links, Groups: s.confirmed, Now: s.Now()})
	if err != nil {
		s.t.Fatalf("Read() = %v", err)
	}
	for _, o := range state.Objects { // A suspension that was lifted by hand is no longer ours.
		if link := s.links[o.Ref]; o.Anchored() && o.Active && link.Suspended {
			link.Suspended = false
			s.links[o.Ref] = link
		}
	}
	return state
}

// object returns the object with the remote id, as a full read shows it.
func (s *session) object(remoteID string) plan.Object {
	s.t.Helper()
	return pick(s.t, s.read(), remoteID)
}

func pick(t *testing.T, state plan.State, remoteID string) plan.Object {
	t.Helper()
	i := slices.IndexFunc(state.Objects, func(o plan.Object) bool { return o.RemoteID == remoteID })
	if i < 0 {
		t.Fatalf("no object %s in the state", remoteID)
	}
	return state.Objects[i]
}

// compute makes a plan as the engine does.
func (s *session) compute() plan.Plan {
	s.t.Helper()
	in := plan.Input{State: s.read(), Links: s.links, Capabilities: s.Provider.Capabilities(), Policy: s.policy,
		Now: s.Now()}
	for _, ref := range slices.SortedFunc(maps.Keys(s.desired), directory.Ref.Compare) {
		in.Desired = append(in.Desired, *s.desired[ref])
	}
	if r, ok := s.Provider.(provider.Restorer); ok {
		var err error
		if in.State.Deleted, err = r.Deleted(s.t.Context()); err != nil {
			s.t.Fatalf("Deleted() = %v", err)
		}
	}
	return plan.Compute(in)
}

// sync plans, applies and returns the plan. Every change must succeed.
func (s *session) sync() plan.Plan {
	s.t.Helper()
	p := s.compute()
	made := map[directory.Ref]string{}
	for _, c := range p.Changes {
		c.RemoteID = cmp.Or(c.RemoteID, made[c.Ref])
		if c.Member != nil && c.MemberRemoteID == "" {
			c.MemberRemoteID = made[*c.Member]
		}
		made[c.Ref] = s.must(c)
	}
	for _, b := range p.Tombstones {
		link := s.links[b.Ref]
		link.Departed, link.Why = b.Since, b.Why
		s.links[b.Ref] = link
	}
	return p
}

// settled syncs and checks that the next plan is empty.
func (s *session) settled() plan.Plan {
	s.t.Helper()
	p := s.sync()
	if again := s.compute(); len(again.Changes) > 0 {
		s.t.Errorf("the plan after its apply is not empty:\n%s", ops(again))
	}
	return p
}

// apply carries out one change and updates the ledger.
func (s *session) apply(c plan.Change) provider.Result {
	s.t.Helper()
	results := s.Provider.Apply(s.t.Context(), []plan.Change{c})
	if len(results) != 1 {
		s.t.Fatalf("Apply() of one change gave %d results", len(results))
	}
	r := results[0]
	if r.Err != nil {
		return r
	}
	link := s.links[c.Ref]
	switch c.Op {
	case plan.Create:
		link = plan.Link{RemoteID: r.RemoteID, Created: s.Now()}
	case plan.Adopt, plan.Reanchor:
		link = plan.Link{RemoteID: c.RemoteID}
		delete(s.links, directory.Ref{Kind: c.Kind, ID: c.From})
	case plan.Suspend:
		link.Suspended = true
	case plan.Restore:
		link = plan.Link{RemoteID: c.RemoteID, Created: link.Created}
	case plan.Undelete:
		link = plan.Link{RemoteID: c.RemoteID, Suspended: c.Inactive}
	case plan.Delete:
		delete(s.links, c.Ref)
		return r
	}
	if d := s.desired[c.Ref]; d != nil {
		link.Rekey = d.Rekey
	}
	if !c.Op.Membership() {
		s.links[c.Ref] = link
	}
	return r
}

// must applies a change that must succeed, and returns the remote id.
func (s *session) must(c plan.Change) string {
	s.t.Helper()
	r := s.apply(c)
	if r.Err != nil {
		s.t.Fatalf("Apply(%s) = %v (%v)", name(c), r.Err, fault.KindOf(r.Err))
	}
	return r.RemoteID
}

// refused applies a change that must fail with the given kind.
func (s *session) refused(c plan.Change, want fault.Kind) {
	s.t.Helper()
	if r := s.apply(c); r.Err == nil {
		s.t.Errorf("Apply(%s) succeeded, want it refused as %v", name(c), want)
	} else if got := fault.KindOf(r.Err); got != want {
		s.t.Errorf("Apply(%s) = %v (%v), want %v", name(c), got, r.Err, want)
	}
}

// user creates a user of ours and returns its remote id.
func (s *session) user(id directory.ID, local string, more ...directory.Attribute) string {
	s.t.Helper()
	return s.make(s.want(userRef(id), local, more...))
}

// group creates a group of ours and returns its remote id.
func (s *session) group(id directory.ID, local string, more ...directory.Attribute) string {
	s.t.Helper()
	return s.make(s.want(groupRef(id), local, more...))
}

func (s *session) make(d *plan.Desired) string {
	s.t.Helper()
	return s.must(s.create(d))
}

func (s *session) create(d *plan.Desired) plan.Change {
	c := plan.Change{Op: plan.Create, Ref: d.Ref, Label: d.Label, Address: d.Address}
	for _, f := range d.Fields {
		c.Fields = append(c.Fields, plan.FieldChange{Name: f.Name, After: f.Values})
	}
	return c
}

func change(op plan.Op, ref directory.Ref, remoteID string) plan.Change {
	return plan.Change{Op: op, Ref: ref, RemoteID: remoteID}
}

func (s *session) update(ref directory.Ref, remoteID, field, value string) plan.Change {
	c := change(plan.Update, ref, remoteID)
	c.Address, c.Fields = s.desired[ref].Address, []plan.FieldChange{{Name: field, After: []string{value}}}
	return c
}

func member(op plan.Op, group directory.ID, groupID string, ref directory.Ref, remoteID string) plan.Change {
	return plan.Change{Op: op, Ref: groupRef(group), RemoteID: groupID, Member: &ref, MemberRemoteID: remoteID}
}

func name(c plan.Change) string { return c.Op.String() + " " + c.Ref.String() }

// ops lists the changes of a plan, one on each line.
func ops(p plan.Plan) string {
	var b strings.Builder
	for _, c := range p.Changes {
		fmt.Fprintf(&b, "%s %+v\n", name(c), c.Fields)
	}
	for _, h := range p.Held {
		fmt.Fprintf(&b, "held %s: %s %s\n", h.Ref, h.Reason, h.Detail)
	}
	return b.String()
}
