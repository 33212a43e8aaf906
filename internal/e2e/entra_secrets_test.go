package e2e

import (
	"maps"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"rollcall/internal/slapdtest"
)

// graphSpy keeps the secrets that go to an Entra tenant, which are initial passwords and access tokens.
type graphSpy struct {
	mu      sync.Mutex
	secrets map[string]string
}

var initialPassword = regexp.MustCompile(`"password":"((?:[^"\\]|\\.)+)"`)

func (s *graphSpy) listen(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		data := readBody(r)
		s.mu.Lock()
		for _, m := range initialPassword.FindAllSubmatch(data, -1) {
			s.secrets[string(m[1])] = "an initial password"
		}
		if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
			s.secrets[token] = "an access token"
		}
		s.mu.Unlock()
		next.ServeHTTP(rw, r)
	})
}

// What opens the tenant, or an account in it, is in no log, no answer and not in Redis; the log names no person. A
// secret that the tenant refuses is said to be one.
func TestEntraSecretsStaySecret(t *testing.T) {
	t.Parallel()
	spy := &graphSpy{secrets: map[string]string{}}
	w := newEntraWorld(t, entraOptions{options: options{slapd: small(), env: []string{"ROLLCALL_LOG_LEVEL=debug"}},
		spy: spy.listen})
	w.hop()
	e := w.editor()
	e.set(slapdtest.UserDN(1), "title", "Director")
	e.remove(slapdtest.UserDN(2))
	w.hop()
	w.entraSays(modelUser, slapdtest.UUID(3), "Nothing to change.")
	const wrong = "another-secret-of-the-app"
	if err := os.WriteFile(w.secretFile, []byte(wrong), 0o600); err != nil {
		t.Fatal(err)
	}
	w.workers[0].stop(t) // A process keeps its token for an hour.
	w.startWorker()
	r := w.finish(entra)
	if r.State != "failed" || r.FailKind != "denied" || !strings.Contains(r.Reason, "AADSTS7000215") {
		t.Errorf("with a wrong secret the sync is %s (%s): %s", r.State, r.FailKind, r.Reason)
	}

	spy.mu.Lock()
	secrets := maps.Clone(spy.secrets)
	spy.mu.Unlock()
	secrets[wrong], secrets[w.graph.ClientSecret()], secrets[w.token] = "the wrong client secret", "the client secret",
		"the API token"
	seen := map[string]string{"Redis": w.everything()}
	for _, p := range append(w.workers, w.api) {
		seen["the log of "+p.name] = string(must(os.ReadFile(p.log)))
	}
	for _, path := range []string{entra, entra + "sync/status/", entra + "sync/runs/", entra + "sync/runs/" + r.ID +
		"/messages/", entra + "sync/objects/"} {
		_, data := w.call(http.MethodGet, path, "")
		seen["GET "+path] = string(data)
	}
	if len(secrets) < 150 {
		t.Fatalf("only %d secrets were overheard", len(secrets))
	}
	person := regexp.MustCompile(`First\d+|Last\d+|u\d{6}`)
	for where, text := range seen {
		for secret, what := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("%s has %s", where, what)
			}
		}
		if found := person.FindString(text); strings.HasPrefix(where, "the log") && found != "" {
			i := strings.Index(text, found)
			t.Errorf("%s names a person: …%s…", where, text[max(0, i-200):min(len(text), i+100)])
		}
	}
}
