package googleworkspace_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	admin "google.golang.org/api/admin/directory/v1"
	"google.golang.org/api/googleapi"

	"rollcall/simulator/googleworkspace"
)

func TestFaultRefuses(t *testing.T) {
	t.Parallel()
	tenant, s := open(t, googleworkspace.Config{})
	tenant.Inject(googleworkspace.Fault{
		Method: "directory.groups.*", Nth: 2, Times: 1, Status: 429, Code: "rateLimitExceeded", RetryAfter: 3 * time.Second,
	})
	insertGroup(t, s, "a@example.com")
	insertUser(t, s, "x@example.com")
	_, err := s.Groups.Insert(&admin.Group{Email: "b@example.com"}).Do()
	wantError(t, err, 429, "rateLimitExceeded", "Too Many Requests")
	var apiErr *googleapi.Error
	if errors.As(err, &apiErr) && apiErr.Header.Get("Retry-After") != "3" {
		t.Errorf("Retry-After = %q", apiErr.Header.Get("Retry-After"))
	}
	insertGroup(t, s, "b@example.com")

	tenant.Inject(googleworkspace.Fault{Key: "A@example.com"})
	_, err = s.Groups.Get("a@example.com").Do()
	wantError(t, err, 503, "backendError", "Service Unavailable")
	_, err = s.Groups.Get("b@example.com").Do()
	noError(t, err)
	tenant.ClearFaults()
	_, err = s.Groups.Get("a@example.com").Do()
	noError(t, err)
}

// TestFaultsOnTheWire checks that the client sees a broken connection, and how far the tenant carried out the call.
func TestFaultsOnTheWire(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		effect googleworkspace.Effect
		done   bool
	}{
		"dropped before": {googleworkspace.Drop, false},
		"answer lost":    {googleworkspace.LoseAnswer, true},
		"answer cut":     {googleworkspace.TruncateAnswer, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tenant, s := open(t, googleworkspace.Config{Faults: []googleworkspace.Fault{{Method: "directory.users.insert",
				Times: 1, Effect: tc.effect}}})
			_, err := s.Users.Insert(newUser("liz@example.com")).Do()
			var apiErr *googleapi.Error
			if err == nil || errors.As(err, &apiErr) {
				t.Fatalf("error = %v, want a broken connection", err)
			}
			if _, found := tenant.User("liz@example.com"); found != tc.done {
				t.Errorf("user made = %v, want %v", found, tc.done)
			}
			want := googleworkspace.Count{Granted: 1}
			if !tc.done {
				want = googleworkspace.Count{Refused: 1}
			}
			if got := tenant.Calls().ByMethod["directory.users.insert"]; got != want {
				t.Errorf("calls = %+v, want %+v", got, want)
			}
		})
	}
}

func TestFaultyLists(t *testing.T) {
	t.Parallel()
	tenant, s := open(t, googleworkspace.Config{})
	seedUsers(t, tenant, 9)
	list := func() *admin.Users {
		t.Helper()
		p, err := s.Users.List().Customer("my_customer").MaxResults(8).Do()
		noError(t, err)
		return p
	}
	tenant.Inject(googleworkspace.Fault{Method: "directory.users.list", Times: 1, Effect: googleworkspace.ShortPage})
	if p := list(); len(p.Users) != 4 || p.NextPageToken != "" {
		t.Errorf("short page = %d users, next %q", len(p.Users), p.NextPageToken)
	}
	tenant.Inject(googleworkspace.Fault{Method: "directory.users.list", Times: 1, Effect: googleworkspace.EmptyList})
	if p := list(); len(p.Users) != 0 || p.NextPageToken != "" {
		t.Errorf("empty list = %d users, next %q", len(p.Users), p.NextPageToken)
	}
	if p := list(); len(p.Users) != 8 || p.NextPageToken == "" {
		t.Errorf("page = %d users, next %q", len(p.Users), p.NextPageToken)
	}
}

func TestFaultDelays(t *testing.T) {
	t.Parallel()
	var waited time.Duration
	_, s := open(t, googleworkspace.Config{
		Wait:   func(_ context.Context, d time.Duration) { waited += d },
		Faults: []googleworkspace.Fault{{Effect: googleworkspace.Delay, Delay: time.Minute, Nth: 2}},
	})
	insertGroup(t, s, "a@example.com")
	insertGroup(t, s, "b@example.com")
	if waited != time.Minute {
		t.Errorf("waited %v", waited)
	}
}

// TestProbabilityRepeats checks that one seed strikes the same calls and another seed different ones, each about as
// often as configured.
func TestProbabilityRepeats(t *testing.T) {
	t.Parallel()
	struck := func(seed uint64) []int {
		tenant, s := open(t, googleworkspace.Config{Seed: seed,
			Faults: []googleworkspace.Fault{{Probability: 0.3, Status: 500}}})
		_ = tenant
		var calls []int
		for i := range 200 {
			if _, err := s.Users.Get("admin@example.com").Do(); err != nil {
				calls = append(calls, i)
			}
		}
		return calls
	}
	first, again, other := struck(1), struck(1), struck(2)
	if !slices.Equal(first, again) || slices.Equal(first, other) {
		t.Errorf("seed 1 struck %v and %v, seed 2 %v", first, again, other)
	}
	if len(first) < 40 || len(first) > 80 {
		t.Errorf("struck %d of 200 with a probability of 0.3", len(first))
	}
}

func TestCallsAreLogged(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var hooked []string
	tenant, s := open(t, googleworkspace.Config{OnRequest: func(id string) {
		mu.Lock()
		defer mu.Unlock()
		hooked = append(hooked, id)
	}})
	g := insertGroup(t, s, "a@example.com")
	insertMember(t, s, g.Id, "admin@example.com")
	_, err := s.Members.List(g.Id).Do()
	noError(t, err)
	_, err = s.Users.Get("nobody@example.com").Do()
	wantError(t, err, 404, "notFound", "Resource Not Found: userKey")

	calls := tenant.Calls()
	want := []string{"directory.groups.insert", "directory.members.insert", "directory.members.list",
		"directory.users.get"}
	if diff := cmp.Diff(want, calls.Methods()); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, hooked); diff != "" {
		t.Errorf("OnRequest (-want +got):\n%s", diff)
	}
	if calls.Reads != 2 || calls.Writes != 2 || calls.Log[3].Status != 404 ||
		calls.Log[0].Path != "/admin/directory/v1/groups" {
		t.Errorf("calls = %+v", calls)
	}
	tenant.ResetCalls()
	if calls := tenant.Calls(); len(calls.Log) != 0 || calls.Reads != 0 {
		t.Errorf("calls after the reset = %+v", calls)
	}
}

func TestCallLogIsBounded(t *testing.T) {
	t.Parallel()
	tenant, s := open(t, googleworkspace.Config{CallLog: 3})
	for range 10 {
		_, err := s.Users.Get("admin@example.com").Do()
		noError(t, err)
	}
	if calls := tenant.Calls(); len(calls.Log) != 3 || calls.Reads != 10 {
		t.Errorf("%d calls in the log, %d counted", len(calls.Log), calls.Reads)
	}
}
