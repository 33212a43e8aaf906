package decisions_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"rollcall/decisions"
	"rollcall/internal/redistest"
)

// attempt is one with everything in it.
func attempt(f *fixture) decisions.Attempt {
	return decisions.Attempt{
		At: f.Now(), RunID: uuid.NewString(), Job: true, Op: "update", Fields: []string{"address", "name.givenName"},
		Group: "cn=odd id", RemoteID: "108273645546372819283", RequestID: uuid.NewString(),
		FailKind: "conflict", FailText: "409: it is\ttaken\nthere",
	}
}

func (f *fixture) attempts(entry string) []decisions.Attempt {
	f.t.Helper()
	out, err := f.Attempts(f.t.Context(), google, entry)
	if err != nil {
		f.t.Fatalf("Attempts() = %v", err)
	}
	return out
}

func TestAttempts(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb)
		trail := f.Trail(google)
		full := attempt(f)
		trail.Add("user/1", full)
		trail.Add("user/2", decisions.Attempt{Op: "create", RunID: "~not-a-uuid", RemoteID: "~~x"})
		if err := trail.Flush(t.Context()); err != nil {
			t.Fatalf("Flush() = %v", err)
		}
		full.FailText = "409: it is taken there"
		if diff := cmp.Diff([]decisions.Attempt{full}, f.attempts("user/1")); diff != "" {
			t.Errorf("Attempts() (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]decisions.Attempt{{At: f.Now(), Op: "create", RunID: "~not-a-uuid", RemoteID: "~~x"}},
			f.attempts("user/2")); diff != "" {
			t.Errorf("Attempts() (-want +got):\n%s", diff)
		}
		if got := f.attempts("user/3"); len(got) != 0 {
			t.Errorf("Attempts() of an entry that nothing was tried for = %v", got)
		}
	})
}

// The newest are kept, in bounds, and not for ever.
func TestAttemptsAreBounded(t *testing.T) {
	t.Parallel()
	f := open(t, redistest.Start(t))
	trail := f.Trail(google)
	for i := range 1200 {
		f.Advance(time.Second)
		trail.Add("user/1", decisions.Attempt{Op: "add_member", Group: fmt.Sprint(i)})
	}
	trail.Add("user/2", decisions.Attempt{Op: "update", Fields: strings.Split(strings.Repeat("x,", 99)+"x", ","),
		FailText: strings.Repeat("é", 5000)})
	if err := trail.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := f.attempts("user/1")
	if len(got) != decisions.MaxAttempts || got[0].Group != "1199" || got[1].Group != "1198" {
		t.Errorf("Attempts() = %+v, want the newest %d, newest first", got, decisions.MaxAttempts)
	}
	if long := f.attempts("user/2")[0]; len(long.Fields) > 32 || len([]rune(long.FailText)) > 200 {
		t.Errorf("an attempt of %d fields and %d characters was kept", len(long.Fields), len([]rune(long.FailText)))
	}
	ttl, err := f.rdb.PTTL(t.Context(), "rollcall:{google_workspace:1}:tried:user/1").Result()
	if err != nil || ttl < 29*24*time.Hour || ttl > 30*24*time.Hour {
		t.Errorf("it is kept for %v, %v, want 30 days", ttl, err)
	}
}

// What Redis did not take is written when it is back, and what it took twice is shown once.
func TestAttemptsSurviveAnAbsence(t *testing.T) {
	t.Parallel()
	f := open(t, redistest.Start(t))
	trail := f.Trail(google)
	trail.Add("user/1", decisions.Attempt{Op: "create"})
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := trail.Flush(gone); err == nil {
		t.Fatal("Flush() without Redis = nil")
	}
	trail.Add("user/1", decisions.Attempt{Op: "update"})
	if err := trail.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	trail.Add("user/1", decisions.Attempt{Op: "update"}) // the same again, as when an answer was lost
	if err := trail.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := f.attempts("user/1")
	if len(got) != 2 || got[0].Op != "update" || got[1].Op != "create" {
		t.Errorf("Attempts() = %+v, want update and create", got)
	}
}

// BenchmarkAttemptMemory reports the memory of a real Redis for the attempts of one entry. The entries are a created
// user, a created user with seven memberships, and an entry with eight long failures.
func BenchmarkAttemptMemory(b *testing.B) {
	rdb := redistest.Start(b)
	store := decisions.New(rdb, decisions.Config{})
	run := uuid.NewString()
	created := decisions.Attempt{RunID: run, Op: "create", RemoteID: uuid.NewString(), RequestID: uuid.NewString(),
		Fields: []string{
			"displayName", "givenName", "surname", "mailNickname", "usageLocation", "jobTitle", "department", "employeeId",
		}}
	member := func() decisions.Attempt {
		return decisions.Attempt{RunID: run, Op: "add_member", Group: uuid.NewString(), RequestID: uuid.NewString()}
	}
	failed := func() decisions.Attempt {
		a := member()
		a.FailKind, a.FailText = "conflict", strings.Repeat("x", 300)
		return a
	}
	for b.Loop() {
		for name, list := range map[string][]decisions.Attempt{
			"created":   {created},
			"in_groups": {created, member(), member(), member(), member(), member(), member(), member()},
			"failures":  {failed(), failed(), failed(), failed(), failed(), failed(), failed(), failed()},
		} {
			entry, trail := "user/"+uuid.NewString(), store.Trail(google)
			for _, a := range list {
				trail.Add(entry, a)
			}
			if err := trail.Flush(b.Context()); err != nil {
				b.Fatal(err)
			}
			n, err := rdb.MemoryUsage(b.Context(), "rollcall:{google_workspace:1}:tried:"+entry).Result()
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(n), name+"-B")
		}
	}
}
