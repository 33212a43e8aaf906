package status_test

import (
	"encoding/json"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"rollcall/fault"
	"rollcall/internal/redistest"
	"rollcall/status"
)

// planned yields rows of two sections: n changes and held ones.
func planned(n, held int) iter.Seq2[string, any] {
	return func(yield func(string, any) bool) {
		for i := range n {
			if !yield("change", map[string]int{"change": i}) {
				return
			}
		}
		for i := range held {
			if !yield("held", map[string]int{"held": i}) {
				return
			}
		}
	}
}

// save has a run of corp save a plan, and ends the run.
func (f *fixture) save(h status.PlanHead, rows iter.Seq2[string, any]) string {
	f.t.Helper()
	f.Advance(time.Minute)
	l := f.acquire(f.start(), "w1")
	if err := l.Recorder().SavePlan(f.t.Context(), h, rows); err != nil {
		f.t.Fatalf("SavePlan() = %v, want nil", err)
	}
	if _, err := l.Finish(f.t.Context(), status.End{State: status.Completed}); err != nil {
		f.t.Fatal(err)
	}
	return l.Run().ID
}

func (f *fixture) plan(id string) status.PlanHead {
	f.t.Helper()
	h, err := f.Plan(f.t.Context(), corp, id)
	if err != nil {
		f.t.Fatalf("Plan() = %v, want nil", err)
	}
	return h
}

// kept returns which of the runs still have a plan, as a string of 0 and 1.
func (f *fixture) kept(ids []string) string {
	f.t.Helper()
	var out strings.Builder
	for _, id := range ids {
		_, err := f.Plan(f.t.Context(), corp, id)
		if err != nil && fault.KindOf(err) != fault.NotFound {
			f.t.Fatal(err)
		}
		out.WriteString(map[bool]string{true: "1", false: "0"}[err == nil])
	}
	return out.String()
}

func TestPlanIsStoredAndPaged(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{})
		id := f.save(status.PlanHead{Digest: "d", Summary: json.RawMessage(`{"n":1}`)}, planned(1200, 7))
		h := f.plan(id)
		want := []status.PlanSection{{Name: "change", Total: 1200, Kept: 1200}, {Name: "held", Total: 7, Kept: 7}}
		if diff := cmp.Diff(want, h.Sections); diff != "" || h.Rows() != 1207 || !h.Complete() {
			t.Errorf("sections (-want +got):\n%s", diff)
		}
		if h.Container != corp || h.RunID != id || h.Digest != "d" || string(h.Summary) != `{"n":1}` || !h.At.Equal(f.Now()) {
			t.Errorf("head %+v", h)
		}
		for _, page := range [][3]int{{0, 10, 10}, {495, 10, 10}, {500, 500, 500}, {499, 502, 502}, {1195, 100, 12},
			{1207, 10, 0}, {5000, 10, 0}, {0, 5000, 1207}} {
			rows, err := f.PlanRows(t.Context(), h, page[0], page[1])
			if err != nil || len(rows) != page[2] {
				t.Errorf("PlanRows(%d, %d) = %d rows, %v, want %d", page[0], page[1], len(rows), err, page[2])
			}
			for i, row := range rows {
				want := fmt.Sprintf(`{"change":%d}`, page[0]+i)
				if n := page[0] + i - 1200; n >= 0 {
					want = fmt.Sprintf(`{"held":%d}`, n)
				}
				if string(row) != want {
					t.Fatalf("row %d = %s, want %s", page[0]+i, row, want)
				}
			}
		}
		if ttl := rdb.PTTL(t.Context(), "rollcall:{ldap:corp}:run:"+id+":plan").Val(); ttl < 29*24*time.Hour {
			t.Errorf("the plan expires in %v, want 30 days", ttl)
		}
		if keys := rdb.Keys(t.Context(), "*:plan:*").Val(); len(keys) > 0 {
			t.Errorf("drafts are left: %v", keys)
		}
		empty := f.save(status.PlanHead{Idle: true}, planned(0, 0))
		if h := f.plan(empty); h.Rows() != 0 || !h.Complete() || h.Sections == nil {
			t.Errorf("empty plan %+v", h)
		}
		if newest, err := f.NewestPlan(t.Context(), corp); err != nil || newest.RunID != empty {
			t.Errorf("NewestPlan() = %+v, %v, want the empty one", newest, err)
		}
		_, err := f.NewestPlan(t.Context(), "ldap:other")
		wantKind(t, "NewestPlan() of nothing", err, fault.NotFound)
	})
}

