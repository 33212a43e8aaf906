package config_test

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rollcall/internal/config"
)

// TestNext checks what a new configuration may change for a preview that the API asks for. It reads no file, and names
// none that the running one does not name.
func TestNext(t *testing.T) {
	t.Parallel()
	good := read(t, "testdata/good.yaml")
	running, _, err := config.Parse(filepath.Join("testdata", "good.yaml"), []byte(good), config.Options{NoFiles: true})
	if err != nil {
		t.Fatal(err)
	}
	const slug, id = "    - slug: corp\n", "    - id: 1\n"
	const source, tenant = "sources.ldap[0].", "providers.google_workspace[0]."
	const off = "    - {slug: other, enabled: false, server_uri: ldaps://evil.example, base_dn: dc=x}\n"
	replace := func(old, with string) string { return strings.Replace(good, old, with, 1) }
	more := func(at, lines string) string { return replace(at, at+lines) }
	filter := func(text string) string { return replace("(objectClass=inetOrgPerson)", text) }
	for name, test := range map[string]struct{ text, want string }{
		"the same":  {good, ""},
		"a scope":   {more(id, "      exclude: [ada]\n      require_approval: always\n"), ""},
		"a base":    {replace("base_dn: ", "base_dn: ou=people,"), ""},
		"a filter":  {filter("(&(objectClass=person)(!(title=x)))"), ""},
		"an absent": {more("  ldap:\n", off), ""},

		"a server":   {replace("ldap://127.0.0.1", "ldaps://evil.example"), source + "server_uri"},
		"a password": {replace("secrets/ldap", "/etc/passwd"), source + "bind_password_file"},
		"a variable": {replace("bind_password_file: secrets/ldap", "bind_password_env: HOME"),
			source + "bind_password_env"},
		"a certificate": {more(slug, "      ca_file: /etc/passwd\n"), source + "ca_file"},
		"plain text":    {more(slug, "      allow_plaintext: true\n"), source + "allow_plaintext"},
		"an endpoint":   {replace("https://admin.googleapis.com/", "https://evil.example/"), tenant + "endpoint"},
		"a key":         {replace("credentials_file: ", "credentials_file: ../"), tenant + "credentials_file"},
		"a subject":     {replace("admin@example.com", "root@example.com"), tenant + "delegated_subject"},
		"a quota":       {more(id, "      max_requests_per_second: 1000\n"), tenant + "max_requests_per_second"},
		"a provider": {good + strings.Replace(good[strings.Index(good, id):], "id: 1", "id: 2", 1),
			"providers.google_workspace[1].id"},
		"a source": {strings.NewReplacer("[corp]", "[other]", "slug: corp", "slug: other").Replace(good),
			source + "slug"},
		"a secret":            {filter("(&(objectClass=person)( userPassword =*))"), source + "user_object_filter"},
		"every attribute":     {filter("(:caseExactMatch:=x)"), source + "user_object_filter"},
		"members of a secret": {replace("field: member", "field: member,sambaNTPassword"), source + "group_membership_field"},
		"a mistake":           {more(id, "      exclud: [ada]\n"), tenant + "exclud"},
	} {
		_, _, err := config.Next(running, []byte(test.text), config.Options{Strict: true})
		problems, _ := errors.AsType[config.Problems](err)
		switch {
		case test.want == "" && err != nil:
			t.Errorf("%s: Next() = %v, want that it may change", name, err)
		case test.want != "" && !slices.ContainsFunc(problems, func(p config.Problem) bool {
			return p.Field == test.want && p.Line > 0
		}):
			t.Errorf("%s: Next() = %+v, want a problem of %s", name, problems, test.want)
		}
	}
}
