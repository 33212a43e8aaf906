package entra_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/simulator/graph"
)

// fill creates users and groups of ours, each group with the first five users, and a foreign object of each kind.
func (w *world) fill(users, groups int) {
	w.t.Helper()
	boss, err := w.tenant.AddUser(graph.User{UserPrincipalName: "admin@example.com"})
	if err == nil {
		err = w.tenant.SetAdmin(boss.ID, graph.GlobalAdministrator)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err = w.tenant.AddGroup(graph.Group{DisplayName: "Club"}); err != nil {
		w.t.Fatal(err)
	}
	ids := w.staff(users)
	for i := range groups {
		g := w.must(newGroup(id(1000 + i)))
		for _, u := range ids[:5] {
			if err := w.tenant.AddMember(g, u); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	w.requests.take()
}

func count(s plan.State, pick func(*plan.Object) bool) (n int) {
	for i := range s.Objects {
		if pick(&s.Objects[i]) {
			n++
		}
	}
	return n
}

func anchored(k directory.Kind) func(*plan.Object) bool {
	return func(o *plan.Object) bool { return o.Kind == k && o.Anchored() }
}

// TestDeltaGoesOn checks that the second read continues at the end of the first one, also in another process.
func TestDeltaGoesOn(t *testing.T) {
	t.Parallel()
	s := mapUsers("jobTitle")
	s.tenant = graph.Config{DeltaPage: 7, DeltaMembers: 3}
	w := open(t, s)
	w.fill(20, 3)
	first := w.read(provider.Query{})
	if u, g := count(first, anchored(directory.User)), count(first, anchored(directory.Group)); u != 20 || g != 3 {
		t.Fatalf("first read: %d users and %d groups", u, g)
	}
	for _, o := range first.Objects {
		if o.Kind == directory.Group && o.Anchored() && len(o.Members) != 5 {
			t.Errorf("members of %s = %v, want five", o.ID, o.Members)
		}
	}
	w.requests.take()
	w.restart()
	if again := w.read(provider.Query{}); len(again.Objects) != len(first.Objects) {
		t.Errorf("second read: %d objects, want %d", len(again.Objects), len(first.Objects))
	}
	if got := w.requests.take(); len(got) != 2 {
		t.Errorf("the second read took %q, want one request for users and one for groups", got)
	}
	// These changes happened between the reads.
	u := func(n int) string { return pickRef(first, user(id(n))).RemoteID }
	g := pickRef(first, group(id(1000))).RemoteID
	for _, err := range []error{
		w.tenant.Set(u(0), map[string]any{"jobTitle": "Captain", "accountEnabled": false}),
		w.tenant.RemoveMember(g, u(1)), w.tenant.AddMember(g, u(10)), w.tenant.Remove(u(2)),
		w.tenant.Remove(pickRef(first, group(id(1001))).RemoteID),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	w.restart()
	next := w.read(provider.Query{})
	if o := pickRef(next, user(id(0))); o.Active || o.Fields.Get("jobTitle") != "Captain" {
		t.Errorf("changed user = %+v", o)
	}
	want := slices.Sorted(slices.Values([]string{u(0), u(3), u(4), u(10)}))
	if o := pickRef(next, group(id(1000))); !slices.Equal(o.Members, want) {
		t.Errorf("members = %v, want %v", o.Members, want)
	}
	if pickRef(next, user(id(2))).RemoteID != "" || pickRef(next, group(id(1001))).RemoteID != "" {
		t.Error("what was deleted is still there")
	}
	// A cleared field is reported, too.
	if err := w.tenant.Set(u(0), map[string]any{"jobTitle": nil}); err != nil {
		t.Fatal(err)
	}
	if o := pickRef(w.read(provider.Query{}), user(id(0))); o.Fields.Get("jobTitle") != "" {
		t.Errorf("cleared field = %+v", o)
	}
}

func pickRef(s plan.State, ref directory.Ref) plan.Object {
	i := slices.IndexFunc(s.Objects, func(o plan.Object) bool { return o.Ref == ref })
	if i < 0 {
		return plan.Object{}
	}
	return s.Objects[i]
}

// TestExpiredWhileReadAnew checks that the tenant counts as unavailable when a query from the beginning expires, too.
func TestExpiredWhileReadAnew(t *testing.T) {
	t.Parallel()
	w := open(t, setup{tenant: graph.Config{DeltaPage: 7}})
	w.fill(10, 2)
	w.read(provider.Query{})
	w.tenant.Inject(graph.Fault{Method: "users.delta", Status: 410, Times: 2})
	if _, err := w.Read(t.Context(), provider.Query{Now: w.clock.Now()}); err == nil || kind(err) != fault.Unavailable {
		t.Errorf("Read() = %v, want unavailable", err)
	}
	if n := count(w.read(provider.Query{}), anchored(directory.User)); n != 10 {
		t.Errorf("the next read has %d users, want 10", n)
	}
}

// TestReadAnew checks the reasons for a read from the beginning. These are a request by Graph, an old link, changed
// properties in the mapping, and the age of the last such read.
func TestReadAnew(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*world){
		"expired":       func(w *world) { w.tenant.ExpireDelta() },
		"a while later": func(w *world) { w.clock.Advance(73 * time.Hour) },
		"other fields": func(w *world) {
			w.cfg.UserPropertyMappings = map[string]string{"department": "cn"}
			w.restart()
		},
		"a week later": func(w *world) { w.clock.Advance(8 * 24 * time.Hour) },
		"a broken cache": func(w *world) {
			if err := w.cache.Save(t.Context(), "users", []byte("{half")); err != nil {
				t.Fatal(err)
			}
		},
		"resync": func(w *world) {
			for _, method := range []string{"users.delta", "groups.delta"} { // once each, because they are read in parallel
				w.tenant.Inject(graph.Fault{Method: method, Status: 400, Code: "syncStateNotFound", Times: 1})
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := open(t, setup{tenant: graph.Config{DeltaPage: 7}})
			w.fill(10, 2)
			first := w.read(provider.Query{})
			if err := w.tenant.Remove(pickRef(first, user(id(1))).RemoteID); err != nil {
				t.Fatal(err)
			}
			change(w)
			w.requests.take()
			s, err := w.Read(t.Context(), provider.Query{Now: w.clock.Now()})
			if err != nil {
				t.Fatal(err)
			}
			if n := count(s, anchored(directory.User)); n != 9 {
				t.Errorf("%d users, want 9", n)
			}
			if got := w.requests.take(); len(got) < 3 {
				t.Errorf("requests = %q, want a read from the beginning", got)
			}
		})
	}
}

// TestSettle checks that the next run does not read the writes of this one again, and that a failure to save the
// state is an error.
func TestSettle(t *testing.T) {
	t.Parallel()
	w := open(t, setup{tenant: graph.Config{DeltaPage: 7}})
	w.fill(10, 2)
	w.read(provider.Query{})
	w.must(newUser(id(50), "new@example.com"))
	if err := w.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.Settle(t.Context()); err != nil {
		t.Errorf("Settle() again = %v", err)
	}
	w.restart()
	w.requests.take()
	w.tenant.ResetCalls()
	s := w.read(provider.Query{})
	if n := count(s, anchored(directory.User)); n != 11 {
		t.Errorf("%d users, want 11", n)
	}
	if got := w.requests.take(); len(got) != 2 {
		t.Errorf("requests = %q, want two", got)
	}
	// Without a write Settle makes no request.
	if err := w.Settle(t.Context()); err != nil || len(w.requests.take()) > 0 {
		t.Errorf("Settle() after a run that wrote nothing = %v", err)
	}
	w.opts.Cache = failing{w.cache}
	w.restart()
	w.read(provider.Query{})
	w.must(newUser(id(51), "newer@example.com"))
	if err := w.Settle(t.Context()); err == nil || !errors.Is(err, errFull) {
		t.Errorf("Settle() without room = %v", err)
	}
}

var errFull = fault.Errorf(fault.Unavailable, "no room")

// failing is a cache that stores nothing new.
type failing struct{ provider.Cache }

func (failing) Save(context.Context, string, []byte) error { return errFull }

// TestDoubtfulMembers checks that the members of a group are listed after a write shows that delta has them wrong.
func TestDoubtfulMembers(t *testing.T) {
	t.Parallel()
	w := open(t, setup{tenant: graph.Config{Consistency: graph.Consistency{}}})
	w.fill(10, 1)
	s := w.read(provider.Query{})
	g, u := pickRef(s, group(id(1000))).RemoteID, pickRef(s, user(id(7))).RemoteID
	// Another client adds the member meanwhile, and delta never reports it, because its page is cut.
	if err := w.tenant.AddMember(g, u); err != nil {
		t.Fatal(err)
	}
	w.tenant.Inject(graph.Fault{Method: "groups.delta", Effect: graph.EmptyList, Times: 1})
	w.must(membership(plan.AddMember, id(1000), g, user(id(7)), u))
	if err := w.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.tenant.ClearFaults()
	if o := pickRef(w.read(provider.Query{}), group(id(1000))); !slices.Contains(o.Members, u) {
		t.Errorf("members = %v, want %s among them", o.Members, u)
	}
}

// TestKnownObjectsAreLookedUp checks that an object in the ledger is not gone only because a truncated list does not
// contain it.
func TestKnownObjectsAreLookedUp(t *testing.T) {
	t.Parallel()
	w := open(t, setup{})
	w.fill(30, 2)
	s := w.read(provider.Query{})
	known := map[directory.Ref]plan.Link{}
	for _, o := range s.Objects {
		if o.Anchored() {
			known[o.Ref] = plan.Link{RemoteID: o.RemoteID, Created: w.clock.Now()}
		}
	}
	w.opts.Cache = new(blobs)
	w.restart()
	w.tenant.Inject(graph.Fault{Method: "*.delta", Effect: graph.ShortPage, Times: 2})
	for range 2 {
		again := w.read(provider.Query{Known: known})
		if u, g := count(again, anchored(directory.User)), count(again, anchored(directory.Group)); u != 30 || g != 2 {
			t.Errorf("%d users and %d groups, want 30 and 2", u, g)
		}
		if o := pickRef(again, group(id(1001))); len(o.Members) != 5 {
			t.Errorf("members = %v, want five", o.Members)
		}
	}
	if err := w.tenant.Remove(known[user(id(3))].RemoteID); err != nil {
		t.Fatal(err)
	}
	if s := w.read(provider.Query{Known: known}); len(s.Unsettled) != 1 || s.Unsettled[0] != user(id(3)) {
		t.Errorf("unsettled = %v", s.Unsettled)
	}
	w.clock.Advance(time.Hour)
	if s := w.read(provider.Query{Known: known}); len(s.Unsettled) != 0 {
		t.Errorf("unsettled after an hour = %v", s.Unsettled)
	}
}

// TestFactsAreReadOnceADay checks that domains and administrators cost no request where nothing is written.
func TestFactsAreReadOnceADay(t *testing.T) {
	t.Parallel()
	w := open(t, setup{})
	w.fill(5, 0)
	ask := func(what string) bool {
		t.Helper()
		w.requests.take()
		w.tenant.ResetCalls()
		w.read(provider.Query{})
		return w.tenant.Calls().ByMethod[what].Granted > 0
	}
	w.read(provider.Query{})
	w.clock.Advance(23 * time.Hour)
	w.restart()
	if ask("domains.list") || ask("directoryRoles.list") {
		t.Error("domains or administrators were read again within a day")
	}
	w.clock.Advance(2 * time.Hour)
	if !ask("domains.list") {
		t.Error("domains were not read again after a day")
	}
	// A write reads them, and the next read uses them.
	w.clock.Advance(time.Hour)
	w.tenant.ResetCalls()
	w.must(newUser(id(60), "x@example.com"))
	if w.tenant.Calls().ByMethod["domains.list"].Granted != 1 {
		t.Error("a write did not read the domains")
	}
}

// TestLookup checks that one request finds an entry, and one more reads the members of a group.
func TestLookup(t *testing.T) {
	t.Parallel()
	w := open(t, setup{})
	w.fill(10, 4)
	s := w.read(provider.Query{})
	u, g := pickRef(s, user(id(1))).RemoteID, pickRef(s, group(id(1002))).RemoteID
	w.requests.take()
	q := provider.Query{Now: w.clock.Now(), Lookups: []provider.Lookup{{Ref: user(id(1)), RemoteID: u,
		Address: "person1@example.com"}}}
	state := w.read(q)
	if got := w.requests.take(); len(got) != 1 {
		t.Errorf("requests = %q, want one", got)
	}
	// The result has all groups of ours with the user, whether the lookup names them or not, and no foreign ones.
	if n := count(state, anchored(directory.Group)); n != 4 || len(state.Objects) != 5 {
		t.Errorf("%d groups and %d objects, want 4 and 5", n, len(state.Objects))
	}
	for _, o := range state.Objects {
		if o.Kind == directory.Group && !slices.Equal(o.Members, []string{u}) {
			t.Errorf("members of %s = %v, want the user alone", o.ID, o.Members)
		}
	}
	state = w.read(provider.Query{Now: w.clock.Now(), Lookups: []provider.Lookup{{Ref: group(id(1002)), RemoteID: g}}})
	if o := pickRef(state, group(id(1002))); len(o.Members) != 5 || !o.Listed {
		t.Errorf("group = %+v, want five members", o)
	}
	if got := w.requests.take(); len(got) != 2 {
		t.Errorf("requests = %q, want two", got)
	}
}
