package console_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// The audit log has every action of a page before and after, with the names that the API gives.
func TestActionsAreInTheAuditLog(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	got := h.as(h.syncer, http.MethodPost, "/runs/google_workspace/1/sync", nil)
	again := h.as(h.syncer, http.MethodPost, "/runs/google_workspace/1/sync", nil)
	if got.StatusCode != http.StatusSeeOther || again.StatusCode != http.StatusConflict ||
		!strings.Contains(again.body, "A run is live") {
		t.Errorf("POST = %d, again %d: %s", got.StatusCode, again.StatusCode, again.body)
	}
	var said []string
	for _, r := range *h.audit {
		said = append(said, strings.Join([]string{r.Event, r.Actor, r.Container, string(r.Outcome)}, " "))
		if r.Outcome == "done" && !strings.Contains(got.Header.Get("Location"), r.Details["run"]) {
			t.Errorf("the record lacks the run: %+v", r)
		}
	}
	const begun = "sync syncer google_workspace:1 "
	if want := []string{begun + "begun", begun + "done", begun + "begun", begun + "refused"}; !slices.Equal(said, want) {
		t.Errorf("the audit log says %q, want %q", said, want)
	}
}

// The audit log does not take the id of a form that names no entry, so that its size has a bound.
func TestALongIDIsNotInTheAuditLog(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	long := strings.Repeat("ä", 1025)
	for id, want := range map[string]string{long: "no more than 1024 characters", long[2:]: "No user has the id",
		"": "blank"} {
		got := h.as(h.syncer, http.MethodPost, "/people/sync/google_workspace/1", url.Values{"entry": {"user"}, "id": {id}})
		if got.StatusCode != http.StatusBadRequest || !strings.Contains(got.body, want) {
			t.Errorf("an id of %d bytes = %d, want %q: %s", len(id), got.StatusCode, want, got.body)
		}
	}
	if len(*h.audit) != 6 {
		t.Errorf("%d records, want the begin and the end of 3 actions", len(*h.audit))
	}
	for _, r := range *h.audit {
		if text := fmt.Sprint(r); len(text) > 500 {
			t.Errorf("a record has %d bytes: %.300s", len(text), text)
		}
	}
}

// Wrong tokens at the pages are counted by the address of the client, as at the API. Responses to many of them wait.
func TestWrongTokensAtThePagesWait(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	proxy := func(r *http.Request) { r.Header.Set("X-Forwarded-For", "203.0.113.9, 198.51.100.1") }
	h.as("", http.MethodGet, "/", nil, proxy) // no token at all
	h.as("wrong", http.MethodGet, "/", nil, proxy)
	h.as("wrong", http.MethodGet, "/people/", nil, proxy)
	got := h.as("", http.MethodPost, "/login", url.Values{"token": {"wrong"}}, proxy)
	if got.StatusCode != http.StatusForbidden || h.refused != 3 {
		t.Errorf("the sign-in = %d; %d wrong tokens, want 3", got.StatusCode, h.refused)
	}
	var said []string
	for _, r := range *h.audit {
		said = append(said, strings.Join([]string{r.Event, r.From, string(r.Outcome)}, " "))
	}
	if want := []string{"token refused 198.51.100.1 refused", "sign-in 198.51.100.1 refused"}; !slices.Equal(said, want) {
		t.Errorf("the audit log says %q, want %q", said, want)
	}
	for range 7 {
		h.as("wrong", http.MethodGet, "/held/", nil, proxy)
	}
	began := time.Now()
	if h.as("wrong", http.MethodGet, "/", nil, proxy); time.Since(began) < 900*time.Millisecond {
		t.Errorf("the eleventh wrong token was answered after %v, want a second", time.Since(began))
	}
}
