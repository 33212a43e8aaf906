package console_test

import (
	"context"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"rollcall/api"
	"rollcall/container"
	"rollcall/decisions"
	"rollcall/directory"
	"rollcall/internal/console"
	"rollcall/internal/redistest"
	"rollcall/internal/tokens"
	"rollcall/ledger"
	"rollcall/plan"
	"rollcall/status"
)

const entra = container.ID("microsoft_entra:1")

// route is a page or an action of the console, for the table of rights.
type route struct {
	pattern string // as it is registered
	// paths are addresses of a page or an action. "{c}" is the kind and name of a container, "{run}" one of its runs.
	paths []string
	scope tokens.Scope
	form  url.Values
	// everywhere is set for what tells of every container, and so is not for a token for some.
	everywhere bool
}

// routes are all pages and actions.
var routes = []route{
	{pattern: "/{$}", paths: []string{"/"}},
	{pattern: "/held/{$}", paths: []string{"/held/", "/held/?by=action", "/held/?by=group", "/held/?by=unit",
		"/held/?q=person"}},
	{pattern: "/held/{kind}/{name}/{$}", paths: []string{"/held/{c}/", "/held/{c}/?by=unit&q=e"}},
	{pattern: "/held/{kind}/{name}/{digest}/review", paths: []string{"/held/{c}/d1/review?verdict=approved",
		"/held/{c}/d1/review?verdict=rejected&key=limit&by=reason"}},
	{pattern: "/runs/{kind}/{name}/{$}", paths: []string{"/runs/{c}/"}},
	{pattern: "/runs/{kind}/{name}/{run}/{$}", paths: []string{"/runs/{c}/{run}/", "/runs/{c}/{run}/?group=person&q=e"}},
	{pattern: "/runs/{kind}/{name}/{run}/{file}", paths: []string{"/runs/{c}/{run}/plan.csv",
		"/runs/{c}/{run}/plan.json"}},
	{pattern: "/changes/{$}", paths: []string{"/changes/", "/changes/?q=person", "/changes/?container=ldap:corp",
		"/changes/?container=microsoft_entra:1&q=e"}},
	{pattern: "/leavers/{$}", paths: []string{"/leavers/", "/leavers/?due=week", "/leavers/?why=absent",
		"/leavers/?q=left"}},
	{pattern: "/people/{$}", paths: []string{"/people/", "/people/?q=person"}, everywhere: true},
	{pattern: "/people/entry/{$}", paths: []string{"/people/entry/?kind=user&id=left-corp"}, everywhere: true},
	{pattern: "/people/leave/{$}", paths: []string{"/people/leave/?id=left-corp"}, everywhere: true},
	{pattern: "/held/{kind}/{name}/{digest}/approve", paths: []string{"/held/{c}/d1/approve"}, scope: tokens.Approve,
		form: url.Values{"count": {"1"}}},
	{pattern: "/held/{kind}/{name}/{digest}/reject", paths: []string{"/held/{c}/d1/reject"}, scope: tokens.Approve,
		form: url.Values{"count": {"1"}}},
	{pattern: "/held/{kind}/{name}/pins/lift", paths: []string{"/held/{c}/pins/lift"}, scope: tokens.Approve,
		form: url.Values{"entry": {"user/nobody"}}},
	{pattern: "/servers/{kind}/{name}/accept", paths: []string{"/servers/{c}/accept"}, scope: tokens.Approve},
	{pattern: "/runs/{kind}/{name}/{run}/undo", paths: []string{"/runs/{c}/{run}/undo"}, scope: tokens.Approve,
		form: url.Values{"dry_run": {"true"}}},
	{pattern: "/runs/{kind}/{name}/pause", paths: []string{"/runs/{c}/pause"}, scope: tokens.Approve},
	{pattern: "/runs/{kind}/{name}/resume", paths: []string{"/runs/{c}/resume"}, scope: tokens.Approve},
	{pattern: "/runs/{kind}/{name}/sync", paths: []string{"/runs/{c}/sync"}, scope: tokens.Sync},
	{pattern: "/runs/{kind}/{name}/cancel", paths: []string{"/runs/{c}/cancel"}, scope: tokens.Sync},
	{pattern: "/people/sync/{kind}/{name}", paths: []string{"/people/sync/{c}"}, scope: tokens.Sync,
		form: url.Values{"entry": {"user"}, "id": {"nobody"}}},
	{pattern: "/people/leave", paths: []string{"/people/leave"}, scope: tokens.Approve, form: url.Values{"id": {"nobody"}},
		everywhere: true},
	{pattern: "/people/stay", paths: []string{"/people/stay"}, scope: tokens.Approve, form: url.Values{"id": {"nobody"}},
		everywhere: true},
}

