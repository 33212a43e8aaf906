package dashboard_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/audit"
	"rollcall/internal/dashboard"
	"rollcall/internal/redistest"
	"rollcall/internal/tokens"
)

func TestSigningInAndOut(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		d := openDesk(t, rdb, time.Millisecond)
		resp := d.get("/asynqmon/queues/full")
		d.want(resp, http.StatusSeeOther)
		if to := resp.Header.Get("Location"); to != "/asynqmon/login?next=%2Fasynqmon%2Fqueues%2Ffull" {
			t.Errorf("an unknown client is sent to %q", to)
		}
		if form := d.want(d.get("/asynqmon/login"), http.StatusOK); !strings.Contains(form, `action="/asynqmon/login"`) ||
			strings.Contains(form, "<script") {
			t.Errorf("the form is %s", form)
		}
		cookie := d.signIn(" " + d.both + "\n") // as pasted
		var queues struct{ Queues []struct{ Queue string } }
		body := d.want(d.get("/asynqmon/api/queues", with(cookie)), http.StatusOK)
		if err := json.Unmarshal([]byte(body), &queues); err != nil || len(queues.Queues) != 1 ||
			queues.Queues[0].Queue != "full" {
			t.Errorf("the queues are %s (%v)", body, err)
		}
		if page := d.want(d.get("/asynqmon/", with(cookie)), http.StatusOK); !strings.Contains(page, "both: sign out") {
			t.Errorf("the page does not say who is signed in: %s", page)
		}
		if page := d.want(d.get("/asynqmon/login", with(cookie)), http.StatusOK); !strings.Contains(page,
			"<strong>both</strong> (read, sync)") || !strings.Contains(page, `action="/asynqmon/logout"`) {
			t.Errorf("the page of a signed-in user is %s", page)
		}
		again := d.signIn(d.both, with(cookie))
		if again.Value == cookie.Value || len(d.sessions()) != 1 {
			t.Errorf("signing in again leaves %d sessions", len(d.sessions()))
		}
		d.want(d.get("/asynqmon/api/queues", with(cookie)), http.StatusForbidden)

		d.want(d.get("/asynqmon/logout", with(again)), http.StatusMethodNotAllowed)
		out := d.do(http.MethodPost, "/asynqmon/logout", "", with(again))
		d.want(out, http.StatusSeeOther)
		if c := out.Cookies(); len(c) != 1 || c[0].MaxAge >= 0 || c[0].Path != "/" || c[0].Name != cookie.Name {
			t.Errorf("signing out answers with the cookies %v", c)
		}
		d.want(d.get("/asynqmon/api/queues", with(again)), http.StatusForbidden)
		if left := d.sessions(); len(left) != 0 {
			t.Errorf("signing out leaves %v", left)
		}
		d.want(d.do(http.MethodPost, "/asynqmon/logout", ""), http.StatusSeeOther)
	})
}

// The wanted page follows after the sign-in, and no page of another host.
func TestTheWantedPageFollows(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for next, want := range map[string]string{
		"/asynqmon/queues/full?status=archived": "/asynqmon/queues/full?status=archived", "": "/asynqmon/",
		"https://evil.example/": "/asynqmon/", "//evil.example/": "/asynqmon/", "/\\evil.example/": "/asynqmon/",
		"/asynqmon/\r\nX: y": "/asynqmon/",
	} {
		resp := d.do(http.MethodPost, "/asynqmon/login", url.Values{"token": {d.both}, "next": {next}}.Encode(),
			header("Content-Type", "application/x-www-form-urlencoded"))
		d.want(resp, http.StatusSeeOther)
		if to := resp.Header.Get("Location"); to != want {
			t.Errorf("after %q follows %q, want %q", next, to, want)
		}
	}
}

func TestCookie(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for name, tc := range map[string]struct {
		change change
		secure bool
	}{
		"plain":       {func(*http.Request) {}, false},
		"proxy":       {header("X-Forwarded-Proto", "https"), true},
		"plain proxy": {header("X-Forwarded-Proto", "http"), false},
		"TLS":         {func(r *http.Request) { r.TLS = &tls.ConnectionState{} }, true},
	} {
		c := d.signIn(d.reader, tc.change)
		if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Secure != tc.secure ||
			c.MaxAge != 12*60*60 || c.Domain != "" || len(c.Value) < 26 {
			t.Errorf("%s: the cookie is %v", name, c)
		}
	}
	keys := d.sessions()
	if len(keys) != 4 {
		t.Fatalf("the sessions are %v", keys)
	}
	for _, key := range keys {
		if life := d.rdb.TTL(t.Context(), key).Val(); life > 12*time.Hour || life < 12*time.Hour-time.Minute {
			t.Errorf("a session lasts %v", life)
		}
	}
	c := d.signIn(d.reader)
	d.want(d.get("/asynqmon/", with(c)), http.StatusOK)
	if err := d.rdb.Del(t.Context(), d.sessions()...).Err(); err != nil { // as when its time is over
		t.Fatal(err)
	}
	d.want(d.get("/asynqmon/", with(c)), http.StatusSeeOther)
}

