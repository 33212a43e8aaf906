package session_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/audit"
	"rollcall/internal/redistest"
	"rollcall/internal/session"
	"rollcall/internal/tokens"
)

// entrance is a desk with a provider behind it, and a browser.
type entrance struct {
	*testing.T
	op     *op
	url    string
	rdb    *redis.Client
	people *session.People
	list   *tokens.List
	mu     sync.Mutex
	said   []audit.Record
}

const peopleFile = "admins read,approve oidc:identity%20admins only=google_workspace:1\nstaff read oidc:staff\n" +
	"old read,sync oidc:old expires=2020-01-01\nada sync oidc:ada@example.com\n"

func newEntrance(t *testing.T, claim string) *entrance {
	t.Helper()
	provider := newOP(t)
	e := entranceTo(t, claim, func(string) string { return provider.URL })
	e.op = provider
	return e
}

// entranceTo returns a desk before another provider. issuer gets the address to which the provider sends browsers back.
func entranceTo(t *testing.T, claim string, issuer func(callback string) string) *entrance {
	t.Helper()
	e := &entrance{T: t, rdb: redistest.Mini(t)}
	var err error
	if e.list, err = tokens.Parse([]byte(peopleFile)); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	e.url = srv.URL
	e.people = session.NewPeople(session.PeopleConfig{Issuer: issuer(srv.URL + "/login/callback"), ClientID: "rollcall",
		Claim:       claim,
		RedirectURL: srv.URL + "/login/callback", Scopes: []string{"openid", "email", "groups"},
		Rights: func(values []string) (tokens.Identity, bool) { return e.list.Person(values, time.Now()) }})
	desk := session.New(session.Config{Redis: e.rdb, Tokens: tokens.Fixed{List: &tokens.List{}}, Home: "/",
		SignIn: "/login", SignOut: "/logout", People: e.people, PeopleAt: "/login", Log: slog.New(slog.DiscardHandler),
		Signatures: func(data string) ([]string, error) {
			sum := sha256.Sum256([]byte("key" + data))
			return []string{b64(sum[:])}, nil
		},
		Audit: func(_ context.Context, r audit.Record, _ bool) (int64, error) {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.said = append(e.said, r)
			return 1, nil
		}})
	mux.HandleFunc("/login", desk.SignIn)
	mux.HandleFunc("/logout", desk.EndSession)
	mux.HandleFunc("/login/person", desk.Start)
	mux.HandleFunc("/login/callback", desk.Callback)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		who, known, err := desk.Who(r)
		if err != nil || !known {
			desk.Ask(w, r)
			return
		}
		_ = json.NewEncoder(w).Encode([]any{who.Name, who.Scopes, who.Only, r.URL.RequestURI()})
	})
	return e
}

func (e *entrance) browser() *http.Client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		e.Fatal(err)
	}
	return &http.Client{Jar: jar}
}

// get returns the status and the text of a page.
func (e *entrance) get(c *http.Client, path string) (int, string) {
	e.Helper()
	if strings.HasPrefix(path, "/") {
		path = e.url + path
	}
	r, err := http.NewRequestWithContext(e.Context(), http.MethodGet, path, nil)
	if err != nil {
		e.Fatal(err)
	}
	res, err := c.Do(r)
	if err != nil {
		e.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		e.Fatal(err)
	}
	return res.StatusCode, strings.TrimSpace(string(text))
}

const adaIn = `["ada@example.com (u-1)",["read","approve"],["google_workspace:1"],"/held/?x=1"]`

