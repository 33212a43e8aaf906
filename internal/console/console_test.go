package console_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"rollcall/api"
	"rollcall/container"
	"rollcall/directory"
	"rollcall/explain"
	"rollcall/internal/console"
	"rollcall/internal/redistest"
	"rollcall/ledger"
	"rollcall/plan"
	"rollcall/status"
)

// pages are the addresses of every view.
func pages(run status.Run) []string {
	at := "/runs/" + run.Container.Kind() + "/" + run.Container.Name() + "/"
	return []string{"/", "/held/", "/held/google_workspace/1/", at, at + run.ID + "/", at + run.ID + "/?group=person",
		"/held/google_workspace/1/d1/review?verdict=approved", "/changes/", "/changes/?q=a&op=update", "/leavers/",
		"/leavers/?due=week&q=a", "/people/", "/people/?q=a", "/people/entry/?kind=user&id=u1"}
}

func TestPagesNeedATokenThatMayRead(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	run := h.run(google, status.End{State: status.Completed}, plan.Plan{}, plan.Plan{})
	h.hold(google, run.ID, leaver("ada"))
	for _, path := range pages(run) {
		h.get(path)
		if got := h.as("", http.MethodGet, path, nil); got.StatusCode != http.StatusSeeOther ||
			!strings.HasPrefix(got.Header.Get("Location"), "/login") || strings.Contains(got.body, "ada") {
			t.Errorf("GET %s without a token = %d to %q", path, got.StatusCode, got.Header.Get("Location"))
		}
		for _, token := range []string{h.blind, "rct_wrong"} {
			if got := h.as(token, http.MethodGet, path, nil); got.StatusCode == http.StatusOK ||
				strings.Contains(got.body, "ada") || strings.Contains(got.body, "badge") {
				t.Errorf("GET %s with a token that may not read = %d: %s", path, got.StatusCode, got.body)
			}
		}
	}
	if got := h.as("", http.MethodGet, "/live/?of=overview", nil); got.StatusCode != http.StatusForbidden {
		t.Errorf("the stream without a token = %d", got.StatusCode)
	}
}

// A page leads a browser with an ended session to the sign-in, which says so and then leads back.
func TestAnEndedSession(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	in := h.as("", http.MethodPost, "/login", url.Values{"token": {h.reader}})
	cookie := func(r *http.Request) { r.Header.Set("Cookie", strings.Split(in.Header.Get("Set-Cookie"), ";")[0]) }
	if got := h.as("", http.MethodGet, "/held/", nil, cookie); got.StatusCode != http.StatusOK {
		t.Fatalf("a page within the session = %d: %s", got.StatusCode, got.body)
	}
	if err := h.rdb.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	to := h.as("", http.MethodGet, "/held/", nil, cookie).Header.Get("Location")
	page := h.as("", http.MethodGet, to, nil, cookie).body
	if !strings.Contains(page, "Your session has ended.") || !strings.Contains(page, `name="next" value="/held/"`) {
		t.Errorf("%s is %s", to, page)
	}
}

// A pause is on the card and in the sentence at the top, which says how it ends.
func TestAPauseIsShown(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	h.run(google, status.End{State: status.Completed}, plan.Plan{}, plan.Plan{})
	if body := h.get("/"); strings.Contains(body, "Paused") {
		t.Errorf("nothing is paused: %s", body)
	}
	_, err := h.decisions.Pause(t.Context(), google, "grace")
	if _, alive := h.status.Beat(t.Context(), "w1"); err != nil || alive != nil {
		t.Fatal(err, alive)
	}
	body := h.get("/")
	top := body[strings.Index(body, `class="worst`):]
	if !strings.Contains(top[:strings.Index(top, "</h1>")], "Nothing is written to ") || !strings.Contains(body,
		"paused by grace since ") || !strings.Contains(body, "rollcall resume google_workspace:1") ||
		!strings.Contains(body, "Paused</p>") {
		t.Errorf("the overview of a paused provider is %s", body)
	}
}

