package googleworkspace_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/googleworkspace"
	simulator "rollcall/simulator/googleworkspace"
)

// keyFor returns a key file with its token endpoint at url.
func keyFor(t *testing.T, url string) []byte {
	t.Helper()
	key, err := simulator.New(simulator.Config{Key: sharedKey()}).CredentialsJSON(url)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// serve returns a Provider that uses the test's own server.
func serve(t *testing.T, h http.HandlerFunc) *googleworkspace.Provider {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	p, err := googleworkspace.New(config(server.URL),
		googleworkspace.Options{Credentials: keyFor(t, server.URL), Transport: server.Client().Transport})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestTokenErrors(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		status int
		body   string
		want   fault.Kind
		says   []string
	}{
		{401, `{"error":"unauthorized_client","error_description":"Client is unauthorized to retrieve access ` +
			`tokens using this method, or client not authorized for any of the scopes requested."}`,
			fault.Denied, []string{"unauthorized_client", "Domain-wide delegation", "admin.directory.group.member",
				"iam.gserviceaccount.com"}},
		{400, `{"error":"invalid_grant","error_description":"Invalid email or User ID"}`, fault.Denied,
			[]string{"invalid_grant", "admin@example.com", "clock"}},
		{400, `{"error":"invalid_client"}`, fault.Denied, []string{"credentials_file"}},
		{404, `not here`, fault.Denied, []string{"404 Not Found"}},
		{403, `{"error":"temporarily_unavailable"}`, fault.Unavailable, nil},
		{429, `{}`, fault.Throttled, nil},
		{503, `{}`, fault.Unavailable, nil},
		{200, `<html>`, fault.Unavailable, nil},
	} {
		p := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(tc.status)
			_, _ = io.WriteString(w, tc.body)
		})
		_, err := p.Read(t.Context(), provider.Query{})
		if err == nil || kind(err) != tc.want {
			t.Errorf("token endpoint answers %d %s: %v (%v), want %v", tc.status, tc.body, err, kind(err), tc.want)
			continue
		}
		for _, want := range tc.says {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q does not say %q", err, want)
			}
		}
	}
}

// TestRefusedTokenIsReplacedOnce checks that a first refusal of a token, which may have been revoked, leads to a new
// one. A second refusal is final.
func TestRefusedTokenIsReplacedOnce(t *testing.T) {
	t.Parallel()
	w := open(t, setup{})
	id := w.must(newUser("u1", "liz@example.com"))
	w.tenant.RevokeTokens()
	w.must(change(plan.Update, user("u1"), id, "name.givenName", "Elisabeth"))
	if got := w.object(id).Fields.Get("name.givenName"); got != "Elisabeth" {
		t.Errorf("givenName = %q after the token was replaced", got)
	}
	calls := 0
	var mu sync.Mutex
	p := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			_, _ = io.WriteString(w, `{"access_token":"ya29.x","token_type":"Bearer","expires_in":3600}`)
			return
		}
		mu.Lock()
		calls++
		mu.Unlock()
		w.WriteHeader(http.StatusUnauthorized)
	})
	c := change(plan.Update, user("u1"), "1", "name.givenName", "X")
	if r := p.Apply(t.Context(), []plan.Change{c}); kind(r[0].Err) != fault.Denied {
		t.Errorf("a token that is refused twice = %v, want denied", r[0].Err)
	}
	if calls != 2 {
		t.Errorf("%d requests, want 2", calls)
	}
}

// TestLeaksNoSecret checks that our errors contain no secret, even if the remote side echoes the whole request.
func TestLeaksNoSecret(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var seen []string
	remember := func(s string) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, s)
	}
	p := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.URL.Path == "/token" {
			_, _ = io.WriteString(w, `{"access_token":"ya29.A-very_secret.token","token_type":"Bearer","expires_in":3600}`)
			return
		}
		if strings.Contains(r.URL.Path, "domains") {
			_, _ = io.WriteString(w, `{"domains":[{"domainName":"example.com","verified":true}]}`)
			return
		}
		var u struct{ Password string }
		_ = json.Unmarshal(body, &u)
		if u.Password != "" {
			remember(u.Password)
		}
		message, _ := json.Marshal(fmt.Sprint("cannot: ", r.Header.Get("Authorization"), " ", string(body)))
		w.WriteHeader(http.StatusBadRequest)
		_, _ = fmt.Fprintf(w, `{"error":{"code":400,"message":%s}}`, message)
	})
	for range 3 {
		r := p.Apply(t.Context(), []plan.Change{newUser("u1", "liz@example.com")})
		if kind(r[0].Err) != fault.Invalid {
			t.Fatalf("create = %v, want invalid", r[0].Err)
		}
		for _, secret := range append(seen, "A-very_secret") {
			if text := fmt.Sprintf("%v %+v %#v", r[0].Err, r[0], r[0].Err); strings.Contains(text, secret) {
				t.Errorf("%s has %q in it", text, secret)
			}
		}
	}
	if len(seen) != 3 || seen[0] == seen[1] || len(seen[0]) < 40 || len(seen[0]) > 100 {
		t.Errorf("passwords = %q, want three different ones of 40 to 100 characters", seen)
	}
}

// TestTokenErrorLeaksNoAssertion checks that errors do not contain the signed assertion, which is as good as a
// password for an hour.
func TestTokenErrorLeaksNoAssertion(t *testing.T) {
	t.Parallel()
	var assertion string
	p := serve(t, func(w http.ResponseWriter, r *http.Request) {
		assertion = r.FormValue("assertion")
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]string{"error": "invalid_grant",
			"error_description": "no good: " + assertion})
	})
	_, err := p.Check(t.Context())
	if err == nil || assertion == "" || strings.Contains(err.Error(), assertion[:40]) {
		t.Errorf("Check() = %v, want an error without the assertion", err)
	}
}

