package simulate

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"rollcall/container"
	"rollcall/directory"
	"rollcall/directory/store"
	"rollcall/explain"
	"rollcall/jobs"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/reconcile"
	"rollcall/source"
)

// TestExplanationsForetellTheNextRun carries out histories without faults. Then it explains every entry and carries out
// the next full run of the provider, which must do what the explanations say.
func TestExplanationsForetellTheNextRun(t *testing.T) {
	began := event{what: "sync source", then: time.Minute}
	for name, h := range map[string]history{
		"a member of a new group leaves": {
			setup{people: 2, groups: 1, skews: []time.Duration{0}}, []event{began, {what: "leave", then: time.Second}},
		},
		"a group is new": {
			setup{people: 2, groups: 1, skews: []time.Duration{0}}, []event{began, {what: "add group", b: 1, then: time.Second}},
		},
		"more leave than may": {
			setup{people: 24, groups: 1, skews: []time.Duration{0}},
			[]event{began, {what: "crowd is disabled", then: time.Second}},
		},
		"more come back than may": {
			setup{people: 9, groups: 1, skews: []time.Duration{0}}, []event{
				began, {what: "disable", a: 0, then: time.Minute}, {what: "disable", a: 1, then: time.Minute},
				{what: "disable", a: 3, then: 26 * time.Hour}, {what: "disable", a: 6, then: 26 * time.Hour},
				{what: "crowd returns", a: 0, then: time.Second}, {what: "return", a: 1, then: time.Second},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { h.foretell(t) })
		})
	}
	defer fewer(4)()
	rapid.Check(t, func(rt *rapid.T) {
		h := drawCalm(rt)
		rapid.SyncTest(rt, func(rt *rapid.T) { h.foretell(rt) })
	})
}

// fewer has rapid.Check draw a share of the histories until it is undone.
func fewer(share int) (undo func()) {
	f := flag.Lookup("rapid.checks")
	all := f.Value.String()
	if n, err := strconv.Atoi(all); err == nil {
		_ = f.Value.Set(strconv.Itoa(max(1, n/share)))
	}
	return func() { _ = f.Value.Set(all) }
}

// calm are the events of these histories, which are what people do in the directory and in the tenant, without faults
// of machines.
var calm = []string{
	"nothing", "hire", "leave", "disable", "return", "rename", "swap", "re-create", "change title", "join", "quit",
	"add group", "rename group", "sync source", "sync provider", "sync person", "approve all", "approve part", "reject",
	"undo", "order to leave", "lift order", "lift pins", "refuse", "suspend abroad", "activate abroad", "delete abroad",
	"change scope",
	"older server", "incomplete read", "empty redis",
	"crowd leaves", "crowd is disabled", "crowd returns", "crowd is renamed", "titles are hidden",
}

// doubtful are the answers of the directory that come with an event.
var doubtful = map[string][]hazard{
	"older server":    {{place: atSource + " " + stale, kind: stale, nth: 1, calls: 1}},
	"incomplete read": {{place: atSource + " " + short, kind: short, nth: 1, calls: 1}},
}

// crowds are events that concern a third of the people.
var crowds = map[string]func(c *company, i int){
	"crowd leaves":      func(c *company, i int) { c.people[i].present = false },
	"crowd is disabled": func(c *company, i int) { c.people[i].active = false },
	"crowd returns":     func(c *company, i int) { c.people[i].present, c.people[i].active = true, true },
	"crowd is renamed":  func(c *company, i int) { c.people[i].name = "y" + c.people[i].name },
}

func init() { //nolint:gochecknoinits // The table of events is one.
	for name, do := range crowds {
		happen[name] = func(_ *sim, c *company, a, _ int) {
			for i := a % 3; i < len(c.people); i += 3 {
				do(c, i)
			}
		}
	}
	happen["activate abroad"] = func(s *sim, c *company, a, _ int) {
		s.tenant.each(c.people[a].id, func(acc *account) {
			if acc.Active = true; acc.Suspender != plan.Us { // Our mark stays.
				acc.Suspender = plan.Nobody
			}
		})
	}
	happen["delete abroad"] = func(s *sim, c *company, a, _ int) {
		s.tenant.each(c.people[a].id, func(acc *account) {
			acc.deleted = time.Now()
			for _, g := range s.tenant.accounts {
				delete(g.members, acc.RemoteID)
			}
		})
	}
	happen["older server"], happen["incomplete read"] = happen["sync source"], happen["sync source"]
	happen["titles are hidden"] = func(_ *sim, c *company, _, _ int) {
		for i := range c.people {
			c.people[i].title = ""
		}
	}
}

