package e2e

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/internal/redistest"
	"rollcall/internal/slapdtest"
)

// marks are marked secrets by what they are, and the files with them.
type marks struct {
	testing.TB
	dir     string
	secrets map[string]string
}

func newMarks(t testing.TB) *marks { return &marks{t, t.TempDir(), map[string]string{}} }

// mark returns a new secret.
func (m *marks) mark(what string) string {
	secret := "marked-" + rand.Text() + rand.Text()
	m.secrets[secret] = what
	return secret
}

// file returns the path of a file with this text.
func (m *marks) file(name, text string) string {
	m.Helper()
	path := filepath.Join(m.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		m.Fatal(err)
	}
	return path
}

// nowhere checks that a text has none of the secrets.
func (m *marks) nowhere(where, text string) {
	m.Helper()
	for secret, what := range m.secrets {
		if strings.Contains(text, secret) || strings.Contains(text, base64.StdEncoding.EncodeToString([]byte(secret))) ||
			strings.Contains(text, url.QueryEscape(secret)) {
			m.Errorf("%s has %s", where, what)
		}
	}
}

// echo is an OpenID provider that answers a code with all that it was sent: at first as an error, then in an ID token.
func (m *marks) echo() *httptest.Server {
	token, asked := m.mark("an access token of the OpenID provider"), atomic.Int64{}
	mux := http.NewServeMux()
	srv := httptest.NewServer(mux)
	m.Cleanup(srv.Close)
	mux.HandleFunc("/.well-known/openid-configuration", func(rw http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(rw).Encode(map[string]any{"issuer": srv.URL, "authorization_endpoint": srv.URL + "/auth",
			"token_endpoint": srv.URL + "/token", "jwks_uri": srv.URL + "/keys"})
	})
	mux.HandleFunc("/token", func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, secret, _ := r.BasicAuth()
		said := string(body) + " " + secret + " " + token
		rw.Header().Set("Content-Type", "application/json")
		if asked.Add(1) < 3 { // The client tries both ways to authenticate itself.
			rw.WriteHeader(http.StatusBadRequest)
			_ = json.NewEncoder(rw).Encode(map[string]string{"error": "invalid_grant", "error_description": said})
			return
		}
		claims := base64.RawURLEncoding.EncodeToString([]byte(`{"sub": "` + said + `"`))
		_ = json.NewEncoder(rw).Encode(map[string]string{"access_token": token, "token_type": "Bearer",
			"id_token": "e30." + claims + "." + token})
	})
	return srv
}

// get asks a process for a page as a browser or program does, and returns the response with its body.
func (m *marks) get(address, token string, cookies ...*http.Cookie) (*http.Response, string) {
	m.Helper()
	r, err := http.NewRequestWithContext(m.Context(), http.MethodGet, address, nil)
	if err != nil {
		m.Fatal(err)
	}
	r.Header.Set("Accept", "text/html")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for _, c := range cookies {
		r.AddCookie(c)
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		m.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		m.Fatal(err)
	}
	return resp, string(body)
}

// signIn goes to the OpenID provider and comes back with a code, which the provider does not take.
func (m *marks) signIn(base string) {
	m.Helper()
	resp, _ := m.get(base+"/login/person", "")
	to, err := resp.Location()
	if err != nil || len(resp.Cookies()) != 1 {
		m.Fatalf("the sign-in begins with %s, %v", resp.Status, err)
	}
	attempt := resp.Cookies()[0]
	m.secrets[strings.Split(attempt.Value, ".")[2]] = "the verifier of a sign-in"
	back := base + "/login/callback?" + url.Values{"state": {to.Query().Get("state")}, "code": {m.mark("a code")}}.Encode()
	resp, body := m.get(back, "", attempt)
	if resp.StatusCode != http.StatusForbidden || !strings.Contains(body, "The sign-in failed.") {
		m.Errorf("the sign-in ends with %s: %s", resp.Status, body)
	}
	m.nowhere("the page of a failed sign-in", body)
}

