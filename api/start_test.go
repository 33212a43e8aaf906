package api_test

import (
	"cmp"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"rollcall/fault"
	"rollcall/status"
)

type run struct {
	ID      string
	State   string
	DryRun  bool `json:"dry_run"`
	Trigger struct{ Kind, By string }
	Done    int
	Message int
}

func TestStart(t *testing.T) {
	t.Parallel()
	for _, c := range containers {
		t.Run(string(c.Kind()), func(t *testing.T) {
			t.Parallel()
			h := newHarness(t, nil, nil)
			w := h.do(http.MethodPost, "/api/v3"+paths[c]+"sync/", "").want(http.StatusAccepted)
			first := read[run](w)
			if first.State != "queued" || first.DryRun || first.Trigger.Kind != "api" || first.Trigger.By != "ops@example.com" {
				t.Errorf("run = %+v", first)
			}
			if got := read[run](h.get(w.Header().Get("Location")).want(http.StatusOK)); got != first {
				t.Errorf("%s has %+v", w.Header().Get("Location"), got)
			}
			refused := read[struct {
				Detail string
				Run    run
			}](h.do(http.MethodPost, paths[c]+"sync/", "").want(http.StatusConflict))
			if refused.Run.ID != first.ID || refused.Detail == "" {
				t.Errorf("refused = %+v", refused)
			}
			cancelled := read[run](h.do(http.MethodPost, paths[c]+"sync/cancel/", "").want(http.StatusOK))
			if cancelled.ID != first.ID || cancelled.State != "cancelled" {
				t.Errorf("cancelled = %+v", cancelled)
			}
			h.do(http.MethodPost, paths[c]+"sync/cancel/", "").is(http.StatusConflict, `{"detail":"No run is live."}`)
		})
	}
}

// A dry run can be asked for in the query or the body. What is not understood is refused: it might have meant one.
func TestStartOptions(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		query, body string
		code        int
		dry         bool
		mode        status.Mode // full where it is empty
		want        string
	}{
		{query: "?dry_run=true", code: 202, dry: true},
		{query: "?dry_run=1", code: 202, dry: true},
		{query: "?dry_run=False", code: 202},
		{body: `{"dry_run":true}`, code: 202, dry: true},
		{body: `{}`, code: 202},
		{query: "?mode=delta", code: 202, mode: status.Delta},
		{body: `{"mode":"full","dry_run":true}`, code: 202, dry: true},
		{query: "?mode=quick", code: 400, want: `{"mode":["Must be \"full\" or \"delta\"."]}`},
		{query: "?dry_run=", code: 400, want: `{"dry_run":["Must be a valid boolean."]}`},
		{query: "?dry_run=maybe", code: 400, want: `{"dry_run":["Must be a valid boolean."]}`},
		{query: "?dryrun=true", code: 400, want: `{"dryrun":["Unknown parameter."]}`},
		{body: `{"dry-run":true}`, code: 400, want: `{"dry-run":["Unknown parameter."]}`},
		{body: `{"dry_run":null}`, code: 400, want: `{"dry_run":["Must be a valid boolean."]}`},
		{query: "?dry_run=true", body: `{"dry_run":false}`, code: 400,
			want: `{"dry_run":["This is given in the query and in the body."]}`},
		{body: `[]`, code: 400, want: `{"non_field_errors":["Invalid data. Expected a dictionary, but got list."]}`},
	} {
		t.Run(test.query+test.body, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t, nil, nil)
			w := h.do(http.MethodPost, "/sources/ldap/corp/sync/"+test.query, test.body).want(test.code)
			if test.want != "" {
				w.is(test.code, test.want)
			} else if got := read[run](w); got.DryRun != test.dry {
				t.Errorf("dry_run = %v", got.DryRun)
			}
			now, live, err := h.store.Live(t.Context(), corp)
			if err != nil || live != (test.code == 202) {
				t.Errorf("live = %v, %v", live, err)
			}
			if want := cmp.Or(test.mode, status.Full); live && now.Mode != want {
				t.Errorf("mode = %s, want %s", now.Mode, want)
			}
		})
	}
}

// The live run may have lost its record; the start is refused all the same.
func TestStartRefusedWithoutRecord(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil, nil)
	h.jobs.err = &status.LiveError{Run: status.Run{ID: "7d444840-9dc0-11d1-b245-5ffdce74fad2", Container: corp}}
	h.do(http.MethodPost, paths[corp]+"sync/", "").is(409, `{"detail":"A run is live: wait for its end, or cancel it."}`)
}

func TestStartFaults(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil, nil)
	h.do(http.MethodPost, paths[off]+"sync/", "").is(409, `{"detail":"This Google Workspace Provider is disabled."}`)
	h.jobs.err = fault.Errorf(fault.Unavailable, "dial tcp 10.0.0.1:6379: refused")
	for _, path := range []string{"sync/", "sync/cancel/"} {
		if w := h.do(http.MethodPost, paths[corp]+path, "").want(503); strings.Contains(w.Body.String(), "10.0.0.1") {
			t.Errorf("%s says where Redis is: %s", path, w.Body)
		}
	}
	if !strings.Contains(h.log.String(), "10.0.0.1") {
		t.Error("the log does not say what is wrong")
	}
}

