package console_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"rollcall/api"
	"rollcall/decisions"
	"rollcall/directory"
	"rollcall/directory/store"
	"rollcall/internal/console"
	"rollcall/internal/redistest"
	"rollcall/ledger"
	"rollcall/plan"
	"rollcall/status"
)

// half returns a hall with 500,000 people in the local directory, 500,000 links of people who left, runs with plans
// of 500,000 changes in all, and 500,000 held changes. Redis has what the stores themselves write.
func half(b *testing.B) *hall {
	b.Helper()
	const people = 500_000
	h := hallOn(b, redistest.Start(b), true, []api.Resource{{Container: corp, Name: "Corporate directory"},
		{Container: google, Name: "Tenant"}})
	ref := func(i int) directory.Ref {
		return directory.Ref{Kind: directory.User, ID: directory.ID(fmt.Sprintf("%08x-7c1f-4d52-9a43-5f0d6c1b2a3e", i))}
	}
	part := store.New(store.Config{Redis: h.rdb, Slug: "corp"})
	must(b, part.Begin(b.Context(), "run", time.Now()))
	ledger, began := ledger.NewRedis(h.rdb, string(google)), time.Now()
	var held []decisions.HeldChange
	for from := 0; from < people; from += 10_000 {
		var s directory.Snapshot
		links := map[directory.Ref]plan.Link{}
		for i := from; i < from+10_000; i++ {
			name := fmt.Sprintf("person-%06d", i)
			s.Entries = append(s.Entries, directory.Entry{Kind: directory.User, ID: ref(i).ID, Source: "corp", Active: true,
				DN: "uid=" + name + ",ou=people,dc=example,dc=org", Attributes: directory.Attributes(nil).
					Set(directory.UserName, name).Set(directory.Mail, name+"@example.org").
					Set(directory.DisplayName, fmt.Sprintf("Ada Person the %dth", i))})
			links[ref(i)] = plan.Link{RemoteID: fmt.Sprint(i), Departed: began.Add(-time.Duration(i/1000) * time.Hour),
				Why: plan.Absent}
			change := leaver(name)
			change.ID = string(ref(i).ID)
			held = append(held, change)
		}
		changes := plan.Compute(plan.Input{Desired: store.Desired(s), Capabilities: part.Capabilities()}).Changes
		for n := part.Capabilities().BatchSize; len(changes) > 0; changes = changes[min(n, len(changes)):] {
			for _, r := range part.Apply(b.Context(), changes[:min(n, len(changes))]) {
				must(b, r.Err)
			}
		}
		must(b, ledger.PutLinks(b.Context(), links))
	}
	_, err := part.Commit(b.Context(), "run")
	must(b, err)
	_, err = ledger.Links(b.Context()) // as every full run does
	must(b, err)
	for range 5 {
		var p plan.Plan
		for i := range 100_000 {
			p.Changes = append(p.Changes, plan.Change{Op: plan.Update, Ref: ref(i), Label: fmt.Sprintf("person-%06d", i),
				Address: fmt.Sprintf("person-%06d@example.org", i),
				Fields:  []plan.FieldChange{{Name: "title", Before: []string{"Clerk"}, After: []string{"Chief"}}}})
		}
		h.run(google, status.End{State: status.Completed}, p, plan.Plan{})
	}
	h.hold(google, "r", held...)
	reader := store.NewReader(part)
	h.search = func(ctx context.Context, text string, limit int) (out []console.Found, _ bool, _ error) {
		found, whole, err := reader.Search(ctx, text, limit)
		for _, m := range found {
			out = append(out, console.Found{Ref: m.Ref, Label: m.Label, Source: m.Source})
		}
		return out, whole, err
	}
	h.entries = func(ctx context.Context, refs []directory.Ref) (map[directory.Ref]console.Known, error) {
		out := map[directory.Ref]console.Known{}
		found, err := part.Labels(ctx, refs)
		for ref, n := range found {
			out[ref] = console.Known{Label: n.Label, Unit: n.DN}
		}
		return out, err
	}
	return h
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// BenchmarkLists opens every list of an installation of 500,000 people. The slowest page is reported, and fails the
// benchmark where it takes more than 200 ms.
func BenchmarkLists(b *testing.B) {
	h := half(b)
	runs, _, err := h.status.List(b.Context(), google, 0, 1)
	must(b, err)
	run := "/runs/google_workspace/1/" + runs[0].ID + "/"
	for _, path := range []string{"/", "/people/?q=person-4999", "/people/?q=ada", "/people/?q=0007", "/people/?q=none",
		"/changes/", "/changes/?page=9000", "/changes/?q=person-099999", "/changes/?q=none", "/changes/?op=suspend",
		"/leavers/", "/leavers/?due=week", "/leavers/?why=disabled", "/leavers/?q=person-4999",
		"/held/", "/held/google_workspace/1/", "/held/google_workspace/1/?page=4000", "/held/google_workspace/1/?by=action",
		"/held/google_workspace/1/?by=group", "/held/google_workspace/1/?by=unit",
		"/held/google_workspace/1/?q=person-4999", "/held/google_workspace/1/?q=none",
		"/held/google_workspace/1/d1/review?verdict=approved",
		"/held/google_workspace/1/d1/review?verdict=approved&by=reason&key=limit", "/runs/google_workspace/1/", run,
		run + "?page=2000", run + "?q=person-099999", run + "?q=none", run + "?group=person"} {
		b.Run(path, func(b *testing.B) {
			began := time.Now()
			h.get(path)
			first := time.Since(began)
			for b.Loop() {
				h.get(path)
			}
			b.ReportMetric(float64(first.Milliseconds()), "first-ms")
		})
	}
}

// BenchmarkApproveAll approves 500,000 held changes at once, and reads the decision as the next run does.
func BenchmarkApproveAll(b *testing.B) {
	h := hallOn(b, redistest.Start(b), true, []api.Resource{{Container: google, Name: "Tenant"}})
	held := make([]decisions.HeldChange, 500_000)
	for i := range held {
		held[i] = leaver(fmt.Sprintf("person-%06d", i))
	}
	h.hold(google, "r", held...)
	path, took := "/held/google_workspace/1/d1/", func(what string, since time.Time) {
		b.ReportMetric(time.Since(since).Seconds(), what+"-s")
	}
	for b.Loop() {
		began := time.Now()
		page := h.get(path + "review?verdict=approved")
		took("review", began)
		began = time.Now()
		form := url.Values{"count": {"500000"}, "write": {writeOf(page)}, "verdict": {"approved"}}
		resp := h.as(h.decider, http.MethodPost, path+"approve", form)
		took("approve", began)
		if resp.StatusCode != http.StatusSeeOther {
			b.Fatalf("approve = %s: %.300s", resp.Status, resp.body)
		}
		began = time.Now()
		all, err := h.decisions.Decisions(b.Context(), google)
		took("read", began)
		if err != nil || len(all) != len(held) {
			b.Fatalf("%d decisions (%v)", len(all), err)
		}
		began = time.Now()
		h.get("/held/google_workspace/1/")
		took("held", began)
	}
}
