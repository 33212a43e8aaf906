package ldap_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding/unicode"

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
	s := open(t, fileConfig(t, "\xef\xbb\xbf# an export\nversion: 1\n\n"+strings.Replace(ada, "uid=ada,ou=people",
		"uid=ada,ou=peo\n ple", 1)+
		"# folded\n  comment\n\ndn:: dWlkPWrDvHJnZW4sb3U9cGVvcGxlLGRjPWV4YW1wbGUsZGM9b3Jn\r\nobjectClass: "+
		"inetOrgPerson\r\nENTRYUUID: 11111111-0000-4000-8000-00000000000b\r\n"+
		"uid:: asO8cmdlbg==\r\ncn: J\r\n# comment\r\ndescription:\r\nsn;lang-de: no\r\nsn: yes\r\n\r\n"+
		"ref: ldap://other/dc=b\n\nref: ldap://other/dc=a\n\nsearch: 2\nresult: 0 Success\n\n"))
	snap := read(t, s)
	want := []directory.Entry{
		{
			Kind: directory.User, ID: "11111111-0000-4000-8000-00000000000a", Source: "corp",
			DN: "uid=ada,ou=people,dc=example,dc=org", Active: true,
			Attributes: directory.Attributes{
				{Name: "cn", Values: []string{"Ada King"}}, {Name: "familyName", Values: []string{"King"}},
				{Name: "mail", Values: []string{"ada@example.org", "king@example.org"}},
				{Name: "userName", Values: []string{"ada"}},
			},
		},
		{
			Kind: directory.User, ID: "11111111-0000-4000-8000-00000000000b", Source: "corp",
			DN: "uid=jürgen,ou=people,dc=example,dc=org", Active: true,
			Attributes: directory.Attributes{
				{Name: "cn", Values: []string{"J"}}, {Name: "familyName", Values: []string{"yes"}},
				{Name: "userName", Values: []string{"jürgen"}},
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

// TestFilesAsToolsWriteThem: each is the export of one person as another tool, or another setting of one, writes it.
func TestFilesAsToolsWriteThem(t *testing.T) {
	t.Parallel()
	want := read(t, open(t, fileConfig(t, ada))).Entries
	utf16, err := unicode.UTF16(unicode.BigEndian, unicode.UseBOM).NewEncoder().String(strings.ReplaceAll(ada, "\n",
		"\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"key words in capitals": "VERSION: 1\n" + strings.Replace(ada, "dn:", "DN:", 1),
		"a blank on the separator line": "dn: ou=people,dc=example,dc=org\nobjectClass: organizationalUnit\n \n" +
			strings.TrimSuffix(ada, "\n") + " \t\n",
		"ldifde": strings.ReplaceAll(strings.Replace(ada, "objectClass",
			"changetype: add\nobjectClass", 1), "\n", "\r\n"),
		"the root DSE":           "dn:\nobjectClass: top\nnamingContexts: dc=example,dc=org\n\ndn:\n\n" + ada,
		"UTF-16 from PowerShell": utf16,
		"the same record twice":  ada + strings.Replace(ada, "uid=ada,", "UID=Ada,", 1),
		"deleted entries": ada + "dn: cn=eve\\0ADEL:1fe3ec62-01a3-48f0-a157-c9e6cf7f3cb3,cn=Deleted Objects," +
			slapdtest.Suffix + "\nobjectClass: inetOrgPerson\nentryUUID: " + uuid("eve") +
			"\ncn: eve\nsn: x\nisDeleted: TRUE\n\n" +
			"dn: nsuniqueid=66446001-1dd211b2,uid=max," + peopleDN + "\nobjectClass: inetOrgPerson\n" +
			"objectClass: nsTombstone\nentryUUID: " + uuid("max") + "\nuid: max\ncn: max\nsn: x\n\n",
		"controls": strings.Replace(ada, "objectClass",
			"control: 1.2.3 true\nchangetype: ADD\nobjectClass", 1),
		"a photo in many lines": strings.Replace(ada, "\n\n",
			"\njpegPhoto::\n"+strings.Repeat(" /9j/\n", 100_000)+"\n", 1),
		"a value with a line of blanks": strings.Replace(ada, "\n\n", "\ndescription: a\n  \n b\n\n", 1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(want, read(t, open(t, fileConfig(t, content))).Entries); diff != "" {
				t.Errorf("entries (-want +got):\n%s", diff)
			}
		})
	}
}

// TestLaw10ARecordWithAnUnreadableDNIsHeld checks that one DN that cannot be read fails no file. The entry is held
// under its id, or named by its text where it has none, and all others are read.
func TestLaw10ARecordWithAnUnreadableDNIsHeld(t *testing.T) {
	t.Parallel()
	bob := strings.NewReplacer("dn: uid=ada", "dn: uid bob", "uid: ada", "uid: bob", "00000000000A",
		"00000000000b").Replace(ada)
	for text, id := range map[string]directory.ID{
		bob: "11111111-0000-4000-8000-00000000000b",
		strings.Replace(bob, "entryUUID: 11111111-0000-4000-8000-00000000000b\n", "", 1): "",
	} {
		snap := read(t, open(t, fileConfig(t, text+ada)))
		if diff := cmp.Diff([]string{"ada"}, names(snap)); diff != "" {
			t.Errorf("entries (-want +got):\n%s", diff)
		}
		if f := snap.Findings; len(f) != 1 || f[0].ID != id || f[0].Label != "bob" ||
			!strings.Contains(f[0].Problem, "its DN cannot be read") {
			t.Errorf("findings = %+v, want bob with the id %q", f, id)
		}
	}
}

func TestFileRefused(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, content, want string }{
		{"change", ada + "dn: uid=bob,dc=example,dc=org\nchangetype: delete\n\n",
			"people.ldif, record at line 10: it is a change (changetype: delete)"},
		{"UTF-16 without a mark", "d\x00n\x00:\x00", "UTF-16 or UTF-32 without a byte order mark"},
		{"bad UTF-16", "\xff\xfed\x00\x00\xd8\n\x00", "record at line 1: the line has characters that are not UTF-16"},
		{"rename", ada + "\n\ndn: uid=bob,dc=example,dc=org\nchangetype: modrdn\nnewrdn: cn=x\ndeleteoldrdn: 1\n\n",
			"record at line 12: it is a change (changetype: modrdn)"},
		{"cut off", strings.TrimSuffix(ada, "g\n\n"), "line 8: the file ends in the middle of a line"},
		{"same DN", ada + strings.Replace(ada, "cn: Ada King", "cn: Ada", 1), "record at line 10: the DN"},
		{"URL", "dn: uid=bob,dc=example,dc=org\ncn:< file:///etc/passwd\n\n", "is a URL"},
		{"no DN", "cn: bob\n\n", "missing 'dn:'"},
		{"no colon", "dn: uid=bob,dc=example,dc=org\ncn bob\n\n", "does not begin with an attribute and a colon"},
		{"bad base64", "dn: uid=bob,dc=example,dc=org\ncn:: %%\n\n", "illegal base64"},
		{"size limit", ada + "search: 2\nresult: 4 Size limit exceeded\n\n",
			"the export is incomplete: ldapsearch ended with result 4 Size limit exceeded"},
		{"no operational attributes", strings.Replace(ada, "entryUUID: 11111111-0000-4000-8000-00000000000A\n", "", 1),
			"export operational attributes too"},
		{"empty", "", "check base_dn"},
		{"other base", strings.ReplaceAll(ada, "dc=org", "dc=net"), "check base_dn"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if err := refuse(t, open(t, fileConfig(t, tc.content)), fault.Invalid); err != nil &&
				!strings.Contains(err.Error(), tc.want) {
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
