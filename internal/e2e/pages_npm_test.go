//go:build npm

package e2e

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"rollcall/internal/npmtest"
	"rollcall/internal/redistest"
	"rollcall/internal/session"
	"rollcall/internal/testclock"
	"rollcall/internal/tokens"
)

// preview has the demo's configuration compared with one in which a text is replaced, and returns the path of the page.
func (s *show) preview(old, with string) string {
	s.Helper()
	files, err := filepath.Glob(filepath.Join(s.dir, "rollcall-demo-*", "rollcall.yaml"))
	if err != nil || len(files) != 1 {
		s.Fatalf("the configuration of the demo is %v (%v)", files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		s.Fatal(err)
	}
	resp, err := http.Post(s.base+"/preview/", "application/yaml",
		strings.NewReader(strings.Replace(string(text), old, with, 1)))
	if err != nil {
		s.Fatal(err)
	}
	_ = resp.Body.Close()
	at, found := strings.CutPrefix(resp.Header.Get("Location"), "/api/v3/preview/")
	if !found {
		s.Fatalf("POST /preview/ = %d", resp.StatusCode)
	}
	testclock.Eventually(s, 3*time.Minute, "the end of the preview", func() bool {
		resp, err := http.Get(s.base + "/preview/" + at)
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return err == nil && strings.Contains(string(body), `"state":"done"`)
	})
	return "/previews/" + at
}

// axe-core finds nothing on any page, in both themes on a small window and on a usual one. Nothing is cut off.
func TestAccessibility(t *testing.T) {
	t.Parallel()
	axe := string(npmtest.Install(t).File("node_modules", "axe-core", "axe.min.js"))
	s := startDemo(t)
	b := newBrowser(t, s.base)
	s.leave(16)
	s.post("sources/ldap/corp/sync/", "")
	b.idle("sources/ldap/corp")
	attribute := func(path, selector, name string) string {
		b.do(b.open(path), chromedp.WaitReady(selector))
		return says[string](b, `document.querySelector('`+selector+`').getAttribute("`+name+`")`)
	}
	undone := attribute("/runs/google_workspace/1/", "tbody tr:nth-child(2) a", "href")
	s.post("providers/google_workspace/1/sync/runs/"+strings.Split(undone, "/")[4]+"/revert/", "")
	s.post("leave/", `{"entry": "gzajac"}`)
	b.idle("providers/google_workspace/1")
	id := attribute("/people/entry/?username=awojcik", `input[name="id"]`, "value")
	ordered := attribute("/leavers/", ".standing .doubt a", "href")
	review := attribute("/held/ldap/corp/", "a.button", "href")
	paths := []string{"/", "/held/", "/held/google_workspace/1/", "/held/?q=nothing", review,
		strings.Replace(review, "approved", "rejected", 1), "/changes/", "/changes/?q=nothing", "/people/", "/people/?q=a",
		"/people/?q=nothing", "/people/entry/?username=awojcik", "/people/entry/?username=nothing",
		"/people/leave/?id=" + id, ordered, "/leavers/", "/leavers/?q=nothing", "/runs/google_workspace/1/", undone,
		undone + "?group=person&level=warning", attribute("/runs/ldap/corp/", "tbody a", "href"), "/held/none/none/",
		"/previews/", s.preview("    - id: 1\n", "    - id: 1\n      exclude: [awojcik]\n"), signIn(t)}
	for _, look := range []struct {
		theme string
		width int64
	}{{"light", 320}, {"dark", 320}, {"light", 1280}} {
		b.display(look.width, look.theme)
		for _, path := range paths {
			if path[0] == '/' {
				path = s.base + path
			}
			b.do(chromedp.Navigate(path), chromedp.WaitReady("main"))
			says[bool](b, axe+"; true")
			found := says[string](b,
				`axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}).then(
				(r) => r.violations.map((v) => v.id + ": " +
					v.nodes.map((n) => n.html + " " + n.failureSummary).slice(0, 3).join("\n  ")).join("\n"))`)
			if found != "" {
				t.Errorf("%s, %s, %d px: %s", path, look.theme, look.width, found)
			}
			for _, width := range []int64{look.width, 768, 1000, 1440, 3840} {
				b.display(width, look.theme)
				if wide := says[int64](b, "document.documentElement.scrollWidth"); wide > width {
					t.Errorf("%s, %s: %d px wide in a window of %d px", path, look.theme, wide, width)
				}
			}
			b.display(look.width, look.theme)
		}
	}
}

// signIn serves the sign-in after an ended session, and returns its address.
func signIn(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "tokens")
	_, line, err := tokens.New("reader", tokens.Read)
	if err == nil {
		err = os.WriteFile(file, []byte(line), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	known, err := tokens.Open(tokens.FileConfig{Path: file})
	if err != nil {
		t.Fatal(err)
	}
	desk := session.New(session.Config{Redis: redistest.Mini(t), Tokens: known, Home: "/", SignIn: "/login",
		SignOut: "/logout"})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.AddCookie(&http.Cookie{Name: "rollcall_session", Value: strings.Repeat("A", 43)})
		desk.SignIn(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/login"
}

// post sends a request to the API, which accepts it.
func (s *show) post(path, body string) {
	s.Helper()
	resp, err := http.Post(s.base+"/api/v3/"+path, "application/json", strings.NewReader(body))
	if err != nil {
		s.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		s.Fatalf("POST %s = %s", path, resp.Status)
	}
}
