package ledger_test

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/internal/redistest"
	"rollcall/ledger"
	"rollcall/plan"
)

var (
	ada   = directory.Ref{Kind: directory.User, ID: "ada"}
	bob   = directory.Ref{Kind: directory.User, ID: "bob/with a slash"}
	staff = directory.Ref{Kind: directory.Group, ID: "ada"} // the same ID as a user's
	now   = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

// TestLedger runs one suite on both kinds of Redis.
func TestLedger(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		run  func(*testing.T, *ledger.Redis)
	}{
		{"links", testLinks}, {"members", testMembers}, {"facts", testFacts}, {"size", testSize},
		{"claims", testClaims}, {"some", testSome},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			redistest.Each(t, func(t *testing.T, rdb *redis.Client) { tc.run(t, ledger.NewRedis(rdb, "google_workspace:1")) })
		})
	}
}

func TestLedgerOnCluster(t *testing.T) {
	t.Parallel()
	rdb := redistest.Cluster(t)
	testLinks(t, ledger.NewRedis(rdb, "google_workspace:1"))
	testMembers(t, ledger.NewRedis(rdb, "microsoft_entra:1"))
}

func testLinks(t *testing.T, l *ledger.Redis) {
	ctx := t.Context()
	links := map[directory.Ref]plan.Link{
		ada:   {RemoteID: "1", Created: now, Rekey: "E1", Suspended: true},
		bob:   {RemoteID: "2", Departed: now, Why: plan.Disabled},
		staff: {RemoteID: "3"},
	}
	must(t, l.PutLinks(ctx, nil))
	must(t, l.DropLinks(ctx))
	want(t, "Links() of a new ledger")(l.Links(ctx))(map[directory.Ref]plan.Link{})
	must(t, l.PutLinks(ctx, links))
	want(t, "Links()")(l.Links(ctx))(links)

	must(t, l.PutLinks(ctx, map[directory.Ref]plan.Link{ada: {RemoteID: "4"}}))
	must(t, l.DropLinks(ctx, bob, bob))
	want(t, "Links() after a change")(l.Links(ctx))(map[directory.Ref]plan.Link{ada: {RemoteID: "4"}, staff: links[staff]})
}

func testMembers(t *testing.T, l *ledger.Redis) {
	ctx := t.Context()
	groups := map[directory.ID]plan.Confirmed{
		"none": {Witness: "0", VerifyBy: now},
		"one":  {Witness: "1", Members: []string{"a"}, VerifyBy: now},
		"many": {Witness: `W/"x"`, Members: members(5000), VerifyBy: plan.VerifyBy(now, "many")},
	}
	want(t, "Groups() of a new ledger")(l.Groups(ctx))(map[directory.ID]plan.Confirmed{})
	must(t, l.Confirm(ctx, groups))
	want(t, "Groups()")(l.Groups(ctx))(groups)
	must(t, l.Unconfirm(ctx, "one", "unheard-of"))
	must(t, l.Confirm(ctx, map[directory.ID]plan.Confirmed{"many": groups["one"]}))
}

func testFacts(t *testing.T, l *ledger.Redis) {
	ctx := t.Context()
	f, err := l.Facts(ctx)
	if err != nil || f.Complete() {
		t.Errorf("Facts() of a new ledger = %+v, %v, want none", f, err)
	}
	facts := ledger.Facts{LastFull: now, LastRun: "r", Referrals: []string{"ldap://a", "ldap://b"}, Scope: "s",
		Users: 3, Groups: 2}
	must(t, l.SetFacts(ctx, facts))
	want(t, "Facts()")(l.Facts(ctx))(facts)
	if !facts.Complete() {
		t.Error("Complete() after a full run = false, want true")
	}
}

