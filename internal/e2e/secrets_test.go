package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"rollcall/internal/slapdtest"
)

// everything returns all that Redis holds, as text.
func (w *world) everything() string {
	w.Helper()
	var all strings.Builder
	keys, err := w.redis.Keys(w.Context(), "*").Result()
	if err != nil {
		w.Fatal(err)
	}
	for _, key := range keys {
		kind := w.redis.Type(w.Context(), key).Val()
		var cmd redis.Cmder
		switch kind {
		case "string":
			cmd = w.redis.Get(w.Context(), key)
		case "hash":
			cmd = w.redis.HGetAll(w.Context(), key)
		case "list":
			cmd = w.redis.LRange(w.Context(), key, 0, -1)
		case "set":
			cmd = w.redis.SMembers(w.Context(), key)
		case "zset":
			cmd = w.redis.ZRangeWithScores(w.Context(), key, 0, -1)
		case "stream":
			cmd = w.redis.XRange(w.Context(), key, "-", "+")
		case "none": // It is gone since the keys were listed.
			continue
		default:
			w.Fatalf("%s is a %s", key, kind)
		}
		all.WriteString(cmd.String() + "\n")
	}
	return all.String()
}

// eavesdropper keeps the secrets that go to the tenant, which are initial passwords and access tokens.
type eavesdropper struct {
	mu      sync.Mutex
	secrets map[string]string
}

func (e *eavesdropper) listen(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		data := readBody(r)
		var body struct{ Password string }
		_ = json.Unmarshal(data, &body)
		e.mu.Lock()
		if body.Password != "" {
			e.secrets[body.Password] = "an initial password"
		}
		if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
			e.secrets[token] = "an access token"
		}
		e.mu.Unlock()
		next.ServeHTTP(rw, r)
	})
}

// Secrets are in the files where they belong and nowhere else, and the log of the processes names no person.
func TestSecretsStaySecret(t *testing.T) {
	t.Parallel()
	spy := &eavesdropper{secrets: map[string]string{slapdtest.RootPassword: "the bind password"}}
	w := newWorld(t, options{slapd: small(), env: []string{"ROLLCALL_LOG_LEVEL=debug"}, spy: spy.listen})
	w.both()
	e := w.editor()
	e.set(slapdtest.UserDN(1), "title", "Director")
	e.remove(slapdtest.UserDN(2))
	w.both()
	w.says(modelUser, slapdtest.UUID(3), "Nothing to change.")
	// A bind that is refused and a tenant that refuses are where secrets like to show.
	if err := os.WriteFile(w.ldap.PasswordFile, []byte("another-secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	spy.secrets["another-secret"] = "the wrong bind password"
	if r := w.finish(corp); r.FailKind != "denied" {
		t.Errorf("with a wrong password the source sync is %s (%s): %s", r.State, r.FailKind, r.Reason)
	}
	spy.secrets[w.token] = "the API token"
	for line := range strings.Lines(string(must(w.tenant.CredentialsJSON("http://x")))) {
		if _, pem, ok := strings.Cut(line, `\n`); ok {
			spy.secrets[pem[:40]] = "the service account's key"
		}
	}

	seen := map[string]string{"Redis": w.everything()}
	for _, p := range append(w.workers, w.api) {
		seen["the log of "+p.name] = string(must(os.ReadFile(p.log)))
	}
	for _, path := range []string{corp, google, corp + "sync/status/", google + "sync/status/", corp + "sync/runs/",
		google + "sync/runs/", google + "sync/objects/"} {
		_, data := w.call(http.MethodGet, path, "")
		seen["GET "+path] = string(data)
	}
	if len(spy.secrets) < 150 {
		t.Fatalf("only %d secrets were overheard", len(spy.secrets))
	}
	for where, text := range seen {
		for secret, what := range spy.secrets {
			if strings.Contains(text, secret) {
				t.Errorf("%s has %s", where, what)
			}
		}
	}
	person := regexp.MustCompile(`First\d+|Last\d+|u\d{6}`)
	for where, text := range seen {
		if found := person.FindString(text); strings.HasPrefix(where, "the log") && found != "" {
			i := strings.Index(text, found)
			t.Errorf("%s names a person: …%s…", where, text[max(0, i-200):min(len(text), i+100)])
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
