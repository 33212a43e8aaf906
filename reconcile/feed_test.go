package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
	"rollcall/directory/store"
	"rollcall/fault"
	"rollcall/ledger"
	"rollcall/mapping"
	"rollcall/plan"
	"rollcall/reconcile"
	"rollcall/source"
)

// feedFake is a source that tells its changes.
type feedFake struct {
	entries  []directory.Entry
	findings []directory.Finding
	at       directory.Position // of reads
	told     source.Changes
	// lacks are the people that full reads lack. Searches for single entries are noted, and end with found.
	lacks   []directory.Ref
	asked   [][]directory.Ref
	found   error
	foundAt directory.Position // of searches, where it differs
}

func (f *feedFake) Read(_ context.Context, q directory.Query) (directory.Snapshot, error) {
	s := directory.Snapshot{Position: f.at, Versions: map[directory.Ref]string{}, Findings: f.findings}
	lacks := func(ref directory.Ref) bool { return q.All() && slices.Contains(f.lacks, ref) }
	for _, e := range f.entries {
		if !lacks(e.Ref()) && (q.All() || slices.Contains(q.Refs, e.Ref())) {
			e.Members = slices.DeleteFunc(slices.Clone(e.Members), lacks)
			s.Entries, s.Versions[e.Ref()] = append(s.Entries, e), e.Digest()
		}
	}
	if q.All() {
		return s, nil
	}
	if !f.foundAt.IsZero() {
		s.Position = f.foundAt
	}
	f.asked = append(f.asked, q.Refs)
	return s, f.found
}

func (f *feedFake) Changes(context.Context, source.Cursor) (source.Changes, error) {
	return f.told, nil
}

func (f *feedFake) Holders(context.Context, []directory.Entry) ([]directory.Ref, error) {
	return nil, nil
}

// change is the number of the last change of the only server.
func change(n string) directory.Position {
	return directory.Position{Server: "dc1", Seen: map[string]string{"dc1": n}}
}

// refusing does not take pending entries while it is told so.
type refusing struct {
	*ledger.Redis
	err error
}

func (r *refusing) Add(ctx context.Context, refs ...directory.Ref) error {
	if r.err != nil {
		return r.err
	}
	return r.Redis.Add(ctx, refs...)
}

// fed is the first hop over a feed, after a full run at change 5.
type fed struct {
	*nearby
	feed    *feedFake
	links   *ledger.Redis
	pending *refusing
	engine  *reconcile.Engine
}

func newFed(t *testing.T) *fed {
	t.Helper()
	n := newNearby(t, mapping.Options{}, 1)
	links := ledger.NewRedis(n.rdb, "ldap:corp")
	f := &fed{nearby: n, links: links, pending: &refusing{Redis: links}, feed: &feedFake{
		at:   change("5"),
		told: source.Changes{Next: source.Cursor{Scope: "all", Position: change("5")}},
	}}
	for i := range 10 {
		f.feed.entries = append(f.feed.entries, person(i))
	}
	f.engine = f.limited(unlimited())
	f.execute(f.engine, reconcile.Full())
	f.feed.told.Next.Position = change("6")
	f.feed.at = change("6")
	return f
}

// limited returns an engine with these limits.
func (f *fed) limited(limits plan.DayLimits) *reconcile.Engine {
	return reconcile.New(reconcile.Config{
		Source: f.feed, Provider: f.part(), Ledger: f.links, Pending: f.pending, Local: store.NewReader(f.part()),
		Limits: plan.Limits{DayLimits: limits}, Now: func() time.Time { return f.now },
		Desire: func(s directory.Snapshot, _ plan.State) (mapping.Result, error) {
			return mapping.Result{Desired: store.Desired(s)}, nil
		},
	})
}

func (f *fed) facts() ledger.Facts {
	f.Helper()
	facts, err := f.links.Facts(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	return facts
}

// Several servers may stand behind one name, and the one that is read may lack the changes that another one told.
func TestEntriesComeFromAServerWithTheChanges(t *testing.T) {
	t.Parallel()
	f := newFed(t)
	f.feed.at, f.feed.told.Refs = change("5"), []directory.Ref{ref(0)}
	_, err := f.engine.Execute(t.Context(), f.runOf("delta", reconcile.Changed()))
	if fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "another one") {
		t.Errorf("Execute() = %v, want an error about another server", err)
	}
	if got := f.facts().Cursor.Position.Seen["dc1"]; got != "5" {
		t.Errorf("the cursor moved to %s", got)
	}
}

