package reconcile_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/redis/go-redis/v9"

	"rollcall/directory"
	"rollcall/directory/store"
	"rollcall/internal/redistest"
	"rollcall/ledger"
	"rollcall/mapping"
	"rollcall/plan"
	"rollcall/reconcile"
	"rollcall/source"
)

// readsAll hides that a source can read neighbourhoods.
type readsAll struct {
	source.Source
	source.Versioner
}

// nearby is a world with a real local directory, of which the content is the snapshot of its source.
type nearby struct {
	*world
	*testing.T
	local   reconcile.Ledger
	rdb     *redis.Client
	mapping *mapping.Mapping
	// moves is the attribute that people take from each other. Claims are as old as the last full run, so it is none
	// that only claims tell.
	moves string
	runs  int
	rng   *rand.Rand
	// follow has what is pending at the provider. It is nil where no delta run is made.
	follow *ledger.Redis
	limits plan.DayLimits
}

func (n *nearby) part() *store.Part {
	return store.New(store.Config{Redis: n.rdb, Slug: "corp", Now: func() time.Time { return n.now }})
}

func (n *nearby) engineOf(s source.Source) *reconcile.Engine {
	cfg := reconcile.Config{
		Source: s, Provider: n.tenant, Ledger: n.ledger, Policy: n.policy, Now: func() time.Time { return n.now },
		Within: n.mapping.FilterGroup(), Scope: n.mapping.Digest(), Limits: plan.Limits{DayLimits: n.limits},
		Desire: func(s directory.Snapshot, state plan.State) (mapping.Result, error) {
			return n.mapping.Desire(mapping.Input{Snapshot: s, Domains: state.Domains})
		},
	}
	if n.follow != nil {
		cfg.Pending, cfg.Local = n.follow, store.NewReader(n.part())
	}
	return reconcile.New(cfg)
}

func (n *nearby) execute(e *reconcile.Engine, scope reconcile.Scope) reconcile.Report {
	n.Helper()
	n.runs++
	r, err := e.Execute(n.Context(), n.runOf(fmt.Sprint("run", n.runs), scope))
	if err != nil {
		n.Fatalf("run %d: %v", n.runs, err)
	}
	return r
}

// mirror makes the local directory what the source has.
func (n *nearby) mirror() reconcile.Report {
	n.Helper()
	var followers []reconcile.Follower
	if n.follow != nil {
		followers = append(followers, reconcile.Follower{Pending: n.follow, Within: n.mapping.FilterGroup() != ""})
	}
	return n.execute(reconcile.New(reconcile.Config{
		Source: n.source, Provider: n.part(), Ledger: n.local, Now: func() time.Time { return n.now },
		Limits: plan.Limits{DayLimits: n.limits}, Followers: followers, Local: store.NewReader(n.part()),
		Desire: func(s directory.Snapshot, _ plan.State) (mapping.Result, error) {
			return mapping.Result{Desired: store.Desired(s)}, nil
		},
	}), reconcile.Full())
}

// churn makes a few random changes of the source. People join, leave, are disabled, take each other's addresses, get
// new ids, and move between groups, some of which are nested.
func (n *nearby) churn() {
	var out []directory.Entry
	for _, e := range n.source.snapshot.Entries {
		e.Attributes = e.Attributes.Clone()
		switch {
		case e.Kind == directory.Group:
			e.Members = slices.DeleteFunc(slices.Clone(e.Members), func(directory.Ref) bool { return n.rng.IntN(6) == 0 })
			if n.rng.IntN(2) == 0 {
				e.Members = append(e.Members, ref(n.rng.IntN(14)))
			}
			if n.rng.IntN(6) == 0 {
				id := directory.ID(fmt.Sprintf("g%03d", n.rng.IntN(3)))
				e.Members = append(e.Members, directory.Ref{Kind: directory.Group, ID: id})
			}
			slices.SortFunc(e.Members, directory.Ref.Compare)
			e.Members = slices.Compact(e.Members)
		case n.rng.IntN(8) == 0:
			e.Active = !e.Active
		case n.rng.IntN(8) == 0:
			e.Attributes = e.Attributes.Set(n.moves, fmt.Sprintf("p%d@example.com", n.rng.IntN(14)))
		case n.rng.IntN(10) == 0: // It is created again.
			e.ID = directory.ID(fmt.Sprintf("u%03d", 100+n.rng.IntN(100)))
			if n.rng.IntN(2) == 0 {
				e.Attributes = e.Attributes.Set("alias", "new-"+string(e.ID)).Set(directory.Mail, "new-"+string(e.ID)+
					"@example.com")
			}
		case n.rng.IntN(12) == 0:
			continue
		}
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b directory.Entry) int { return a.Ref().Compare(b.Ref()) })
	n.source.snapshot.Entries = slices.CompactFunc(out, func(a, b directory.Entry) bool { return a.Ref() == b.Ref() })
}