// Who may decide pauses and resumes on the page of the runs. Others see the pause and no button.
func TestPausingAndResuming(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	const at, pause, resume = "/runs/google_workspace/1/", `action="/runs/google_workspace/1/pause"`, `/1/resume"`
	page := func(token string) string { return h.as(token, http.MethodGet, at, nil).body }
	if body := page(h.decider); !strings.Contains(body, pause) || strings.Contains(body, resume) {
		t.Errorf("the runs of what is not paused: %s", body)
	}
	if got := h.as(h.decider, http.MethodPost, at+"pause", nil); got.Header.Get("Location") != at {
		t.Fatalf("POST pause = %d to %q: %s", got.StatusCode, got.Header.Get("Location"), got.body)
	}
	if body := page(h.decider); strings.Contains(body, pause) || !strings.Contains(body, resume) {
		t.Errorf("the runs of what is paused: %s", body)
	}
	if body := page(h.syncer); strings.Contains(body, resume) || !strings.Contains(body, "paused by decider since ") {
		t.Errorf("the runs of what is paused, for one who may not resume: %s", body)
	}
	got := h.as(h.decider, http.MethodPost, at+"resume", nil)
	run, live, err := h.status.Live(t.Context(), google)
	if err != nil || !live || got.Header.Get("Location") != at+run.ID+"/" {
		t.Errorf("POST resume = %d to %q, the run is %v (%v): %s", got.StatusCode, got.Header.Get("Location"), run, err,
			got.body)
	}
	if body := page(h.decider); !strings.Contains(body, pause) {
		t.Errorf("the runs of what was resumed: %s", body)
	}
}

func TestWithoutTokensThePagesOpen(t *testing.T) {
	t.Parallel()
	h := openHall(t, false)
	page := h.get("/")
	if !strings.Contains(page, "Sync now") || strings.Contains(page, "Sign out") {
		t.Errorf("the overview is %s", page)
	}
	if got := h.as("", http.MethodGet, "/login", nil); got.Header.Get("Location") != "/" {
		t.Errorf("GET /login leads to %q", got.Header.Get("Location"))
	}
}

func TestAProgramGetsTheAnswerOfTheAPI(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	for _, accept := range []string{"application/json", "*/*", ""} {
		got := h.as(h.reader, http.MethodGet, "/", nil, func(r *http.Request) { r.Header.Set("Accept", accept) })
		if got.StatusCode != http.StatusNotFound || got.body != `{"detail":"Not found."}`+"\n" {
			t.Errorf("GET / with Accept %q = %d %s", accept, got.StatusCode, got.body)
		}
	}
}

// An action needs its scope, and a page offers no action that its token may not do.
func TestScopes(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	run := h.run(google, status.End{State: status.Completed},
		plan.Plan{Changes: []plan.Change{{Op: plan.Update, Ref: directory.Ref{Kind: directory.User, ID: "u1"},
			Label: "ada"}}}, plan.Plan{})
	digest := h.hold(google, run.ID, leaver("ada"))
	runAt := "/runs/google_workspace/1/" + run.ID + "/"
	actions := []struct {
		token, path string
		form        url.Values
	}{
		{h.syncer, "/runs/google_workspace/1/sync", nil}, {h.syncer, "/runs/google_workspace/1/cancel", nil},
		{h.decider, runAt + "undo", url.Values{"dry_run": {"true"}}}, {h.decider, "/servers/ldap/corp/accept", nil},
		{h.decider, "/held/google_workspace/1/" + digest + "/reject", url.Values{"count": {"1"}}},
		{h.decider, "/held/google_workspace/1/pins/lift", url.Values{"all": {"1"}}},
		{h.syncer, "/previews/new", url.Values{"text": {"sources: {}"}}},
		{h.decider, "/people/leave", url.Values{"id": {"u1"}}}, {h.decider, "/people/stay", url.Values{"id": {"u1"}}},
	}
	for _, a := range actions {
		for _, token := range []string{h.reader, h.syncer, h.decider, h.blind, ""} {
			if token == a.token {
				continue
			}
			got := h.as(token, http.MethodPost, a.path, a.form)
			if token != "" && got.StatusCode != http.StatusForbidden || token == "" && got.Header.Get("Location") != "/login" {
				t.Errorf("POST %s = %d: %.200s", a.path, got.StatusCode, got.body)
			}
		}
	}
	if _, live, err := h.status.Live(t.Context(), google); live || err != nil {
		t.Fatalf("a refused action started a run (%v)", err)
	}
	for _, path := range pages(run) {
		page := h.get(path)
		if strings.Contains(page, `method="post"`) && !strings.Contains(page, `action="/logout"`) ||
			strings.Count(page, `method="post"`) > 1+strings.Count(path, "review") {
			t.Errorf("%s offers a reader an action: %s", path, page)
		}
		for _, button := range []string{"Sync now", ">Approve all", ">Approve selected", "Preview the undo"} {
			if strings.Contains(page, button) {
				t.Errorf("%s offers a reader %q", path, button)
			}
		}
	}
	for token, button := range map[string]string{h.syncer: "Sync now", h.decider: "Preview the undo"} {
		path := map[string]string{h.syncer: "/", h.decider: runAt}[token]
		if page := h.as(token, http.MethodGet, path, nil).body; !strings.Contains(page, button) {
			t.Errorf("%s lacks %q: %s", path, button, page)
		}
	}
	for _, a := range actions[:1] {
		if got := h.as(a.token, http.MethodPost, a.path, a.form); got.StatusCode != http.StatusSeeOther {
			t.Errorf("POST %s = %d: %s", a.path, got.StatusCode, got.body)
		}
	}
}

