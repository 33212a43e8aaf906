package api_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"rollcall/decisions"
)

type heldSet struct {
	Digest  string
	Count   int
	Changes []struct {
		Fingerprint string
		Decision    *struct{ Verdict, By string }
	}
}

func hold(t *testing.T, h *harness, digest string, prints ...string) {
	t.Helper()
	set := decisions.HeldSet{Digest: digest, RunID: "r", At: h.clock.Now()}
	for _, p := range prints {
		set.Changes = append(set.Changes, decisions.HeldChange{Fingerprint: p, Op: "suspend", Kind: "user", ID: "id-" + p,
			Guard: "limit", Reason: "too many"})
	}
	if err := h.decisions.SetHeld(t.Context(), google, set); err != nil {
		t.Fatal(err)
	}
}

func TestApproveAndReject(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil, nil)
	base := paths[google] + "sync/held/"
	if got := read[heldSet](h.get(base).want(http.StatusOK)); got.Count != 0 || got.Digest != "" {
		t.Errorf("held = %+v, want nothing", got)
	}
	hold(t, h, "d1", "a", "b", "c", "d")
	if got := read[heldSet](h.get(base + "?limit=2&offset=3").want(http.StatusOK)); got.Count != 4 ||
		len(got.Changes) != 1 || got.Changes[0].Fingerprint != "d" {
		t.Errorf("held = %+v, want the last of four", got)
	}
	h.get(base + "?limit=0").want(http.StatusBadRequest)
	h.do(http.MethodPost, base+"d9/approve/", "").want(http.StatusNotFound)
	h.do(http.MethodPost, base+"d1/approve/", `{"entries":["x"]}`).want(http.StatusBadRequest)
	h.do(http.MethodPost, base+"d1/approve/", `{"entries":[]}`).want(http.StatusBadRequest)
	h.do(http.MethodPost, base+"d1/approve/", `{"all":true}`).want(http.StatusBadRequest)
	h.do(http.MethodPost, base+"d1/reject/", `{"entries":["c"]}`).want(http.StatusOK)
	got := read[struct {
		Verdict string
		Count   int
		Run     run
	}](h.do(http.MethodPost, base+"d1/approve/", `{"entries":["a","id-b"]}`).want(http.StatusAccepted))
	if got.Verdict != "approved" || got.Count != 2 || got.Run.Trigger.Kind != "approval" {
		t.Errorf("approved = %+v", got)
	}
	verdicts := []string{}
	for _, c := range read[heldSet](h.get(base).want(http.StatusOK)).Changes {
		verdict := "-"
		if c.Decision != nil {
			verdict = c.Decision.Verdict + " by " + c.Decision.By
		}
		verdicts = append(verdicts, verdict)
	}
	if want := "approved by ops@example.com, approved by ops@example.com, rejected by ops@example.com, -"; strings.Join(
		verdicts, ", ") != want {
		t.Errorf("verdicts %q, want %q", verdicts, want)
	}
	h.do(http.MethodPost, base+"d1/approve/", "").want(http.StatusConflict) // the run that was started is live
}

// TestApproveWhatWasSuperseded: a decision holds for every change that still waits, whatever the set is called by now.
func TestApproveWhatWasSuperseded(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil, nil)
	base := paths[google] + "sync/held/"
	hold(t, h, "d1", "a", "b")
	hold(t, h, "d2", "b", "c")
	if left := read[heldSet](h.get(base + "d1/").want(http.StatusOK)); left.Digest != "d1" || left.Count != 1 ||
		left.Changes[0].Fingerprint != "b" {
		t.Errorf("the superseded set has %+v, want the one change that still waits", left)
	}
	h.get(base + "d9/").want(http.StatusNotFound)
	got := read[struct{ Count int }](h.do(http.MethodPost, base+"d1/approve/", "").want(http.StatusAccepted))
	if got.Count != 1 {
		t.Errorf("approved %d, want the one that still waits", got.Count)
	}
	decided, err := h.decisions.Decisions(t.Context(), google)
	if err != nil || len(decided) != 1 || decided["b"].Expires != h.clock.Now().Add(72*time.Hour) {
		t.Errorf("decisions %+v, %v; want one about b, for 72 hours", decided, err)
	}
	hold(t, h, "d3", "x")
	h.do(http.MethodPost, base+"d1/reject/", "").want(http.StatusConflict)
}

func TestApprovalNeedsItsScope(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil, nil)
	hold(t, h, "d1", "a")
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, paths[google]+"sync/held/d1/approve/", nil)
	r.Header.Set("Authorization", "Bearer "+syncToken)
	h.send(r).want(http.StatusForbidden)
}

func TestHeldNamesConflicts(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil, nil)
	set := decisions.HeldSet{Digest: "none", RunID: "r", At: h.clock.Now(), ConflictCount: 2}
	set.Conflicts = []decisions.Conflict{{Kind: "user", Label: "uid=x", Reason: "unusable", Detail: "uid=x: no id"}}
	if err := h.decisions.SetHeld(t.Context(), google, set); err != nil {
		t.Fatal(err)
	}
	got := read[struct {
		Digest        *string              `json:"digest"`
		Count         int                  `json:"count"`
		ConflictCount int                  `json:"conflict_count"`
		Conflicts     []decisions.Conflict `json:"conflicts"`
	}](h.get(paths[google] + "sync/held/").want(http.StatusOK))
	if got.Digest != nil || got.Count != 0 || got.ConflictCount != 2 || len(got.Conflicts) != 1 ||
		got.Conflicts[0].Detail != "uid=x: no id" {
		t.Errorf("held = %+v, want two conflicts, one of them named, and nothing to decide", got)
	}
}