// TestMarkedSecretsAreNowhere looks for marked secrets in Redis, the audit log, metrics, every kind of page and the
// lists of the queues. It also looks into what processes print at debug level and when they crash.
func TestMarkedSecretsAreNowhere(t *testing.T) {
	t.Parallel()
	m := newMarks(t)
	spy := &eavesdropper{secrets: map[string]string{}}
	password, auditLog := m.mark("the password of Redis"), filepath.Join(m.dir, "audit.log")
	w := newWorld(t, options{slapd: slapdtest.Options{LDIF: slapdtest.Generate(12, 3, 5)}, spy: spy.listen,
		redisURL: func() (string, redis.UniversalClient) {
			addr, _ := redistest.TCP(t)
			rdb := redis.NewClient(&redis.Options{Addr: addr, Password: password})
			open := redis.NewClient(&redis.Options{Addr: addr})
			defer open.Close()
			if err := open.ConfigSet(t.Context(), "requirepass", password).Err(); err != nil {
				t.Fatal(err)
			}
			return "redis://:" + password + "@" + addr, rdb
		},
		env: []string{"ROLLCALL_LOG_LEVEL=debug", "ROLLCALL_METRICS_LISTEN=127.0.0.1:0", "ROLLCALL_AUDIT_FILE=" + auditLog,
			"ROLLCALL_DECISIONS_KEY_FILE=" + m.file("key", m.mark("the signing key")+"\n"),
			"ROLLCALL_OIDC_ISSUER=" + m.echo().URL, "ROLLCALL_OIDC_CLIENT_ID=rollcall",
			"ROLLCALL_OIDC_CLIENT_SECRET_FILE=" + m.file("client", m.mark("the OpenID client's secret")+"\n"),
			"ROLLCALL_OIDC_REDIRECT_URL=http://127.0.0.1/login/callback"}})
	w.both()
	resp, err := http.DefaultTransport.RoundTrip(must(signInWith(t, w.base, w.token)))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if len(resp.Cookies()) != 1 {
		t.Fatalf("the sign-in with a token ends with %s", resp.Status)
	}
	for range 3 {
		m.signIn(w.base)
	}
	spy.mu.Lock()
	maps.Copy(m.secrets, spy.secrets)
	spy.mu.Unlock()
	m.secrets[w.token], m.secrets[w.reader], m.secrets[slapdtest.RootPassword] = "an API token", "an API token",
		"the bind password"
	m.secrets[resp.Cookies()[0].Value] = "the cookie of a session"
	m.nowhere("Redis", w.everything())
	m.nowhere("the audit log", string(must(os.ReadFile(auditLog))))
	m.pages(w)
	for _, p := range []*process{w.workers[0], w.api} {
		addr := p.says(t, "metrics listen")["addr"].(string)
		for _, path := range []string{"/metrics", "/readyz", "/livez"} {
			_, body := m.get("http://"+addr+path, "")
			m.nowhere(path+" of "+p.name, body)
		}
		p.killed.Store(true)
		p.signal(t, syscall.SIGQUIT)
		<-p.done
		text := string(must(os.ReadFile(p.log)))
		if m.nowhere("the log of "+p.name, text); !strings.Contains(text, "goroutine 1") {
			t.Errorf("the log of %s has no stack of its crash", p.name)
		}
	}
}

// signInWith is the request of the form.
func signInWith(t *testing.T, base, token string) (*http.Request, error) {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/login",
		strings.NewReader(url.Values{"token": {token}}.Encode()))
	if err == nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return r, err
}

