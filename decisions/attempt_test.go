package decisions_test

import (
	"context"
	"fmt"
	"strconv"
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
	for _, key := range attemptLists(f) {
		ttl, err := f.rdb.PTTL(t.Context(), key).Result()
		if err != nil || ttl < 29*24*time.Hour || ttl > 30*24*time.Hour {
			t.Errorf("%s is kept for %v, %v, want 30 days", key, ttl, err)
		}
		if n := f.rdb.LLen(t.Context(), key).Val(); n > decisions.MaxAttempts+32 {
			t.Errorf("%s has %d attempts, want those beyond the newest of each entry dropped", key, n)
		}
	}
}

// attemptLists returns the keys of the lists that have attempts.
func attemptLists(f *fixture) []string {
	f.t.Helper()
	keys, err := f.rdb.Keys(f.t.Context(), recordKey+"tried:*").Result()
	f.must(err)
	if len(keys) == 0 {
		f.t.Fatal("no attempts are stored")
	}
	return keys
}

// Entries whose attempts share a list keep their own newest attempts, and old attempts go when the list is written.
func TestAttemptsThatShareAList(t *testing.T) {
	t.Parallel()
	f := open(t, redistest.Start(t))
	trail := f.Trail(google)
	const entries = 5000 // more than there are lists
	for range 3 {
		for i := range entries {
			trail.Add(fmt.Sprint("user/", i), decisions.Attempt{Op: "update", RunID: fmt.Sprint(i)})
		}
		f.must(trail.Flush(t.Context()))
		f.Advance(time.Minute)
	}
	for i := range entries {
		got := f.attempts(fmt.Sprint("user/", i))
		if len(got) != 3 || got[0].RunID != fmt.Sprint(i) || got[0].At.Sub(got[2].At) != 2*time.Minute {
			t.Fatalf("Attempts() of %d = %+v, want its own three", i, got)
		}
	}
	f.Advance(31 * 24 * time.Hour)
	for i := range 4 * 32 { // a list is trimmed after so many
		trail.Add("user/0", decisions.Attempt{Op: "create", RunID: fmt.Sprint(i)})
		f.must(trail.Flush(t.Context()))
	}
	n := int64(0)
	for _, key := range attemptLists(f) {
		n += f.rdb.LLen(t.Context(), key).Val()
	}
	if most := int64(3*entries - 3 + 32 + decisions.MaxAttempts); n >= most {
		t.Errorf("%d attempts are stored, want fewer than %d, because one list was trimmed", n, most)
	}
	if got := f.attempts("user/0"); len(got) != decisions.MaxAttempts || got[0].RunID != "127" {
		t.Errorf("Attempts() = %+v, want the newest", got)
	}
}

// An earlier version wrote a list for each entry. A worker of it can write beside one of this version.
func TestAttemptsOfAnEarlierVersion(t *testing.T) {
	t.Parallel()
	f := open(t, redistest.Start(t))
	trail := f.Trail(google)
	add := func(op string) {
		f.Advance(time.Second)
		trail.Add("user/1", decisions.Attempt{Op: op})
		f.must(trail.Flush(t.Context()))
	}
	old := func(op string) {
		f.Advance(time.Second)
		line := strconv.FormatInt(f.Now().UnixMilli(), 36) + "\t\t\t" + op
		f.must(f.rdb.LPush(t.Context(), recordKey+"tried:user/1", line).Err())
	}
	old("create")
	add("suspend")
	old("restore")
	add("update")
	var ops []string
	for _, a := range f.attempts("user/1") {
		ops = append(ops, a.Op)
	}
	if got := strings.Join(ops, " "); got != "update restore suspend create" {
		t.Errorf("the attempts are %s, want them in the order of their times", got)
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

// BenchmarkAttemptMemory reports the memory of a real Redis for the attempts of each of many entries. The entries are
// created users, created users with seven memberships, and entries with eight long failures.
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
	const entries = 20_000
	for b.Loop() {
		for name, list := range map[string][]decisions.Attempt{
			"created":   {created},
			"in_groups": {created, member(), member(), member(), member(), member(), member(), member()},
			"failures":  {failed(), failed(), failed(), failed(), failed(), failed(), failed(), failed()},
		} {
			if err := rdb.FlushDB(b.Context()).Err(); err != nil {
				b.Fatal(err)
			}
			trail := store.Trail(google)
			for range entries {
				entry := "user/" + uuid.NewString()
				for _, a := range list {
					trail.Add(entry, a)
				}
				if err := trail.Flush(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			bytes := int64(0)
			for _, key := range rdb.Keys(b.Context(), "*").Val() {
				bytes += rdb.MemoryUsage(b.Context(), key, 0).Val()
			}
			b.ReportMetric(float64(bytes)/entries, name+"-B")
		}
	}
}
