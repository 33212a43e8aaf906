package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rollcall/internal/testclock"
	"rollcall/provider/scim/elimitytest"
)

const scim = "/providers/scim/1/"

// scimConfiguration goes below configuration. The server has no quota.
const scimConfiguration = `
  scim:
    - id: 1
      name: Example server
      sources: [corp]
      endpoint: %s
      token_file: %s
      member_chunk: 3
      max_requests_per_second: 100000
      max_writes_per_second: 100000
      max_user_writes_per_second: 100000
      max_user_creates_per_second: 100000
`

// scimGate stops the nth request of a kind before the server gets it. Other writes are slowed down, so that much is
// left to do.
type scimGate struct {
	method, path string
	nth          int64
	count        atomic.Int64
	reached      chan struct{}
	free         chan struct{}
	release      func()
	serving      busy
}

func (g *scimGate) wrap(next http.Handler) http.Handler {
	return g.serving.wrap(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == g.method && strings.Contains(r.URL.Path, g.path) && g.count.Add(1) == g.nth {
			close(g.reached)
			<-g.free
		}
		if r.Method != http.MethodGet {
			time.Sleep(3 * time.Millisecond)
		}
		next.ServeHTTP(rw, r)
	}))
}

// open makes the gate ready. It lets everything through at the end of the test.
func (g *scimGate) open(t *testing.T) {
	g.reached, g.free = make(chan struct{}), make(chan struct{})
	g.release = sync.OnceFunc(func() { close(g.free) })
	t.Cleanup(g.release)
}

// killAt waits for the gate's request, kills the worker that has the run, and waits until another one has it.
func (w *world) killAt(g *scimGate, id string) {
	w.Helper()
	select {
	case <-g.reached:
	case <-time.After(3 * time.Minute):
		w.Fatalf("the server has seen %d of %s %s, want %d", g.count.Load(), g.method, g.path, g.nth)
	}
	has, _ := w.victim(scim, id)
	before := w.run(scim, id).Resumes
	has.kill()
	g.release() // The dead worker's request is still carried out.
	g.serving.ended(w)
	testclock.Eventually(w, 3*time.Minute, "another worker has the run",
		func() bool { return w.run(scim, id).Resumes > before })
}

// toScim returns the configuration of a SCIM server.
func toScim(t *testing.T, endpoint, token string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(scimConfiguration, endpoint, file)
}

// A worker that is killed in the middle of a SCIM sync loses nothing and doubles nothing. The server is not from this
// project, and allows groups of one name and members that are there twice.
func TestScimKillNineMidSync(t *testing.T) {
	t.Parallel()
	for name, g := range map[string]*scimGate{
		"among the users":       {method: http.MethodPost, path: "/Users", nth: 70},
		"among the groups":      {method: http.MethodPost, path: "/Groups", nth: 5},
		"among the memberships": {method: http.MethodPatch, path: "/Groups", nth: 20},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g.open(t)
			server := elimitytest.Start(t, g.wrap)
			w := newWorld(t, options{slapd: small(), workers: 2, provider: []string{toScim(t, server.URL, "token")}})
			w.sync(corp)
			id := w.start(scim).ID
			w.killAt(g, id)
			if r := w.wait(scim, id); r.Status != "successful" || r.Resumes != 1 {
				t.Errorf("the run is %s (%s) after %d resumes: %s", r.State, r.Status, r.Resumes, r.Reason)
			}
			provisioned(t, server, 150, 15, 10)
			if r := w.sync(scim); r.planned() > 0 {
				t.Errorf("the run after it plans %d changes, want none", r.planned())
			}
		})
	}
}

// provisioned fails the test unless the server has each user, group and member once.
func provisioned(t *testing.T, server *elimitytest.Server, users, groups, members int) {
	t.Helper()
	for attribute, all := range map[string]map[string]int{
		"userName": server.Users("userName"), "externalId of users": server.Users("externalId"),
		"displayName": server.Groups("displayName"), "externalId of groups": server.Groups("externalId"),
	} {
		want := users
		if strings.HasSuffix(attribute, "groups") || attribute == "displayName" {
			want = groups
		}
		if len(all) != want {
			t.Errorf("%d values of %s, want %d", len(all), attribute, want)
		}
		for value, n := range all {
			if n != 1 {
				t.Errorf("%s %q is there %d times", attribute, value, n)
			}
		}
	}
	for _, group := range server.Members() {
		slices.Sort(group)
		if n := len(slices.Compact(slices.Clone(group))); n != members || len(group) != n {
			t.Errorf("a group has %d members, %d of them different, want %d", len(group), n, members)
		}
	}
}
