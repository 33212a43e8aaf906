package status_test

import (
	"strings"
	"testing"

	"rollcall/fault"
	"rollcall/status"
)

func TestParseContainer(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"ldap:corp", "ldap:-a_Z9", "ldap:" + strings.Repeat("x", 40), "google_workspace:1", "microsoft_entra:23"} {
		c, err := status.ParseContainer(id)
		if err != nil || c.String() != id || string(c.Kind())+":"+c.Name() != id || len(id) > 50 {
			t.Errorf("ParseContainer(%q) = %q, %v, want it back", id, c, err)
		}
	}
	for _, id := range []string{
		"", "ldap", "ldap:", "ldap:a b", "ldap:{a}", "ldap:é", "ldap:a:b", "ldap:" + strings.Repeat("x", 41), "LDAP:corp", "okta:1",
		"google_workspace:", "google_workspace:0", "google_workspace:-1", "google_workspace:01", "google_workspace:+1",
		"microsoft_entra:x", "microsoft_entra:99999999999999999999",
	} {
		if c, err := status.ParseContainer(id); err == nil || fault.KindOf(err) != fault.Invalid || c != "" {
			t.Errorf("ParseContainer(%q) = %q, %v, want invalid", id, c, err)
		}
	}
	if !corp.IsSource() || status.Container("google_workspace:1").IsSource() {
		t.Error("IsSource() is wrong")
	}
}