func TestPeopleSignIn(t *testing.T) {
	t.Parallel()
	e := newEntrance(t, "groups")
	c := e.browser()
	if code, text := e.get(c, "/held/?x=1"); code != http.StatusOK || !strings.Contains(text,
		`href="/login/person?next=%2Fheld%2F%3Fx%3D1"`) {
		t.Errorf("the form is %d %s", code, text)
	}
	if code, text := e.get(c, "/login/person?next=%2Fheld%2F%3Fx%3D1"); code != http.StatusOK || text != adaIn {
		t.Errorf("after the sign-in: %d %s, want %s", code, text, adaIn)
	}
	if e.op.asked.Get("nonce") == "" || e.op.asked.Get("response_type") != "code" ||
		e.op.asked.Get("client_id") != "rollcall" {
		t.Errorf("the provider was asked %v", e.op.asked)
	}
	if len(e.said) != 1 || e.said[0].Event != "sign-in" || e.said[0].Actor != "ada@example.com (u-1)" {
		t.Errorf("the audit log has %+v, want the sign-in", e.said)
	}
	// The rights are those of the file at the time of the request, and signing out ends the session.
	var err error
	if e.list, err = tokens.Parse([]byte("staff read oidc:staff")); err != nil {
		t.Fatal(err)
	}
	if _, text := e.get(c, "/held/"); !strings.Contains(text, `["read"],null`) {
		t.Errorf("after a change of the file: %s, want read", text)
	}
	res, err := c.Post(e.url+"/logout", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if _, text := e.get(c, "/held/"); !strings.Contains(text, "Sign in with your account") {
		t.Errorf("after signing out: %s", text)
	}
	if keys := e.rdb.Keys(t.Context(), "*").Val(); len(keys) != 0 {
		t.Errorf("after signing out Redis has %v", keys)
	}
}

// A sign-in belongs to one browser and is used once. No address of another site is gone to.
func TestACallbackIsUsedOnce(t *testing.T) {
	t.Parallel()
	e := newEntrance(t, "groups")
	victim, attacker := e.browser(), e.browser()
	var back string
	attacker.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if strings.Contains(r.URL.Path, "callback") {
			back = r.URL.String()
			return http.ErrUseLastResponse
		}
		return nil
	}
	e.get(attacker, "/login/person?next=https://evil.example/")
	if code, text := e.get(victim, back); code != http.StatusForbidden || !strings.Contains(text, "another browser") {
		t.Errorf("the callback in another browser: %d %s", code, text)
	}
	e.get(attacker, "/login/person?next=//evil.example/")
	attacker.CheckRedirect = nil
	if code, text := e.get(attacker, back); code != http.StatusOK || !strings.HasSuffix(text, `"/"]`) {
		t.Errorf("the callback: %d %s, want the home page", code, text)
	}
	if code, _ := e.get(attacker, back); code != http.StatusForbidden {
		t.Errorf("the same callback again: %d, want 403", code)
	}
	for _, query := range []string{"", "?state=x&code=c1", "?state=&code="} {
		if code, _ := e.get(victim, "/login/callback"+query); code != http.StatusForbidden {
			t.Errorf("the callback %q: %d, want 403", query, code)
		}
	}
}

// A request without a login stores nothing, and keeps only a page behind the desk.
func TestAnAttemptStoresNothing(t *testing.T) {
	t.Parallel()
	e := newEntrance(t, "groups")
	for next, want := range map[string]string{"/held/?x=1": "/held/?x=1", "/" + strings.Repeat("x", 1<<10): "/",
		"https://evil.example/": "/"} {
		c := e.browser()
		c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		query := "/login/person?" + url.Values{"next": {next}}.Encode()
		e.get(c, query)
		if keys := e.rdb.Keys(t.Context(), "*").Val(); len(keys) != 0 {
			t.Errorf("next %.30q: Redis has %v, want nothing", next, keys)
		}
		at, _ := url.Parse(e.url)
		if set := c.Jar.Cookies(at); len(set) != 1 || len(set[0].Value) > 2<<10 {
			t.Errorf("next %.30q: the browser has the cookies %.200v, want a small one", next, set)
		}
		c.CheckRedirect = nil
		if _, text := e.get(c, query); !strings.HasSuffix(text, `"`+want+`"]`) {
			t.Errorf("next %.30q: after the sign-in %.200s, want %s", next, text, want)
		}
		e.rdb.FlushAll(t.Context())
	}
}

// A provider that does not answer holds up only the request that asks it. After an error it is not asked again at once.
func TestDiscoveryOfASilentProvider(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 9)
	var broken atomic.Bool
	silent := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		if broken.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		<-r.Context().Done()
	}))
	t.Cleanup(silent.Close)
	e := entranceTo(t, "groups", func(string) string { return silent.URL })
	ctx, leave := context.WithCancel(t.Context())
	over := make(chan struct{})
	go func() {
		defer close(over)
		e.people.Bearer(ctx, "a.b.c")
	}()
	<-asked
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	e.people.Bearer(gone, "d.e.f")
	select {
	case <-over:
		t.Error("a request waited for the discovery of another one")
	default:
	}
	leave()
	<-over
	broken.Store(true)
	for range 3 {
		e.people.Bearer(t.Context(), "a.b.c")
	}
	if n := len(asked); n != 1 {
		t.Errorf("the broken provider was asked %d times, want 1", n)
	}
}

