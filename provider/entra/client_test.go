package entra_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"rollcall/fault"
	"rollcall/internal/secret"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/entra"
	"rollcall/provider/remote"
	"rollcall/simulator/graph"
)

// serve returns a Provider with a working sign-in that uses the test's own Graph.
func serve(t *testing.T, h http.HandlerFunc) *entra.Provider {
	t.Helper()
	tenant := graph.New(graph.Config{})
	login := tenant.Handler()
	server := sharedAuthority().Start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v1.0/") {
			h(w, r)
			return
		}
		login.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	p, err := entra.New(config(server.URL, tenant.TenantID(), tenant.ClientID()),
		entra.Options{
			Secret: tenant.ClientSecret(), Options: remote.Options{Transport: server.Client().Transport},
		})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestRefusedTokenIsReplacedOnce checks that a first refusal of a token, which may have been revoked, leads to a new
// one. A second refusal is final.
func TestRefusedTokenIsReplacedOnce(t *testing.T) {
	t.Parallel()
	w := open(t, setup{})
	id := w.must(newUser("u1", "liz@example.com"))
	w.tenant.Inject(graph.Fault{Status: http.StatusUnauthorized, Times: 1})
	w.must(change(plan.Update, user("u1"), id, "displayName", "Elisabeth"))
	if u, _ := w.tenant.User(id); u.DisplayName != "Elisabeth" {
		t.Errorf("displayName = %q after the token was replaced", u.DisplayName)
	}
	calls := 0
	p := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPatch { // Other requests show whether the token or the object is refused.
			calls++
		}
		w.WriteHeader(http.StatusUnauthorized)
	})
	r := p.Apply(t.Context(), []plan.Change{change(plan.Update, user("u1"), id, "displayName", "X")})
	if kind(r[0].Err) != fault.Denied || !strings.Contains(r[0].Err.Error(), "access token") || calls != 2 {
		t.Errorf("a token that is refused twice = %v after %d writes, want denied after 2", r[0].Err, calls)
	}
}

// TestLeaksNoSecret checks that our errors contain no secret, even if the remote side echoes the whole request.
func TestLeaksNoSecret(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var seen []string
	p := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var user struct {
			PasswordProfile struct{ Password string }
		}
		_ = json.Unmarshal(body, &user)
		switch {
		case strings.HasSuffix(r.URL.Path, "/domains"):
			_, _ = io.WriteString(w, `{"value":[{"id":"example.com","isVerified":true}]}`)
			return
		case strings.Contains(r.URL.Path, "deletedItems"):
			_, _ = io.WriteString(w, `{"value":[]}`)
			return
		}
		mu.Lock()
		seen = append(seen, user.PasswordProfile.Password, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		mu.Unlock()
		message, _ := json.Marshal(fmt.Sprint("cannot: ", r.Header.Get("Authorization"), " ", string(body)))
		w.WriteHeader(http.StatusBadRequest)
		_, _ = fmt.Fprintf(w, `{"error":{"code":"Request_BadRequest","message":%s}}`, message)
	})
	for range 3 {
		r := p.Apply(t.Context(), []plan.Change{newUser("u1", "liz@example.com")})
		if kind(r[0].Err) != fault.Invalid {
			t.Fatalf("create = %v, want invalid", r[0].Err)
		}
		for _, secret := range append(seen, "simulated-secret") {
			if text := fmt.Sprintf("%v %+v %#v", r[0].Err, r[0], r[0].Err); secret == "" ||
				strings.Contains(text, secret) {
				t.Errorf("%s has %q in it", text, secret)
			}
		}
	}
	if len(seen) != 6 || seen[0] == seen[2] || len(seen[0]) < 40 {
		t.Errorf("passwords and tokens = %q, want three different passwords of 40 characters at least", seen)
	}
}

// TestRedirectsAreNotFollowed checks that a redirect cannot carry the token to another host.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter,
		*http.Request) {
		t.Error("the redirect was followed")
	}))
	t.Cleanup(elsewhere.Close)
	p := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
	})
	if _, err := p.Read(t.Context(), provider.Query{}); err == nil || kind(err) != fault.Unavailable {
		t.Errorf("Read() that is sent elsewhere = %v, want unavailable", err)
	}
}

