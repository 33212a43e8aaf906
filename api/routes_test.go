package api_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"rollcall/api"
)

const detailNotFound = `{"detail":"Not found."}`

// Nothing is ever redirected, and what does not exist says so in JSON.
func TestNotFound(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil, nil)
	for _, path := range []string{
		"/", "/api/v3", "/api/v3/", "/api/", "/nowhere/", "/sources/ldap", "/sources/", "/sources/ldap//", "//sources/ldap/",
		"/sources/ldap/corp", "/sources/ldap/corp/sync", "/sources/ldap/corp/sync/status",
		"/sources/ldap/nobody/sync/status/",
		"/sources/ldap/CORP/", "/sources/ldap/corp/sync/object/", "/sources/ldap/corp/sync/objects/",
		"/sources/ldap/../ldap/corp/", "/sources/./ldap/",
		"/sources/ldap/%2e%2e/", "/sources/ldap/a%2Fb/", "/sources/ldap/corp%20/", "/sources/ldap/{slug}/",
		"/providers/google_workspace/2/", "/providers/google_workspace/01/", "/providers/google_workspace/x/sync/status/",
		"/providers/google_workspace/99999999999999999999/", "/providers/microsoft_entra/1/sync/status/",
		"/providers/okta/1/",
		"/providers/google_workspace/1/sync/status/extra/", "/providers/google_workspace/1/sync/runs/x/",
		"/providers/google_workspace/1/sync/runs/7d444840-9dc0-11d1-b245-5ffdce74fad2/",
		"/livez/", "/readyz/", "/schema", "/api/v3/livez", "/api/v3/api/v3/schema/",
	} {
		for _, base := range []string{"", "/api/v3"} {
			if strings.HasPrefix(path, "/api") && base != "" {
				continue
			}
			w := h.get(base + path)
			w.is(http.StatusNotFound, detailNotFound)
			if w.Header().Get("Location") != "" {
				t.Errorf("%s is redirected", path)
			}
		}
	}
	h.do(http.MethodPost, "/providers/google_workspace/1/sync/object", objectBody("User", "u-1")).is(http.StatusNotFound,
		detailNotFound)
	h.do(http.MethodPost, "/providers/google_workspace/3/sync/object/", objectBody("User", "u-1")).is(http.StatusNotFound,
		detailNotFound)
	h.do(http.MethodPost, "/sources/ldap/nobody/sync/", "").is(http.StatusNotFound, detailNotFound)
}

// The dashboard has everything at and below its root, and answers in its own way. It is no part of the JSON API: no
// route, not in the document, and not below the base path.
func TestTheDashboardIsApart(t *testing.T) {
	t.Parallel()
	board := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "its own")
		_, _ = w.Write([]byte(r.Method + " " + r.URL.Path))
	})
	h := newHarness(t, nil, func(c *api.Config) { c.Dashboard = board })
	for _, path := range []string{"/asynqmon", "/asynqmon/", "/asynqmon/login", "/asynqmon/api/queues/full:pause",
		"/asynqmon//x", "/asynqmon/../livez"} {
		for _, method := range []string{"GET", "POST", "DELETE"} {
			w := httptest.NewRecorder()
			h.api.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, nil))
			if got := w.Body.String(); w.Code != http.StatusOK || got != method+" "+path {
				t.Errorf("%s %s: %d %s", method, path, w.Code, got)
			}
			if w.Header().Get("Content-Security-Policy") != "its own" || w.Header().Get("X-Request-Id") == "" ||
				w.Header().Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s %s: headers %v", method, path, w.Header())
			}
		}
	}
	without := newHarness(t, nil, nil)
	for _, path := range []string{"/api/v3/asynqmon/", "/asynqmons/", "/x/asynqmon/"} {
		h.get(path).is(http.StatusNotFound, detailNotFound)
	}
	without.get("/asynqmon/").is(http.StatusNotFound, detailNotFound)
	for path := range api.Routes() {
		if strings.HasPrefix(path, api.DashboardRoot) {
			t.Errorf("%s is a route", path)
		}
	}
	if strings.Contains(string(api.OwnDocument()), api.DashboardRoot) {
		t.Error("the document has the dashboard")
	}
}

