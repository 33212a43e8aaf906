package scim_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/scim"
	simulator "rollcall/simulator/scim"
)

func TestCredentials(t *testing.T) {
	t.Parallel()
	for name, setups := range map[string][]setup{
		"basic": {configured(func(c *scim.Config) {
			c.Username, c.PasswordFile = "rollcall", secretFile(t, "simulated-password")
		})},
		"client credentials": {configured(func(c *scim.Config) {
			c.ClientID, c.ClientSecretFile, c.TokenURL = "rollcall", secretFile(t, "simulated-secret"), "/oauth/token"
		})},
	} {
		w, users, _ := populated(t, setups...)
		w.tenant.Revoke() // A token that is refused is replaced.
		w.must(change(plan.Update, userRef("u0"), users[0], field("displayName", "New")))
		w.clock.Advance(2 * time.Hour)
		if n := len(w.read(provider.Query{}).Objects); n != 4 {
			t.Errorf("%s: %d objects, want 4", name, n)
		}
	}
	w := open(t, configured(func(c *scim.Config) {
		c.ClientID, c.ClientSecretFile, c.TokenURL = "rollcall", secretFile(t, "hunter2-wrong"), "/oauth/token"
	}))
	err := w.readFails(fault.Denied)
	if err != nil && (strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "client_secret_file")) {
		t.Errorf("a wrong secret = %v, want advice without the secret", err)
	}
	w = open(t)
	w.tenant.SetToken("another")
	_ = w.readFails(fault.Denied)
}

func TestATokenInAHeaderOfItsOwn(t *testing.T) {
	t.Parallel()
	for _, header := range []string{"X-API-Key", "Authorization"} {
		w, _, _ := populated(t)
		inner, key := w.tenant.Handler(), "key-of-the-gateway"
		server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if got := r.Header.Values(header); !slices.Equal(got, []string{key}) ||
				header != "Authorization" && r.Header.Get("Authorization") != "" {
				http.Error(rw, `{"detail":"wrong key: `+strings.Join(got, "")+`"}`, http.StatusUnauthorized)
				return
			}
			r.Header.Set("Authorization", "Bearer "+w.tenant.Token())
			inner.ServeHTTP(rw, r)
		}))
		t.Cleanup(server.Close)
		w.cfg.Endpoint, w.cfg.TokenHeader = server.URL+"/scim/v2", header
		w.cfg.TokenFile = secretFile(t, key)
		w.again()
		if n := len(w.read(provider.Query{}).Objects); n != 4 {
			t.Errorf("%s: %d objects, want 4", header, n)
		}
		w.cfg.TokenFile = secretFile(t, "hunter2-wrong")
		w.again()
		if err := w.readFails(fault.Denied); err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: a refused key = %v, want it without the key", header, err)
		}
	}
}

func TestLifetimesOfTokens(t *testing.T) {
	t.Parallel()
	for lifetime, again := range map[string]bool{`,"expires_in":60`: true, `,"expires_in":"60"`: true,
		`,"expires_in":"3600"`: false, ``: false} {
		var issued atomic.Int64
		w, _, _ := populated(t)
		endpoint := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
			issued.Add(1)
			_, _ = fmt.Fprintf(rw, `{"access_token":%q,"token_type":"Bearer"%s}`, w.tenant.Token(), lifetime)
		}))
		t.Cleanup(endpoint.Close)
		w.cfg.TokenFile, w.cfg.ClientID = "", "rollcall"
		w.cfg.ClientSecretFile, w.cfg.TokenURL = secretFile(t, "secret"), endpoint.URL
		w.again()
		w.read(provider.Query{})
		w.clock.Advance(2 * time.Minute)
		w.read(provider.Query{})
		if n := issued.Load(); (n == 2) != again || n > 2 {
			t.Errorf("%d tokens with%s in two minutes, want a second one: %v", n, lifetime, again)
		}
	}
}

func TestNoErrorShowsASecret(t *testing.T) {
	t.Parallel()
	w, users, _ := populated(t)
	w.tenant.Inject(simulator.Fault{Status: 400, Message: "Bearer " + w.tenant.Token() + " and " + w.tenant.Token()})
	errs := []error{w.readFails(fault.Invalid),
		w.refused(change(plan.Update, userRef("u0"), users[0], field("displayName", "New")), fault.Invalid)}
	for _, err := range errs {
		if err != nil && strings.Contains(err.Error(), w.tenant.Token()) {
			t.Errorf("error with the token: %v", err)
		}
	}
}

func TestReplacedTokenNeedsNoRestart(t *testing.T) {
	t.Parallel()
	w, _, _ := populated(t)
	w.tenant.SetToken("renewed")
	_ = w.readFails(fault.Denied)
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(string(w.cfg.TokenFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("two\nlines\n")
	if err := w.readFails(fault.Denied); err != nil && !strings.Contains(err.Error(), "token_file") {
		t.Errorf("error with a broken file = %v, want it named", err)
	}
	write("renewed\n")
	if s := w.read(provider.Query{}); len(s.Objects) == 0 {
		t.Error("nothing was read with the renewed token")
	}
}