// pages looks at the pages of the console and at the queues.
func (m *marks) pages(w *world) {
	m.Helper()
	last := w.runs(google)[0].ID
	paths := []string{"/", "/held/", "/runs/ldap/corp/", "/runs/google_workspace/1/", "/changes/", "/people/", "/leavers/",
		"/previews/", "/people/entry/?id=" + slapdtest.UUID(3), "/runs/google_workspace/1/" + last + "/",
		"/runs/google_workspace/1/" + last + "/plan.csv", "/runs/google_workspace/1/" + last + "/plan.json",
		"/asynqmon/", "/asynqmon/api/queues", "/asynqmon/api/servers", "/asynqmon/api/redis_info"}
	for _, queue := range must(w.redis.SMembers(m.Context(), "asynq:queues").Result()) {
		for _, state := range []string{"active", "pending", "scheduled", "retry", "archived", "completed"} {
			paths = append(paths, fmt.Sprintf("/asynqmon/api/queues/%s/%s_tasks", queue, state))
		}
	}
	for _, path := range paths {
		resp, body := m.get(w.base+path, w.token)
		if resp.StatusCode != http.StatusOK {
			m.Errorf("GET %s: %s %.200s", path, resp.Status, body)
		}
		m.nowhere("GET "+path, body)
	}
}

// TestARefusedStartTellsNoSecret starts processes with what they refuse, which is where errors like to quote.
func TestARefusedStartTellsNoSecret(t *testing.T) {
	t.Parallel()
	m := newMarks(t)
	addr, _ := redistest.TCP(t)
	text := fmt.Sprintf(configuration, "ldap://127.0.0.1:1", "cn=x", m.file("bind", m.mark("the bind password")), "",
		"http://127.0.0.1:1", "")
	m.file("google.json", `{"type": "service_account", "private_key": "`+m.mark("Google's key")+`"}`)
	good := m.file("good.yaml", text)
	bad := func(name, old, with string) string {
		if !strings.Contains(text, old) {
			t.Fatalf("the configuration has no %q", old)
		}
		return "ROLLCALL_CONFIG=" + m.file(name, strings.Replace(text, old, with, 1))
	}
	for name, variable := range map[string]string{
		"Redis' password":   "ROLLCALL_REDIS_URL=redis://:" + m.mark("the password of Redis") + "@" + addr + ":%zz",
		"an unknown scheme": "ROLLCALL_REDIS_URL=ftp://:" + m.mark("the password of Redis") + "@" + addr,
		"a token":           "ROLLCALL_TOKENS_FILE=" + m.file("tokens", "ops read "+m.mark("a token")+"\n"),
		"a short key":       "ROLLCALL_DECISIONS_KEY_FILE=" + m.file("short", m.mark("a key")+"\nmarked-x\n"),
		"a TLS key":         "ROLLCALL_TLS_KEY_FILE=" + m.file("tls", m.mark("the TLS key")),
		"a bind password":   bad("bind.yaml", "bind_cn:", "bind_password: "+m.mark("a password")+"\n      bind_cn:"),
		"a URI":             bad("uri.yaml", "ldap://", "ldap://u:"+m.mark("a password")+"@"),
		"another URI":       bad("uri2.yaml", "ldap://", "ldap://u:"+m.mark("a password")+"%zz@"),
		"an endpoint":       bad("endpoint.yaml", "http://127.0.0.1:1/", "https://u:"+m.mark("a password")+"@x/"),
		"another endpoint":  bad("endpoint2.yaml", "http://127.0.0.1:1/", "https://u:"+m.mark("a password")+"%zz@x/"),
		"an address":        bad("address.yaml", "http://127.0.0.1:1/", "https://x/?token="+m.mark("a token")),
		"Google's key":      "ROLLCALL_CONFIG=" + good,
	} {
		program := "api"
		if name == "Google's key" {
			program = "worker"
		}
		p := spawn(t, program, "ROLLCALL_REDIS_URL=redis://"+addr, "ROLLCALL_CONFIG="+good, "ROLLCALL_LISTEN=127.0.0.1:0",
			"ROLLCALL_TLS_CERT_FILE=", "ROLLCALL_LOG_LEVEL=debug", variable)
		select {
		case <-p.done:
		case <-time.After(time.Minute):
			p.kill()
			t.Errorf("%s: %s runs", name, program)
		}
		text := string(must(os.ReadFile(p.log)))
		if m.nowhere(name, text); p.err == nil || text == "" {
			t.Errorf("%s: %s ends with %v and %q, want a refusal", name, program, p.err, text)
		}
	}
}
