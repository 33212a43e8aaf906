package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"rollcall/directory"
	"rollcall/plan"
	"rollcall/status"
)

// planAnswer is what a client reads of a plan.
type planAnswer struct {
	Run      string
	DryRun   bool `json:"dry_run"`
	Digest   string
	Summary  plan.Summary
	Sections []status.PlanSection
	Complete bool
	Next     string
	Results  []plan.Row
}

// planned is a plan that creates n users and holds one; one is in conflict and one is left alone.
func planned(n int) (apply, held plan.Plan) {
	ref := func(id string) directory.Ref { return directory.Ref{Kind: directory.User, ID: directory.ID(id)} }
	for i := range n {
		apply.Changes = append(apply.Changes, plan.Change{
			Op: plan.Create, Ref: ref(fmt.Sprintf("u%04d", i)), Label: "ann", Address: "ann@example.com",
			Fields: []plan.FieldChange{{Name: "given_name", Before: []string{"An"}, After: []string{"Ann"}},
				{Name: "password", After: []string{"hush-hush"}}},
		})
	}
	apply.Held = []plan.Held{{Ref: ref("c"), Label: "bob", Reason: plan.NoAddress, Detail: "no mail"}}
	apply.Notes = []plan.Note{{Ref: ref("n"), Reason: plan.SuspendedByElse, Detail: "somebody else suspended it"}}
	member := ref("u0000")
	held.Changes = []plan.Change{
		{Op: plan.RemoveMember, Ref: directory.Ref{Kind: directory.Group, ID: "g"}, Member: &member, Guard: plan.RuleFollows,
			Held: "the member's own departure is held"},
		{Op: plan.Suspend, Ref: ref("h"), Address: "eve@example.com", Why: plan.Absent, Guard: plan.RuleLimit,
			Held: "too many"},
	}
	return apply, held
}

// savePlan stores a plan as a worker does.
func (h *harness) savePlan(rec *status.Recorder, apply, held plan.Plan) {
	h.t.Helper()
	summary, err := json.Marshal(plan.Summarize(apply, held))
	if err != nil {
		h.t.Fatal(err)
	}
	head := status.PlanHead{Digest: apply.Digest(), Idle: apply.Empty(), Summary: summary}
	err = rec.SavePlan(h.t.Context(), head, func(yield func(string, any) bool) {
		for row := range plan.Rows(apply, held) {
			if !yield(string(row.Kind), row) {
				return
			}
		}
	})
	if err == nil {
		err = rec.Planned(h.t.Context(), status.Planned{Digest: head.Digest})
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// A plan is paged through to its end while newer ones arrive.
func TestPlan(t *testing.T) {
	t.Parallel()
	for c, base := range paths {
		if c == off {
			continue
		}
		t.Run(string(c), func(t *testing.T) {
			t.Parallel()
			h := newHarness(t, nil, nil)
			path := base + "sync/plan/"
			h.get(path).is(http.StatusNotFound, `{"detail":"No plan is kept of this container."}`)
			run, err := h.store.Start(t.Context(), status.StartRequest{Container: c, DryRun: true})
			if err != nil {
				t.Fatal(err)
			}
			h.get(path+"?run="+run.ID).is(http.StatusNotFound, `{"detail":"The run has no plan yet."}`)
			apply, held := planned(150)
			h.finish(run, status.End{State: status.Completed}, func(r *status.Recorder) { h.savePlan(r, apply, held) })
			first := read[planAnswer](h.get("/api/v3" + path).want(http.StatusOK))
			if first.Run != run.ID || !first.DryRun || !first.Complete || len(first.Results) != 100 ||
				first.Digest != apply.Digest() ||
				first.Summary.Changes[plan.Create].User != 150 || first.Summary.Held[plan.Suspend].User != 1 {
				t.Errorf("first page %+v", first)
			}
			h.finish(h.start(c), status.End{State: status.Completed},
				func(r *status.Recorder) { h.savePlan(r, plan.Plan{}, plan.Plan{}) })
			rest := read[planAnswer](h.get(path + "?page_token=" + url.QueryEscape(first.Next)).want(http.StatusOK))
			kinds := ""
			for _, row := range append(first.Results, rest.Results...) {
				kinds += string(row.Kind[0])
			}
			if want := strings.Repeat("c", 150) + "hhcn"; kinds != want || rest.Next != "" || rest.Run != run.ID {
				t.Errorf("rows %s, next %q, want %s", kinds, rest.Next, want)
			}
			if f := first.Results[0].Change.Fields; f[0].Before[0] != "An" || f[0].After[0] != "Ann" ||
				f[1].After[0] == "hush-hush" {
				t.Errorf("fields %+v", f)
			}
			if newest := read[planAnswer](h.get(path)); newest.Run == run.ID || len(newest.Results) != 0 || newest.DryRun {
				t.Errorf("newest plan %+v", newest)
			}
			one := read[planAnswer](h.get(path + "?row=held&page_size=1&run=" + run.ID))
			two := read[planAnswer](h.get(path + "?row=held&page_token=" + one.Next))
			if len(one.Results) != 1 || len(two.Results) != 1 || two.Results[0].Change.Guard != plan.RuleLimit ||
				two.Next != "" {
				t.Errorf("held rows %+v and %+v", one.Results, two.Results)
			}
		})
	}
}

func TestPlanAsText(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil, nil)
	run := h.start(google)
	apply, held := planned(3)
	h.finish(run, status.End{State: status.Completed}, func(r *status.Recorder) { h.savePlan(r, apply, held) })
	path := paths[google] + "sync/plan/?format=text"
	w := h.get(path).want(http.StatusOK)
	text := w.Body.String()
	for _, want := range []string{run.ID, apply.Digest(), "create", "ann (u0000)", "limit: too many", "no mail",
		"somebody else suspended it", "held by a guard", "to create"} {
		if !strings.Contains(text, want) {
			t.Errorf("the text does not say %q:\n%s", want, text)
		}
	}
	if got := w.Header().Get("Content-Type"); got != "text/plain; charset=utf-8" || strings.Contains(text, "hush") ||
		strings.Contains(text, "There is more") {
		t.Errorf("Content-Type %q:\n%s", got, text)
	}
	if part := h.get(path + "&page_size=2").Body.String(); !strings.Contains(part, "There is more: page_token="+run.ID) ||
		strings.Contains(part, "no mail") {
		t.Errorf("first page:\n%s", part)
	}
}

func TestPlanSaysWhatWasLeftOut(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil, nil)
	h.store = status.New(h.rdb, status.Config{Now: h.clock.Now, MaxPlanRows: 2})
	apply, held := planned(3)
	h.finish(h.start(google), status.End{State: status.Completed}, func(r *status.Recorder) { h.savePlan(r, apply, held) })
	got := read[planAnswer](h.get(paths[google] + "sync/plan/"))
	if got.Complete || got.Sections[0] != (status.PlanSection{Name: "change", Total: 3, Kept: 2}) ||
		got.Summary.Changes[plan.Create].User != 3 || len(got.Results) != 6 {
		t.Errorf("plan %+v", got)
	}
	if text := h.get(paths[google] + "sync/plan/?format=text").Body.String(); !strings.Contains(text,
		"Only the first 2 of 3 rows (change) are kept.") {
		t.Errorf("text:\n%s", text)
	}
}