// at returns the addresses of a route for a container.
func (r route) at(c container.ID, run string) (out []string) {
	for _, path := range r.paths {
		out = append(out, strings.NewReplacer("{c}", c.Kind()+"/"+c.Name(), "{run}", run).Replace(path))
	}
	return out
}

func (r route) needs() tokens.Scope {
	if r.scope == "" {
		return tokens.Read
	}
	return r.scope
}

// method is POST for an action, and GET for a page.
func (r route) method() string {
	if r.scope == "" {
		return http.MethodGet
	}
	return http.MethodPost
}

// of counts what each container holds. No other number on a page is like it.
var of = map[container.ID]int{corp: 137, google: 1, entra: 149}

// crowd returns a hall with three containers. The name of a container is in each thing that it has.
func crowd(t *testing.T) (h *hall, runs map[container.ID]string) {
	t.Helper()
	all := []api.Resource{{Container: corp, Name: "Name-corp"}, {Container: google, Name: "Name-google"},
		{Container: entra, Name: "Name-entra"}}
	h = hallOn(t, redistest.Mini(t), true, all)
	h.known, runs = map[directory.Ref]console.Known{}, map[container.ID]string{}
	for _, res := range all {
		c, mark := res.Container, strings.TrimPrefix(res.Name, "Name-")
		left := directory.Ref{Kind: directory.User, ID: directory.ID("left-" + mark)}
		h.known[left] = console.Known{Label: "left-" + mark, Unit: "ou=" + mark}
		run := h.run(c, status.End{State: status.Failed, FailReason: "fails at " + mark},
			plan.Plan{Changes: []plan.Change{{Op: plan.Update, Ref: directory.Ref{Kind: directory.User,
				ID: directory.ID("id-" + mark)}, Label: "person-" + mark}}}, plan.Plan{})
		runs[c] = run.ID
		var held []decisions.HeldChange
		for i := range of[c] {
			held = append(held, leaver(fmt.Sprintf("held-%s-%d", mark, i)))
		}
		link := map[directory.Ref]plan.Link{left: {RemoteID: "remote-" + mark, Departed: time.Now(), Why: plan.Absent}}
		_, err := h.decisions.Pause(t.Context(), c, "pauser-"+mark)
		if err := errors.Join(err, ledger.NewRedis(h.rdb, string(c)).PutLinks(t.Context(), link),
			h.decisions.SetHeld(t.Context(), c, decisions.HeldSet{Digest: "d1", RunID: run.ID, At: time.Now(), Changes: held,
				Conflicts: []decisions.Conflict{{Kind: "user", ID: "conflict-" + mark, Reason: "no_address", Detail: mark}}}),
			h.decisions.Pin(t.Context(), c, []plan.Pin{{Ref: left, Label: "pin-" + mark, Run: run.ID,
				By: "pinner-" + mark}}, nil),
			h.decisions.Leave(t.Context(), plan.Order{Ref: left, Label: "order-" + mark, By: "ops",
				At: time.Now()})); err != nil {
			t.Fatal(err)
		}
	}
	return h, runs
}

// The table has every page and every action, and every action is a POST.
func TestTheTableOfRightsIsComplete(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("console.go")
	if err != nil {
		t.Fatal(err)
	}
	var registered []string
	for _, found := range regexp.MustCompile(`(?:c\.(get|post)|c\.mux\.HandleFunc)\("(?:GET )?(/[^"]+)"`).
		FindAllStringSubmatch(string(source), -1) {
		if !slices.Contains([]string{"/live/", "/assets/{file}"}, found[2]) { // public, and tested with its pages
			registered = append(registered, found[2])
			i := slices.IndexFunc(routes, func(r route) bool { return r.pattern == found[2] })
			if i < 0 || (routes[i].scope != "") != (found[1] == "post") {
				t.Errorf("%q is not in the table of rights, or not as what it is", found[2])
			}
		}
	}
	if len(registered) != len(routes) {
		t.Errorf("%d pages and actions, and %d in the table", len(registered), len(routes))
	}
}