// Active Directory changes the DN values that lead to a renamed or deleted entry, and tells no change of their entries.
func TestValuesThatFollowAnEntryWereNotMissed(t *testing.T) {
	t.Parallel()
	f := newFed(t)
	set := func(n int, name string, values ...string) {
		f.feed.entries[n].Attributes = f.feed.entries[n].Attributes.Set(name, values...)
	}
	for i := range f.feed.entries {
		f.feed.entries[i].DN = fmt.Sprintf("cn=Person %d,ou=People,dc=example,dc=com", i)
	}
	manager := func(n, of int) { set(n, "manager", f.feed.entries[of].DN) }
	manager(1, 0)
	manager(2, 5)
	f.execute(f.engine, reconcile.Full())

	f.feed.entries[0].DN = "cn=Renamed,ou=Elsewhere,dc=example,dc=com"
	f.feed.told.Refs = []directory.Ref{ref(0)}
	manager(1, 0)
	if r := f.execute(f.engine, reconcile.Full()); r.Drift != 0 || len(r.Apply.Changes) != 2 {
		t.Errorf("a renamed manager: drift %d, %d changes; want none missed of two", r.Drift, len(r.Apply.Changes))
	}
	f.feed.told.Refs = nil
	manager(2, 6)
	if r := f.execute(f.engine, reconcile.Full()); r.Drift != 1 {
		t.Errorf("another manager: drift %d, want the change missed", r.Drift)
	}
	set(3, "title", "Chief")
	if r := f.execute(f.engine, reconcile.Full()); r.Drift != 1 {
		t.Errorf("another title: drift %d, want the change missed", r.Drift)
	}
}

// A full read from a server that lacks the changes of a delta run is older than what is known.
func TestTheServerOfADeltaRunIsTheReference(t *testing.T) {
	t.Parallel()
	f := newFed(t)
	f.execute(f.engine, reconcile.Changed())
	if got := f.facts(); got.Positions.Reference.Seen["dc1"] != "6" || got.Cursor.Position.Seen["dc1"] != "6" {
		t.Errorf("reference %v and cursor %v, want change 6", got.Positions.Reference, got.Cursor.Position)
	}
	f.feed.at = change("5")
	if _, err := f.engine.Execute(t.Context(), f.runOf("full", reconcile.Full())); fault.KindOf(err) != fault.Unsafe {
		t.Errorf("Execute() = %v, want a refusal of the older server", err)
	}
}

// What a delta run could not decide is pending before the cursor moves beyond it.
func TestOpenEntriesAreKeptBeforeTheCursorMoves(t *testing.T) {
	t.Parallel()
	f := newFed(t)
	f.feed.told.Refs, f.feed.entries = []directory.Ref{ref(0)}, f.feed.entries[1:]
	f.feed.findings = []directory.Finding{{Ref: ref(0), Problem: "it has no name"}}
	f.pending.err = errors.New("no room")
	if _, err := f.engine.Execute(t.Context(), f.runOf("one", reconcile.Changed())); !errors.Is(err, f.pending.err) {
		t.Fatalf("Execute() = %v, want %v", err, f.pending.err)
	}
	if got := f.facts().Cursor.Position.Seen["dc1"]; got != "5" {
		t.Errorf("the cursor moved to %s without the open entry", got)
	}
	f.pending.err = nil
	f.execute(f.engine, reconcile.Changed())
	seen, err := f.links.Pending(t.Context())
	if _, is := seen[ref(0)]; err != nil || !is || f.facts().Cursor.Position.Seen["dc1"] != "6" {
		t.Errorf("pending = %v, %v, want the open entry and the cursor at 6", seen, err)
	}
}

