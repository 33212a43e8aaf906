package scim

import "testing"

// TestProtectedRoles covers roles that are paths, and roles without a list.
func TestProtectedRoles(t *testing.T) {
	t.Parallel()
	cfg := Config{}
	cfg.SetDefaults()
	p := &Provider{cfg: cfg}
	role := func(value string) map[string]any { return map[string]any{"value": value} }
	for name, tc := range map[string]struct {
		roles any
		want  bool
	}{
		"plain":             {[]any{role("Site Admin")}, true},
		"path at the end":   {[]any{role("member"), role("arn:aws:iam::1:role/AdministratorAccess")}, true},
		"path at the start": {[]any{"Workspace/Admin"}, true},
		"path around":       {[]any{role("a/b/owner/c")}, true},
		"text":              {"Workspace/Admin", true},
		"object":            {map[string]any{"display": "Owner"}, true},
		"other path":        {[]any{role("arn:aws:iam::1:role/ReadOnly")}, false},
		"other text":        {"member", false},
		"none":              {nil, false},
	} {
		got := p.protectsUser(resource{"id": "1", "userName": "ann@example.com", "roles": tc.roles})
		if (got != "") != tc.want {
			t.Errorf("%s: protectsUser() = %q, want protected: %v", name, got, tc.want)
		}
	}
}