func TestFormsOfOtherSitesAreRefused(t *testing.T) {
	t.Parallel()
	h := openHall(t, false)
	run := h.run(google, status.End{State: status.Completed}, plan.Plan{}, plan.Plan{})
	digest := h.hold(google, run.ID, leaver("ada"))
	for _, path := range []string{"/runs/google_workspace/1/sync", "/runs/google_workspace/1/cancel", "/logout",
		"/runs/google_workspace/1/" + run.ID + "/undo", "/held/google_workspace/1/" + digest + "/approve",
		"/held/google_workspace/1/pins/lift", "/people/leave", "/people/stay", "/servers/ldap/corp/accept", "/login",
		"/people/sync/google_workspace/1"} {
		for header, value := range map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"} {
			got := h.as("", http.MethodPost, path, url.Values{"verdict": {"approved"}, "count": {"1"}},
				func(r *http.Request) { r.Header.Set(header, value) })
			if got.StatusCode != http.StatusForbidden {
				t.Errorf("POST %s with %s: %s = %d", path, header, value, got.StatusCode)
			}
		}
	}
	if _, live, err := h.status.Live(t.Context(), google); live || err != nil {
		t.Errorf("a foreign form started a run (%v)", err)
	}
	if decided, err := h.decisions.Decisions(t.Context(), google); len(decided) > 0 || err != nil {
		t.Errorf("a foreign form decided %v (%v)", decided, err)
	}
}

// Names come from directories. They appear as text, whatever they contain.
func TestNamesAreHarmless(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	const name = "<script>alert(1)</script>\"'>\u202egnp.exe\u2066 two\nlines\x1b[31m\u2028end"
	ref := directory.Ref{Kind: directory.User, ID: directory.ID(name)}
	group := directory.Ref{Kind: directory.Group, ID: "g"}
	run := h.run(google, status.End{State: status.Failed, FailReason: name},
		plan.Plan{
			Changes: []plan.Change{{Op: plan.Update, Ref: ref, Label: name, Address: name,
				Fields: []plan.FieldChange{{Name: name, Before: []string{name}, After: []string{name}}}},
				{Op: plan.AddMember, Ref: group, Label: name, Member: &ref, MemberLabel: name}},
			Held: []plan.Held{{Ref: ref, Label: name, Reason: plan.NoAddress, Detail: name}}, Doubts: []string{name},
		}, plan.Plan{})
	held := leaver(name)
	held.Reason, held.MemberLabel, held.Member = name, name, name
	held.Fields = []plan.FieldChange{{Name: name, Before: []string{name}, After: []string{name}}}
	h.hold(google, run.ID, held)
	h.known = map[directory.Ref]console.Known{ref: {Label: name, Unit: name}}
	h.explained = []explain.Provider{{Container: google, Code: explain.Held, Reason: name, Verdict: name,
		Pins: []explain.Pin{{RunID: name, By: name}}}}
	link := map[directory.Ref]plan.Link{ref: {RemoteID: name, Departed: time.Now(), Why: plan.Absent}}
	if err := errors.Join(ledger.NewRedis(h.rdb, string(google)).PutLinks(t.Context(), link),
		h.decisions.Leave(t.Context(), plan.Order{Ref: ref, Label: name, By: name, At: time.Now()}),
		h.decisions.Pin(t.Context(), google, []plan.Pin{{Ref: ref, Label: name, Run: run.ID, By: name, Address: name}},
			nil)); err != nil {
		t.Fatal(err)
	}
	id := url.QueryEscape(name)
	for _, path := range append(pages(run), "/people/entry/?id="+id, "/people/?q="+id, "/people/leave/?id="+id,
		"/people/leave/?lift=true&id="+id, "/held/?by="+url.QueryEscape(name)+"&q="+url.QueryEscape("<script>alert")) {
		page := h.get(path)
		for _, bad := range []string{"<script>a", "alert(1)</script", "\u202e", "\u2066", "\x1b", "\u2028"} {
			if strings.Contains(page, bad) {
				t.Errorf("%s contains %q", path, bad)
			}
		}
		if strings.Count(page, "<script") != 1 || strings.Contains(page, "style=") || strings.Contains(page, "onclick") {
			t.Errorf("%s has a script or a style of its own", path)
		}
	}
	csv := h.get("/runs/google_workspace/1/" + run.ID + "/plan.csv")
	if strings.Contains(csv, "\n=") {
		t.Errorf("a spreadsheet would calculate: %s", csv)
	}
}