// One token begins a bounded number of sessions within a minute, and other tokens begin theirs.
func TestSessionsAreLimited(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	code := http.StatusSeeOther
	for n := 0; code == http.StatusSeeOther && n < 100; n++ {
		resp := d.submit(d.reader)
		if code = resp.StatusCode; code == http.StatusTooManyRequests && resp.Header.Get("Retry-After") == "" {
			t.Error("no header says when to try again")
		}
	}
	if n := len(d.sessions()); code != http.StatusTooManyRequests || n != 30 {
		t.Errorf("the last sign-in is answered with %d, and there are %d sessions; want 429 and 30", code, n)
	}
	d.signIn(d.both)
}

func TestWrongTokens(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for name, tc := range map[string]struct {
		token, says string
	}{
		"unknown": {"rct_nonsense", "not known"}, "empty": {"", "not known"}, "hash": {d.lines["both"], "not known"},
		"huge": {strings.Repeat("x", 5000), "not known"}, "may not look": {d.syncer, "lacks the scope read"},
		"may only approve": {d.approver, "lacks the scope read"},
	} {
		resp := d.submit(tc.token)
		if page := d.want(resp, http.StatusForbidden); !strings.Contains(page, tc.says) ||
			!strings.Contains(page, `name="token"`) {
			t.Errorf("%s: %s", name, page)
		}
		if len(resp.Cookies()) != 0 {
			t.Errorf("%s: the cookies are %v", name, resp.Cookies())
		}
	}
	// A token in a URL would be logged, so it is refused.
	d.want(d.do(http.MethodPost, "/asynqmon/login?token="+d.both, ""), http.StatusForbidden)
	for _, c := range []*http.Cookie{{Name: "rollcall_session", Value: "nonsense"},
		{Name: "rollcall_session", Value: d.both}, {Name: "rollcall_session"}} {
		d.want(d.get("/asynqmon/api/queues", with(c)), http.StatusForbidden)
	}
	if left := d.sessions(); len(left) != 0 {
		t.Errorf("there are sessions: %v", left)
	}
}

// Each wrong token is reported, in the form and in a header. A request without a token is none.
func TestWrongTokensAreReported(t *testing.T) {
	t.Parallel()
	d, refused := newDesk(t), 0
	file, err := tokens.Open(tokens.FileConfig{Path: d.file})
	if err != nil {
		t.Fatal(err)
	}
	var from string
	d.Dashboard, err = dashboard.New(dashboard.Config{Redis: d.rdb, Tokens: file, Pause: time.Millisecond,
		Audit: func(_ context.Context, r audit.Record, _ bool) (int64, error) {
			from = r.From
			return 1, nil
		},
		Refused: func(*http.Request) { refused++ }, Client: func(*http.Request) string { return "192.0.2.1" }})
	if err != nil {
		t.Fatal(err)
	}
	d.want(d.get("/asynqmon/api/queues"), http.StatusForbidden)
	d.want(d.get("/asynqmon/api/queues", bearer("")), http.StatusForbidden)
	d.want(d.get("/asynqmon/", bearer(d.reader)), http.StatusOK)
	d.want(d.get("/asynqmon/api/queues", bearer("rct_nonsense")), http.StatusForbidden)
	d.want(d.submit("rct_nonsense"), http.StatusForbidden)
	if refused != 2 || from != "192.0.2.1" {
		t.Errorf("%d wrong tokens from %q, want 2 from 192.0.2.1", refused, from)
	}
}

// Guessing is slow, and many guesses do not block the service.
func TestManyGuessesAtOnce(t *testing.T) {
	t.Parallel()
	d := openDesk(t, redistest.Start(t), time.Hour)
	answers := make(chan *http.Response, 9)
	ctx, cancel := contextOf(t)
	for range cap(answers) {
		go func() {
			answers <- d.submit("rct_nonsense", func(r *http.Request) { *r = *r.WithContext(ctx) })
		}()
	}
	d.want(<-answers, http.StatusTooManyRequests)
	d.signIn(d.reader)
	cancel()
	for range cap(answers) - 1 {
		d.want(<-answers, http.StatusForbidden)
	}
}