// TestSingleEntriesAreDecidedAsOverTheWhole compares the plans for single entries that are made from neighbourhoods
// with those that are made from the whole local directory and ledger.
func TestSingleEntriesAreDecidedAsOverTheWhole(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]mapping.Options{
		"addresses that no name tells": {User: map[string]string{plan.AddressField: `ldap.alias + "@example.com"`},
			RekeyBy: "badge"},
		"mail, a group that limits the scope": {FilterGroup: "Crew 0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			planned := 0
			moves := directory.Mail
			if options.RekeyBy != "" {
				moves = "pager"
			}
			for seed := range uint64(3) {
				planned += compareSingle(t, options, moves, seed)
			}
			if planned == 0 {
				t.Error("no plan had a change")
			}
		})
	}
}

func compareSingle(t *testing.T, options mapping.Options, moves string, seed uint64) (planned int) {
	t.Helper()
	m, err := mapping.Compile(mapping.Spec{UserAddress: "mail", GroupAddress: `cn + "@example.com"`,
		User: []mapping.Field{{Name: "name", Default: "cn"}}}, options)
	if err != nil {
		t.Fatal(err)
	}
	local := newWorld(t).ledger
	n := &nearby{world: newWorld(t), local: local, T: t, rdb: redistest.Start(t), mapping: m, moves: moves,
		rng: rand.New(rand.NewPCG(seed, 5))}
	for i := range 14 {
		e := person(i)
		e.Attributes = e.Attributes.Set("alias", fmt.Sprint("alias", i)).Set("badge", fmt.Sprint("b", i)).
			Set(directory.Mail, fmt.Sprintf("p%d@example.com", i)).Set(directory.EmployeeNumber, fmt.Sprint(i))
		n.source.snapshot.Entries = append(n.source.snapshot.Entries, e)
	}
	n.source.snapshot.Entries = append(n.source.snapshot.Entries, crew(0, 0, 1, 2, 3, 5, 8, 9), crew(1, 2, 4, 6),
		crew(2, 9))
	for round := range 5 {
		n.mirror()
		reader := store.NewReader(n.part())
		whole, near := n.engineOf(readsAll{reader, reader}), n.engineOf(reader)
		if round > 0 {
			for i := range n.source.snapshot.Entries {
				planned += n.compare(whole, near, n.source.snapshot.Entries[i].Ref())
			}
			if moves == directory.Mail { // The heir of an entry that left may be told by claims only.
				planned += n.compare(whole, near, ref(n.rng.IntN(14)))
			}
		}
		if round%2 == 0 {
			n.execute(near, reconcile.Full())
		}
		n.churn()
		n.now = n.now.Add(time.Hour)
	}
	return planned
}

// compare plans one entry in both ways, as an object job and as an explanation do.
func (n *nearby) compare(whole, near *reconcile.Engine, of directory.Ref) int {
	n.Helper()
	want := n.execute(whole, reconcile.Entries(of).DryRun())
	got := n.execute(near, reconcile.Entries(of).DryRun())
	pick := func(r reconcile.Report) []any {
		return []any{r.Apply.Changes, r.Held.Changes, r.Apply.Held, r.Apply.Notes, r.Apply.Doubts}
	}
	if diff := cmp.Diff(pick(want), pick(got), cmpopts.EquateEmpty()); diff != "" {
		n.Errorf("the plan for %s (-whole +near):\n%s", of, diff)
	}
	a := whole.Explain(n.Context(), of, n.gate, 0, reconcile.Waiting{})
	b := near.Explain(n.Context(), of, n.gate, 0, reconcile.Waiting{})
	show := func(x reconcile.Explanation) []any {
		var groups []directory.ID
		for _, g := range x.Groups {
			groups = append(groups, g.ID)
		}
		return []any{fmt.Sprintf("%+v", x.Apply.Changes), x.Held.Changes, x.Apply.Held, x.Link, x.Entry, x.Departure,
			x.Finding, x.OutOfScope,
			x.Desired, groups, x.Objects, x.Apply.Tombstones, fmt.Sprint(x.Unproven, x.SourceErr, x.RemoteErr)}
	}
	if diff := cmp.Diff(show(a), show(b), cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(plan.Tombstone{})); diff != "" {
		n.Errorf("the explanation of %s (-whole +near):\n%s", of, diff)
	}
	return len(want.Apply.Changes) + len(want.Apply.Held)
}