// The brakes of a few entries are weaker than those of all, so a source with changes that wait is read as a whole.
func TestDeltaRunsRestWhileChangesWait(t *testing.T) {
	t.Parallel()
	f := newFed(t)
	facts := f.facts()
	facts.Asks = true
	if err := f.links.SetFacts(t.Context(), facts); err != nil {
		t.Fatal(err)
	}
	f.said.messages = nil
	f.execute(f.engine, reconcile.Changed())
	const want = "Everything is read: changes of the last full run wait for a decision"
	if text := strings.Join(f.said.messages, "\n"); !strings.Contains(text, want) {
		t.Errorf("said %s", text)
	}
}

// The absence of an attribute that decides about activity is no news. A full run follows, which can tell.
func TestNoAccountComesBackForWantOfAnAttribute(t *testing.T) {
	t.Parallel()
	f := newFed(t)
	back := func(active bool) reconcile.Report {
		f.feed.entries[0].Active = active
		f.feed.told.Refs = []directory.Ref{ref(0)}
		return f.execute(f.engine, reconcile.Changed())
	}
	if r := back(false); len(r.Apply.Changes) != 1 || !r.Changed {
		t.Fatalf("disabled: %+v, want one change", r.Apply.Changes)
	}
	f.feed.told.Unstated = []directory.Ref{ref(0)}
	if r := back(true); len(r.Apply.Changes) != 0 || !strings.Contains(r.Owing, "may be active again") {
		t.Errorf("enabled by absence: %+v, owing %q, want no change and a full run", r.Apply.Changes, r.Owing)
	}
	f.feed.told.Unstated = nil
	if r := back(true); len(r.Apply.Changes) != 1 {
		t.Errorf("enabled: %+v, want one change", r.Apply.Changes)
	}
}

// The providers follow a delta run that finds its leavers already in the local directory, because the fast lane may
// not have reached every tenant.
func TestProvidersFollowLeaversThatWereSentAhead(t *testing.T) {
	t.Parallel()
	f := newFed(t)
	f.feed.entries[0].Active = false
	f.feed.told.Refs = []directory.Ref{ref(0)}
	f.feed.told.Gone = []source.Gone{{Ref: ref(1), Proof: "was deleted"}}
	f.feed.entries = slices.Delete(f.feed.entries, 1, 2)
	if r := f.execute(f.engine, reconcile.Leaving()); len(r.Leavers) != 2 {
		t.Fatalf("leavers = %v, want both", r.Leavers)
	}
	if got := f.facts().Cursor.Position.Seen["dc1"]; got != "5" {
		t.Errorf("the cursor moved to %s before the leavers were sent", got)
	}
	f.feed.told.Gone = nil
	if r := f.execute(f.engine, reconcile.Changed()); len(r.Apply.Changes) != 0 || !r.Changed {
		t.Errorf("disabled ahead: %d changes, Changed = %t, want none and true", len(r.Apply.Changes), r.Changed)
	}
	f.feed.told.Refs, f.feed.told.Gone = nil, []source.Gone{{Ref: ref(1), Proof: "was deleted"}}
	if r := f.execute(f.engine, reconcile.Changed()); len(r.Apply.Changes) != 0 || !r.Changed {
		t.Errorf("deleted ahead: %d changes, Changed = %t, want none and true", len(r.Apply.Changes), r.Changed)
	}
	f.feed.told.Gone = nil
	if r := f.execute(f.engine, reconcile.Changed()); r.Changed {
		t.Error("the providers follow although nothing changed")
	}
}

