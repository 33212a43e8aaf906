package api_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"rollcall/api"
)

// forms returns other ways to write the path of a route.
func forms(path string) []string {
	head, tail, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return []string{
		path, strings.TrimSuffix(path, "/"), "/api/v3" + path, "/api/v3" + strings.TrimSuffix(path, "/"),
		"/api/v3/api/v3" + path, "//" + strings.TrimPrefix(path, "/"), "/api//v3" + path, path + "/", path + "%2F",
		strings.TrimSuffix(path, "/") + "%2f", "/" + head + "%2F" + tail, "/./" + head + "/" + tail, "/x/.." + path,
		"/" + head + "/%2e%2e" + path, "/schema/.." + path, "/schema/%2e%2e" + path, "/schema/..%2f" + path[1:],
		strings.ToUpper(path), path + "?format=text", path + ";x", strings.ReplaceAll(path, "corp", "corp%2F..%2Fcorp"),
		strings.ReplaceAll(path, "/1/", "/01/"), strings.ReplaceAll(path, "/1/", "/1%00/"),
	}
}

// TestEveryFormOfEveryRoute sends every method to every way of writing the path of a route. Without a token that may
// use the route, no answer is a success, unless it is the public schema, and nothing changes.
func TestEveryFormOfEveryRoute(t *testing.T) {
	t.Parallel()
	holders, authenticate := roles(t)
	h := newHarness(t, nil, func(c *api.Config) { c.Authenticate = authenticate })
	methods := []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete,
		http.MethodOptions, "get"}
	schema := newRequest(t, http.MethodGet, "/schema/", "", "")
	public := httptest.NewRecorder()
	h.api.ServeHTTP(public, schema)
	n := 0
	for path := range api.Routes() {
		for c, real := range containersOf(path) {
			for _, form := range forms(real) {
				for _, method := range methods {
					for _, role := range []string{"nobody", "elsewhere"} {
						if role == "elsewhere" && c == "" {
							continue // A list has what the token reaches.
						}
						n++
						r := newRequest(t, method, form, `{}`, holders[role])
						if role == "nobody" {
							r.Header.Del("Authorization")
						}
						r.RemoteAddr = fmt.Sprintf("10.%d.%d.%d:4711", n>>16, n>>8&255, n&255)
						w := httptest.NewRecorder()
						h.api.ServeHTTP(w, r)
						open := w.Body.String() == public.Body.String() || w.Body.Len() == 0 &&
							(method == http.MethodOptions && role == "elsewhere" || strings.Contains(form, "schema"))
						if w.Code >= 500 || w.Code < 300 && !open {
							t.Errorf("%s %s with the token %s: %d %.100s", method, form, role, w.Code, w.Body)
						}
					}
				}
			}
		}
	}
	if kept, err := h.rdb.Keys(t.Context(), "*").Result(); err != nil || len(kept) > 0 {
		t.Errorf("refused requests wrote %q, %v", kept, err)
	}
	if n < 10_000 {
		t.Errorf("%d requests were made", n)
	}
}
