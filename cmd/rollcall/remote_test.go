package main

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"rollcall/status"
)

func TestToken(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.as(person{env: map[string]string{varToken: ""}}, "status").want(t, codeRefused, "--token-file", varToken)
	s.as(person{env: map[string]string{varToken: "wrong"}}, "status").want(t, codeRefused, "the API refuses the token")
	s.as(person{env: map[string]string{varToken: readToken}}, "sync", string(corp)).want(t, codeRefused, "lacks the scope")
	r := s.as(person{env: map[string]string{varToken: "wrong"}}, "status", string(corp), "--json").want(t, codeRefused)
	if !strings.HasPrefix(r.stdout, `{"detail":`) {
		t.Errorf("the refusal as JSON is %q", r.stdout)
	}
}

func TestTokenFile(t *testing.T) {
	t.Parallel()
	s := newService(t)
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := file("good", goodToken+"\n", 0o600)
	env := map[string]string{varToken: "wrong"}
	s.as(person{env: env}, "status", "--token-file", good).want(t, 0)
	s.as(person{env: map[string]string{varTokenFile: good}}, "status").want(t, 0)
	if r := s.as(person{env: env}, "status", "--token-file", file("open", goodToken, 0o644)).want(t,
		0); !strings.Contains(r.stderr, "warning") {
		t.Errorf("no warning of a file that others can read: %s", r.stderr)
	}
	for text, path := range map[string]string{
		"chmod 0600":             file("world", goodToken, 0o666),
		"the API's tokens file":  file("tokens", "me read sha256:00\n", 0o600),
		"no such file":           filepath.Join(t.TempDir(), "none"),
		"characters that no tok": file("two", "one two\n", 0o600),
	} {
		s.as(person{}, "status", "--token-file", path).want(t, codeUsage, text)
	}
}

func TestWrongUse(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for _, line := range []string{
		"nonsense", "sync", "sync a b", "sync --nonsense", "sync corp", "sync ldap:", "sync google_workspace:x",
		"status a b", "watch x",
		"runs ldap:a/b", "held x", "cancel x", "approve x --yes", "object ldap:corp user x",
		"object google_workspace:1 person x", "object google_workspace:1 user",
		"status --api ftp://x", "held ldap:corp --limit 1001", "held ldap:corp --offset -1", "sync ldap:corp --token secret",
	} {
		s.do(strings.Fields(line)...).want(t, codeUsage)
	}
	s.do("sync", "--nonsense").want(t, codeUsage, "See rollcall sync --help.")
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	s := newService(t)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	s.do("status", "--api", gone.URL).want(t, codeFailure, "cannot reach the API at "+gone.URL, varAPI)
	other := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(other.Close)
	s.do("status", "--api", other.URL).want(t, codeFailure, "is the address right?")
	s.do("status", "--api", s.url+"/elsewhere").want(t, codeFailure, "is it the address of Rollcall's API?")
	s.do("status", "--api", s.url+"/api/v3/").want(t, 0)
}

func TestObject(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		result status.Result
		code   int
		says   string
	}{
		{status.Result{Outcome: status.OutcomeCreated}, 0, "Created."},
		{status.Result{Outcome: status.OutcomeHeld}, codeHeld, "Held: a person has to look."},
		{status.Result{Outcome: status.OutcomeHeld, Messages: []status.Message{{Level: status.Warning,
			Event: "Held: no mail"}}}, codeHeld, "Held: no mail"},
		{status.Result{Outcome: status.OutcomeAbsent}, codeHeld, "Absent at its source; not suspended."},
		{status.Result{Outcome: status.OutcomeAbsent, Messages: []status.Message{{Level: status.Error, Event: "Absent",
			Attributes: map[string]any{"outcome": "absent"}}}}, codeHeld, "Absent"},
		{status.Result{Outcome: status.OutcomeFailed, FailReason: "denied"}, codeFailure, "denied"},
		{status.Result{Outcome: status.OutcomeFailed, Messages: []status.Message{{Level: status.Error,
			Event: "Failed: gone"}}}, codeFailure, "Failed: gone"},
	} {
		t.Run(tt.says, func(t *testing.T) {
			t.Parallel()
			s := newService(t)
			s.result = &tt.result
			s.do("object", string(google), "user", "ada@example.com").want(t, tt.code, tt.says)
		})
	}
}

