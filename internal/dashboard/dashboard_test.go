package dashboard_test

import (
	"context"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"rollcall/internal/dashboard"
	"rollcall/internal/redistest"
)

func contextOf(t *testing.T) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	return ctx, cancel
}

const (
	pausing = "/asynqmon/api/queues/full:pause"
	running = "/asynqmon/api/queues/full/archived_tasks/" + task + ":run"
)

// The scope read permits looking and the scope sync permits acting, with a session and with a bearer token.
func TestScopes(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	reader, both := with(d.signIn(d.reader)), with(d.signIn(d.both))
	for name, tc := range map[string]struct {
		who                 change
		look, act, unlocked bool
	}{
		"reader's session":    {reader, true, false, false},
		"reader's bearer":     {bearer(d.reader), true, false, false},
		"session for both":    {both, true, true, true},
		"bearer for both":     {bearer(d.both), true, true, true},
		"bearer for sync":     {bearer(d.syncer), false, true, false},
		"bearer for approval": {bearer(d.approver), false, false, false},
		"wrong bearer":        {bearer("rct_nonsense"), false, false, false},
		"no token":            {func(*http.Request) {}, false, false, false},
		"another scheme":      {header("Authorization", "Basic "+d.both), false, false, false},
		// A proxy with its own sign-in forwards its header.
		"session behind Basic":        {func(r *http.Request) { both(r); r.SetBasicAuth("proxy", "x") }, true, true, true},
		"wrong bearer, right session": {func(r *http.Request) { both(r); bearer("rct_nonsense")(r) }, false, false, false},
	} {
		code := map[bool]int{true: http.StatusOK, false: http.StatusForbidden}
		d.want(d.get("/asynqmon/api/queues/full/tasks/"+task, tc.who), code[tc.look])
		d.want(d.do(http.MethodHead, "/asynqmon/static/js/main.5adda2da.chunk.js", "", tc.who, header("Accept", "*/*")),
			code[tc.look])
		page := d.want(d.get("/asynqmon/queues/full", tc.who, header("Accept", "*/*")), code[tc.look])
		if want := `FLAG_READ_ONLY="` + map[bool]string{true: "false", false: "true"}[tc.unlocked] + `"`; tc.look &&
			!strings.Contains(page, want) {
			t.Errorf("%s: the page lacks %s", name, want)
		}
		if err := d.asq.UnpauseQueue("full"); err != nil && d.paused() {
			t.Fatal(err)
		}
		code[true] = http.StatusNoContent
		d.want(d.do(http.MethodPost, pausing, "", tc.who), code[tc.act])
		if d.paused() != tc.act {
			t.Errorf("%s: paused %v, want %v", name, d.paused(), tc.act)
		}
		if !tc.act {
			d.want(d.do(http.MethodDelete, "/asynqmon/api/queues/full/archived_tasks/"+task, "", tc.who), http.StatusForbidden)
			d.want(d.do(http.MethodPost, running, "", tc.who), http.StatusForbidden)
			d.want(d.do("PURGE", pausing, "", tc.who), http.StatusForbidden)
		}
	}
	d.want(d.do(http.MethodPost, running, "", both), http.StatusNoContent)
	d.want(d.do(http.MethodPost, "/asynqmon/queues/full", "", both), http.StatusMethodNotAllowed)
	d.want(d.do(http.MethodPut, "/asynqmon/login", "", both), http.StatusMethodNotAllowed)
}

func TestCrossOriginRequestsAreRefused(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	cookie := d.signIn(d.both)
	open, err := dashboard.New(dashboard.Config{Redis: d.rdb})
	if err != nil {
		t.Fatal(err)
	}
	withoutTokens := *d
	withoutTokens.Dashboard = open
	for _, foreign := range []change{
		header("Origin", "https://evil.example"), header("Origin", "null"), header("Sec-Fetch-Site", "cross-site"),
		header("Sec-Fetch-Site", "same-site"),
	} {
		d.want(d.do(http.MethodPost, pausing, "", with(cookie), foreign), http.StatusForbidden)
		d.want(d.do(http.MethodPost, pausing, "", bearer(d.both), foreign), http.StatusForbidden)
		d.want(withoutTokens.do(http.MethodPost, pausing, "", foreign), http.StatusForbidden)
		d.want(d.submit(d.both, foreign), http.StatusForbidden)
		d.want(d.do(http.MethodPost, "/asynqmon/logout", "", with(cookie), foreign), http.StatusForbidden)
	}
	if d.paused() || len(d.sessions()) != 1 {
		t.Errorf("a foreign page did something: paused %v, sessions %v", d.paused(), d.sessions())
	}
	// A link from another site is followed.
	d.want(d.get("/asynqmon/", with(cookie), header("Sec-Fetch-Site", "cross-site")), http.StatusOK)
	d.want(d.do(http.MethodPost, pausing, "", with(cookie), header("Sec-Fetch-Site", "same-origin")), http.StatusNoContent)
	if !d.paused() {
		t.Error("our own page did nothing")
	}
}

var noncePattern = regexp.MustCompile(`'nonce-([A-Z2-7]{26})'`)