// A session has the present rights of its token.
func TestSessionFollowsItsToken(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	cookie := d.signIn(d.both)
	pause := func() *http.Response {
		return d.do(http.MethodPost, "/asynqmon/api/queues/full:pause", "", with(cookie))
	}
	d.want(pause(), http.StatusNoContent)

	line := d.lines["both"]
	d.lines["both"] = strings.Replace(line, "both read,sync", "renamed read", 1)
	d.save()
	if text := d.want(pause(), http.StatusForbidden); !strings.Contains(text, "renamed") ||
		!strings.Contains(text, "sync") {
		t.Errorf("a token that lost its scope: %s", text)
	}
	d.want(d.get("/asynqmon/api/queues", with(cookie)), http.StatusOK)

	d.token("both", tokens.Read, tokens.Sync) // another one under the name
	d.save()
	d.want(d.get("/asynqmon/api/queues", with(cookie)), http.StatusForbidden)

	d.lines["both"] = line // a slip that is undone
	d.save()
	d.want(d.get("/asynqmon/api/queues", with(cookie)), http.StatusOK)
	delete(d.lines, "both")
	d.save()
	if text := d.want(d.get("/asynqmon/api/queues", with(cookie)), http.StatusForbidden); !strings.Contains(text,
		"Reload the page to sign in") {
		t.Errorf("a token that was taken out: %s", text)
	}
	d.want(d.get("/asynqmon/", with(cookie)), http.StatusSeeOther)
}

// A session is valid at all replicas of the API.
func TestSessionHoldsAtEveryReplica(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	cookie := with(d.signIn(d.both))
	other := *d
	file, err := tokens.Open(tokens.FileConfig{Path: d.file})
	if err != nil {
		t.Fatal(err)
	}
	if other.Dashboard, err = dashboard.New(dashboard.Config{Redis: d.rdb, Tokens: file}); err != nil {
		t.Fatal(err)
	}
	other.want(other.get("/asynqmon/api/queues", cookie), http.StatusOK)
	other.want(other.do(http.MethodPost, "/asynqmon/logout", "", cookie), http.StatusSeeOther)
	d.want(d.get("/asynqmon/api/queues", cookie), http.StatusForbidden)
}

func TestRedisIsAway(t *testing.T) {
	t.Parallel()
	rdb := redis.NewClient(redistest.Options(t))
	d := openDesk(t, rdb, time.Millisecond)
	cookie := d.signIn(d.both)
	if err := rdb.Close(); err != nil {
		t.Fatal(err)
	}
	d.want(d.get("/asynqmon/", with(cookie)), http.StatusServiceUnavailable)
	d.want(d.get("/asynqmon/login", with(cookie)), http.StatusServiceUnavailable)
	d.want(d.submit(d.both), http.StatusServiceUnavailable)
	d.want(d.do(http.MethodPost, "/asynqmon/logout", "", with(cookie)), http.StatusServiceUnavailable)
}

func TestNothingTellsTheToken(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	cookie := d.signIn(d.both)
	d.submit("rct_a-wrong-one")
	seen := map[string]string{"the cookie": cookie.String(), "the page": "", "the log": ""}
	for _, path := range []string{"", "login", "api/queues", "api/queues/full/archived_tasks", "api/servers",
		"api/redis_info"} {
		seen[path] = d.want(d.get("/asynqmon/"+path, with(cookie)), http.StatusOK)
	}
	d.want(d.do(http.MethodPost, "/asynqmon/api/queues/full:pause", "", with(cookie)), http.StatusNoContent)
	for _, key := range d.rdb.Keys(t.Context(), "*").Val() {
		seen["the key "+key] = key + d.rdb.Dump(t.Context(), key).Val()
	}
	seen["the log"] = d.log.String()
	_, hash, _ := strings.Cut(d.lines["both"], "sha256:")
	for where, text := range seen {
		for _, secret := range []string{d.both, hash, "a-wrong-one", cookie.Value} {
			if strings.Contains(text, secret) && !(where == "the cookie" && secret == cookie.Value) {
				t.Errorf("%s has %s", where, secret)
			}
		}
	}
	for _, line := range []string{`"path":"/asynqmon/login","by":"both","outcome":"done"`,
		`"path":"/asynqmon/login","by":"","outcome":"refused"`,
		`"path":"/asynqmon/api/queues/full:pause","by":"both"`} {
		if !strings.Contains(seen["the log"], line) {
			t.Errorf("the log does not say %s:\n%s", line, seen["the log"])
		}
	}
}