// TestOddAnswers checks that an answer made up by a proxy is not taken for a list, and that an endless list is an
// error. Links to other hosts are not followed.
func TestOddAnswers(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter,
		*http.Request) {
		t.Error("a link to another host was followed")
	}))
	t.Cleanup(elsewhere.Close)
	for name, users := range map[string]string{
		"an empty object":    `{}`,
		"a page of a portal": `<html>Please sign in</html>`,
		"no link":            `{"value":[{"id":"1"}]}`,
		"both links": `{"value":[{"id":"1"}],` +
			`"@odata.nextLink":"BASE/users/delta?a","@odata.deltaLink":"BASE/users/delta?b"}`,
		"a link twice": `{"value":[{"id":"1"}],"@odata.nextLink":"BASE/users/delta?$skiptoken=again"}`,
		"a link to another host": `{"value":[{"id":"1"}],"@odata.nextLink":"` + elsewhere.URL +
			`/v1.0/users/delta?$skiptoken=x"}`,
		"a link to another scheme": `{"value":[{"id":"1"}],"@odata.nextLink":"http://HOST/v1.0/users/delta?$skiptoken=x"}`,
		"a link beside the API":    `{"value":[{"id":"1"}],"@odata.nextLink":"https://HOST/v1.0.evil/users"}`,
		"an object without an id":  `{"value":[{"displayName":"x"}],"@odata.deltaLink":"BASE/users/delta?b"}`,
		"no user at all":           `{"value":[],"@odata.deltaLink":"BASE/users/delta?b"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := serve(t, func(w http.ResponseWriter, r *http.Request) {
				text := users
				switch {
				case strings.HasSuffix(r.URL.Path, "/domains"):
					text = `{"value":[{"id":"example.com","isVerified":true}]}`
				case strings.HasSuffix(r.URL.Path, "/directoryRoles"):
					text = `{"value":[]}`
				case strings.Contains(r.URL.Path, "/groups/"):
					text = `{"value":[],"@odata.deltaLink":"BASE/groups/delta?b"}`
				}
				text = strings.ReplaceAll(strings.ReplaceAll(text, "BASE", "https://"+r.Host+"/v1.0"), "HOST", r.Host)
				_, _ = io.WriteString(w, text)
			})
			if s, err := p.Read(t.Context(), provider.Query{}); err == nil || kind(err) != fault.Unavailable ||
				len(s.Objects) > 0 {
				t.Errorf("Read() = %d objects, %v, want unavailable", len(s.Objects), err)
			}
		})
	}
}

// TestBatchWithNumbers checks that an answer to a batch is read, whose headers and ids are not all texts.
func TestBatchWithNumbers(t *testing.T) {
	t.Parallel()
	p := serve(t, func(w http.ResponseWriter, r *http.Request) {
		text := `{"value":[]}`
		if strings.HasSuffix(r.URL.Path, "/$batch") {
			text = `{"responses":[{"id":2,"status":200,"headers":{"Retry-After":1},"body":{"id":"` + string(id(2)) + `"}},` +
				`{"id":"1","status":200,"headers":{"Cache-Control":["no-cache"]},"body":{"id":"` + string(id(1)) + `"}}]}`
		}
		_, _ = io.WriteString(w, text)
	})
	s, err := p.Read(t.Context(), provider.Query{ByID: true, Lookups: []provider.Lookup{
		{Ref: user("u1"), RemoteID: string(id(1))}, {Ref: user("u2"), RemoteID: string(id(2))},
	}})
	if err != nil || len(s.Objects) != 2 {
		t.Errorf("Read() = %d objects, %v, want two", len(s.Objects), err)
	}
}

// TestSignInErrors checks that the sign-in service's codes lead to advice.
func TestSignInErrors(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		fault graph.Fault
		want  fault.Kind
		says  string
	}{
		{graph.Fault{Status: 401, Code: "invalid_client", Message: "AADSTS7000215: Invalid client secret provided."},
			fault.Denied, "use its value, not its id"},
		{graph.Fault{Status: 401, Code: "invalid_client",
			Message: "AADSTS7000222: The provided client secret keys are expired."}, fault.Denied, "expired"},
		{graph.Fault{Status: 400, Code: "unauthorized_client", Message: "AADSTS700016: Application not found."},
			fault.Denied, "client_id"},
		{graph.Fault{Status: 400, Code: "invalid_request", Message: "AADSTS90002: Tenant not found."}, fault.Denied,
			"tenant_id"},
		{graph.Fault{Status: 401, Code: "unauthorized_client",
			Message: "AADSTS7000229: The client application is missing service principal in the tenant."}, fault.Denied,
			"consent"},
		{graph.Fault{Status: 400, Code: "unauthorized_client", Message: "AADSTS7000112: Application is disabled."},
			fault.Denied, "enable it"},
		{graph.Fault{Status: 429, RetryAfter: 4 * time.Second}, fault.Throttled, ""},
		{graph.Fault{Status: 503}, fault.Unavailable, ""},
		{graph.Fault{Effect: graph.Drop}, fault.Unavailable, ""},
	} {
		w := open(t, setup{unchecked: true})
		tc.fault.Method = graph.TokenMethod
		w.tenant.Inject(tc.fault)
		_, err := w.Read(t.Context(), provider.Query{})
		if err == nil || kind(err) != tc.want || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("sign-in answers %+v: %v (%v), want %v and %q", tc.fault, err, kind(err), tc.want, tc.says)
		}
		if err != nil && strings.Contains(err.Error(), w.tenant.ClientSecret()) {
			t.Errorf("%v has the secret in it", err)
		}
	}
}

func TestNewReadsItsFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, tc := range map[string]struct {
		change func(*entra.Config)
		says   string
	}{
		"no secret": {func(c *entra.Config) { c.ClientSecretFile = secret.File(filepath.Join(dir, "none")) },
			"client_secret_file"},
		"an empty secret": {func(c *entra.Config) { c.ClientSecretFile = secret.File(file("empty", "\n")) },
			"client_secret_file"},
		"no certificate": {func(c *entra.Config) { c.CertificateFile = secret.File(file("not", "a certificate: hunter2")) },
			"certificate_file"},
		"no authority": {func(c *entra.Config) { c.CAFile = secret.PublicFile(file("ca", "no certificate")) }, "ca_file"},
		"no token file": {func(c *entra.Config) { c.ClientSecretFile, c.WorkloadIdentity = "", true },
			"AZURE_FEDERATED_TOKEN_FILE"},
		"no ca file at all": {func(c *entra.Config) { c.CAFile = secret.PublicFile(filepath.Join(dir, "none")) }, "ca_file"},
	} {
		cfg := config("https://localhost", "5f3a1c9e-7b42-4d60-9e11-000000000001",
			"5f3a1c9e-7b42-4d60-9e11-000000000002")
		cfg.ClientSecretFile = secret.File(file("secret", "hunter2\n"))
		tc.change(&cfg)
		_, err := entra.New(cfg, entra.Options{Getenv: func(string) string { return "" }})
		if err == nil || kind(err) != fault.Invalid || !strings.Contains(err.Error(), tc.says) ||
			strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: New() = %v, want it to say %s", name, err, tc.says)
		}
	}
}

// TestCAFile checks that CAFile makes the Provider trust the simulator or a private endpoint.
func TestCAFile(t *testing.T) {
	t.Parallel()
	tenant := graph.New(graph.Config{})
	server := sharedAuthority().Start(tenant.Handler())
	t.Cleanup(server.Close)
	cfg := config(server.URL, tenant.TenantID(), tenant.ClientID())
	dir := t.TempDir()
	cfg.CAFile, cfg.ClientSecretFile = secret.PublicFile(filepath.Join(dir, "ca.pem")),
		secret.File(filepath.Join(dir, "secret"))
	if err := os.WriteFile(string(cfg.CAFile), sharedAuthority().CA, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(string(cfg.ClientSecretFile), []byte(tenant.ClientSecret()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := entra.New(cfg, entra.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if good, err := p.Check(t.Context()); err != nil || len(good) != 8 {
		t.Errorf("Check() = %q, %v", good, err)
	}
	cfg.CAFile = ""
	if p, err = entra.New(cfg, entra.Options{}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Check(t.Context()); err == nil || kind(err) != fault.Unavailable {
		t.Errorf("Check() of a server that nobody vouches for = %v, want unavailable", err)
	}
}

// TestStrain checks that a nearly used quota is reported before any refusal, and once in ten seconds.
func TestStrain(t *testing.T) {
	t.Parallel()
	var told []float64
	s := mapUsers("jobTitle")
	s.strained = func(_ context.Context, share float64) { told = append(told, share) }
	w := open(t, s)
	id := w.must(newUser("u1", "liz@example.com"))
	w.tenant.SetQuota(graph.Quota{Writes: 10})
	for i := range 10 {
		w.must(change(plan.Update, user("u1"), id, "jobTitle", fmt.Sprint(i)))
	}
	if len(told) != 1 || told[0] < 0.99 {
		t.Errorf("told %v while ten of ten writes were used, want it once, near the end", told)
	}
	if r := w.do(change(plan.Update, user("u1"), id, "jobTitle", "x")); kind(r.Err) != fault.Throttled {
		t.Errorf("the eleventh = %v, want throttled", r.Err)
	}
	if len(told) != 1 {
		t.Errorf("told %v within ten seconds, want it once", told)
	}
}

// TestReplacedSecretNeedsNoRestart checks that the secret's file is read for each access token.
func TestReplacedSecretNeedsNoRestart(t *testing.T) {
	t.Parallel()
	tenant := graph.New(graph.Config{})
	if _, err := tenant.AddUser(graph.User{UserPrincipalName: "admin@example.com"}); err != nil {
		t.Fatal(err)
	}
	server := sharedAuthority().Start(tenant.Handler())
	t.Cleanup(server.Close)
	cfg := config(server.URL, tenant.TenantID(), tenant.ClientID())
	cfg.ClientSecretFile = secret.File(filepath.Join(t.TempDir(), "secret"))
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(string(cfg.ClientSecretFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("the secret of before")
	p, err := entra.New(cfg, entra.Options{Options: remote.Options{Transport: server.Client().Transport}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Read(t.Context(), provider.Query{}); kind(err) != fault.Denied {
		t.Fatalf("Read() with a secret that has ended = %v, want denied", err)
	}
	write("\n")
	if _, err := p.Read(t.Context(), provider.Query{}); kind(err) != fault.Denied ||
		!strings.Contains(err.Error(), "client_secret_file") {
		t.Errorf("Read() with an empty file = %v, want it named", err)
	}
	write(tenant.ClientSecret())
	if _, err := p.Read(t.Context(), provider.Query{}); err != nil {
		t.Errorf("Read() with the replaced secret = %v", err)
	}
}