func drawCalm(t *rapid.T) history {
	h := history{setup: setup{
		people: rapid.SampledFrom([]int{2, 6, 9, 24}).Draw(t, "people"), groups: rapid.IntRange(1, 3).Draw(t, "groups"),
		marks: rapid.Bool().Draw(t, "marks"), deletes: rapid.Bool().Draw(t, "deletes"),
		delta: rapid.Bool().Draw(t, "delta"), skews: []time.Duration{0},
		covers: rapid.Bool().Draw(t, "covers"),
		approval: rapid.SampledFrom([]provider.Approval{provider.ApprovalGuard, provider.ApprovalGuard,
			provider.ApprovalFirstRun, provider.ApprovalAlways}).Draw(t, "approval"),
	}}
	h.events = append(h.events, event{what: "sync source", then: time.Minute})
	h.events = append(h.events, rapid.SliceOfN(rapid.Custom(func(t *rapid.T) event {
		what := rapid.SampledFrom(calm).Draw(t, "what")
		return event{
			what: what, hazards: doubtful[what], a: rapid.IntRange(0, 23).Draw(t, "a"),
			b: rapid.IntRange(0, 11).Draw(t, "b"),
			then: rapid.SampledFrom([]time.Duration{time.Second, time.Second, 20 * time.Second, time.Minute, 11 * time.Minute,
				26 * time.Hour, 31 * day}).Draw(t, "then"),
		}
	}), 1, 10).Draw(t, "events")...)
	return h
}

// foretell carries out a history, and compares the explanations with the run after it.
func (h history) foretell(t reporter) {
	s := newSim(h.setup)
	defer s.close()
	for _, e := range h.events {
		s.carryOut(e)
	}
	if err := s.foretold(); err != nil {
		s.report(t, h)
		t.Fatalf("%v", err)
	}
}

// foretold stops the workers, reads the directory, explains every entry, and carries out the run of the provider.
func (s *sim) foretold() error {
	s.quiet()
	for len(s.workers) > 0 {
		s.dismiss(0, false)
	}
	p := s.newProcess("examiner", 0)
	defer p.end()
	engines := map[container.ID]*reconcile.Engine{}
	for _, c := range p.containers() {
		engines[c.Name] = c.Engine()
	}
	run := func(c container.ID) (reconcile.Report, error) {
		return engines[c].Execute(s.ctx(), reconcile.Run{ID: "examiner", Scope: reconcile.Full(), Lease: free{},
			Memory: p.memory(c), Journal: noJournal{}})
	}
	if _, err := run(corp); err != nil {
		s.note("the source: %v", err) // The provider goes on with the copy of before.
	}
	x := explain.New(p.explained())
	docs := map[directory.Ref]explain.Provider{}
	for _, ref := range s.everyone() {
		doc, err := x.Explain(s.ctx(), explain.Query{By: explain.ByID, Value: string(ref.ID)})
		if err != nil {
			return fmt.Errorf("explain %s: %w", ref, err)
		}
		if len(doc.Providers) == 1 {
			docs[ref] = doc.Providers[0]
		}
	}
	before := s.tenant.pictures()
	report, err := run(cloud)
	var wrong []error
	for _, ref := range slices.SortedFunc(maps.Keys(docs), directory.Ref.Compare) {
		d := docs[ref]
		if bad := s.compare(ref, &d, &report, err, before); bad != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w\n\t%s: %s", ref, bad, d.Code, d.Verdict))
		}
	}
	return errors.Join(wrong...)
}

// compare returns where an explanation and the run after it differ.
func (s *sim) compare(ref directory.Ref, d *explain.Provider, r *reconcile.Report, err error, before pictures) error {
	if err != nil {
		if len(d.Next) > 0 {
			return fmt.Errorf("the run fails: %w", err)
		}
		return nil
	}
	foretold, done := map[string]string{}, map[string]string{}
	var held, applied, waits, unmade bool // of the entry itself, and of a membership
	for _, row := range d.Next {
		if (row.Kind == plan.RowChange || row.Kind == plan.RowHeld) && about(&row.Change, ref) {
			foretold[told(&row.Change)] = ruleOf(&row.Change)
		}
	}
	for _, list := range [][]plan.Change{r.Apply.Changes, r.Held.Changes} {
		for i := range list {
			c := &list[i]
			if about(c, ref) && c.Op == plan.AddMember && c.Ref != ref && c.RemoteID == "" ||
				c.Ref == ref && c.Op == plan.AddMember && c.MemberRemoteID == "" {
				unmade, waits = true, waits || c.Guard != ""
				delete(foretold, told(c)) // The ledger has an account that others deleted.
			} else if about(c, ref) && !renewed(r, c) {
				done[told(c)] = ruleOf(c)
				held, waits = held || c.Guard != "" && c.Ref == ref, waits || c.Guard != ""
				applied = applied || c.Guard == "" && c.Ref == ref
			}
		}
	}
	switch plan.Reason(d.Reason) {
	case plan.RecreatedEntry:
		return offered(done)
	case plan.AddressKept: // It depends on another account, as the verdict says.
		return nil
	}
	maybe := strings.Contains(d.Verdict, "if many of them change alike")
	if maybe {
		maps.DeleteFunc(done, func(_, rule string) bool { return slices.Contains(alike, plan.Rule(rule)) })
		maps.DeleteFunc(foretold, func(what, _ string) bool { _, is := done[what]; return !is })
	}
	if d.Code == explain.Held && held && slices.Contains(slices.Collect(maps.Values(done)), ruleOf(&plan.Change{
		Guard: plan.Rule(d.Reason)})) {
		return nil
	}
	if !maps.Equal(foretold, done) {
		return fmt.Errorf("foretold %v, done %v; in conflict: %v", foretold, done, slices.DeleteFunc(
			slices.Clone(r.Apply.Held), func(x plan.Held) bool { return x.Ref != ref }))
	}
	switch {
	case maybe:
	case unmade && d.Code == explain.InStep:
		return errors.New("it joins a group, or gets a member, that is not there yet")
	case d.Code == explain.Held && !waits,
		held && d.Code != explain.Held && d.Code != explain.Conflict && ref.Kind == directory.User:
		return fmt.Errorf("held: %v", held)
	case strings.Contains(d.Verdict, "the next run would suspend") && !applied:
		return errors.New("the next run did not")
	case !applied && ref.Kind == directory.User && !before.same(s, ref):
		return errors.New("its account changed")
	}
	return nil
}

