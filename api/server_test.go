package api_test

import (
	"net/http"
	"strings"
	"testing"

	"rollcall/api"
	"rollcall/container"
	"rollcall/directory"
	"rollcall/ledger"
	"rollcall/status"
)

func TestServerInUse(t *testing.T) {
	t.Parallel()
	newHarness(t, nil, nil).get(paths[corp] + "sync/server/").want(http.StatusNotFound)
	h := newHarness(t, nil, nil)
	facts := ledger.NewRedis(h.rdb, string(corp))
	h = newHarness(t, h.rdb, func(c *api.Config) {
		c.Facts = func(name container.ID) api.Facts { return ledger.NewRedis(h.rdb, string(name)) }
	})
	path := paths[corp] + "sync/server/"
	h.get(path).is(http.StatusOK, `{"text":"","pending_text":""}`)
	h.do(http.MethodPost, path+"accept/", "").is(http.StatusConflict, `{"detail":"No server is in doubt."}`)
	var f ledger.Facts
	f.Positions.Trust(directory.Position{Server: "dc1", Name: "ldap://dc1", Seen: map[string]string{"dc1": "4857"}})
	f.Positions.Doubt(directory.Position{Server: "dc1", Name: "ldap://dc1", Seen: map[string]string{"dc1": "4854"}})
	if err := facts.SetFacts(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	if body := h.get(path).want(http.StatusOK).Body.String(); !strings.Contains(body,
		`"pending_text":"ldap://dc1 (dc1 at 4854)"`) {
		t.Errorf("server = %s, want both positions", body)
	}
	h.do(http.MethodPost, path+"accept/", "").is(http.StatusOK,
		`{"accepted":{"server":"dc1","name":"ldap://dc1","seen":{"dc1":"4854"}},"text":"ldap://dc1 (dc1 at 4854)"}`)
	f, err := facts.Facts(t.Context())
	if err != nil || f.Positions.Pending != nil || f.Positions.Reference.Seen["dc1"] != "4854" {
		t.Errorf("positions = %+v, %v, want the accepted one", f.Positions, err)
	}
	for reason, want := range map[string]string{"": `"polled_at":`, "no answer": `"poll_reason":"no answer"`} {
		if err := status.New(h.rdb, status.Config{}).Polled(t.Context(), corp, reason); err != nil {
			t.Fatal(err)
		}
		if body := h.get(path).want(http.StatusOK).Body.String(); !strings.Contains(body, want) {
			t.Errorf("after a poll with the reason %q: %s, want %s", reason, body, want)
		}
	}
	if !strings.Contains(h.log.String(), `"server accepted"`) {
		t.Error("the acceptance is not logged")
	}
	h.get(paths[google] + "sync/server/").want(http.StatusNotFound)
	f.Positions.Doubt(directory.Position{Server: "dc2", Seen: map[string]string{"dc2": "1"}})
	if err := facts.SetFacts(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	h.do(http.MethodPost, paths[corp]+"sync/", "").want(http.StatusAccepted)
	h.do(http.MethodPost, path+"accept/", "").want(http.StatusConflict) // a run is live
}
