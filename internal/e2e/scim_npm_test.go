//go:build npm

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"rollcall/internal/npmtest"
	"rollcall/internal/slapdtest"
)

// Workers are killed among the users, the memberships and the suspensions, while every 50th write gets no answer. One
// server is of scimmy and scimmy-routers, the other of scim-patch. ROLLCALL_SCIM_USERS=2000 makes it thorough.
func TestScimmyKillNine(t *testing.T) {
	t.Parallel()
	for _, server := range []string{"scimmy", "patched"} {
		t.Run(server, func(t *testing.T) {
			t.Parallel()
			killNine(t, server)
		})
	}
}

func killNine(t *testing.T, server string) {
	users := 150
	if n, err := strconv.Atoi(os.Getenv("ROLLCALL_SCIM_USERS")); err == nil {
		users = n
	}
	gates := []*scimGate{
		{method: http.MethodPost, path: "/Users", nth: int64(users / 2)},
		{method: http.MethodPatch, path: "/Groups", nth: int64(users / 5)},
		{method: http.MethodPatch, path: "/Users", nth: 3},
	}
	s := startScimmy(t, server, gates)
	s.post("/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"guest@example.net"}`)
	w := newWorld(t, options{slapd: slapdtest.Options{LDIF: slapdtest.Generate(users, users/10, 10)}, workers: 2,
		provider: []string{toScim(t, s.lossy, "scimmy-token")}})
	w.sync(corp)
	id := w.start(scim).ID
	w.killAt(gates[0], id)
	w.startWorker()
	w.killAt(gates[1], id)
	w.startWorker()
	if r := w.wait(scim, id); r.Status != "successful" || r.Resumes != 2 {
		t.Errorf("the run is %s (%s) after %d resumes: %s", r.State, r.Status, r.Resumes, r.Reason)
	}
	s.has(w, nil)

	left := map[string]person{}
	people, e := w.directory().People, w.editor()
	for n := range 5 {
		left[slapdtest.UUID(n)] = people[slapdtest.UUID(n)]
		e.remove(slapdtest.UserDN(n))
	}
	e.set(slapdtest.UserDN(5), "displayName", "Changed")
	e.set(slapdtest.UserDN(6), "mail", "renamed@"+domain)
	e.member(slapdtest.GroupDN(0), slapdtest.UserDN(7), true)
	e.member(slapdtest.GroupDN(1), w.search(e.conn, slapdtest.GroupDN(1), "(cn=*)")[0].GetAttributeValue("member"), false)
	w.sync(corp)
	id = w.start(scim).ID
	w.killAt(gates[2], id)
	if r := w.wait(scim, id); r.Status != "successful" || r.Resumes != 1 {
		t.Errorf("the run is %s (%s) after %d resumes: %s", r.State, r.Status, r.Resumes, r.Reason)
	}
	s.has(w, left)
	if r := w.sync(scim); r.planned() > 0 {
		t.Errorf("the run after it plans %d changes, want none", r.planned())
	}
	if s.lost.Load() == 0 {
		t.Error("no answer got lost")
	}
}

// scimmy is a server with a way to it that loses answers, and one that does not.
type scimmy struct {
	t             *testing.T
	lossy, direct string
	lost          atomic.Int64
}

func startScimmy(t *testing.T, server string, gates []*scimGate) *scimmy {
	t.Helper()
	port := npmtest.InstallFrom(t, "../../provider/scim").Serve(server)
	s := &scimmy{t: t, direct: "http://127.0.0.1:" + port + "/scim/v2"}
	var writes atomic.Int64
	var h http.Handler = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: "127.0.0.1:" + port}) },
		ModifyResponse: func(res *http.Response) error {
			if res.Request.Method != http.MethodGet && writes.Add(1)%50 == 0 {
				s.lost.Add(1)
				panic(http.ErrAbortHandler)
			}
			return nil
		},
	}
	for _, g := range gates {
		g.open(t)
		h = g.wrap(h)
	}
	way := httptest.NewServer(h)
	t.Cleanup(way.Close)
	s.lossy = way.URL + "/scim/v2"
	return s
}

// request makes a request as an administrator of the server.
func (s *scimmy) request(method, path, body string) (answer struct {
	TotalResults int
	Resources    []scimResource
}) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.direct+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer scimmy-token")
	req.Header.Set("Content-Type", "application/scim+json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || res.StatusCode >= 300 {
		s.t.Fatalf("%s %s = %d %v", method, path, res.StatusCode, err)
	}
	return answer
}

func (s *scimmy) post(path, body string) { s.request(http.MethodPost, path, body) }

type scimResource struct {
	ID, ExternalID, UserName, DisplayName string
	Active                                bool
	Members                               []struct{ Value string }
}

func (s *scimmy) list(path string) (all []scimResource) {
	for {
		page := s.request(http.MethodGet, fmt.Sprintf("%s?count=500&startIndex=%d", path, len(all)+1), "")
		if all = append(all, page.Resources...); len(all) >= page.TotalResults || len(page.Resources) == 0 {
			return all
		}
	}
}

// has fails the test unless the server has each entry of the directory once, with its members, the people in left
// without access, and the guest as it was.
func (s *scimmy) has(w *world, left map[string]person) {
	s.t.Helper()
	type account struct {
		Name   string
		Active bool
	}
	dir := w.directory()
	people, teams := map[string]account{"": {Name: "guest@example.net"}}, map[string][]string{}
	for id, p := range dir.People {
		people[id] = account{p.Address, true}
	}
	for id, p := range left {
		people[id] = account{p.Address, false}
	}
	for id, g := range dir.Teams {
		teams[id] = append([]string{g.Name}, g.Members...)
	}
	gotPeople, gotTeams, anchors := map[string]account{}, map[string][]string{}, map[string]string{}
	for _, u := range s.list("/Users") {
		if _, twice := gotPeople[u.ExternalID]; twice {
			s.t.Errorf("two users have the externalId %q", u.ExternalID)
		}
		gotPeople[u.ExternalID], anchors[u.ID] = account{u.UserName, u.Active}, u.ExternalID
	}
	for _, g := range s.list("/Groups") {
		if _, twice := gotTeams[g.ExternalID]; twice {
			s.t.Errorf("two groups have the externalId %q", g.ExternalID)
		}
		var members []string
		for _, m := range g.Members {
			members = append(members, anchors[m.Value])
		}
		slices.Sort(members)
		gotTeams[g.ExternalID] = append([]string{g.DisplayName}, members...)
	}
	if diff := gocmp.Diff(people, gotPeople); diff != "" {
		s.t.Errorf("users (-want +got):\n%s", diff[:min(len(diff), 4000)])
	}
	if diff := gocmp.Diff(teams, gotTeams); diff != "" {
		s.t.Errorf("groups (-want +got):\n%s", diff[:min(len(diff), 4000)])
	}
}