// renewed reports whether a held change concerns a member whose account waits to be re-anchored, as its own explanation
// says.
func renewed(r *reconcile.Report, c *plan.Change) bool {
	return c.Guard != "" && c.Op == plan.AddMember && slices.ContainsFunc(r.Held.Changes, func(o plan.Change) bool {
		return o.Op == plan.Reanchor && o.Ref == *c.Member
	})
}

// alike are the rules about changes that many entries have at once, which only a read of the whole tenant tells.
var alike = []plan.Rule{plan.RuleRename, plan.RuleEmptied, plan.RuleMembers, plan.RuleFollows}

// offered returns an error unless a run holds everything about an entry.
func offered(done map[string]string) error {
	for what, rule := range done {
		if rule == "" {
			return fmt.Errorf("%s was carried out", what)
		}
	}
	return nil
}

// about reports whether a change is one of the entry. A membership is one of the group and of the member.
func about(c *plan.Change, ref directory.Ref) bool {
	return c.Ref == ref || c.Member != nil && *c.Member == ref
}

// ruleOf returns the rule that holds a change. Of the rules about many departures, which one names it depends on exact
// counts of all.
func ruleOf(c *plan.Change) string {
	if c.Guard == plan.RuleHalf || c.Guard == plan.RuleEmpty {
		return string(plan.RuleLimit)
	}
	return string(c.Guard)
}

func told(c *plan.Change) string {
	text := c.Op.String() + " " + c.Ref.String()
	if c.Member != nil {
		text += " " + c.Member.String()
	}
	for _, f := range c.Fields {
		text += fmt.Sprintf(" %s=%v", f.Name, f.After)
	}
	return text
}

// pictures are what the accounts look like.
type pictures map[string]string

func (t *tenant) pictures() pictures {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := pictures{}
	for id, a := range t.accounts {
		out[id] = t.picture(a)
	}
	return out
}

func (p pictures) same(s *sim, ref directory.Ref) bool {
	now := s.tenant.pictures()
	for id, a := range s.tenant.accounts {
		if a.Ref == ref && now[id] != p[id] {
			return false
		}
	}
	return true
}

// everyone returns the users and groups that the directory ever had.
func (s *sim) everyone() []directory.Ref {
	all := map[directory.Ref]bool{}
	for id := range s.past.souls {
		all[directory.Ref{Kind: directory.User, ID: id}] = true
	}
	for _, g := range s.past.now().groups {
		all[directory.Ref{Kind: directory.Group, ID: g.id}] = true
	}
	return slices.SortedFunc(maps.Keys(all), directory.Ref.Compare)
}

// free is the lease of the only run.
type free struct{}

func (free) Check(context.Context) error { return nil }
func (free) Lock(context.Context, string) (func(), bool, error) {
	return func() {}, true, nil
}
func (free) Draining() <-chan struct{} { return nil }

// explained is what an explainer has in this company.
func (p *process) explained() explain.Config {
	part := store.New(store.Config{Redis: p.rdb, Slug: "corp", Now: p.clock.Now})
	m := mappings()[0]
	if p.staff {
		m = mappings()[1]
	}
	engine := p.containers()[1].Engine
	return explain.Config{
		Decisions: p.decisions, Memory: p.memory,
		AnchorID: func(string) directory.ID { return "" }, IsDN: func(string) bool { return false },
		Sources: []explain.SourceAccess{{
			Container: corp, Enabled: true, Entry: part.Entry,
			Copy: func(context.Context) (explain.Copy, error) { return explain.Copy{Completed: true}, nil },
			Find: func(ctx context.Context, kind directory.Kind, text string) (refs []directory.Ref, err error) {
				found, err := store.NewReader(part).Find(ctx, kind, text)
				for _, m := range found {
					refs = append(refs, m.Ref)
				}
				return refs, err
			},
			Locate: func(context.Context, source.Wanted) (*source.Location, error) { return &source.Location{}, nil },
		}},
		Providers: []explain.ProviderAccess{{
			Container: cloud, On: true, Policy: p.sim.policy, Sources: []string{"corp"}, Mapping: m,
			Open: func() (func() *reconcile.Engine, error) { return engine, nil },
		}},
	}
}

func (p *process) memory(c container.ID) reconcile.Memory { return jobs.NewMemory(p.decisions, c) }
