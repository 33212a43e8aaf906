package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/api"
	"rollcall/container"
	"rollcall/internal/secret"
)

// Secrets stay out, whatever brings them in.
func TestResourcesLeakNoSecret(t *testing.T) {
	t.Parallel()
	const hush = "hush-hush"
	h := newHarness(t, nil, func(c *api.Config) {
		c.Resources = []api.Resource{
			{Container: corp, Name: "Corporate directory", Fields: map[string]any{
				"server_uri": "ldap://admin:" + hush + "@ldap.example.com", "bind_cn": "cn=reader", "bind_password": hush,
				"bind_password_file": "/run/secrets/ldap", "bind_password_env": "LDAP_PASSWORD", "sync_users_password": true,
				"nested": map[string]any{"api_key": hush, "list": []any{map[string]any{"token": hush}}},
				"typed":  secret.Value(hush),
			}},
			{Container: google, Fields: map[string]any{"credentials": map[string]any{"private_key": hush},
				"delegated_subject": "admin@example.com"}},
			{Container: entra, Fields: map[string]any{"client_secret": hush, "tenant_id": "t", "secret_number": 1234567}},
		}
	})
	for _, path := range []string{"/sources/ldap/", "/sources/ldap/corp/", "/providers/google_workspace/1/",
		"/providers/microsoft_entra/", "/providers/microsoft_entra/2/"} {
		w := h.get(path).want(http.StatusOK)
		if strings.Contains(w.Body.String(), hush) || strings.Contains(w.Body.String(), "1234567") {
			t.Errorf("%s leaks: %s", path, w.Body)
		}
	}
	got := read[map[string]any](h.get("/sources/ldap/corp/"))
	for name, want := range map[string]any{
		"slug": "corp", "name": "Corporate directory", "enabled": true, "container": "ldap:corp", "bind_cn": "cn=reader",
		"bind_password":      secret.Redacted,
		"bind_password_file": "/run/secrets/ldap", "bind_password_env": "LDAP_PASSWORD", "sync_users_password": true,
		"server_uri": "ldap://<redacted>@ldap.example.com",
	} {
		if got[name] != want {
			t.Errorf("%s = %v, want %v", name, got[name], want)
		}
	}
	if same := read[map[string]any](h.get("/sources/ldap/" + got["pk"].(string) +
		"/").want(http.StatusOK)); !cmp.Equal(got, same) {
		t.Errorf("by its pk: %v", same)
	}
	for path, want := range map[string]map[string]any{
		"/providers/google_workspace/1/": {"pk": 1.0, "name": "1", "credentials": secret.Redacted,
			"delegated_subject": "admin@example.com"},
		"/providers/microsoft_entra/2/": {"pk": 2.0, "client_secret": secret.Redacted, "tenant_id": "t"},
	} {
		got := read[map[string]any](h.get(path).want(http.StatusOK))
		for name, v := range want {
			if got[name] != v {
				t.Errorf("%s: %s = %v, want %v", path, name, got[name], v)
			}
		}
	}
}

func TestListPages(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil, func(c *api.Config) {
		c.Resources = nil
		for _, r := range []struct{ slug, name string }{{"b", "Beta"}, {"a", "Alpha"}, {"c", "Gamma"}, {"d", "Delta"},
			{"e", "beta two"}} {
			c.Resources = append(c.Resources, api.Resource{Container: container.ID("ldap:" + r.slug), Name: r.name})
		}
	})
	type pagination struct{ Next, Previous, Count, Current, Total, Start, End int }
	for _, test := range []struct {
		query string
		slugs string
		want  pagination
	}{
		{"", "bacde", pagination{0, 0, 5, 1, 1, 1, 5}},
		{"?page_size=2", "ba", pagination{2, 0, 5, 1, 3, 1, 2}},
		{"?page_size=2&page=2", "cd", pagination{3, 1, 5, 2, 3, 3, 4}},
		{"?page_size=2&page=last", "e", pagination{0, 2, 5, 3, 3, 5, 5}},
		{"?page_size=9223372036854775807", "bacde", pagination{0, 0, 5, 1, 1, 1, 5}},
		{"?page_size=x", "bacde", pagination{0, 0, 5, 1, 1, 1, 5}},
		{"?ordering=name", "abdce", pagination{0, 0, 5, 1, 1, 1, 5}},
		{"?ordering=-name", "ecdba", pagination{0, 0, 5, 1, 1, 1, 5}},
		{"?search=BETA", "be", pagination{0, 0, 2, 1, 1, 1, 2}},
		{"?name=Beta", "b", pagination{0, 0, 1, 1, 1, 1, 1}},
		{"?slug=c", "c", pagination{0, 0, 1, 1, 1, 1, 1}},
		{"?name=none", "", pagination{0, 0, 0, 1, 1, 0, 0}},
	} {
		got := read[struct {
			Pagination struct {
				pagination
				TotalPages int `json:"total_pages"`
				StartIndex int `json:"start_index"`
				EndIndex   int `json:"end_index"`
			}
			Results []struct{ Slug string }
		}](h.get("/api/v3/sources/ldap/" + test.query).want(http.StatusOK))
		slugs := ""
		for _, r := range got.Results {
			slugs += r.Slug
		}
		p := got.Pagination.pagination
		p.Total, p.Start, p.End = got.Pagination.TotalPages, got.Pagination.StartIndex, got.Pagination.EndIndex
		if slugs != test.slugs || p != test.want {
			t.Errorf("%s: %s %+v, want %s %+v", test.query, slugs, p, test.slugs, test.want)
		}
	}
	for _, page := range []string{"0", "2", "-1", "x"} {
		h.get("/sources/ldap/?page="+page).is(http.StatusNotFound, `{"detail":"Invalid page."}`)
	}
	h.get("/providers/google_workspace/").is(http.StatusOK,
		`{"pagination":{"next":0,"previous":0,"count":0,"current":1,"total_pages":1,"start_index":0,"end_index":0},`+
			`"results":[]}`)
}
