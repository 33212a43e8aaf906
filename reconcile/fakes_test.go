package reconcile_test

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/internal/redistest"
	"rollcall/ledger"
	"rollcall/mapping"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/reconcile"
)

// sourceFake returns a snapshot, or an error.
type sourceFake struct {
	mu       sync.Mutex // of what is changed while a run is under way
	snapshot directory.Snapshot
	err      error
	// changed is when entries were last changed.
	changed map[directory.Ref]time.Time
}

func (s *sourceFake) Read(context.Context, directory.Query) (directory.Snapshot, error) {
	out := s.snapshot
	out.Entries = slices.Clone(s.snapshot.Entries)
	slices.SortFunc(out.Entries, func(a, b directory.Entry) int { return a.Ref().Compare(b.Ref()) })
	out.Versions = map[directory.Ref]string{}
	for i := range out.Entries {
		out.Versions[out.Entries[i].Ref()] = out.Entries[i].Digest()
	}
	return out, s.err
}

func (s *sourceFake) Version(_ context.Context, _ string, ref directory.Ref) (string, time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.snapshot.Entries {
		if e := &s.snapshot.Entries[i]; e.Ref() == ref {
			return e.Digest(), s.changed[ref], nil
		}
	}
	return "", time.Time{}, nil
}

// desire maps an entry to itself at example.com.
func desire(s directory.Snapshot, _ plan.State) (mapping.Result, error) {
	var r mapping.Result
	for i := range s.Entries {
		e := &s.Entries[i]
		d := plan.Desired{
			Ref: e.Ref(), Label: e.Label(), Address: string(e.ID) + "@example.com", Active: e.Active, Source: e.Source,
			Version: s.Versions[e.Ref()],
			Fields:  directory.Attributes{{Name: "name", Values: []string{e.Attributes.Get(directory.CommonName)}}},
		}
		if !e.Active {
			d.Why = plan.Disabled
		}
		for _, m := range e.Members {
			d.Members = append(d.Members, plan.Member{Ref: m})
		}
		r.Desired = append(r.Desired, d)
	}
	return r, nil
}

// tenantFake is a tenant with a state. It obeys the port's contract. hook may make a call fail before or after its
// effect.
type tenantFake struct {
	mu      sync.Mutex
	objects map[string]*plan.Object
	next    int
	listed  int
	applied []string
	// refuses is the error of every list. Single objects can be read by their ids.
	refuses error
	// hook is called before (after=false) and after each write.
	hook func(c plan.Change, after bool) error
	// apart is Capabilities.CreatesApart. before may hold a write back while others go on.
	apart  bool
	before func(c plan.Change)
}

func newTenant() *tenantFake { return &tenantFake{objects: map[string]*plan.Object{}} }

func (t *tenantFake) Capabilities() plan.Capabilities {
	return plan.Capabilities{BatchSize: 1, Concurrency: 4, CreatesApart: t.apart}
}

func (t *tenantFake) Read(_ context.Context, q provider.Query) (plan.State, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var s plan.State
	if q.ByID {
		for _, l := range q.Lookups {
			if o := t.objects[l.RemoteID]; o != nil {
				s.Objects = append(s.Objects, *o)
			}
		}
		return s, nil
	}
	if t.refuses != nil {
		return plan.State{}, t.refuses
	}
	for _, id := range slices.Sorted(maps.Keys(t.objects)) {
		o := *t.objects[id]
		o.Fields = o.Fields.Clone()
		if len(q.Lookups) > 0 && !slices.ContainsFunc(q.Lookups, func(l provider.Lookup) bool {
			return l.Ref == o.Ref || l.Address == o.Address ||
				slices.ContainsFunc(l.Groups, func(g provider.GroupRef) bool { return g.RemoteID == o.RemoteID })
		}) {
			continue
		}
		if o.Kind == directory.Group && o.Anchored() {
			o.Witness = fmt.Sprint(len(o.Members))
			o.Members = slices.Sorted(slices.Values(o.Members))
			if c := q.Groups[o.ID]; c.Holds(o.Witness, q.Now) {
				o.Members = c.Members
			} else {
				o.Listed = true
				t.listed++
			}
		}
		s.Objects = append(s.Objects, o)
	}
	return s, nil
}

func (t *tenantFake) Apply(_ context.Context, batch []plan.Change) []provider.Result {
	out := make([]provider.Result, len(batch))
	for i, c := range batch {
		if t.before != nil {
			t.before(c)
		}
		out[i] = t.one(c)
	}
	return out
}

func (t *tenantFake) one(c plan.Change) (r provider.Result) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.hook != nil {
		if err := t.hook(c, false); err != nil {
			return provider.Result{Err: err}
		}
	}
	r = t.effect(c)
	if t.hook != nil && r.Err == nil {
		if err := t.hook(c, true); err != nil {
			return provider.Result{Err: err}
		}
	}
	return r
}