// An entry that a full read lacks has not left while a search for its id finds it (law 1). It keeps what it has, and is
// named. An entry that is really gone leaves in the same run. Where the search fails, the run does.
func TestLaw1AnEntryThatAFullReadLacksIsSearchedFor(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		at    string
		err   error
		stays bool
	}{
		"it is found":                   {at: "6", stays: true},
		"a server that is newer has it": {at: "7", stays: true},
		"only an older server has it":   {at: "5"},
		"the search finds no answer":    {at: "6", err: fault.Errorf(fault.Unavailable, "no answer"), stays: true},
		"the search is refused":         {at: "6", err: fault.Errorf(fault.Denied, "no rights"), stays: true},
		"the search is throttled":       {at: "6", err: fault.Errorf(fault.Throttled, "busy"), stays: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFed(t)
			f.feed.entries = append(f.feed.entries, crew(0, 1, 3, 5))
			f.execute(f.engine, reconcile.Full())
			was := f.copied()
			gone := []directory.Ref{ref(8)}
			f.feed.entries = slices.Delete(f.feed.entries, 8, 9)
			f.feed.lacks, f.feed.found, f.feed.foundAt = []directory.Ref{ref(3)}, tc.err, change(tc.at)
			if len(f.feed.asked) > 0 {
				t.Errorf("the source was asked for %v before an entry was absent", f.feed.asked)
			}
			r, err := f.engine.Execute(t.Context(), f.runOf("full", reconcile.Full()))
			if fault.KindOf(err) != fault.KindOf(tc.err) {
				t.Fatalf("Execute() = %v, want %v", err, tc.err)
			}
			if diff := cmp.Diff([][]directory.Ref{{ref(3), ref(8)}}, f.feed.asked); diff != "" {
				t.Errorf("the source was asked for (-want +got):\n%s", diff)
			}
			if !tc.stays {
				gone = append([]directory.Ref{ref(3)}, gone...)
			} else if tc.err != nil {
				gone = nil
			} else if len(r.Apply.Held) != 1 || r.Apply.Held[0].Ref != ref(3) {
				t.Errorf("held: %v, want the entry that was found", r.Apply.Held)
			}
			if diff := cmp.Diff(without(was, gone...), f.copied()); diff != "" {
				t.Errorf("the local directory (-want +got):\n%s", diff)
			}
			f.feed.lacks, f.feed.found = nil, nil
			f.execute(f.engine, reconcile.Full())
			if diff := cmp.Diff(without(was, ref(8)), f.copied()); diff != "" {
				t.Errorf("the local directory after a whole read (-want +got):\n%s", diff)
			}
			f.feed.asked = nil
			if r := f.execute(f.engine, reconcile.Full()); len(r.Apply.Changes) > 0 || len(f.feed.asked) > 0 {
				t.Errorf("another run plans %v and searches for %v", r.Apply.Changes, f.feed.asked)
			}
		})
	}
}

// A server omits more entries than are searched for at once: none of them leaves. Where as many are really gone, all
// are searched for, or the first ones if all wait for a decision.
func TestLaw1ManyEntriesThatAFullReadLacks(t *testing.T) {
	t.Parallel()
	f := newFed(t)
	for i := 10; i < 700; i++ {
		f.feed.entries = append(f.feed.entries, person(i))
	}
	f.execute(f.engine, reconcile.Full())
	for i := range 600 {
		f.feed.lacks = append(f.feed.lacks, ref(i))
	}
	if r := f.execute(f.engine, reconcile.Full()); len(r.Apply.Held) != 600 || len(f.copied()) != 700 {
		t.Errorf("%d are held and %d stay, want 600 and 700", len(r.Apply.Held), len(f.copied()))
	}
	f.feed.entries, f.feed.lacks, f.feed.asked = f.feed.entries[600:], nil, nil
	if f.execute(f.limited(plan.DayLimits{}), reconcile.Full()); len(f.feed.asked) != 1 {
		t.Errorf("%d searches for entries that wait for a decision, want one", len(f.feed.asked))
	}
	if f.execute(f.engine, reconcile.Full()); len(f.feed.asked) != 3 {
		t.Errorf("%d searches, want two more for entries that a higher limit lets leave", len(f.feed.asked))
	}
}

// copied returns the local directory.
func (f *fed) copied() []directory.Entry {
	f.Helper()
	s, err := store.NewReader(f.part()).Read(f.Context(), directory.Query{})
	if err != nil {
		f.Fatal(err)
	}
	return s.Entries
}

// without returns entries without some of them, also as members.
func without(entries []directory.Entry, gone ...directory.Ref) []directory.Entry {
	in := func(ref directory.Ref) bool { return slices.Contains(gone, ref) }
	var out []directory.Entry
	for _, e := range entries {
		if e.Members = slices.DeleteFunc(slices.Clone(e.Members), in); !in(e.Ref()) {
			out = append(out, e)
		}
	}
	return out
}