func TestEveryPageHasAStrictPolicy(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	run := h.run(google, status.End{State: status.Completed}, plan.Plan{}, plan.Plan{})
	h.hold(google, run.ID, leaver("ada"))
	for _, path := range append(pages(run), "/held/nothing/here/", "/runs/google_workspace/1/none/") {
		got := h.as(h.reader, http.MethodGet, path, nil)
		policy := got.Header.Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none'; script-src 'self'; style-src 'self';") ||
			strings.Contains(policy, "unsafe") ||
			!strings.Contains(policy, "frame-ancestors 'none'") || got.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: the headers are %v", path, got.Header)
		}
		for _, foreign := range []string{"http://", "https://", `"//`} {
			if strings.Contains(got.body, foreign) {
				t.Errorf("%s refers to another host: %q", path, foreign)
			}
		}
	}
	for _, file := range []string{"console.css", "console.js", "icon.svg"} {
		if got := h.as("", http.MethodGet, "/assets/"+file, nil); got.StatusCode != http.StatusOK ||
			got.Header.Get("Content-Type") == "" {
			t.Errorf("%s = %d %v", file, got.StatusCode, got.Header)
		}
	}
}

func TestWhatIsNotThere(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	const id = "00000000-0000-0000-0000-000000000000"
	for _, path := range []string{"/held/ldap/none/", "/runs/ldap/none/", "/runs/ldap/corp/x/", "/runs/ldap/corp/" + id +
		"/",
		"/runs/ldap/corp/" + id + "/plan.csv", "/runs/ldap/corp/" + id + "/else",
		"/held/ldap/corp/none/review?verdict=approved",
		"/held/ldap/corp/none/review", "/assets/none.css"} {
		if got := h.as(h.reader, http.MethodGet, path, nil); got.StatusCode != http.StatusNotFound {
			t.Errorf("GET %s = %d: %.200s", path, got.StatusCode, got.body)
		}
	}
}

// A tenant that does not answer is named at the top while its run waits. Cards that were never synced are one concern.
func TestARunThatWaitsIsNamed(t *testing.T) {
	t.Parallel()
	h := hallOn(t, redistest.Mini(t), true, []api.Resource{{Container: corp, Name: "Corporate directory"},
		{Container: google, Name: "Tenant"}, {Container: "scim:1", Name: "One"}, {Container: "scim:2", Name: "Two"}})
	if _, alive := h.status.Beat(t.Context(), "w1"); alive != nil {
		t.Fatal(alive)
	}
	for times, waits := range []bool{false, true} {
		started, err := h.status.Start(t.Context(), status.StartRequest{Container: google})
		if err != nil {
			t.Fatal(err)
		}
		lease, err := h.status.Acquire(t.Context(), google, started.ID, started.Epoch, "w1")
		if err != nil {
			t.Fatal(err)
		}
		defer lease.Close()
		if _, err = lease.Defer(t.Context(), time.Now(), "google_workspace:1 does not answer",
			status.Outage{Times: int64(times) + 1, Since: time.Now().Add(-time.Hour)}); err != nil {
			t.Fatal(err)
		}
		top := h.get("/")
		top = top[strings.Index(top, `class="worst`):]
		top = top[:strings.Index(top, "<h2>")]
		if strings.Contains(top, "Tenant (Google Workspace): the sync has waited for ") != waits ||
			!strings.Contains(top, "Corporate directory (LDAP directory) and 2 more were never synced") {
			t.Errorf("after %d attempts the concerns are %s", times+1, top)
		}
		if _, err := h.status.Cancel(t.Context(), google, "ops"); err != nil {
			t.Fatal(err)
		}
	}
}

// The page of a person names the providers of one state together, by their names where several are of one type.
func TestAPersonAtManyProviders(t *testing.T) {
	t.Parallel()
	resources := []api.Resource{{Container: corp}, {Container: google, Name: "Tenant"}}
	said := []explain.Provider{{Container: google, Code: explain.InStep}}
	for i := range 6 {
		resources = append(resources, api.Resource{Container: container.Provider("scim", i+1), Name: fmt.Sprint("Site ", i)})
		said = append(said, explain.Provider{Container: container.Provider("scim", i+1), Code: explain.Unknown})
	}
	h := hallOn(t, redistest.Mini(t), true, resources)
	h.explained = said
	h.known = map[directory.Ref]console.Known{{Kind: directory.User, ID: "ada"}: {Label: "ada"}}
	page := h.as(h.syncer, http.MethodGet, "/people/entry/?id=ada", nil).body
	for _, want := range []string{"</span> <span>at <bdi>Google Workspace</bdi></span></li>",
		"</span> <span>at <bdi>Site 0</bdi>, <bdi>Site 1</bdi>, <bdi>Site 2</bdi>, <bdi>Site 3</bdi> and 2 more</span>" +
			"</li>", "Sync to Site 5 now"} {
		if !strings.Contains(page, want) {
			t.Errorf("%s is not in %s", want, page)
		}
	}
}