func (t *tenantFake) effect(c plan.Change) provider.Result {
	o := t.objects[c.RemoteID]
	switch {
	case c.Op == plan.Create:
		for _, other := range t.objects {
			if other.Address == c.Address && other.Ref == c.Ref {
				return provider.Result{RemoteID: other.RemoteID}
			}
			if other.Address == c.Address {
				return provider.Result{Err: fault.Errorf(fault.Conflict, "%s is taken", c.Address)}
			}
		}
		t.next++
		o = &plan.Object{Ref: c.Ref, RemoteID: fmt.Sprintf("r%04d", t.next), Active: true, Address: c.Address}
		t.objects[o.RemoteID] = o
	case o == nil && (c.Op == plan.Delete || c.Op == plan.RemoveMember):
		return provider.Result{}
	case o == nil:
		return provider.Result{Err: fault.Errorf(fault.NotFound, "no object %q", c.RemoteID)}
	}
	for _, f := range c.Fields {
		if f.Name != plan.AddressField || c.Op == plan.Create {
			continue
		}
		for _, other := range t.objects {
			if other.Address == c.Address && other != o {
				return provider.Result{Err: fault.Errorf(fault.Conflict, "%s is taken", c.Address)}
			}
		}
		o.Address = c.Address
	}
	t.applied = append(t.applied, c.Op.String()+" "+c.Ref.String())
	switch c.Op {
	case plan.AddMember:
		if !slices.Contains(o.Members, c.MemberRemoteID) {
			o.Members = append(o.Members, c.MemberRemoteID)
		}
		return provider.Result{}
	case plan.RemoveMember:
		o.Members = slices.DeleteFunc(o.Members, func(m string) bool { return m == c.MemberRemoteID })
		return provider.Result{}
	case plan.Suspend:
		o.Active, o.Suspender = false, plan.Us
	case plan.Restore:
		o.Active, o.Suspender = true, plan.Nobody
	case plan.Delete:
		delete(t.objects, o.RemoteID)
	}
	for _, f := range c.Fields {
		if f.Name != plan.AddressField {
			o.Fields = o.Fields.Set(f.Name, f.After...)
		}
	}
	return provider.Result{RemoteID: o.RemoteID}
}

// picture returns the end state in a comparable form, without the ids that the tenant assigned.
func (t *tenantFake) picture() map[string]string {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := map[string]string{}
	for _, o := range t.objects {
		var members []string
		for _, m := range o.Members {
			if t.objects[m] == nil {
				members = append(members, "?"+m)
				continue
			}
			members = append(members, t.objects[m].Address)
		}
		slices.Sort(members)
		out[o.Address] += fmt.Sprintf("[%s active=%v by=%d %v %v]", o.Ref, o.Active, o.Suspender, o.Fields, members)
	}
	return out
}

// world is one hop with its fakes.
type world struct {
	source *sourceFake
	tenant *tenantFake
	// provider stands before the tenant. It may be nil.
	provider provider.Provider
	ledger   reconcile.Ledger
	gate     *gateFake
	said     *journalFake
	policy   plan.Policy
	now      time.Time
	// approval is require_approval. scope identifies scope and mapping.
	approval provider.Approval
	scope    string
	// names are the local parts of the addresses that differ from the entries' ids.
	names map[directory.Ref]string
}

// newLedger returns an empty ledger.
func newLedger(t testing.TB) *ledger.Redis {
	t.Helper()
	return ledger.NewRedis(redistest.Start(t), "google_workspace:1")
}

func newWorld(t testing.TB) *world {
	t.Helper()
	return &world{
		source: &sourceFake{}, tenant: newTenant(), ledger: newLedger(t), gate: &gateFake{}, said: &journalFake{},
		policy: plan.Policy{UserDeleteAction: plan.ActionSuspend, GroupDeleteAction: plan.ActionDoNothing,
			DeleteAfter: 720 * time.Hour},
		now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
	}
}

func (w *world) engine() *reconcile.Engine {
	return reconcile.New(reconcile.Config{
		Source: w.source, Provider: cmp.Or[provider.Provider](w.provider, w.tenant), Desire: w.desire,
		Ledger: w.ledger, Policy: w.policy, Approval: w.approval, Scope: w.scope, Sources: []string{"other"},
		Now: func() time.Time { return w.now },
	})
}

// desire is desire with the names of the world.
func (w *world) desire(s directory.Snapshot, state plan.State) (mapping.Result, error) {
	r, err := desire(s, state)
	for i := range r.Desired {
		if name := w.names[r.Desired[i].Ref]; name != "" {
			r.Desired[i].Address = name + "@example.com"
		}
	}
	return r, err
}

func (w *world) run(ctx context.Context, only ...directory.Ref) (reconcile.Report, error) {
	scope := reconcile.Full()
	if len(only) > 0 {
		scope = reconcile.Entries(only...)
	}
	return w.engine().Execute(ctx, w.runOf("run", scope))
}

func (w *world) runOf(id string, scope reconcile.Scope) reconcile.Run {
	return reconcile.Run{ID: id, Scope: scope, Lease: w.gate, Memory: w.gate, Journal: w.said}
}

func person(i int) directory.Entry {
	return directory.Entry{
		Kind: directory.User, ID: directory.ID(fmt.Sprintf("u%03d", i)), Source: "corp", Active: true,
		Attributes: directory.Attributes{{Name: directory.CommonName, Values: []string{fmt.Sprintf("Person %d", i)}}},
	}
}

func crew(i int, members ...int) directory.Entry {
	g := directory.Entry{
		Kind: directory.Group, ID: directory.ID(fmt.Sprintf("g%03d", i)), Source: "corp", Active: true,
		Attributes: directory.Attributes{{Name: directory.CommonName, Values: []string{fmt.Sprintf("Crew %d", i)}}},
	}
	for _, m := range members {
		g.Members = append(g.Members, ref(m))
	}
	return g
}

// company has ten people in three crews.
func company() []directory.Entry {
	var out []directory.Entry
	for i := range 10 {
		out = append(out, person(i))
	}
	return append(out, crew(0, 0, 1, 2, 3), crew(1, 2, 4, 6), crew(2, 9))
}

func ref(i int) directory.Ref {
	return directory.Ref{Kind: directory.User, ID: directory.ID(fmt.Sprintf("u%03d", i))}
}
