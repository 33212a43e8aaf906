package api_test

import (
	"net/http"
	"testing"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/status"
)

type pinList struct {
	Count int
	Pins  []struct {
		Kind, ID, Run, Account string
		Fields                 map[string][]string
		Groups                 []struct {
			ID     string
			Member bool
		}
	}
}

func pinned(t *testing.T, h *harness, ids ...directory.ID) {
	t.Helper()
	var pins []plan.Pin
	for _, id := range ids {
		pins = append(pins, plan.Pin{
			Ref: directory.Ref{Kind: directory.User, ID: id}, Run: "r", By: "ops", At: h.clock.Now(), Account: plan.StandsActive,
			Fields: directory.Attributes{{Name: "phone"}, {Name: "title", Values: []string{"T"}}},
			Groups: []plan.PinnedMembership{{ID: "g", Member: true}},
		})
	}
	if err := h.decisions.Pin(t.Context(), google, pins, nil); err != nil {
		t.Fatal(err)
	}
}

func TestRevert(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil, nil)
	of := h.start(google)
	h.finish(of, status.End{State: status.Completed}, nil)
	path := paths[google] + "sync/runs/" + of.ID + "/revert/"
	h.do(http.MethodPost, path+"?dry=1", "").want(http.StatusBadRequest)
	h.do(http.MethodPost, path, `{"dry_run":"perhaps"}`).want(http.StatusBadRequest)
	h.do(http.MethodGet, path, "").want(http.StatusMethodNotAllowed)
	h.do(http.MethodPost, paths[google]+"sync/runs/x/revert/", "").want(http.StatusNotFound)
	h.do(http.MethodPost, paths[corp]+"sync/runs/"+of.ID+"/revert/", "").want(http.StatusNotFound)
	h.do(http.MethodPost, paths[off]+"sync/runs/"+of.ID+"/revert/", "").want(http.StatusConflict)
	answer := h.do(http.MethodPost, path+"?dry_run=true", "").want(http.StatusAccepted)
	got := read[struct {
		ID      string
		DryRun  bool `json:"dry_run"`
		Trigger struct{ Kind, By, Of string }
	}](answer)
	if got.Trigger.Kind != "revert" || got.Trigger.Of != of.ID || got.Trigger.By == "" || !got.DryRun {
		t.Errorf("the run is %+v, want a dry one that undoes %s", got, of.ID)
	}
	if want := paths[google] + "sync/runs/" + got.ID + "/"; answer.Header().Get("Location") != want {
		t.Errorf("Location %q, want %q", answer.Header().Get("Location"), want)
	}
	h.do(http.MethodPost, path, "").want(http.StatusConflict) // the undo is live
	h.jobs.err = fault.Errorf(fault.Conflict, "The run changed nothing.")
	h.do(http.MethodPost, path, "").is(http.StatusConflict, `{"detail":"The run changed nothing."}`)
}

func TestPinsAndLift(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil, nil)
	path := paths[google] + "sync/pins/"
	if got := read[pinList](h.get(path).want(http.StatusOK)); got.Count != 0 || got.Pins == nil {
		t.Errorf("pins = %+v, want an empty list", got)
	}
	h.do(http.MethodPost, path+"lift/", "").want(http.StatusConflict)
	pinned(t, h, "a", "b", "c")
	got := read[pinList](h.get(path + "?offset=1&limit=1").want(http.StatusOK))
	if got.Count != 3 || len(got.Pins) != 1 || got.Pins[0].ID != "b" || got.Pins[0].Account != "active" ||
		got.Pins[0].Fields["title"][0] != "T" || !got.Pins[0].Groups[0].Member {
		t.Errorf("pins = %+v, want the second of three", got)
	}
	h.get(path + "?limit=0").want(http.StatusBadRequest)
	h.do(http.MethodPost, path+"lift/", `{"entries":["a","x"]}`).want(http.StatusBadRequest)
	h.do(http.MethodPost, path+"lift/", `{"entries":["a","user/b"]}`).is(http.StatusOK, `{"count":2}`)
	h.do(http.MethodPost, path+"lift/", "").is(http.StatusOK, `{"count":1}`)
	if got := read[pinList](h.get(path).want(http.StatusOK)); got.Count != 0 {
		t.Errorf("pins = %+v, want none", got)
	}
	h.get(paths[corp] + "sync/pins/").want(http.StatusNotFound)
}