func TestMethods(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil, nil)
	for path, methods := range api.Routes() {
		path = strings.NewReplacer("{slug}", "corp", "{id}", "1", "{run}", "r", "{job}", "j").Replace(path)
		path = strings.Replace(path, "microsoft_entra/1", "microsoft_entra/2", 1)
		allow := map[string]string{"GET": "GET, HEAD, OPTIONS", "POST": "OPTIONS, POST",
			"GET POST": "GET, HEAD, OPTIONS, POST"}[strings.Join(methods, " ")]
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"} {
			if slices.Contains(methods, method) {
				continue
			}
			w := h.do(method, "/api/v3"+path, "")
			w.is(http.StatusMethodNotAllowed, `{"detail":"Method \"`+method+`\" not allowed."}`)
			if got := w.Header().Get("Allow"); got != allow {
				t.Errorf("%s: Allow = %q, want %q", path, got, allow)
			}
		}
		w := h.do(http.MethodOptions, path, "").want(http.StatusNoContent)
		if got := w.Header().Get("Allow"); got != allow || w.Body.Len() > 0 {
			t.Errorf("OPTIONS %s: Allow = %q, want %q; body %q", path, got, allow, w.Body)
		}
	}
	h.do(http.MethodPut, "/livez", "").is(http.StatusMethodNotAllowed, `{"detail":"Method \"PUT\" not allowed."}`)
	h.do(http.MethodHead, "/sources/ldap/corp/sync/", "").want(http.StatusMethodNotAllowed)
}

// HEAD is GET without a body, over a real connection.
func TestHead(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil, nil)
	srv := httptest.NewServer(h.api)
	t.Cleanup(srv.Close)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodHead, srv.URL+"/api/v3/sources/ldap/corp/sync/status/",
		nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+readToken)
	resp, err := srv.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.ContentLength < 1 {
		t.Errorf("HEAD = %d, %d bytes", resp.StatusCode, resp.ContentLength)
	}
}

// Every failure of authentication is 403, with the texts that clients know; and it comes before anything else is said.
func TestAuthentication(t *testing.T) {
	t.Parallel()
	const (
		none      = `{"detail":"Authentication credentials were not provided."}`
		scheme    = `{"detail":"Unsupported authentication type"}`
		invalid   = `{"detail":"Token invalid/expired"}`
		forbidden = `{"detail":"You do not have permission to perform this action."}`
	)
	h := newHarness(t, nil, nil)
	for _, test := range []struct {
		header, method, path, want string
	}{
		{"", "GET", "/sources/ldap/corp/sync/status/", none},
		{"Bearer", "GET", "/sources/ldap/corp/sync/status/", none},
		{"Bearer ", "GET", "/sources/ldap/corp/sync/status/", none},
		{"Basic dXNlcjpwYXNz", "GET", "/sources/ldap/corp/sync/status/", scheme},
		{"Bearer nonsense", "GET", "/sources/ldap/corp/sync/status/", invalid},
		{"Bearer nonsense", "GET", "/sources/ldap/nobody/sync/status/", invalid},
		{"Bearer nonsense", "DELETE", "/sources/ldap/corp/", invalid},
		{"Bearer nonsense", "POST", "/providers/google_workspace/1/sync/object/", invalid},
		{"Bearer " + syncToken, "GET", "/sources/ldap/", forbidden},
		{"Bearer " + readToken, "POST", "/sources/ldap/corp/sync/", forbidden},
		{"Bearer " + readToken, "POST", "/sources/ldap/corp/sync/cancel/", forbidden},
		{"Bearer " + readToken, "POST", "/providers/microsoft_entra/2/sync/object/", forbidden},
		{"Bearer " + readToken, "GET", "/sources/ldap/", ""},
		{"bearer  " + readToken, "HEAD", "/sources/ldap/", ""},
		{"BEARER " + syncToken, "POST", "/sources/ldap/corp/sync/", ""},
	} {
		r := httptest.NewRequestWithContext(t.Context(), test.method, "/api/v3"+test.path, nil)
		if test.header != "" {
			r.Header.Set("Authorization", test.header)
		}
		w := h.send(r)
		if test.want != "" {
			w.is(http.StatusForbidden, test.want)
			continue
		}
		if w.Code >= 400 {
			t.Errorf("%q %s %s: %d %s", test.header, test.method, test.path, w.Code, w.Body)
		}
	}
	for _, secret := range []string{readToken, syncToken, "nonsense", "dXNlcjpwYXNz"} {
		if strings.Contains(h.log.String(), secret) {
			t.Errorf("the log shows %q", secret)
		}
	}
}

func TestWithoutTokens(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil, func(c *api.Config) { c.Authenticate = nil })
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://localhost/sources/ldap/corp/sync/", nil)
	if got := read[run](h.send(r).want(http.StatusAccepted)); got.Trigger.By != "anonymous" {
		t.Errorf("started by %q", got.Trigger.By)
	}
}
