package reconcile_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"rollcall/directory"
	"rollcall/directory/store"
	"rollcall/internal/redistest"
	"rollcall/ledger"
	"rollcall/mapping"
	"rollcall/plan"
	"rollcall/reconcile"
)

// A provider that is only written by delta runs ends like one full run, also where whole groups enter or leave the
// group that limits the scope.
func TestDeltaRunsOfAProviderEndLikeAFullRun(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]mapping.Options{
		"everybody": {}, "a group that limits the scope": {FilterGroup: "Crew 0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(25) {
				followChanges(t, options, seed)
			}
		})
	}
}

// unlimited are guards that hold nothing for its number.
func unlimited() plan.DayLimits {
	all := plan.Limit{Share: 100, Least: 1000, Most: 1000}
	return plan.DayLimits{Leave: all, Reactivate: all, Rename: all, Members: plan.MemberLimit{Share: 100, Above: 1000}}
}

// newNearby returns a world with both hops on one Redis, and with fields besides the name.
func newNearby(t *testing.T, options mapping.Options, seed uint64, fields ...mapping.Field) *nearby {
	t.Helper()
	m, err := mapping.Compile(mapping.Spec{UserAddress: "mail", GroupAddress: "mail",
		User: append(fields, mapping.Field{Name: "name", Default: "cn"})}, options)
	if err != nil {
		t.Fatal(err)
	}
	rdb := redistest.Start(t)
	return &nearby{world: newWorld(t), T: t, rdb: rdb, mapping: m, moves: "pager", rng: rand.New(rand.NewPCG(seed, 7)),
		local: ledger.NewRedis(rdb, "ldap:corp"), limits: unlimited(),
		follow: ledger.NewRedis(rdb, "google_workspace:1")}
}

// A field that many people lose in several delta runs is measured against all people, as in a full run.
func TestEmptiedFieldsOfDeltaRunsAreMeasuredByTheWhole(t *testing.T) {
	t.Parallel()
	n := newNearby(t, mapping.Options{}, 1, mapping.Field{Name: "title", Default: "ldap.title"})
	for i := range 100 {
		e := person(i)
		e.Attributes = e.Attributes.Set(directory.Mail, fmt.Sprintf("p%d@example.com", i)).Set("title", "Clerk")
		n.source.snapshot.Entries = append(n.source.snapshot.Entries, e)
	}
	n.mirror()
	engine := n.engineOf(store.NewReader(n.part()))
	n.execute(engine, reconcile.Full())
	lose := func(from, to int) reconcile.Report {
		for i := from; i < to; i++ {
			e := &n.source.snapshot.Entries[i]
			e.Attributes = e.Attributes.Clone().Set("title")
		}
		n.mirror()
		return n.execute(engine, reconcile.Changed())
	}
	if r := lose(0, 20); len(r.Apply.Changes) != 20 || !r.Held.Empty() {
		t.Errorf("20 of 100 lose a title: %d applied, %d held, want all applied", len(r.Apply.Changes),
			len(r.Held.Changes))
	}
	if r := lose(20, 23); len(r.Held.Changes) != 3 || r.Held.Changes[0].Guard != plan.RuleEmptied {
		t.Errorf("3 more lose a title: %+v held, want 3 by the guard %s", r.Held.Changes, plan.RuleEmptied)
	}
}

// A delta run carries out an order to leave whose job failed, and looks at the account no more afterwards.
func TestADeltaRunSuspendsByOrder(t *testing.T) {
	t.Parallel()
	n := newNearby(t, mapping.Options{}, 1)
	for i := range 3 {
		e := person(i)
		e.Attributes = e.Attributes.Set(directory.Mail, fmt.Sprintf("p%d@example.com", i))
		n.source.snapshot.Entries = append(n.source.snapshot.Entries, e)
	}
	n.mirror()
	engine := n.engineOf(store.NewReader(n.part()))
	n.execute(engine, reconcile.Full())
	n.execute(engine, reconcile.Changed())
	n.gate.orders = []plan.Order{{Ref: ref(1), By: "grace", At: n.now}}
	n.execute(engine, reconcile.Changed())
	if got := n.tenant.suspended(); !slices.Equal(got, []string{string(ref(1).ID)}) {
		t.Errorf("the delta run suspended %v, want the ordered leaver", got)
	}
	said := len(n.said.messages)
	n.execute(engine, reconcile.Changed())
	if got := n.said.messages[said:]; !slices.Equal(got, []string{"Nothing changed, and nothing is still open."}) {
		t.Errorf("another delta run says %q, want that nothing is open", got)
	}
}

// followChanges changes a directory at random, and its provider by delta runs.
func followChanges(t *testing.T, options mapping.Options, seed uint64) {
	t.Helper()
	n := newNearby(t, options, seed)
	for i := range 14 {
		e := person(i)
		e.Attributes = e.Attributes.Set(directory.Mail, fmt.Sprintf("p%d@example.com", i))
		n.source.snapshot.Entries = append(n.source.snapshot.Entries, e)
	}
	for i, g := range []directory.Entry{crew(0, 0, 1, 2, 3), crew(1, 2, 4, 6), crew(2, 9, 10)} {
		g.Attributes = g.Attributes.Set(directory.Mail, fmt.Sprintf("crew%d@example.com", i))
		n.source.snapshot.Entries = append(n.source.snapshot.Entries, g)
	}
	n.mirror()
	reader := store.NewReader(n.part())
	n.execute(n.engineOf(reader), reconcile.Full())
	for round := range 12 {
		n.churn()
		n.resolve()
		n.mirror()
		report := n.execute(n.engineOf(reader), reconcile.Changed())
		if slices.ContainsFunc(report.Held.Changes, func(c plan.Change) bool {
			return c.Guard == plan.RuleHalf || c.Guard == plan.RuleEmpty
		}) { // Most of this small tenant would go, or less than most after this run's creations.
			n.gate.verdicts = approved(report.Held)
			n.execute(n.engineOf(reader), reconcile.Full())
			continue
		}
		if report := n.execute(n.engineOf(reader), reconcile.Full().DryRun()); len(report.Apply.Changes) > 0 {
			t.Fatalf("seed %d, round %d: a full run after the delta run still plans\n%s", seed, round, planText(report.Apply))
		}
		n.now = n.now.Add(time.Hour)
	}
}

// resolve drops the members that no entry has, as a directory does.
func (n *nearby) resolve() {
	has := map[directory.Ref]bool{}
	for i := range n.source.snapshot.Entries {
		has[n.source.snapshot.Entries[i].Ref()] = true
	}
	for i := range n.source.snapshot.Entries {
		e := &n.source.snapshot.Entries[i]
		e.Members = slices.DeleteFunc(slices.Clone(e.Members), func(m directory.Ref) bool { return !has[m] })
	}
}

// approved approves what is held.
func approved(held plan.Plan) map[string]plan.Verdict {
	out := map[string]plan.Verdict{}
	for i := range held.Changes {
		out[held.Changes[i].Fingerprint()] = plan.Approved
	}
	return out
}

func planText(p plan.Plan) (text string) {
	for i := range p.Changes {
		c := &p.Changes[i]
		text += fmt.Sprintf("%s %s %v %v %v %s\n", c.Op, c.Ref, c.Member, c.Address, c.Fields, c.Why)
	}
	return text
}