// The policy permits everything that the page refers to, and the page refers to no other host.
func TestPolicy(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	reader, both := with(d.signIn(d.reader)), with(d.signIn(d.both))
	seen := map[string]bool{}
	for _, who := range []change{reader, both} {
		for _, path := range []string{"", "queues/full?status=archived", "queues/full/tasks/" + task, "servers", "redis"} {
			resp := d.get("/asynqmon/"+path, who)
			page := d.want(resp, http.StatusOK)
			policy := resp.Header.Get("Content-Security-Policy")
			nonces := noncePattern.FindAllStringSubmatch(policy, -1)
			if len(nonces) != 2 || nonces[0][1] != nonces[1][1] || seen[nonces[0][1]] {
				t.Fatalf("%s: the policy is %s", path, policy)
			}
			nonce := nonces[0][1]
			seen[nonce] = true
			want := "default-src 'none'; script-src 'nonce-" + nonce + "'; style-src 'nonce-" + nonce +
				"'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
			if policy != want {
				t.Errorf("the policy is %s, want %s", policy, want)
			}
			scripts, marked := strings.Count(page, "<script"), strings.Count(page, `<script nonce="`+nonce+`"`)
			if scripts != 4 || marked != scripts || !strings.Contains(page, `<meta property="csp-nonce" content="`+nonce+`">`) {
				t.Errorf("%s: %d of %d scripts carry the nonce: %s", path, marked, scripts, page)
			}
			if strings.Contains(page, "//fonts.") || strings.Contains(page, "https:") || strings.Contains(page, "NONCE") ||
				strings.Contains(page, "NAME-OF") {
				t.Errorf("%s: the page is %s", path, page)
			}
			d.guarded(resp, "no-store")
		}
	}
	d.guarded(d.get("/asynqmon/login"), "no-store")
	d.guarded(d.get("/asynqmon/api/queues", both), "no-store")
	d.guarded(d.get("/asynqmon/api/queues/none", both), "no-store")
	d.guarded(d.get("/asynqmon/api/queues"), "no-store")
	d.guarded(d.get("/asynqmon/favicon.ico", both), "private, max-age=86400")
	d.guarded(d.get("/asynqmon/static/js/none.js", both), "no-store")
}

// guarded checks the headers that every response has.
func (d *desk) guarded(resp *http.Response, cache string) {
	d.Helper()
	for name, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
		"Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": cache,
	} {
		if got := resp.Header.Values(name); len(got) != 1 || got[0] != want {
			d.Errorf("%d: %s = %q, want %q", resp.StatusCode, name, got, want)
		}
	}
	if policy := resp.Header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'; ") ||
		!strings.HasSuffix(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") {
		d.Errorf("%d: the policy is %s", resp.StatusCode, policy)
	}
}

func TestFilesAndPaths(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	who := with(d.signIn(d.reader))
	for path, want := range map[string]string{
		"/asynqmon/static/js/main.5adda2da.chunk.js": "application/javascript; charset=utf-8",
		"/asynqmon/favicon-32x32.png":                "image/png",
		"/asynqmon/api/queues":                       "application/json", "/asynqmon/": "text/html; charset=utf-8",
		"/asynqmon/login": "text/html; charset=utf-8",
	} {
		resp := d.get(path, who)
		if d.want(resp, http.StatusOK); resp.Header.Get("Content-Type") != want {
			t.Errorf("%s is %s, want %s", path, resp.Header.Get("Content-Type"), want)
		}
	}
	for _, path := range []string{
		"/asynqmon/static/js/none.js", "/asynqmon/index.htm", "/asynqmon//", "/asynqmon/../asynqmon/",
		"/asynqmon/./queues", "/asynqmon/queues//full", "/asynqmons", "/elsewhere/",
	} {
		resp := d.get(path, who)
		if d.want(resp, http.StatusNotFound); resp.Header.Get("Location") != "" {
			t.Errorf("%s leads to %s", path, resp.Header.Get("Location"))
		}
	}
	if resp := d.get("/asynqmon"); resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/asynqmon/" {
		t.Errorf("without the slash: %d to %q", resp.StatusCode, resp.Header.Get("Location"))
	}
}

func TestWithoutTokensEveryRequestMayDoEverything(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	var err error
	if d.Dashboard, err = dashboard.New(dashboard.Config{Redis: d.rdb}); err != nil {
		t.Fatal(err)
	}
	page := d.want(d.get("/asynqmon/"), http.StatusOK)
	if !strings.Contains(page, `FLAG_READ_ONLY="false"`) || strings.Contains(page, "sign out") {
		t.Errorf("the page is %s", page)
	}
	d.want(d.do(http.MethodPost, pausing, ""), http.StatusNoContent)
	if resp := d.get("/asynqmon/login"); resp.StatusCode != http.StatusSeeOther ||
		resp.Header.Get("Location") != "/asynqmon/" {
		t.Errorf("the form is answered with %d to %q", resp.StatusCode, resp.Header.Get("Location"))
	}
	d.want(d.submit("anything"), http.StatusMethodNotAllowed)
}

// asynqmon works over the process's own client, including a client of a cluster.
func TestCluster(t *testing.T) {
	t.Parallel()
	d := openDesk(t, redistest.Cluster(t), time.Millisecond)
	cookie := with(d.signIn(d.both))
	for _, path := range []string{"queues", "queues/full/archived_tasks", "servers", "scheduler_entries", "queue_stats"} {
		if body := d.want(d.get("/asynqmon/api/"+path, cookie), http.StatusOK); !strings.HasPrefix(body, "{") {
			t.Errorf("%s: %s", path, body)
		}
	}
	if body := d.want(d.get("/asynqmon/api/redis_info", cookie), http.StatusOK); !strings.Contains(body,
		`"cluster":true`) {
		t.Errorf("Redis is described as %s", body)
	}
	d.want(d.do(http.MethodPost, running, "", cookie), http.StatusNoContent)
}