// TestRedirectsAreNotFollowed checks that a redirect cannot carry the token to another host.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("the redirect was followed")
	}))
	t.Cleanup(elsewhere.Close)
	p := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			_, _ = io.WriteString(w, `{"access_token":"x","expires_in":3600}`)
			return
		}
		http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
	})
	if _, err := p.Read(t.Context(), provider.Query{}); err == nil || kind(err) != fault.Unavailable {
		t.Errorf("Read() that is sent elsewhere = %v, want unavailable", err)
	}
}

// TestTokenRedirectsAreNotFollowed checks that a redirect cannot carry the signed assertion to another host.
func TestTokenRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("the redirect was followed")
	}))
	t.Cleanup(elsewhere.Close)
	p := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
	})
	if _, err := p.Read(t.Context(), provider.Query{}); err == nil || kind(err) != fault.Unavailable {
		t.Errorf("Read() with a redirected token endpoint = %v, want unavailable", err)
	}
}

// TestOddAnswers checks that an answer made up by a proxy is not taken for a list, and that an endless list is an
// error.
func TestOddAnswers(t *testing.T) {
	t.Parallel()
	for name, users := range map[string]string{
		"an empty object":    `{}`,
		"a page of a portal": `<html>Please sign in</html>`,
		"null":               `null`,
		"a list with null":   `{"kind":"admin#directory#users","users":[null]}`,
		"a page token twice": `{"kind":"admin#directory#users","users":[{"id":"1"}],"nextPageToken":"again"}`,
	} {
		p := serve(t, func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.URL.Path == "/token":
				_, _ = io.WriteString(w, `{"access_token":"x","expires_in":3600}`)
			case strings.HasSuffix(r.URL.Path, "/domains"):
				_, _ = io.WriteString(w, `{"domains":[{"domainName":"example.com","verified":true}]}`)
			case strings.HasSuffix(r.URL.Path, "/groups"):
				_, _ = io.WriteString(w, `{"kind":"admin#directory#groups"}`)
			default:
				_, _ = io.WriteString(w, users)
			}
		})
		if _, err := p.Read(t.Context(), provider.Query{}); err == nil || kind(err) != fault.Unavailable {
			t.Errorf("%s instead of a list of users = %v, want unavailable", name, err)
		}
		r := p.Apply(t.Context(), []plan.Change{newUser("u1", "liz@example.com")})[0]
		if r.Err == nil || kind(r.Err) != fault.Unavailable || r.RemoteID != "" {
			t.Errorf("%s instead of a new user = %q, %v, want unavailable", name, r.RemoteID, r.Err)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	w := open(t, setup{})
	w.fill(1, 1)
	good, err := w.Check(t.Context())
	if err != nil || len(good) != 7 {
		t.Errorf("Check() = %q, %v; want seven lines", good, err)
	}
	if n := w.tenant.Calls().Writes; n != 0 {
		t.Errorf("Check() wrote %d times", n)
	}
	for _, tc := range []struct {
		name   string
		setup  setup
		faults []simulator.Fault
		says   string
	}{
		{"a scope that is not delegated", setup{tenant: simulator.Config{Scopes: googleworkspace.Scopes[:2]}}, nil,
			"Domain-wide delegation"},
		{"which scopes are not delegated", setup{tenant: simulator.Config{Scopes: googleworkspace.Scopes[:2]}}, nil,
			"the delegation lacks: " + strings.Join(googleworkspace.Scopes[2:], ",")},
		{"another client ID", setup{tenant: simulator.Config{Scopes: []string{"https://example.com/other"}}}, nil,
			"the delegation has none of the scopes: compare its client ID"},
		{"an organizational unit that does not exist", setup{
			tenant: simulator.Config{Scopes: append(slices.Clone(googleworkspace.Scopes), googleworkspace.UnitScope)},
			config: func(c *googleworkspace.Config) {
				c.UserPropertyMappings = map[string]string{"orgUnitPath": `"/No such unit"`}
			}}, nil, `the tenant has no organizational unit "/No such unit"`},
		{"no such administrator",
			setup{config: func(c *googleworkspace.Config) { c.DelegatedSubject = "nobody@example.com" }}, nil,
			"nobody@example.com"},
		{"a subject that is no administrator",
			setup{config: func(c *googleworkspace.Config) { c.DelegatedSubject = "user0000@example.com" }},
			nil, "administrator"},
		{"another domain for groups",
			setup{config: func(c *googleworkspace.Config) { c.DefaultGroupEmailDomain = "example.net" }}, nil,
			"default_group_email_domain"},
		{"no right to read groups", setup{}, []simulator.Fault{{
			Method: "directory.groups.list", Effect: simulator.Refuse, Status: 403, Code: "forbidden",
			Message: "Not Authorized to access this resource/api",
		}}, "the privilege Groups"},
		{"the API is off", setup{}, []simulator.Fault{{
			Effect: simulator.Refuse, Status: 403, Code: "accessNotConfigured", Message: "Access Not Configured",
		}}, "enable the Admin SDK API"},
	} {
		w := open(t, tc.setup)
		w.fill(1, 1)
		w.tenant.Inject(tc.faults...)
		if _, err := w.Check(t.Context()); err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: Check() = %v, want it to say %q", tc.name, err, tc.says)
		}
	}
}
