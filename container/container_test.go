package container_test

import (
	"strings"
	"testing"

	"rollcall/container"
	"rollcall/fault"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for _, id := range []string{
		"ldap:corp", "ldap:-a_Z9", "ldap:" + strings.Repeat("x", 40), "google_workspace:1", "microsoft_entra:23", "okta:1",
		strings.Repeat("k", 25) + ":9223372036854775807",
	} {
		c, err := container.Parse(id)
		if err != nil || c.String() != id || c.Kind()+":"+c.Name() != id || len(id) > 50 {
			t.Errorf("Parse(%q) = %q, %v, want it back", id, c, err)
		}
	}
	for _, id := range []string{
		"", "ldap", "ldap:", "ldap:a b", "ldap:{a}", "ldap:é", "ldap:a:b", "ldap:" + strings.Repeat("x", 41),
		"LDAP:corp", "{a}:1", "a b:1", ":1", "1",
		strings.Repeat("k", 26) + ":1", "google_workspace:", "google_workspace:0", "google_workspace:-1",
		"google_workspace:01", "google_workspace:+1",
		"microsoft_entra:x", "microsoft_entra:99999999999999999999",
	} {
		if c, err := container.Parse(id); err == nil || fault.KindOf(err) != fault.Invalid || c != "" {
			t.Errorf("Parse(%q) = %q, %v, want invalid", id, c, err)
		}
	}
}

func TestIDs(t *testing.T) {
	t.Parallel()
	if c := container.Source("corp"); c != "ldap:corp" || !c.IsSource() {
		t.Errorf("Source() = %q, a source: %v", c, c.IsSource())
	}
	if c := container.Provider("google_workspace", 1); c != "google_workspace:1" || c.IsSource() {
		t.Errorf("Provider() = %q, a source: %v", c, c.IsSource())
	}
}