// A run that was resumed plans again; who reads the old plan is told. A worker that lost the run stores nothing.
func TestPlanOfWhoHasTheRun(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{})
		first := f.acquire(f.start(), "w1")
		if err := first.Recorder().SavePlan(t.Context(), status.PlanHead{Digest: "one"}, planned(3, 0)); err != nil {
			t.Fatal(err)
		}
		old := f.plan(first.Run().ID)
		back, err := first.HandBack(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		second := f.acquire(back, "w2")
		wantStale(t, "SavePlan() of the first worker", first.Recorder().SavePlan(t.Context(),
			status.PlanHead{Digest: "late"}, planned(9, 0)))
		if h := f.plan(back.ID); h.Digest != "one" {
			t.Errorf("the plan is %q, want one", h.Digest)
		}
		f.Advance(time.Second)
		if err := second.Recorder().SavePlan(t.Context(), status.PlanHead{Digest: "two", Idle: true},
			planned(1, 0)); err != nil {
			t.Fatal(err)
		}
		_, err = f.PlanRows(t.Context(), old, 0, 3)
		wantKind(t, "PlanRows() of the old plan", err, fault.Conflict)
		if newest, err := f.NewestPlan(t.Context(), corp); err != nil || newest.Digest != "two" {
			t.Errorf("NewestPlan() = %+v, %v, want the second", newest, err)
		}
		if n := rdb.ZCard(t.Context(), "rollcall:{ldap:corp}:plans").Val(); n != 0 {
			t.Errorf("the run is in both indexes")
		}
		if keys := rdb.Keys(t.Context(), "*:plan:*").Val(); len(keys) != 1 || !strings.HasSuffix(keys[0], ":plan:1") {
			t.Errorf("beside the plan are %v, want the first worker's alone and no drafts", keys)
		}
	})
}

func TestPlansAreBounded(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{MaxPlans: 2, MaxPlanRows: 5, KeepPlans: time.Hour})
		var busy, idle []string
		for range 3 {
			busy = append(busy, f.save(status.PlanHead{}, planned(9, 2)))
		}
		for range 4 {
			idle = append(idle, f.save(status.PlanHead{Idle: true}, planned(0, 2)))
		}
		if got := f.kept(busy) + " " + f.kept(idle); got != "011 0011" {
			t.Errorf("plans kept: %s, want the newest two of each kind", got)
		}
		h := f.plan(busy[2])
		if want := []status.PlanSection{{Name: "change", Total: 9, Kept: 5},
			{Name: "held", Total: 2, Kept: 2}}; !cmp.Equal(h.Sections, want) || h.Complete() {
			t.Errorf("sections %v, want %v", h.Sections, want)
		}
		if rows, err := f.PlanRows(t.Context(), h, 4, 10); err != nil || len(rows) != 3 || string(rows[1]) != `{"held":0}` {
			t.Errorf("PlanRows() = %s, %v, want the last change and what is held", rows, err)
		}
		f.Advance(2 * time.Hour)
		last := f.save(status.PlanHead{}, planned(1, 0))
		if got := f.kept(append(append(busy, idle...), last)); got != "00000001" {
			t.Errorf("plans kept after two hours: %s, want the last", got)
		}
	})
}

func TestPlansAreBoundedInBytes(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{MaxPlanBytes: 1, MaxPlansBytes: 3000, MaxRuns: 5})
		var ids []string
		for range 4 {
			ids = append(ids, f.save(status.PlanHead{}, planned(2000, 0)))
		}
		h := f.plan(ids[3])
		if h.Sections[0].Kept != 500 || h.Sections[0].Total != 2000 {
			t.Errorf("sections %v, want the first chunk of 2000 rows", h.Sections)
		}
		if got := f.kept(ids); got[0] != '0' || got[3] != '1' {
			t.Errorf("plans kept: %s, want the last and as many as fit", got)
		}
		for range 6 {
			f.finished()
		}
		if got := f.kept(ids); got != "0000" {
			t.Errorf("plans kept: %s, want none without its run", got)
		}
	})
}
