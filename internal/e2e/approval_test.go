package e2e

import (
	"encoding/json"
	"net/http"
	"testing"

	"rollcall/internal/slapdtest"
)

// waiting is what a container holds for a person.
type waiting struct {
	Digest  string
	Count   int
	Changes []struct {
		Op, Kind, ID, Guard, Reason string
	}
}

// of counts the held changes of one kind.
func (h *waiting) of(op, kind string) (n int) {
	for _, c := range h.Changes {
		if c.Op == op && c.Kind == kind {
			n++
		}
	}
	return n
}

func (w *world) held(container string) (h waiting) {
	w.Helper()
	w.get(container+"sync/held/", &h)
	return h
}

// decide approves or rejects what is held, all of it or that of some entries, and returns the run of an approval.
func (w *world) decide(container, digest, verdict string, entries ...string) (r run) {
	w.Helper()
	body := ""
	if len(entries) > 0 {
		text, _ := json.Marshal(map[string]any{"entries": entries})
		body = string(text)
	}
	code, data := w.call(http.MethodPost, container+"sync/held/"+digest+"/"+verdict+"/", body)
	if code != http.StatusAccepted && code != http.StatusOK {
		w.Fatalf("%s = %d %s", verdict, code, data)
	}
	var answer struct{ Run *run }
	w.decode(data, &answer)
	if answer.Run != nil {
		r = w.wait(container, answer.Run.ID)
	}
	return r
}

// A real loss is approved hop by hop, in part and with exceptions, and never for a person who came back.
func TestApproval(t *testing.T) {
	t.Parallel()
	const lost = 45
	w := newWorld(t, options{slapd: small()})
	w.both()
	e, people := w.editor(), w.directory().People
	for n := range lost {
		e.remove(slapdtest.UserDN(n))
	}
	w.finish(corp)
	held := w.held(corp)
	if n := held.of("delete", "user"); n != lost {
		t.Fatalf("the source holds %d departures, want %d: %+v", n, lost, held)
	}
	w.token, w.reader = w.reader, w.token
	if code, data := w.call(http.MethodPost, corp+"sync/held/"+held.Digest+"/approve/", ""); code != http.StatusForbidden {
		t.Errorf("an approval by somebody who may only read = %d %s, want 403", code, data)
	}
	if code, data := w.call(http.MethodPost, google+"sync/", ""); code != http.StatusForbidden {
		t.Errorf("a start by somebody who may only read = %d %s, want 403", code, data)
	}
	w.token, w.reader = w.reader, w.token
	if code, data := w.call(http.MethodPost, corp+"sync/held/0000/approve/", ""); code != http.StatusNotFound {
		t.Errorf("approval of an unknown set = %d %s, want 404", code, data)
	}
	if r := w.decide(corp, held.Digest, "approve"); r.Status != "successful" || r.made()["user delete"] != lost {
		t.Errorf("the approved source run is %s and made %v: %s", r.Status, r.made(), r.Reason)
	}

	// The tenant has a guard of its own.
	w.finish(google)
	held = w.held(google)
	if n := held.of("suspend", "user"); n != lost {
		t.Fatalf("the tenant holds %d suspensions, want %d", n, lost)
	}
	left := map[string]person{}
	one := slapdtest.UUID(0)
	if r := w.decide(google, held.Digest, "approve", one); r.made()["user deactivate"] != 1 {
		t.Errorf("the approval of one person made %v", r.made())
	}
	if !w.accounts().People[one].Suspended {
		t.Error("who was approved is not suspended")
	}
	// One is rejected, and one comes back before the rest is approved.
	w.decide(google, held.Digest, "reject", slapdtest.UUID(1))
	e.person(2, "")
	w.sync(corp)
	w.finish(google)
	held = w.held(google)
	r := w.decide(google, held.Digest, "approve", approvable(held)...)
	if got, want := r.made()["user deactivate"], lost-3; got != want {
		t.Errorf("the approval of the rest suspended %d, want %d: %v", got, want, r.made())
	}
	for n := range lost {
		if n != 1 && n != 2 {
			left[slapdtest.UUID(n)] = people[slapdtest.UUID(n)]
		}
	}
	got := w.accounts()
	for n := range lost {
		if _, gone := left[slapdtest.UUID(n)]; got.People[slapdtest.UUID(n)].Suspended != gone {
			t.Errorf("%s is suspended: %v, want %v", address(n), !gone, gone)
		}
	}
	if again := w.finish(google); again.made()["user deactivate"] != 0 || again.Held == 0 {
		t.Errorf("after the decisions a sync made %v and holds %d; want nothing, and the rejected one held", again.made(),
			again.Held)
	}
}

// approvable returns the undecided entries of a set, except the second person.
func approvable(h waiting) (ids []string) {
	for _, c := range h.Changes {
		if c.Op == "suspend" && c.ID != slapdtest.UUID(1) {
			ids = append(ids, c.ID)
		}
	}
	return ids
}
