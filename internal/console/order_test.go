package console_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"rollcall/directory"
	"rollcall/explain"
	"rollcall/internal/console"
	"rollcall/plan"
)

// An order to leave is given and lifted on a page that names the person and what happens, by a token that may decide.
func TestOrders(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	h.known = map[directory.Ref]console.Known{user("1"): {Label: "ada", Unit: "ou=sales"}}
	const person = "/people/entry/?id=1&kind=user"
	if page := h.as(h.decider, http.MethodGet, person, nil).body; !strings.Contains(page, `href="/people/leave/?id=1"`) {
		t.Errorf("the page of a person offers no order: %s", page)
	}
	confirmation := h.as(h.decider, http.MethodGet, "/people/leave/?id=1", nil).body
	for _, want := range []string{"<bdi>ada</bdi>", "ou=sales", "suspends the account at once", `action="/people/leave"`} {
		if !strings.Contains(confirmation, want) {
			t.Errorf("the confirmation lacks %q: %s", want, confirmation)
		}
	}
	form := url.Values{"id": {"1"}}
	got := h.as(h.decider, http.MethodPost, "/people/leave", form)
	if to := got.Header.Get("Location"); !strings.HasPrefix(to, person+"&job=google_workspace%3A1%2F") {
		t.Fatalf("POST = %d to %q: %s", got.StatusCode, to, got.body)
	}
	page := h.as(h.decider, http.MethodGet, got.Header.Get("Location"), nil).body
	for _, want := range []string{"Ordered to leave", "by decider", "The sync to google_workspace:1 is queued",
		"/people/leave/?id=1&amp;lift=true"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page of a person under an order lacks %q: %s", want, page)
		}
	}
	if page := h.get("/leavers/"); !strings.Contains(page, "Ordered to leave") || strings.Contains(page, "lift=true") {
		t.Errorf("the leavers are, for a reader, %s", page)
	}
	if page := h.as(h.narrow, http.MethodGet, "/leavers/", nil).body; strings.Contains(page, "Ordered to leave") {
		t.Errorf("a token for one tenant sees an order for all of them: %s", page)
	}
	confirmation = h.as(h.decider, http.MethodGet, "/people/leave/?id=1&lift=true", nil).body
	if !strings.Contains(confirmation, "The order is by decider") {
		t.Errorf("the confirmation is %s", confirmation)
	}
	if got := h.as(h.decider, http.MethodPost, "/people/stay", form); got.StatusCode != http.StatusSeeOther {
		t.Fatalf("POST = %d: %s", got.StatusCode, got.body)
	}
	if all, err := h.decisions.Orders(t.Context()); err != nil || len(all.Leave) > 0 {
		t.Errorf("the orders are %v (%v)", all, err)
	}
	for path, want := range map[string]int{"/people/leave": http.StatusBadRequest, "/people/stay": http.StatusBadRequest} {
		if got := h.as(h.decider, http.MethodPost, path, url.Values{"id": {""}}); got.StatusCode != want {
			t.Errorf("POST %s without a person = %d: %s", path, got.StatusCode, got.body)
		}
	}
	if got := h.as(h.decider, http.MethodGet, "/people/leave/?id=none", nil); got.StatusCode != http.StatusNotFound {
		t.Errorf("the confirmation for an unknown person = %d", got.StatusCode)
	}
	var said []string
	for _, r := range *h.audit {
		said = append(said, r.Event+" "+string(r.Outcome)+" "+r.Details["object"])
	}
	if want := "leave done user/1"; !slices.Contains(said, want) || !slices.Contains(said, "leave/lift done user/1") {
		t.Errorf("the audit log says %q, want %q", said, want)
	}
}