// TestObjectTakesLong covers a sync that outlasts the API's own wait. The command waits for it.
func TestObjectTakesLong(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.before = func(r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/sync/objects/"+s.job.ID+"/") {
			_, _ = s.store.FinishJob(context.Background(), google, s.job.ID,
				status.Result{Outcome: status.OutcomeAbsent, Messages: []status.Message{{Level: status.Info, Event: "Gone."}}})
		}
	}
	s.do("object", string(google), "user", "ada@example.com").want(t, codeHeld, "still under way", "Gone.")
	s.do("object", string(google), "group", "ada@example.com").want(t, codeFailure, "No group has the id")
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.hold(google, "d1", leaver("a"))
	for line, want := range map[string]string{
		"sync": "ldap:corp\tCorporate " +
			"directory\ngoogle_workspace:1\tWorkspace\ngoogle_workspace:9\t9\nmicrosoft_entra:2\t2\n",
		"object":                     "google_workspace:1\tWorkspace\ngoogle_workspace:9\t9\nmicrosoft_entra:2\t2\n",
		"object google_workspace:1":  "user\ngroup\n",
		"approve google_workspace:1": "d1\t1 change\n",
		"token":                      "",
		"token me":                   "read\nsync\napprove\n",
		"token me sync":              "read\napprove\n",
		"health":                     "api\nworker\n",
		"held google_workspace:1":    "",
	} {
		args := append(append([]string{"__complete"}, strings.Fields(line)...), "")
		out := s.do(args...).stdout
		at := strings.LastIndex(out, ":") + 1
		got, directive := out[:at-1], strings.TrimSpace(out[at:])
		if got != want || directive != "4" && directive != "36" {
			t.Errorf("%s completes to %q (%s), want %q and no files", line, got, directive, want)
		}
	}
	r := s.as(person{env: map[string]string{varToken: "wrong"}}, "__complete", "sync", "")
	if r.stdout != ":36\n" {
		t.Errorf("without a token: %q, want nothing", r.stdout)
	}
	s.do("completion", "bash").want(t, 0, "rollcall")
}

// TestCompletionOfRuns checks that run ids are completed with the results of the runs.
func TestCompletionOfRuns(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.ran(google, false, work{plan: newcomers, done: 3})
	run := s.live(google)
	for _, command := range []string{"watch", "runs", "sessions"} {
		r := s.do("__complete", command, string(google), "")
		if first, rest, _ := strings.Cut(r.stdout, "\n"); first != run.ID+"\tqueued 2026-03-01 09:31:31" ||
			!strings.Contains(rest, "\tcompleted 2026-03-01 09:30:00\n") {
			t.Errorf("%s completes to %q", command, r.stdout)
		}
	}
}

// TestCompletionWithoutTheAPI: the containers of the configuration.
func TestCompletionWithoutTheAPI(t *testing.T) {
	t.Parallel()
	s := newService(t)
	file := filepath.Join(t.TempDir(), "rollcall.yaml")
	text := "sources:\n  ldap:\n    - slug: corp\n      server_uri: file:///x.ldif\n      base_dn: dc=example,dc=com\n " +
		"     object_uniqueness_field: entryUUID\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{file: "ldap:corp\n:36\n", file + "x": ":36\n"} {
		if r := s.do("__complete", "--config", path, "plan", ""); r.stdout != want {
			t.Errorf("plan completes to %q, want %q: %s", r.stdout, want, r.stderr)
		}
	}
}

// TestUnreachableOverTLS: what is wrong is said in words.
func TestUnreachableOverTLS(t *testing.T) {
	t.Parallel()
	s := newService(t)
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	deaf, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = deaf.Close() })
	go func() {
		for {
			c, err := deaf.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 1<<10))
			_ = c.Close()
		}
	}()
	for addr, want := range map[string]string{
		secure.URL: "SSL_CERT_FILE",
		strings.Replace(secure.URL, "https", "http", 1): "speaks HTTPS",
		strings.Replace(s.url, "http", "https", 1):      "speaks plain HTTP",
		"http://" + deaf.Addr().String():                "speaks no HTTP",
	} {
		r := s.do("status", "--api", addr).want(t, codeFailure, want)
		if strings.Contains(r.stderr, "Is it running?") {
			t.Errorf("%s: %s", addr, r.stderr)
		}
	}
}

// TestLocalWrongUse covers wrong use of the commands that work without the API.
func TestLocalWrongUse(t *testing.T) {
	t.Parallel()
	s := newService(t)
	gone := filepath.Join(t.TempDir(), "none.yaml")
	s.do("check", "--config", gone).want(t, codeUsage, gone, "ROLLCALL_CONFIG", "rollcall demo")
	s.do("plan", "ldap:corp", "--config", gone).want(t, codeUsage, "ROLLCALL_CONFIG")
	s.do("plan").want(t, codeUsage, "Usage: rollcall plan CONTAINER")
	s.do("token", "me", "read,write").want(t, codeUsage, `unknown scope "write"`)
	s.do("token", "a b", "read").want(t, codeUsage, `"a b": the name has to be`)
	s.do("sessions").want(t, codeUsage, "Usage: rollcall runs CONTAINER [RUN]")
}

func TestExitCodesAreExplained(t *testing.T) {
	t.Parallel()
	s := newService(t)
	r := s.do("help", "exit-codes").want(t, 0)
	for _, code := range []int{0, codeFailure, codeUsage, codeHeld, codeLive, codeRefused, codeInterrupted} {
		if !strings.Contains(r.stdout, "\n  "+strconv.Itoa(code)+"  ") {
			t.Errorf("%d is missing in:\n%s", code, r.stdout)
		}
	}
}
