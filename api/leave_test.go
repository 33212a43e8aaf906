package api_test

import (
	"net/http"
	"strings"
	"testing"

	"rollcall/api"
	"rollcall/audit"
	"rollcall/container"
	"rollcall/decisions"
	"rollcall/directory"
	"rollcall/plan"
	"rollcall/status"
)

// An order stands before its jobs start, one at each enabled provider, and is recorded. It needs the scope approve and
// a token that reaches all of these providers.
func TestLeave(t *testing.T) {
	t.Parallel()
	j := &journal{}
	h := newHarness(t, nil, func(c *api.Config) { c.Audit = j.write })
	h.jobs.result = &status.Result{Outcome: status.OutcomeSuspended}
	h.get("/api/v3/leave/orders/").is(http.StatusOK, `{"orders":[]}`)
	h.do(http.MethodPost, "/api/v3/leave/lift/", `{"entry":"u-1"}`).is(http.StatusConflict,
		`{"detail":"No order to leave stands for alice."}`)
	type ordered struct {
		Order struct{ ID, Label, Source, By, At string }
		Jobs  []struct {
			Container container.ID
			JobID     string `json:"job_id"`
		}
	}
	got := read[ordered](h.do(http.MethodPost, "/api/v3/leave/", `{"entry":"7"}`).want(http.StatusAccepted))
	if got.Order.ID != "u-1" || got.Order.By != "ops@example.com" || got.Order.At != "2026-03-01T09:30:00.000000Z" ||
		len(got.Jobs) != 2 || got.Jobs[0].Container != google || got.Jobs[1].Container != entra || got.Jobs[1].JobID == "" {
		t.Errorf("the order is %+v", got)
	}
	last := j.records[len(j.records)-1]
	if last.Event != "leave" || last.Outcome != audit.Done || last.Details["object"] != "user/u-1" ||
		last.Details["durable"] != "true" {
		t.Errorf("the last record is %+v", last)
	}
	if list := h.get("/leave/orders/").want(http.StatusOK).Body.String(); !strings.Contains(list, `"id":"u-1"`) {
		t.Errorf("the orders are %s", list)
	}
	h.directory.entries = nil // A user who is no longer known is named by the id.
	if got = read[ordered](h.do(http.MethodPost, "/leave/lift/", `{"entry":"u-1"}`).want(http.StatusAccepted)); got.Order.
		ID != "u-1" || len(got.Jobs) != 0 {
		t.Errorf("the lift of an order for an unknown user is %+v", got)
	}
	h.get("/api/v3/leave/orders/").is(http.StatusOK, `{"orders":[]}`)
}

// The list says where an order stands, and what each tenant confirmed. An order that stands only at providers that were
// removed is not listed until one of them is back.
func TestOrdersAtTheirProviders(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil, nil)
	const removed = container.ID("google_workspace:8")
	order := plan.Order{Ref: directory.Ref{Kind: directory.User, ID: "u-1"}, Source: "corp", By: "grace",
		At: h.clock.Now(), Providers: []container.ID{google, entra, removed}}
	if err := h.decisions.Leave(t.Context(), order); err != nil {
		t.Fatal(err)
	}
	trail := h.decisions.Trail(google)
	trail.Confirm("user/u-1", decisions.Receipt{Op: "suspend", Confirmed: h.clock.Now()})
	if err := trail.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	agree := func(c container.ID) {
		t.Helper()
		if err := h.decisions.Agree(t.Context(), c, order); err != nil {
			t.Fatal(err)
		}
	}
	agree(entra)
	const want = `"providers":[` +
		`{"container":"google_workspace:1","state":"stands","confirmed":"2026-03-01T09:30:00.000000Z"},` +
		`{"container":"microsoft_entra:2","state":"ended","confirmed":null},` +
		`{"container":"google_workspace:8","state":"stands","confirmed":null}]`
	if got := h.get("/leave/orders/").want(http.StatusOK).Body.String(); !strings.Contains(got, want) {
		t.Errorf("the orders are %s, want %s", got, want)
	}
	agree(google)
	if _, err := h.store.Configure(t.Context(), removed, "w1", "digest"); err != nil {
		t.Fatal(err)
	}
	if got := h.get("/leave/orders/").want(http.StatusOK).Body.String(); !strings.Contains(got, `"id":"u-1"`) {
		t.Errorf("while a worker has the provider, the orders are %s", got)
	}
	if err := h.store.Unconfigure(t.Context(), removed, "w1", "digest"); err != nil {
		t.Fatal(err)
	}
	h.get("/leave/orders/").is(http.StatusOK, `{"orders":[]}`)
	if _, err := h.store.Configure(t.Context(), removed, "w1", "digest"); err != nil {
		t.Fatal(err)
	}
	if got := h.get("/leave/orders/").want(http.StatusOK).Body.String(); !strings.Contains(got, `"id":"u-1"`) {
		t.Errorf("with the provider back, the orders are %s", got)
	}
}

