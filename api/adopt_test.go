package api_test

import (
	"net/http"
	"strings"
	"testing"

	"rollcall/api"
	"rollcall/decisions"
)

// Decisions and pins that are not signed are listed, and a person adopts exactly what was listed. The audit log has the
// sequence of the signed decisions. A held set without a signature cannot be decided.
func TestAdoptDecisions(t *testing.T) {
	t.Parallel()
	j := &journal{}
	h := newHarness(t, nil, func(c *api.Config) { c.Audit = j.write })
	signed := h.decisions
	h.decisions = decisions.New(h.rdb, decisions.Config{Now: h.clock.Now}) // as an earlier version
	pinned(t, h, "u-1")
	held := decisions.HeldSet{Digest: "d1", Changes: []decisions.HeldChange{{Fingerprint: "aa", Op: "suspend", ID: "u-2"}}}
	if err := h.decisions.SetHeld(t.Context(), google, held); err != nil {
		t.Fatal(err)
	}
	if _, err := h.decisions.Decide(t.Context(), google, "approved", "ops", held.Changes); err != nil {
		t.Fatal(err)
	}
	h.decisions = signed

	h.do(http.MethodPost, paths[google]+"sync/held/d1/approve/", "").want(http.StatusConflict)
	type listed struct {
		Digest, Problem string
		Count           int
		Records         []struct{ Type, Entry, Problem, Verdict, By string }
	}
	list := read[listed](h.get(paths[google] + "sync/decisions/").want(http.StatusOK))
	if list.Count != 2 || list.Problem != "" || list.Records[0].Type != "decision" ||
		list.Records[0].Verdict != "approved" ||
		list.Records[0].By != "ops" || list.Records[1].Entry != "user/u-1" || list.Records[1].Problem != "is not signed" {
		t.Errorf("the list is %+v, want an approval and a pin", list)
	}
	h.do(http.MethodPost, paths[google]+"sync/decisions/00/adopt/", "").want(http.StatusConflict)
	adopt := paths[google] + "sync/decisions/" + list.Digest + "/adopt/"
	h.do(http.MethodPost, adopt, "").is(http.StatusOK, `{"count":2}`)
	h.do(http.MethodPost, adopt, "").want(http.StatusConflict)
	if rest := read[listed](h.get(paths[google] + "sync/decisions/")); rest.Count != 0 {
		t.Errorf("the list is %+v after the adoption", rest)
	}
	last := j.records[len(j.records)-3]
	if last.Event != "sync/decisions/{digest}/adopt" || last.Details["records"] != "2" ||
		last.Details["digest"] != list.Digest || len(last.Details["decisions_seq"]) < 10 {
		t.Errorf("the audit log has %+v, want the adoption with its digest and sequence", last)
	}

	if err := h.rdb.Del(t.Context(), "rollcall:{google_workspace:1}:seal").Err(); err != nil {
		t.Fatal(err)
	}
	broken := read[listed](h.get(paths[google] + "sync/decisions/").want(http.StatusOK))
	if !strings.Contains(broken.Problem, "gone from Redis") {
		t.Errorf("the problem is %q, want the loss", broken.Problem)
	}
	h.do(http.MethodPost, paths[google]+"sync/pins/lift/", "").want(http.StatusConflict)
}
