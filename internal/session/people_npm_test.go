//go:build npm

package session_test

import (
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"rollcall/internal/npmtest"
)

// TestPeopleSignInAtACertifiedProvider signs people in at oidc-provider, which is independent of this project and
// certified by the OpenID Foundation. It needs node and npm, which fetches the package:
// go test -tags npm -run Certified ./internal/session.
func TestPeopleSignInAtACertifiedProvider(t *testing.T) {
	t.Parallel()
	folder := npmtest.Install(t)
	e := entranceTo(t, "groups", func(callback string) string { return folder.Serve(callback) })
	for name, want := range map[string]string{
		"staff":    `["staff@example.com (staff)",["read"],null,"/held/"]`,
		"stranger": "stranger@example.com (stranger) has no rights here.",
	} {
		if text := e.signInAs(name); !strings.Contains(text, want) {
			t.Errorf("%s signs in and gets %s, want %q", name, text, want)
		}
	}
}

// form finds the form of a page of the provider, and its hidden fields.
var (
	form   = regexp.MustCompile(`action="([^"]+)"`)
	hidden = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)"`)
)

// signInAs fills in the forms of the provider and returns the page after them.
func (e *entrance) signInAs(name string) string {
	e.Helper()
	c := e.browser()
	_, page := e.get(c, "/login/person?next=/held/")
	for range 2 { // who it is, and what it permits
		action := form.FindStringSubmatch(page)
		if action == nil {
			e.Fatalf("the provider shows no form: %s", page)
		}
		fields := url.Values{"login": {name}, "password": {"any"}}
		for _, f := range hidden.FindAllStringSubmatch(page, -1) {
			fields.Set(f[1], f[2])
		}
		r, err := http.NewRequestWithContext(e.Context(), http.MethodPost, action[1], strings.NewReader(fields.Encode()))
		if err != nil {
			e.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		res, err := c.Do(r)
		if err != nil {
			e.Fatal(err)
		}
		text, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil {
			e.Fatal(err)
		}
		page = string(text)
	}
	return page
}