// testSize writes more than one page of everything, and a group of 50,000.
func testSize(t *testing.T, l *ledger.Redis) {
	ctx := t.Context()
	links, groups := map[directory.Ref]plan.Link{}, map[directory.ID]plan.Confirmed{}
	var refs []directory.Ref
	for i := range 2500 {
		ref := directory.Ref{Kind: directory.User, ID: directory.ID(fmt.Sprint("u", i))}
		refs = append(refs, ref)
		links[ref] = plan.Link{RemoteID: fmt.Sprint(i), Created: now}
		if i%10 == 0 {
			groups[directory.ID(fmt.Sprint("g", i))] = plan.Confirmed{Witness: "20", Members: members(20), VerifyBy: now}
		}
	}
	groups["all"] = plan.Confirmed{Witness: "50000", Members: members(50_000), VerifyBy: now}
	must(t, l.PutLinks(ctx, links))
	must(t, l.Confirm(ctx, groups))
	want(t, "Links()")(l.Links(ctx))(links)
	want(t, "Groups()")(l.Groups(ctx))(groups)
	must(t, l.DropLinks(ctx, refs...))
	want(t, "Links() when all are dropped")(l.Links(ctx))(map[directory.Ref]plan.Link{})
}

func TestContainersAreApart(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		a, b := ledger.NewRedis(rdb, "google_workspace:1"), ledger.NewRedis(rdb, "google_workspace:11")
		must(t, a.PutLinks(t.Context(), map[directory.Ref]plan.Link{ada: {RemoteID: "1"}}))
		want(t, "Links() of another container")(b.Links(t.Context()))(map[directory.Ref]plan.Link{})
	})
}

func TestErrorsHaveKinds(t *testing.T) {
	t.Parallel()
	gone := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1, DialerRetries: 1})
	defer gone.Close()
	if _, err := ledger.NewRedis(gone, "c:1").Links(t.Context()); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("Links() without Redis: %v is %v, want unavailable", err, fault.KindOf(err))
	}
	rdb := redistest.Start(t)
	must(t, rdb.Set(t.Context(), "rollcall:{c:1}:ledger:links", "x", 0).Err())
	if _, err := ledger.NewRedis(rdb, "c:1").Links(t.Context()); fault.KindOf(err) != fault.Internal {
		t.Errorf("Links() of a key that is no hash: %v is %v, want internal", err, fault.KindOf(err))
	}
	must(t, rdb.HSet(t.Context(), "rollcall:{c:2}:ledger:members", "g", "{\"witness\":\"1\",\"members\":2}\na").Err())
	if got, err := ledger.NewRedis(rdb, "c:2").Groups(t.Context()); err == nil || got != nil {
		t.Errorf("Groups() of a damaged value = %v, %v, want an error and nothing else", got, err)
	}
	if err := ledger.NewRedis(rdb, "c:2").Confirm(t.Context(),
		map[directory.ID]plan.Confirmed{"g": {Members: []string{"a\nb"}}}); err == nil {
		t.Error("Confirm() of a member with a line break = nil, want an error")
	}
}

func BenchmarkGroups(b *testing.B) {
	l := ledger.NewRedis(redistest.Start(b), "google_workspace:1")
	groups := map[directory.ID]plan.Confirmed{}
	for i := range 1000 {
		groups[directory.ID(fmt.Sprint("g", i))] = plan.Confirmed{Witness: "100", Members: members(100), VerifyBy: now}
	}
	for b.Loop() {
		if err := l.Confirm(b.Context(), groups); err != nil {
			b.Fatal(err)
		}
		if _, err := l.Groups(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

// members returns n ids in the form of Entra's ids.
func members(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%08x-0000-4000-8000-%012x", i, uint64(i)*2654435761%0xffffffffffff)
	}
	return out
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// want compares the result of a call with the expected one.
func want(t *testing.T, what string) func(got any, err error) func(want any) {
	return func(got any, err error) func(want any) {
		return func(want any) {
			t.Helper()
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if reflect.DeepEqual(want, got) { // The diff of a large map takes seconds.
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%.2000s", what, diff)
			}
		}
	}
}