// A provider without its job keeps the others from nothing, and is named. The order stands in any case.
func TestLeaveWithoutAJob(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil, nil)
	for _, tc := range []struct {
		refuses []container.ID
		want    int
		says    []string
	}{
		{[]container.ID{google}, http.StatusAccepted, []string{`"container":"microsoft_entra:2","job_id":"`,
			`{"container":"google_workspace:1","problem":"No job was started, and the next run does it. A system behind`}},
		{[]container.ID{google, entra}, http.StatusServiceUnavailable, []string{"The order stands, but no job was started."}},
	} {
		h.jobs.refuses = map[container.ID]bool{}
		for _, c := range tc.refuses {
			h.jobs.refuses[c] = true
		}
		got := h.do(http.MethodPost, "/api/v3/leave/", `{"entry":"u-1"}`).want(tc.want).Body.String()
		for _, want := range tc.says {
			if !strings.Contains(got, want) || strings.Contains(got, "secret.example.com") {
				t.Errorf("without a job at %v: %s, want %s", tc.refuses, got, want)
			}
		}
		if orders, err := h.decisions.Orders(t.Context()); err != nil || len(orders.Leave) != 1 {
			t.Errorf("the orders are %+v, %v, want the one", orders, err)
		}
		if err := h.decisions.EndLeaves(t.Context(), directory.Ref{Kind: directory.User, ID: "u-1"}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLeaveIsRefused(t *testing.T) {
	t.Parallel()
	only := map[string][]container.ID{}
	h := newHarness(t, nil, func(c *api.Config) {
		c.Authenticate = func(token string) (api.Caller, bool) {
			caller, known := authenticate(strings.TrimSuffix(token, "-limited"))
			caller.Only = only[token]
			return caller, known
		}
	})
	only[bothToken+"-limited"] = []container.ID{google, corp}
	for _, tc := range []struct {
		token, body string
		want        int
		says        string
	}{
		{bothToken, `{}`, 400, `"entry":["This field is required."]`},
		{bothToken, `{"entry":7}`, 400, `"entry":["Not a valid string."]`},
		{bothToken, `{"entry":"u-1","now":true}`, 400, `"now":["Unknown field."]`},
		{bothToken, `{"entry":"nobody"}`, 400, `No user has the id, anchor, username or mail \"nobody\".`},
		{bothToken, `{"entry":"alice"}`, 400, `Several users match \"alice\": give the unique id of one of them.`},
		{syncToken, `{"entry":"u-1"}`, 403, "You do not have permission"},
		{bothToken + "-limited", `{"entry":"u-1"}`, 403, "You do not have permission"},
	} {
		r := newRequest(t, http.MethodPost, "/api/v3/leave/", tc.body, tc.token)
		if got := h.send(r).want(tc.want).Body.String(); !strings.Contains(got, tc.says) {
			t.Errorf("%s: %s, want %s", tc.body, got, tc.says)
		}
	}
	h.send(newRequest(t, http.MethodGet, "/api/v3/leave/orders/", "", bothToken+"-limited")).want(http.StatusForbidden)
	if orders, err := h.decisions.Orders(t.Context()); err != nil || len(orders.Leave) > 0 {
		t.Errorf("the refused orders stand: %+v, %v", orders, err)
	}
}
