package dashboard_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"rollcall/internal/dashboard"
	"rollcall/internal/redistest"
	"rollcall/internal/tokens"
)

// desk is a dashboard with one archived task in the queue "full".
type desk struct {
	testing.TB
	*dashboard.Dashboard
	rdb  redis.UniversalClient
	asq  *asynq.Inspector
	file string // the tokens file
	log  *syncBuffer
	// The tokens, named by their rights, and their lines in the file.
	reader, syncer, both, approver string
	lines                          map[string]string
}

type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

const task = "7d444840-9dc0-11d1-b245-5ffdce74fad2:1"

func newDesk(t testing.TB) *desk { return openDesk(t, redistest.Start(t), time.Millisecond) }

func openDesk(t testing.TB, rdb redis.UniversalClient, pause time.Duration) *desk {
	t.Helper()
	d := &desk{
		TB: t, rdb: rdb, asq: asynq.NewInspectorFromRedisClient(rdb), file: filepath.Join(t.TempDir(), "tokens"),
		log: &syncBuffer{}, lines: map[string]string{},
	}
	d.reader = d.token("reader", tokens.Read)
	d.syncer = d.token("syncer", tokens.Sync)
	d.both = d.token("both", tokens.Read, tokens.Sync)
	d.approver = d.token("approver", tokens.Approve)
	d.save()
	file, err := tokens.Open(tokens.FileConfig{Path: d.file, Every: time.Nanosecond})
	if err != nil {
		t.Fatal(err)
	}
	d.Dashboard, err = dashboard.New(dashboard.Config{
		Redis: rdb, Tokens: file, Pause: pause, Log: slog.New(slog.NewJSONHandler(d.log,
			&slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := asynq.NewClientFromRedisClient(rdb).EnqueueContext(t.Context(),
		asynq.NewTask("run:v1", []byte(`{"container":"ldap:corp"}`)),
		asynq.Queue("full"), asynq.TaskID(task)); err != nil {
		t.Fatal(err)
	}
	if err := d.asq.ArchiveTask("full", task); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *desk) token(name string, scopes ...tokens.Scope) string {
	d.Helper()
	token, line, err := tokens.New(name, scopes...)
	if err != nil {
		d.Fatal(err)
	}
	d.lines[name] = line
	return token
}

// save writes the tokens file.
func (d *desk) save() {
	d.Helper()
	var text strings.Builder
	for _, line := range d.lines {
		text.WriteString(line + "\n")
	}
	if err := os.WriteFile(d.file, []byte(text.String()), 0o600); err != nil {
		d.Fatal(err)
	}
}

// change alters a request before it is sent.
type change func(*http.Request)

func header(name, value string) change { return func(r *http.Request) { r.Header.Set(name, value) } }

func bearer(token string) change { return header("Authorization", "Bearer "+token) }

func with(c *http.Cookie) change { return func(r *http.Request) { r.AddCookie(c) } }

func (d *desk) do(method, path, body string, changes ...change) *http.Response {
	d.Helper()
	r := httptest.NewRequestWithContext(d.Context(), method, path, strings.NewReader(body))
	r.Header.Set("Accept", "text/html,*/*")
	for _, c := range changes {
		c(r)
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w.Result()
}

func (d *desk) get(path string, changes ...change) *http.Response {
	d.Helper()
	return d.do(http.MethodGet, path, "", changes...)
}

// submit sends the form with a token.
func (d *desk) submit(token string, changes ...change) *http.Response {
	d.Helper()
	form := header("Content-Type", "application/x-www-form-urlencoded")
	return d.do(http.MethodPost, "/asynqmon/login", url.Values{"token": {token}}.Encode(),
		append([]change{form}, changes...)...)
}

// signIn returns the cookie of a new session.
func (d *desk) signIn(token string, changes ...change) *http.Cookie {
	d.Helper()
	resp := d.submit(token, changes...)
	if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/asynqmon/" || len(resp.Cookies()) != 1 {
		d.Fatalf("signing in is answered with %d to %q and cookies %v", resp.StatusCode, resp.Header.Get("Location"),
			resp.Cookies())
	}
	return resp.Cookies()[0]
}

// want fails the test unless a response has this status. It returns the body.
func (d *desk) want(resp *http.Response, code int) string {
	d.Helper()
	var body bytes.Buffer
	if _, err := body.ReadFrom(resp.Body); err != nil {
		d.Fatal(err)
	}
	if resp.StatusCode != code {
		d.Errorf("status %d, want %d: %.300s", resp.StatusCode, code, body.String())
	}
	return body.String()
}

// paused reports whether the queue is paused.
func (d *desk) paused() bool {
	d.Helper()
	info, err := d.asq.GetQueueInfo("full")
	if err != nil {
		d.Fatal(err)
	}
	return info.Paused
}

// sessions returns the keys of the sessions.
func (d *desk) sessions() []string {
	d.Helper()
	keys, err := d.rdb.Keys(d.Context(), "rollcall:{dashboard}:*").Result()
	if err != nil {
		d.Fatal(err)
	}
	return keys
}