// An order that is stored and not trusted suspends no account. The first page says so.
func TestAnOrderWithoutEffectIsAConcern(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	if err := h.rdb.HSet(t.Context(), "rollcall:{orders}:leave", "user/1", "{").Err(); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"/": "1 order to leave without effect",
		"/leavers/": "An order to leave has no effect"} {
		if page := h.get(path); !strings.Contains(page, want) {
			t.Errorf("%s lacks %q: %s", path, want, page)
		}
		if page := h.as(h.narrowReader, http.MethodGet, path, nil).body; strings.Contains(page, want) {
			t.Errorf("%s tells a token for one tenant of an order for all: %s", path, page)
		}
	}
}

// What an undo pinned is listed with who, when and what, and is lifted entry by entry or as a whole.
func TestPins(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	h.known = map[directory.Ref]console.Known{user("1"): {Label: "ada"}}
	h.explained = []explain.Provider{{Container: google, Code: explain.InStep,
		Pins: []explain.Pin{{RunID: "r", By: "ops"}}}}
	at := time.Now().Add(-3 * time.Hour)
	pins := []plan.Pin{
		{Ref: user("1"), Label: "ada", Run: "r", By: "ops", At: at, Account: plan.StandsActive, Address: "ada@example.com"},
		{Ref: user("2"), Label: "ben", Run: "r", By: "ops", At: at, Fields: directory.Attributes{{Name: "title"}}},
		{Ref: user("3"), Label: "cai", Run: "r", By: "ops", At: at, Groups: []plan.PinnedMembership{{ID: "g"}, {ID: "h"}}},
	}
	if err := h.decisions.Pin(t.Context(), google, pins, nil); err != nil {
		t.Fatal(err)
	}
	const held = "/held/google_workspace/1/"
	page := h.get(held)
	for _, want := range []string{"3 entries pinned by an undo", "an active account and the address ada@example.com",
		"1 field", "2 memberships", "3\u00a0h ago", "<td>ops</td>", "/runs/google_workspace/1/r/"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q: %s", want, page)
		}
	}
	for _, path := range []string{held, "/people/entry/?id=1&kind=user"} {
		if mine := h.as(h.decider, http.MethodGet, path, nil).body; strings.Contains(h.get(path), "pins/lift") ||
			!strings.Contains(mine, "pins/lift") {
			t.Errorf("%s offers a reader to lift a pin, or offers it to no one: %s", path, mine)
		}
	}
	if page := h.get(held + "?q=BEN"); !strings.Contains(page, "1 of 3") {
		t.Errorf("the search finds %s", page)
	}
	left := func(want ...string) {
		t.Helper()
		all, err := h.decisions.Pins(t.Context(), google)
		var got []string
		for _, p := range all {
			got = append(got, p.Label)
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("pinned are %v (%v), want %v", got, err, want)
		}
	}
	for _, step := range []struct {
		form url.Values
		code int
		to   string
		left []string
	}{
		{url.Values{"entry": {"user/9"}}, http.StatusBadRequest, "", []string{"ada", "ben", "cai"}},
		{url.Values{}, http.StatusBadRequest, "", []string{"ada", "ben", "cai"}},
		{url.Values{"entry": {"user/2"}}, http.StatusSeeOther, held + "#pins", []string{"ada", "cai"}},
		{url.Values{"all": {"3"}}, http.StatusConflict, "", []string{"ada", "cai"}},
		{url.Values{"entry": {"user/1"}, "back": {"person"}}, http.StatusSeeOther, "/people/entry/?id=1&kind=user",
			[]string{"cai"}},
		{url.Values{"all": {"1"}}, http.StatusSeeOther, held + "#pins", nil},
	} {
		got := h.as(h.decider, http.MethodPost, held+"pins/lift", step.form)
		if got.StatusCode != step.code || got.Header.Get("Location") != step.to {
			t.Errorf("%v = %d to %q: %s", step.form, got.StatusCode, got.Header.Get("Location"), got.body)
		}
		left(step.left...)
	}
	if last := (*h.audit)[len(*h.audit)-1]; last.Event != "sync/pins/lift" || last.Details["pins"] != "1" {
		t.Errorf("the last record is %+v", last)
	}
}
