package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"rollcall/api"
	"rollcall/audit"
	"rollcall/directory"
	"rollcall/fault"
	"rollcall/status"
)

// A pause stands until it is ended, is recorded and shown, and needs the scope approve. After its end the orders to
// leave are carried out and a full run follows.
func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	j := &journal{}
	h := newHarness(t, nil, func(c *api.Config) { c.Audit = j.write })
	h.jobs.result = &status.Result{Outcome: status.OutcomeHeld}
	const path, entraPath = "/api/v3/providers/google_workspace/1/sync/", "/api/v3/providers/microsoft_entra/2/sync/"
	const paused = `{"paused":true,"by":"ops@example.com","at":"2026-03-01T09:30:00.000000Z",` +
		`"text":"paused by ops@example.com since 2026-03-01T09:30:00Z; resume with ` +
		"`rollcall resume google_workspace:1`" + `"}`
	h.get(path+"pause/").is(http.StatusOK, `{"paused":false,"by":null,"at":null,"text":""}`)
	h.do(http.MethodPost, path+"resume/", "").is(http.StatusConflict, `{"detail":"Nothing is paused here."}`)
	for _, what := range []string{"pause/", "resume/"} {
		h.send(newRequest(t, http.MethodPost, path+what, "", syncToken)).want(http.StatusForbidden)
	}
	for range 2 {
		h.do(http.MethodPost, path+"pause/", "").is(http.StatusOK, paused)
		h.get(path+"pause/").is(http.StatusOK, paused)
	}
	last := j.records[len(j.records)-1]
	if last.Event != "sync/pause" || last.Outcome != audit.Done || last.Container != string(google) {
		t.Errorf("the last record is %+v", last)
	}
	run := h.start(google)
	if body := h.get(path + "status/").want(http.StatusOK).Body.String(); !strings.Contains(body,
		`"event":"paused by ops@example.com since `) {
		t.Errorf("the status does not name the pause: %s", body)
	}
	h.do(http.MethodPost, "/api/v3/leave/", `{"entry":"u-1"}`).want(http.StatusAccepted)
	h.jobs.started = directory.Ref{}
	h.do(http.MethodPost, path+"resume/", "").is(http.StatusOK, `{}`) // A run is live.
	if h.jobs.started.ID != "u-1" {
		t.Errorf("the job that follows is about %v, want the one who was ordered to leave", h.jobs.started)
	}
	h.get(path+"pause/").is(http.StatusOK, `{"paused":false,"by":null,"at":null,"text":""}`)
	h.do(http.MethodPost, entraPath+"pause/", "").want(http.StatusOK)
	resumed := h.do(http.MethodPost, entraPath+"resume/", "").want(http.StatusOK)
	got := read[struct{ Run struct{ ID, Mode string } }](resumed)
	if got.Run.ID == "" || got.Run.ID == run.ID || got.Run.Mode != "full" {
		t.Errorf("the run that follows is %+v", got)
	}
}

// A pause stands where no run can be started after it, and a run that met it is followed by another one.
func TestResumeStartsARun(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil, nil)
	const path = "/api/v3/providers/google_workspace/1/sync/"
	h.do(http.MethodPost, path+"pause/", "").want(http.StatusOK)
	h.jobs.err = fault.Errorf(fault.Unavailable, "the queue is away")
	h.do(http.MethodPost, path+"resume/", "").want(http.StatusServiceUnavailable)
	if body := h.get(path + "pause/").want(http.StatusOK).Body.String(); !strings.Contains(body, `"paused":true`) {
		t.Errorf("after a failed end the pause is %s", body)
	}
	h.jobs.err = nil
	var met status.Run
	h.jobs.onStart = func(run status.Run) {
		h.jobs.onStart, met = nil, run
		h.finish(run, status.End{State: status.Completed, Paused: "paused by grace"}, nil)
	}
	got := read[struct{ Run struct{ ID string } }](h.do(http.MethodPost, path+"resume/", "").want(http.StatusOK))
	if met.ID == "" || got.Run.ID == "" || got.Run.ID == met.ID {
		t.Errorf("the run that follows is %q, want another one than %q, which met the pause", got.Run.ID, met.ID)
	}
}

// While nothing runs, the status says how long the newest plan takes if it was not carried out. A queued run has that
// estimate, too.
func TestTheEstimateBeforeARun(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil, nil)
	const path = "/api/v3/providers/google_workspace/1/sync/"
	h.finish(h.start(google), status.End{State: status.Completed, Paused: "paused by grace"}, func(r *status.Recorder) {
		if err := r.Planned(t.Context(), status.Planned{Digest: "d", Takes: 21 * time.Minute}); err != nil {
			t.Error(err)
		}
	})
	const want = "The newest plan was not carried out. At the tenant's quota the changes take about 21 minutes."
	if body := h.get(path + "status/").want(http.StatusOK).Body.String(); !strings.Contains(body, want) {
		t.Errorf("the status is %s, want %q", body, want)
	}
	run := h.start(google)
	if body := h.get(path + "runs/" + run.ID + "/").want(http.StatusOK).Body.String(); !strings.Contains(body,
		`"estimated_duration":1260`) {
		t.Errorf("the queued run is %s", body)
	}
}
