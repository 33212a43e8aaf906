package main

import (
	"encoding/json"
	"net/http"
	"testing"

	"rollcall/container"
	"rollcall/status"
)

var newcomers = status.Planned{Digest: "p", Expected: []status.Expectation{{Object: status.User, Change: status.Create,
	Count: 3}}}

func TestStatus(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.do("status").want(t, 0, "never")
	s.ran(corp, false, work{plan: newcomers, done: 3})
	s.do("status").want(t, 0)
	plan := newcomers
	plan.Held = 4
	s.ran(google, false, work{plan: plan, done: 3})
	s.ran(google, true, work{end: status.End{State: status.Failed, FailReason: "a dry run does not count"}})
	s.hold(google, "d1", leaver("a"), leaver("b"))
	s.do("status").want(t, codeHeld)
	s.ran(entra, false, work{plan: newcomers, done: 1, failed: 2,
		end: status.End{State: status.Failed, FailReason: "denied\nby the tenant"}})
	lease := s.take(s.live(corp))
	if err := lease.Recorder().Planned(t.Context(), newcomers); err != nil {
		t.Fatal(err)
	}
	lease.Recorder().Succeeded(status.User, status.Create, 1)
	if err := lease.Recorder().Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.do("status").want(t, codeFailure).golden(t, "status")
	s.do("status", string(google)).want(t, codeHeld).golden(t, "status-one")
	s.do("status", "google_workspace:7").want(t, codeFailure, "the API has no google_workspace:7")
}

// The status of a source says when it last told its changes, and why it no longer does.
func TestStatusOfPolls(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for _, poll := range []struct{ reason, want string }{
		{"the server keeps no session log", "changes are noticed by full runs only: the server keeps no session log"},
		{"", "ldap:corp: last asked for changes "},
		{"it does not answer", "then not: it does not answer"},
	} {
		if err := s.store.Polled(t.Context(), corp, poll.reason); err != nil {
			t.Fatal(err)
		}
		s.do("status", string(corp)).want(t, 0, poll.want)
	}
}

// TestStatusAsJSON: one container is the API's own answer, all are one object.
func TestStatusAsJSON(t *testing.T) {
	t.Parallel()
	s := newService(t)
	r := s.do("status", string(corp), "--json").want(t, 0)
	if want := `{"is_running":false,"tasks":[]}` + "\n"; r.stdout != want {
		t.Errorf("status = %s, want %s", r.stdout, want)
	}
	var all map[string]struct {
		Tasks *[]any `json:"tasks"`
	}
	if err := json.Unmarshal([]byte(s.do("status", "--json").stdout), &all); err != nil || len(all) != 4 ||
		all[string(off)].Tasks == nil {
		t.Errorf("status of all = %v, %v; want four", all, err)
	}
}

func TestRuns(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.do("runs", string(google)).want(t, 0, "no run yet")
	s.do("watch", string(google)).want(t, codeFailure, "no run yet")
	s.ran(google, false, work{plan: newcomers, done: 3})
	s.ran(google, true, work{plan: newcomers})
	plan := newcomers
	plan.Held = 1
	s.ran(google, false, work{plan: plan, done: 1, failed: 2, messages: []status.Message{
		{Level: status.Info, Event: "Read 3 users."},
		{Level: status.Warning, Event: "Held: no mail", Attributes: map[string]any{"kind": "user", "id": "u-9",
			"label": "odd\x1b[31m\nname"}},
	}})
	var id string
	s.before = func(r *http.Request) {
		if found := runID.FindString(r.URL.String()); found != "" {
			id = found
		}
	}
	s.do("runs", string(google)).want(t, 0).golden(t, "runs")
	s.do("runs", string(google), "--limit", "1").want(t, 0,
		"Older ones: rollcall runs google_workspace:1 --limit 1 --cursor ")
	s.do("watch", string(google)).want(t, codeFailure).golden(t, "watch-over")
	s.do("runs", string(google), id).want(t, codeFailure).golden(t, "run")
	s.do("runs", string(google), id, "--json").want(t, codeFailure, `{"id":"`+id+`"`)
	s.do("runs", string(google), id, "--plan").want(t, 0, "create", "ada (u-1)", "ada@example.com")
	s.do("runs", string(google), id, "--plan", "--json").want(t, 0, `{"run":"`+id+`"`)
	s.do("runs", string(google), "x", "--plan").want(t, codeFailure)
	s.do("runs", string(google), "--plan").want(t, codeUsage, "--plan: name the run, too")
	s.do("runs", string(google), "x").want(t, codeFailure, `no run "x" of google_workspace:1`)
	s.do("runs", string(google), "--limit", "0").want(t, codeUsage)
}

// live starts a run that no worker has taken.
func (s *service) live(c container.ID) status.Run {
	s.t.Helper()
	run, err := s.store.Start(s.t.Context(), status.StartRequest{Container: c,
		Trigger: status.Trigger{Kind: status.ByAPI, By: "ops"}})
	if err != nil {
		s.t.Fatal(err)
	}
	return run
}
