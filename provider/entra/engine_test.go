package entra_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"rollcall/directory"
	"rollcall/internal/redistest"
	"rollcall/ledger"
	"rollcall/mapping"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/reconcile"
)

// hop is a whole second hop, with the engine and the mapping between a directory of the test and the simulated
// tenant.
type hop struct {
	*world
	engine *reconcile.Engine
	ledger *ledger.Redis
	people *people
	gate   *gate
	said   *journal
}

// newLedger returns an empty ledger.
func newLedger(t *testing.T) *ledger.Redis {
	t.Helper()
	return ledger.NewRedis(redistest.Start(t), "microsoft_entra:1")
}

func openHop(t *testing.T, s setup) *hop {
	t.Helper()
	h := &hop{world: open(t, s), ledger: newLedger(t), people: &people{}, gate: &gate{}, said: &journal{}}
	h.restart()
	return h
}

// restart simulates another process, which has only the ledger and the cache.
func (h *hop) restart() {
	h.t.Helper()
	h.world.restart()
	m, err := h.cfg.Mapping()
	if err != nil {
		h.t.Fatal(err)
	}
	without := plan.Limit{Least: 1 << 20, Most: 1 << 20} // The brakes are not under test.
	h.engine = reconcile.New(reconcile.Config{
		Source: h.people, Provider: h.Provider, Ledger: h.ledger, Now: h.clock.Now,
		Policy: plan.Policy{UserDeleteAction: plan.ActionDelete, GroupDeleteAction: plan.ActionDelete,
			DeleteAfter: 24 * time.Hour},
		Limits: plan.Limits{DayLimits: plan.DayLimits{Leave: without, Reactivate: without, Rename: without,
			Members: plan.MemberLimit{Share: 100}}},
		Desire: func(s directory.Snapshot, state plan.State) (mapping.Result, error) {
			return m.Desire(mapping.Input{Snapshot: s, Domains: state.Domains})
		},
	})
}

func (h *hop) run(only ...directory.Ref) (reconcile.Report, error) {
	scope := reconcile.Full()
	if len(only) > 0 {
		scope = reconcile.Entries(only...)
	}
	return h.engine.Execute(h.t.Context(), reconcile.Run{ID: "run", Scope: scope, Lease: h.gate, Journal: h.said})
}

// must runs, and every change must succeed.
func (h *hop) must(only ...directory.Ref) reconcile.Report {
	h.t.Helper()
	r, err := h.run(only...)
	if err != nil || r.Failed > 0 {
		h.t.Fatalf("run: %v, %d changes failed: %q", err, r.Failed, h.said.errors)
	}
	return r
}

// people is a directory.
type people struct {
	mu      sync.Mutex
	entries []directory.Entry
	gone    []directory.Departure
}

func (p *people) Read(context.Context, directory.Query) (directory.Snapshot, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := directory.Snapshot{Entries: slices.Clone(p.entries), Departed: slices.Clone(p.gone),
		Versions: map[directory.Ref]string{}}
	slices.SortFunc(s.Entries, func(a, b directory.Entry) int { return a.Ref().Compare(b.Ref()) })
	for i := range s.Entries {
		s.Versions[s.Entries[i].Ref()] = s.Entries[i].Digest()
	}
	return s, nil
}

func (p *people) Version(_ context.Context, _ string, ref directory.Ref) (string, time.Time, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.entries {
		if p.entries[i].Ref() == ref {
			return p.entries[i].Digest(), time.Time{}, nil
		}
	}
	return "", time.Time{}, nil
}

// id returns an ID in the form that directories use.
func id(n int) directory.ID { return directory.ID(fmt.Sprintf("5f3a1c9e-7b42-4d60-9e11-%012d", n)) }

func person(n int) directory.Entry {
	name := fmt.Sprintf("person%05d", n)
	return directory.Entry{
		Kind: directory.User, ID: id(n), Source: "corp", Active: true,
		Attributes: directory.Attributes{
			{Name: directory.CommonName, Values: []string{name}}, {Name: directory.FamilyName, Values: []string{"Smith"}},
			{Name: directory.GivenName, Values: []string{name}}, {Name: directory.Mail, Values: []string{name + "@example.com"}},
		},
	}
}

// crew returns a group of the persons with those numbers. Groups have other numbers than persons.
func crew(n int, members ...int) directory.Entry {
	e := directory.Entry{
		Kind: directory.Group, ID: id(1_000_000 + n), Source: "corp", Active: true,
		Attributes: directory.Attributes{{Name: directory.CommonName, Values: []string{fmt.Sprintf("crew %d", n)}}},
	}
	for _, m := range members {
		e.Members = append(e.Members, user(id(m)))
	}
	slices.SortFunc(e.Members, directory.Ref.Compare)
	return e
}

// gate allows everything.
type gate struct{}

func (gate) Check(ctx context.Context) error { return ctx.Err() }
func (gate) Lock(ctx context.Context, _ string) (func(), bool, error) {
	return func() {}, true, ctx.Err()
}
func (gate) Draining() <-chan struct{} { return nil }

// journal keeps the failures.
type journal struct {
	mu     sync.Mutex
	errors []string
}

func (j *journal) Read(int, int, int)                                  {}
func (j *journal) Planned(context.Context, plan.Plan, plan.Plan) error { return nil }
func (j *journal) Done(*plan.Change, provider.Result)                  {}
func (j *journal) Applied(*reconcile.Report, error)                    {}
func (j *journal) Say(level reconcile.Level, event string, about map[string]any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if level == reconcile.Error || level == reconcile.Warning {
		j.errors = append(j.errors, fmt.Sprint(event, " ", about))
	}
}
