package config_test

import (
	"strings"
	"testing"

	"rollcall/container"
	"rollcall/internal/config"
)

// A digest moves with everything that decides, and with nothing else.
func TestDigestsMoveWithWhatDecides(t *testing.T) {
	t.Parallel()
	const source, tenant = container.ID("ldap:corp"), container.ID("google_workspace:1")
	text := read(t, "testdata/good.yaml")
	of := func(text string) map[container.ID]string {
		t.Helper()
		cfg, _, problems := load(t, text, config.Options{})
		if problems != "" {
			t.Fatal(problems)
		}
		return cfg.Digests("v1")
	}
	before := of(text)
	if len(before) != 2 || before[source] == before[tenant] {
		t.Fatalf("Digests() = %v, want two that differ", before)
	}
	for _, tc := range []struct {
		what, was, is  string
		source, tenant bool // whether the digest moves
	}{
		{"nothing", "x", "x", false, false},
		{"a comment", "sources:", "# text\nsources:", false, false},
		{"where a secret file is", "secrets/ldap", "secrets/readable", false, false},
		{"a filter", "(objectClass=inetOrgPerson)", "(uid=a*)", true, false},
		{"the schedule", `"*/15 * * * *"`, `"*/10 * * * *"`, true, false},
		{"a list", "sources: [corp]", "sources: [corp]\n      exclude: [eve@example.com]", false, true},
		{"the policy", "user_delete_action: suspend", "user_delete_action: do_nothing", false, true},
		{"an attribute of the directory", "sources: [corp]",
			"sources: [corp]\n      user_property_mappings: {organizations.title: ldap.roomNumber}", true, true},
	} {
		if tc.what == "an attribute of the directory" && strings.Contains(text, "user_property_mappings") {
			t.Fatal("the file has mappings of its own")
		}
		after := of(strings.Replace(text, tc.was, tc.is, 1))
		if (after[source] != before[source]) != tc.source || (after[tenant] != before[tenant]) != tc.tenant {
			t.Errorf("%s: Digests() = %v, before %v", tc.what, after, before)
		}
	}
	cfg, _, _ := load(t, text, config.Options{})
	if other := cfg.Digests("v2"); other[tenant] == before[tenant] {
		t.Errorf("the digest of another build is %s, too", other[tenant])
	}
}
