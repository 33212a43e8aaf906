package ldap_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/internal/slapdtest"
	"rollcall/source/ldap"
)

// fileConfig is a configuration that reads an LDIF file with this content.
func fileConfig(t testing.TB, content string) ldap.Config {
	t.Helper()
	path := filepath.Join(t.TempDir(), "people.ldif")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	c := ldap.DefaultConfig()
	c.Slug, c.ServerURI, c.BaseDN = "corp", "file://"+path, slapdtest.Suffix
	return c
}

const ada = `dn: uid=ada,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
entryUUID: 11111111-0000-4000-8000-00000000000A
uid: ada
cn: Ada King
sn: King
mail: ada@example.org
mail: king@example.org

`

func TestFileSyntax(t *testing.T) {
	t.Parallel()
	s := open(t, fileConfig(t, "\xef\xbb\xbf# an export\nversion: 1\n\n"+strings.Replace(ada, "uid=ada,ou=people", "uid=ada,ou=peo\n ple", 1)+
		"# folded\n  comment\n\ndn:: dWlkPWrDvHJnZW4sb3U9cGVvcGxlLGRjPWV4YW1wbGUsZGM9b3Jn\r\nobjectClass: inetOrgPerson\r\nENTRYUUID: 11111111-0000-4000-8000-00000000000b\r\n"+
		"uid:: asO8cmdlbg==\r\ncn: J\r\n# comment\r\ndescription:\r\nsn;lang-de: no\r\nsn: yes\r\n\r\n"+
		"ref: ldap://other/dc=b\n\nref: ldap://other/dc=a\n\nsearch: 2\nresult: 0 Success\n\n"))
	snap := read(t, s)
	want := []directory.Entry{
		{
			Kind: directory.User, ID: "11111111-0000-4000-8000-00000000000a", Source: "corp", DN: "uid=ada,ou=people,dc=example,dc=org", Active: true,
			Attributes: directory.Attributes{
				{Name: "cn", Values: []string{"Ada King"}}, {Name: "familyName", Values: []string{"King"}},
				{Name: "mail", Values: []string{"ada@example.org", "king@example.org"}}, {Name: "userName", Values: []string{"ada"}},
			},
		},
		{
			Kind: directory.User, ID: "11111111-0000-4000-8000-00000000000b", Source: "corp", DN: "uid=jürgen,ou=people,dc=example,dc=org", Active: true,
			Attributes: directory.Attributes{
				{Name: "cn", Values: []string{"J"}}, {Name: "familyName", Values: []string{"yes"}}, {Name: "userName", Values: []string{"jürgen"}},
			},
		},
	}
	if diff := cmp.Diff(want, snap.Entries); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"ldap://other/dc=a", "ldap://other/dc=b"}, snap.Referrals); diff != "" {
		t.Errorf("referrals (-want +got):\n%s", diff)
	}
}

func TestFileRefused(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, content, want string }{
		{"change", ada + "dn: uid=bob,dc=example,dc=org\nchangetype: delete\n\n", "people.ldif, record at line 10: it is a change"},
		{"added entry", "dn: uid=bob,dc=example,dc=org\nchangetype: add\nobjectClass: person\ncn: b\n\n", "record at line 1: it is a change"},
		{"rename", ada + "\n\ndn: uid=bob,dc=example,dc=org\nchangetype: modrdn\nnewrdn: cn=x\ndeleteoldrdn: 1\n\n", "record at line 12: unsupported changetype"},
		{"cut off", strings.TrimSuffix(ada, "g\n\n"), "line 8: the file ends in the middle of a line"},
		{"same DN", ada + strings.Replace(ada, "uid=ada,", "UID=Ada,", 1), "record at line 10: the DN"},
		{"URL", "dn: uid=bob,dc=example,dc=org\ncn:< file:///etc/passwd\n\n", "is a URL"},
		{"no DN", "cn: bob\n\n", "missing 'dn:'"},
		{"no colon", "dn: uid=bob,dc=example,dc=org\ncn bob\n\n", "has no colon"},
		{"bad base64", "dn: uid=bob,dc=example,dc=org\ncn:: %%\n\n", "illegal base64"},
		{"size limit", ada + "search: 2\nresult: 4 Size limit exceeded\n\n", "the export is incomplete: ldapsearch ended with result 4 Size limit exceeded"},
		{"no operational attributes", strings.Replace(ada, "entryUUID: 11111111-0000-4000-8000-00000000000A\n", "", 1), "export operational attributes too"},
		{"empty", "", "check base_dn"},
		{"other base", strings.ReplaceAll(ada, "dc=org", "dc=net"), "check base_dn"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if err := refuse(t, open(t, fileConfig(t, tc.content)), fault.Invalid); err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Read() error = %v, want one with %q", err, tc.want)
			}
		})
	}
	c := fileConfig(t, ada)
	c.UserObjectFilter = "(cn:1.2.3:=x)"
	refuse(t, open(t, c), fault.Invalid)
	c.ServerURI += ".missing"
	refuse(t, open(t, c), fault.Invalid)
}
