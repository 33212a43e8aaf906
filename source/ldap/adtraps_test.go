//go:build samba

package ldap_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	goldap "github.com/go-ldap/ldap/v3"

	"rollcall/internal/sambatest"
	"rollcall/internal/secret"
	"rollcall/source/ldap"
)

// TestTrapsOfActiveDirectory: what goes wrong in ordinary domains is named by a check, before a sync meets it.
func TestTrapsOfActiveDirectory(t *testing.T) {
	t.Parallel()
	d := sambatest.Start(t)
	office := "OU=Office," + sambatest.Base
	d.Add(t, office, "objectClass", "organizationalUnit")
	for _, name := range []string{"ada", "reader"} {
		addUser(t, d, name, office)
	}
	d.Add(t, "CN=Law Firm,"+office, "objectClass", "contact", "mail", "lawfirm@example.com")
	d.Add(t, "CN=PC1,"+office, "objectClass", "computer", "sAMAccountName", "PC1$", "userAccountControl", "4096")
	d.Add(t, "CN=Staff,"+office, "objectClass", "group", "sAMAccountName", "staff", "member", "CN=ada,"+office)
	d.SetPassword(t, "reader")
	// Domain controllers are hardened by this.
	old := goldap.NewModifyRequest("CN=Pre-Windows 2000 Compatible Access,CN=Builtin,"+sambatest.Base, nil)
	old.Delete("member", []string{"CN=S-1-5-11,CN=ForeignSecurityPrincipals," + sambatest.Base})
	if err := d.Conn(t).Modify(old); err != nil {
		t.Fatal(err)
	}
	wrong := filepath.Join(t.TempDir(), "wrong.pw")
	if err := os.WriteFile(wrong, []byte("not-the-password"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name   string
		change func(*ldap.Config)
		want   []string
	}{
		{"Global Catalog", func(c *ldap.Config) { c.ServerURI += ":3268" }, []string{"Global Catalog", "389"}},
		{"hidden userAccountControl", func(c *ldap.Config) { c.BindCN = "reader@" + sambatest.Realm },
			[]string{"userAccountControl", "reader@" + sambatest.Realm}},
		{"contacts", func(c *ldap.Config) { c.UserObjectFilter = "(objectClass=contact)" },
			[]string{"of the class contact, which are no people"}},
		{"computers", func(c *ldap.Config) { c.UserObjectFilter = "(objectClass=user)" },
			[]string{"of the class computer, which are no people: use user_object_filter"}},
		{"an attribute with a slip", func(c *ldap.Config) { c.GroupMembershipField = "members" }, []string{"members"}},
		{"another family's preset", func(c *ldap.Config) {
			other := ldap.PresetConfig(ldap.PresetOpenLDAP)
			other.Slug, other.ServerURI, other.BaseDN = c.Slug, c.ServerURI, sambatest.Base
			other.BindCN, other.BindPasswordFile = c.BindCN, c.BindPasswordFile
			*c = other
		}, []string{"entryUUID", "objectGUID", "; preset: active_directory, in place of preset: openldap, sets both"}},
		{"a wrong password", func(c *ldap.Config) { c.BindPasswordFile = secret.File(wrong) }, []string{"password"}},
		{"a base that is not there", func(c *ldap.Config) { c.BaseDN = "OU=Nowhere," + sambatest.Base },
			[]string{"OU=Nowhere"}},
	} {
		c := shortest(t, d)
		tc.change(&c)
		said := ""
		if s, err := ldap.New(c, nil, ldap.Options{}); err != nil {
			said = err.Error()
		} else {
			reports, err := s.Check(t.Context())
			for i := range reports {
				said += strings.Join(reports[i].Warnings, "\n") + "\n"
			}
			said += fmt.Sprint(err)
		}
		for _, want := range tc.want {
			if !strings.Contains(said, want) {
				t.Errorf("%s: check says %q, want %q", tc.name, said, want)
			}
		}
	}
}