func TestPlanRefusals(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil, nil)
	run := h.start(google)
	lease := h.acquire(run)
	apply, held := planned(3)
	h.savePlan(lease.Recorder(), apply, held)
	path := paths[google] + "sync/plan/"
	old := read[planAnswer](h.get(path + "?page_size=1")).Next
	h.clock.Advance(time.Second)
	h.savePlan(lease.Recorder(), apply, held)
	for query, field := range map[string]string{
		"run=x": "run", "run=" + strings.ToUpper(run.ID): "run", "row=create": "row", "format=yaml": "format",
		"page_size=0": "page_size", "page_size=1001": "page_size",
		"page_token=x": "page_token", "page_token=" + run.ID + ".1": "page_token", "page_token=" + run.ID +
			".x.1": "page_token", "page_token=" + run.ID + ".1.-1": "page_token",
		"page_token=" + old: "page_token", "page_token=" + old + "&run=7d444840-9dc0-11d1-b245-5ffdce74fad2": "page_token",
	} {
		if got := read[map[string][]string](h.get(path + "?" + query).want(http.StatusBadRequest)); len(got[field]) != 1 {
			t.Errorf("%s: %v, want what is wrong with %s", query, got, field)
		}
	}
	next := read[planAnswer](h.get(path + "?page_size=1")).Next
	beyond := next[:strings.LastIndex(next, ".")] + ".9223372036854775807"
	if got := read[planAnswer](h.get(path + "?page_token=" + beyond).want(http.StatusOK)); len(got.Results) != 0 ||
		got.Next != "" {
		t.Errorf("behind the end: %+v", got)
	}
	h.get(path+"?run=7d444840-9dc0-11d1-b245-5ffdce74fad2").is(http.StatusNotFound, `{"detail":"There is no such run."}`)
	h.rdb.Del(t.Context(), "rollcall:{google_workspace:1}:run:"+run.ID+":plan")
	h.get(path+"?run="+run.ID).is(http.StatusNotFound, `{"detail":"The plan of this run is no longer kept."}`)
	if _, err := h.store.Cancel(t.Context(), google, "ops"); err != nil {
		t.Fatal(err)
	}
	lease.Close()
	other := h.start(google)
	h.finish(other, status.End{State: status.Failed}, nil)
	h.get(path+"?run="+other.ID).is(http.StatusNotFound, `{"detail":"The run ended before it had a plan."}`)
}