// Without tokens, a page of another site must not start anything from an operator's browser.
func TestCrossOriginIsRefused(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil, nil)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/sources/ldap/corp/sync/", nil)
	r.Header.Set("Authorization", "Bearer "+bothToken)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	h.send(r).is(403, `{"detail":"Cross-origin requests are not allowed."}`)
}

func TestRuns(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil, nil)
	for range 2 {
		h.finish(h.start(google), status.End{State: status.Completed}, func(r *status.Recorder) {
			r.Read(status.User, 10)
			r.Succeeded(status.User, status.Create, 3)
			r.Failed(status.Membership, status.Delete, 1)
			r.Calls(7)
			for _, event := range []string{"one", "two", "three"} {
				r.Log(status.Message{Event: event})
			}
		})
	}
	h.start(google)
	type page struct {
		Next    *string
		Results []map[string]any
	}
	first := read[page](h.get("/api/v3/providers/google_workspace/1/sync/runs/?page_size=2").want(200))
	if len(first.Results) != 2 || first.Results[0]["state"] != "queued" || first.Next == nil {
		t.Fatalf("first = %+v", first)
	}
	second := read[page](h.get("/api/v3/providers/google_workspace/1/sync/runs/?page_size=2&cursor=" +
		*first.Next).want(200))
	if len(second.Results) != 1 || second.Next != nil {
		t.Fatalf("second = %+v", second)
	}
	one := second.Results[0]
	if one["done"] != 4.0 || one["status"] != "warning" || one["calls"] != 7.0 || one["duration"] != 90.0 ||
		one["read"].(map[string]any)["user"] != 10.0 || len(one["progress"].([]any)) != 2 {
		t.Errorf("run = %v", one)
	}
	path := "/providers/google_workspace/1/sync/runs/" + one["id"].(string) + "/"
	h.get(path).want(200)
	h.get(strings.Replace(path, "google_workspace/1", "microsoft_entra/2", 1)).want(404)
	h.get(strings.ToUpper(path)).want(404)

	newest := read[page](h.get(path + "messages/?page_size=2").want(200))
	if len(newest.Results) != 2 || newest.Results[0]["event"] != "three" || newest.Next == nil {
		t.Fatalf("newest = %+v", newest)
	}
	rest := read[page](h.get(path + "messages/?cursor=" + *newest.Next).want(200))
	if len(rest.Results) != 1 || rest.Results[0]["event"] != "one" || rest.Next != nil {
		t.Errorf("rest = %+v", rest)
	}
	oldest := read[page](h.get(path + "messages/?after=&page_size=1").want(200))
	if len(oldest.Results) != 1 || oldest.Results[0]["event"] != "one" || oldest.Next == nil {
		t.Fatalf("oldest = %+v", oldest)
	}
	if follow := read[page](h.get(path + "messages/?after=" + *oldest.Next)); len(follow.Results) != 2 ||
		follow.Results[0]["event"] != "two" {
		t.Errorf("follow = %+v", follow)
	}
	h.get(path+"messages/?cursor=x&after=1-1&page_size=0").is(400,
		`{"cursor":["This is not the id of a message."],"non_field_errors":["Give cursor or after, not both."],`+
			`"page_size":["Ensure this value is between 1 and 1000."]}`)
}

// A run on its way shows what is expected of it and when it will be over.
func TestRunOnItsWay(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil, nil)
	started := h.start(google)
	lease := h.acquire(started)
	err := lease.Recorder().Planned(t.Context(), status.Planned{Digest: "d",
		Expected: []status.Expectation{{Object: status.User, Change: status.Create, Count: 10}}})
	if err != nil {
		t.Fatal(err)
	}
	h.clock.Advance(10e9)
	lease.Recorder().Succeeded(status.User, status.Create, 5)
	if err := lease.Recorder().Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := read[map[string]any](h.get("/providers/google_workspace/1/sync/runs/" + started.ID + "/").want(200))
	if got["done"] != 5.0 || got["expected"] != 10.0 || got["estimated_end"] != "2026-03-01T09:30:20.000000Z" ||
		got["worker"] != "worker-1" {
		t.Errorf("run = %v", got)
	}
	if _, err := lease.Defer(t.Context(), h.clock.Now().Add(60e9), "quota", status.Outage{}); err != nil {
		t.Fatal(err)
	}
	got = read[map[string]any](h.get("/providers/google_workspace/1/sync/runs/" + started.ID + "/").want(200))
	if got["state"] != "deferred" || got["defer_reason"] != "quota" ||
		got["deferred_until"] != "2026-03-01T09:31:10.000000Z" {
		t.Errorf("run = %v", got)
	}
}