// An ID token begins no session, and the form says so.
func TestTheFormTakesNoIDToken(t *testing.T) {
	t.Parallel()
	e := newEntrance(t, "groups")
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.url+"/login",
		strings.NewReader(url.Values{"token": {e.op.token("")}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := e.browser().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusForbidden || !strings.Contains(string(text), "begins no session") {
		t.Errorf("the form answers %d %s, %v", res.StatusCode, text, err)
	}
	if len(e.said) != 0 {
		t.Errorf("the audit log has %+v, want nothing", e.said)
	}
}

func TestPeopleWhoAreRefused(t *testing.T) {
	t.Parallel()
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		claim  string
		change func(o *op)
		want   string
	}{
		"no group": {"groups", func(o *op) { o.claims = map[string]any{"groups": nil} }, "has no rights"},
		"another group": {"groups", func(o *op) { o.claims = map[string]any{"groups": []string{"x"}} },
			"has no rights"},
		"a group in no list":  {"groups", func(o *op) { o.claims = map[string]any{"groups": "stafff"} }, "has no rights"},
		"an expired line":     {"groups", func(o *op) { o.claims = map[string]any{"groups": "old"} }, "has no rights"},
		"no right to read":    {"email", func(*op) {}, "has no rights"},
		"an unverified email": {"email", func(o *op) { o.claims = map[string]any{"email_verified": false} }, "has no rights"},
		"groups in objects": {"groups", func(o *op) { o.claims = map[string]any{"groups": []any{map[string]any{}}} },
			"sign-in failed"},
		"too many groups": {"groups", func(o *op) { o.claims = map[string]any{"groups": make([]string, 1001)} },
			"sign-in failed"},
		"another audience": {"groups", func(o *op) { o.claims = map[string]any{"aud": "other"} }, "sign-in failed"},
		"another issuer":   {"groups", func(o *op) { o.claims = map[string]any{"iss": "https://evil"} }, "sign-in failed"},
		"another nonce":    {"groups", func(o *op) { o.claims = map[string]any{"nonce": "n"} }, "sign-in failed"},
		"no nonce":         {"groups", func(o *op) { o.claims = map[string]any{"nonce": nil} }, "sign-in failed"},
		"an old token":     {"groups", func(o *op) { o.claims = map[string]any{"exp": 1} }, "sign-in failed"},
		"another key":      {"groups", func(o *op) { o.sign = other }, "sign-in failed"},
		"no ID token":      {"groups", func(o *op) { o.forget = true }, "sign-in failed"},
		"a redirect":       {"groups", func(o *op) { o.redirect = true }, "sign-in failed"},
		"a hidden name": {"groups", func(o *op) {
			o.claims = map[string]any{"groups": "x", "email": "ada\u202e\x1b[2J<b>"}
		}, "ada[2J&lt;b&gt; (u-1) has no rights"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEntrance(t, test.claim)
			test.change(e.op)
			if code, text := e.get(e.browser(), "/login/person"); code != http.StatusForbidden ||
				!strings.Contains(text, test.want) {
				t.Errorf("the sign-in: %d %s, want %q", code, text, test.want)
			}
		})
	}
}

// An ID token is a bearer token, as long as it is right.
func TestAnIDTokenIsABearerToken(t *testing.T) {
	t.Parallel()
	e := newEntrance(t, "groups")
	raw := e.op.token("")
	for range 2 {
		if who, known := e.people.Bearer(t.Context(), raw); !known || who.Name != "ada@example.com (u-1)" ||
			!who.May(tokens.Approve) {
			t.Errorf("Bearer() = %+v, %v, want the person", who, known)
		}
	}
	for name, bad := range map[string]string{"changed": raw[:len(raw)-8] + "AAAAAAAA", "unsigned": strings.Join([]string{
		b64([]byte(`{"alg":"none"}`)), strings.Split(raw, ".")[1], ""}, "."), "nonsense": "a.b.c"} {
		if who, known := e.people.Bearer(t.Context(), bad); known {
			t.Errorf("%s: Bearer() = %+v, want it refused", name, who)
		}
	}
	if _, known := e.list.Lookup("oidc:staff", time.Now()); known {
		t.Error("the name of a group is a token")
	}
}

// A session that another program writes to Redis opens nothing.
func TestASessionIsSigned(t *testing.T) {
	t.Parallel()
	e := newEntrance(t, "groups")
	c := e.browser()
	e.get(c, "/login/person")
	keys := e.rdb.Keys(t.Context(), "*session*").Val()
	if len(keys) != 1 {
		t.Fatalf("Redis has the sessions %v, want one", keys)
	}
	text := e.rdb.Get(t.Context(), keys[0]).Val()
	sum := sha256.Sum256([]byte("mine"))
	for name, value := range map[string]string{
		"of another browser": text, "without a signature": text[strings.Index(text, " ")+1:],
		"with other groups": strings.ReplaceAll(text, "staff", "identity admins"),
		"that lasts longer": strings.Replace(text, " 1", " 9", 1), "of nothing": "",
	} {
		own := keys[0]
		if name == "of another browser" {
			own = keys[0][:strings.LastIndex(keys[0], ":")+1] + hex.EncodeToString(sum[:])
		}
		if err := e.rdb.Set(t.Context(), own, value, 0).Err(); err != nil {
			t.Fatal(err)
		}
		client := c
		if own != keys[0] {
			client = e.browser()
			at, _ := url.Parse(e.url)
			client.Jar.SetCookies(at, []*http.Cookie{{Name: "rollcall_session", Value: "mine", Path: "/"}})
		}
		if _, page := e.get(client, "/held/"); !strings.Contains(page, "Sign in") {
			t.Errorf("a session %s opens %s", name, page)
		}
	}
}
