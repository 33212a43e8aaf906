package main

import (
	"context"
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
	if r := s.as(person{env: env}, "status", "--token-file", file("open", goodToken, 0o644)).want(t, 0); !strings.Contains(r.stderr, "warning") {
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
		"nonsense", "sync", "sync a b", "sync --nonsense", "sync corp", "sync ldap:", "sync google_workspace:x", "status a b", "watch x",
		"runs ldap:a/b", "held x", "cancel x", "approve x --yes", "object ldap:corp user x", "object google_workspace:1 person x", "object google_workspace:1 user",
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
		{status.Result{Outcome: status.OutcomeHeld, Messages: []status.Message{{Level: status.Warning, Event: "Held: no mail"}}}, codeHeld, "Held: no mail"},
		{status.Result{Outcome: status.OutcomeFailed, FailReason: "denied"}, codeFailure, "denied"},
		{status.Result{Outcome: status.OutcomeFailed, Messages: []status.Message{{Level: status.Error, Event: "Failed: gone"}}}, codeFailure, "Failed: gone"},
	} {
		t.Run(tt.says, func(t *testing.T) {
			t.Parallel()
			s := newService(t)
			s.result = &tt.result
			s.do("object", string(google), "user", "ada@example.com").want(t, tt.code, tt.says)
		})
	}
}

// TestObjectTakesLong: a sync that the API does not wait for is waited for here.
func TestObjectTakesLong(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.before = func(r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/sync/objects/"+s.job.ID+"/") {
			_, _ = s.store.FinishJob(context.Background(), google, s.job.ID, status.Result{Outcome: status.OutcomeAbsent, Messages: []status.Message{{Level: status.Info, Event: "Gone."}}})
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
		"sync":                       "ldap:corp\tCorporate directory\ngoogle_workspace:1\tWorkspace\ngoogle_workspace:9\t9\nmicrosoft_entra:2\t2\n",
		"object":                     "google_workspace:1\tWorkspace\ngoogle_workspace:9\t9\nmicrosoft_entra:2\t2\n",
		"object google_workspace:1":  "user\ngroup\n",
		"approve google_workspace:1": "d1\t1 change\n",
		"held google_workspace:1":    "",
	} {
		args := append(append([]string{"__complete"}, strings.Fields(line)...), "")
		if r := s.do(args...); r.stdout != want+":4\n" {
			t.Errorf("%s completes to %q, want %q", line, r.stdout, want)
		}
	}
	r := s.as(person{env: map[string]string{varToken: "wrong"}}, "__complete", "sync", "")
	if r.stdout != ":4\n" {
		t.Errorf("without a token: %q, want nothing", r.stdout)
	}
	s.do("completion", "bash").want(t, 0, "rollcall")
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
