package main

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rollcall/preview"
	"rollcall/simulator/googleworkspace"
)

// previewed is a directory of eight people and an empty tenant, with a configuration to change.
type previewed struct {
	t    *testing.T
	dir  string
	text string
	// tenant is the account.
	tenant *googleworkspace.Tenant
}

func newPreviewed(t *testing.T) *previewed {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	tenant := googleworkspace.New(googleworkspace.Config{Key: key, Domains: []string{"example.com"}})
	server := httptest.NewServer(tenant.Handler())
	t.Cleanup(server.Close)
	credentials, err := tenant.CredentialsJSON(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	var people strings.Builder
	uuid := "8d5c0f5e-0000-4000-8000-0000000000"
	fmt.Fprintf(&people, "dn: cn=team,dc=example,dc=com\nobjectClass: groupOfNames\ncn: team\nentryUUID: %s99\n", uuid)
	for i := range 8 {
		fmt.Fprintf(&people, "member: uid=p%d,dc=example,dc=com\n", i)
	}
	for i := range 8 {
		fmt.Fprintf(&people, "\ndn: uid=p%[1]d,dc=example,dc=com\nobjectClass: inetOrgPerson\nuid: p%[1]d\ncn: P "+
			"%[1]d\nsn: Person\n"+
			"givenName: P%[1]d\nmail: p%[1]d@example.com\ntitle: Dr\nentryUUID: %[2]s%02[1]d\n", i, uuid)
	}
	p := &previewed{t: t, dir: t.TempDir(), tenant: tenant}
	p.write("people.ldif", people.String())
	p.write("google.json", string(credentials))
	p.text = fmt.Sprintf(`sources:
  ldap:
    - slug: corp
      server_uri: file://%s/people.ldif
      base_dn: dc=example,dc=com
      user_object_filter: (objectClass=inetOrgPerson)
      group_object_filter: (objectClass=groupOfNames)
      object_uniqueness_field: entryUUID
providers:
  google_workspace:
    - id: 1
      name: Example tenant
      delegated_subject: admin@example.com
      credentials_file: google.json
      default_group_email_domain: example.com
      endpoint: %s/
`, p.dir, server.URL)
	p.write("rollcall.yaml", p.text)
	return p
}

func (p *previewed) write(name, text string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// changed previews the configuration with one text replaced by another.
func (p *previewed) changed(old, with string, args ...string) (code int, stdout string) {
	p.t.Helper()
	next := filepath.Join(p.dir, "next.yaml")
	p.write("next.yaml", strings.Replace(p.text, old, with, 1))
	args = append([]string{"preview", next, "--config", filepath.Join(p.dir, "rollcall.yaml")}, args...)
	code, stdout, stderr := alone(p.t, nil, args...)
	return code, stdout + stderr
}

func TestPreview(t *testing.T) {
	t.Parallel()
	p := newPreviewed(t)
	const id = "    - id: 1\n"
	for _, test := range []struct {
		name, old, with string
		code            int
		want            []string
	}{
		{"nothing changes", id, id, 0, []string{"ldap:corp\n  no difference\n", "google_workspace:1\n  no difference\n",
			"Nothing was written.\n"}},
		{
			"scope", id, id + "      exclude: [p0, p1]\n", 0,
			[]string{"  2 leave the scope\n    user p0: exclude (p0)\n    user p1: exclude (p1)\n",
				"ldap:corp\n  no difference\n"},
		},
		{
			"mapping", id, id + "      user_property_mappings: {organizations.title: \"'Prof'\"}\n", 0,
			[]string{"  8 get other fields\n    user p0: organizations.title: (none) → \"Prof\"\n"},
		},
		{
			"a filter that leaves most people out", "(objectClass=inetOrgPerson)", "(uid=p0)", codeHeld,
			[]string{"  7 leave the scope\n    user p1: the source no longer has it\n",
				"  7 leave a group\n    group team: user p1\n", "  would be held: 7 × delete: ",
				"google_workspace:1\n  7 leave the scope\n    user p1: the source no longer has it\n"},
		},
		{"a field that does not exist", id, id + "      nonsense: 1\n", 1, []string{"next.yaml", "nonsense"}},
		{
			"a provider that is switched off", id, id + "      enabled: false\n", 0,
			[]string{"google_workspace:1\n  is not in the new file or is switched off there: its objects stay as they are\n"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			code, got := p.changed(test.old, test.with)
			if code != test.code {
				t.Errorf("preview ended with %d, want %d", code, test.code)
			}
			for _, want := range test.want {
				if !strings.Contains(got, want) {
					t.Errorf("%q is missing in:\n%s", want, got)
				}
			}
		})
	}
	if code, got := p.changed(id, id+"      schedule: after_source\n", "--json"); code != 0 || !json.Valid([]byte(got)) {
		t.Errorf("preview --json ended with %d and printed\n%s", code, got)
	}
	var decoded []preview.Container
	_, got := p.changed(id, id+"      exclude: [p0]\n", "--json")
	if err := json.Unmarshal([]byte(got), &decoded); err != nil || len(decoded) != 2 ||
		len(decoded[1].Of(preview.LeavesScope)) != 1 {
		t.Errorf("preview --json = %+v, %v, want one person who leaves the scope", decoded, err)
	}
}