// A token does what its scopes allow, at the containers that it is for. Nothing tells it of the others.
func TestRights(t *testing.T) {
	t.Parallel()
	h, runs := crowd(t)
	secret := regexp.MustCompile(`\w+[ -](corp|entra)\b|microsoft_entra|ldap:corp|ou=(corp|entra)|` +
		`\b(137|138|149|286|287)\b|` + runs[corp] + "|" + runs[entra])
	for _, token := range h.roles() {
		for _, r := range routes {
			for c, run := range runs {
				inside := len(token.only) == 0 || slices.Contains(token.only, c) || !strings.Contains(r.paths[0], "{c}")
				for _, path := range r.at(c, run) {
					want := http.StatusOK // of an action: anything but a refusal of the token
					switch {
					case len(token.scopes) == 0:
						want = http.StatusSeeOther
					case !inside:
						want = http.StatusNotFound
					case !slices.Contains(token.scopes, r.needs()), r.everywhere && len(token.only) > 0:
						want = http.StatusForbidden
					}
					h.try(token, r, path, want, secret)
				}
			}
		}
	}
	for c, run := range runs {
		if got := h.as(h.narrow, http.MethodGet, "/live/?of=run&container="+string(c)+"&run="+run, nil, ended); c != google &&
			got.StatusCode != http.StatusNotFound || c == google && got.StatusCode != http.StatusOK {
			t.Errorf("the stream of a run of %s = %d", c, got.StatusCode)
		}
	}
	_, _, next := h.open(h.narrow, "/")
	h.hold(google, "r", leaver("ben"), leaver("eve"))
	for range 2 {
		if p := next(); secret.MatchString(p.HTML) {
			t.Errorf("the stream tells of another container: %s", p.HTML)
		}
	}
}

// ended makes a request whose client is gone, so that a stream ends.
func ended(r *http.Request) {
	ctx, cancel := context.WithCancel(r.Context())
	cancel()
	*r = *r.WithContext(ctx)
}

// role is a token with its rights.
type role struct {
	text   string
	scopes []tokens.Scope
	only   []container.ID
}

func (h *hall) roles() (out []role) {
	h.Helper()
	some := []container.ID{google}
	return []role{{}, {h.reader, []tokens.Scope{tokens.Read}, nil},
		{h.syncer, []tokens.Scope{tokens.Read, tokens.Sync}, nil},
		{h.decider, []tokens.Scope{tokens.Read, tokens.Approve}, nil},
		{h.narrow, tokens.Scopes(), some}, {h.narrowReader, []tokens.Scope{tokens.Read}, some},
		{h.narrowSyncer, []tokens.Scope{tokens.Read, tokens.Sync}, some},
		{h.narrowDecider, []tokens.Scope{tokens.Read, tokens.Approve}, some}}
}

// try sends a request and compares its outcome with the right one.
func (h *hall) try(token role, r route, path string, want int, secret *regexp.Regexp) {
	h.Helper()
	got := h.as(token.text, r.method(), path, r.form)
	refused := got.StatusCode == http.StatusForbidden || strings.HasPrefix(got.Header.Get("Location"), "/login")
	what := fmt.Sprintf("%s %s with %v for %v = %d", r.method(), path, token.scopes, token.only, got.StatusCode)
	switch {
	case want == http.StatusSeeOther && !refused, want == http.StatusForbidden && !refused,
		want == http.StatusNotFound && got.StatusCode != want,
		want == http.StatusOK && (refused || r.scope == "" && got.StatusCode != want):
		h.Errorf("%s, want %d: %.300s", what, want, got.body)
	}
	if len(token.only) > 0 {
		// The address that was asked for may be repeated.
		body := strings.ReplaceAll(got.body, html.EscapeString(path), "")
		if leak := secret.FindString(body); leak != "" {
			h.Errorf("%s tells of another container: %q in %s", what, leak, body)
		}
	}
	if r.scope == "" {
		return
	}
	foreign := h.as(token.text, r.method(), path, r.form, func(r *http.Request) {
		r.Header.Set("Sec-Fetch-Site", "cross-site")
	})
	if foreign.StatusCode != http.StatusForbidden {
		h.Errorf("%s, and %d from another site", what, foreign.StatusCode)
	}
	if read := h.as(token.text, http.MethodGet, path, nil); want == http.StatusOK && (read.StatusCode == http.StatusOK ||
		read.StatusCode == http.StatusSeeOther) {
		h.Errorf("GET of the action %s = %d", path, read.StatusCode)
	}
}
