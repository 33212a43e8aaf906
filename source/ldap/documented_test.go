package ldap_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"rollcall/internal/slapdtest"
	"rollcall/source/ldap"
)

// Each page about a family of servers has a configuration. With an ordinary directory of that family, check finds
// nothing wrong with it and warns of nothing. OpenLDAP is a server here, and the others are files.
func TestDocumentedSourcesPassTheirCheck(t *testing.T) {
	t.Parallel()
	guid := func(last string) string { return strings.Repeat("\x11", 15) + last }
	unique := map[string][3]string{ // the attribute of unique ids, and two of them
		"openldap": {"entryUUID", uuid("ada"), uuid("staff")}, "freeipa": {"ipaUniqueID", uuid("ada"), uuid("staff")},
		"389ds":            {"nsUniqueId", "1111-1111-1111-0001", "1111-1111-1111-0002"},
		"edirectory":       {"GUID", guid("\x01"), guid("\x02")},
		"active_directory": {"objectGUID", guid("\x01"), guid("\x02")},
	}
	documented := map[string]bool{}
	for name, c := range documentedSources(t) {
		id, known := unique[c.Preset]
		if !known {
			t.Errorf("%s: no directory for the preset %q", name, c.Preset)
			continue
		}
		documented[c.Preset] = true
		users, groups, user, group := c.AdditionalUserDN, c.AdditionalGroupDN, "inetOrgPerson", "groupOfNames"
		more := []string{"uid", "ada"}
		switch c.Preset {
		case "active_directory":
			c.BaseDN, user, group = "dc=ad,dc=example,dc=com", "user", "group"
			more = []string{"sAMAccountType", "805306368", "sAMAccountName", "ada", "userAccountControl", "512",
				"accountExpires", "0", "primaryGroupID", "513", "objectSid", "S-1-5-21-1-2-3-1001"}
		case "freeipa":
			user, group = "posixAccount", "ipaUserGroup"
			users, groups = "cn=users,cn=accounts", "cn=groups,cn=accounts"
		}
		under := func(rdn, unit string) string {
			return strings.ReplaceAll(rdn+","+unit+","+c.BaseDN, ",,", ",")
		}
		ada := under("cn=ada", users)
		text := slapdtest.Entry(c.BaseDN, "objectClass", "domain") +
			slapdtest.Entry(ada, append([]string{"objectClass", "person", "objectClass", user, "cn", "ada",
				"sn", "North", "givenName", "Ada", "displayName", "Ada", "mail", "ada@example.com",
				"employeeNumber", "1", id[0], id[1]}, more...)...) +
			slapdtest.Entry(under("cn=staff", groups), "objectClass", group, "cn", "staff", "member", ada, id[0], id[2])
		c.ServerURI, c.BindCN, c.BindPasswordFile, c.CAFile = fileConfig(t, text).ServerURI, "", "", ""
		if c.Preset == "openldap" {
			c.ServerURI = slapdtest.Start(t, slapdtest.Options{LDIF: slapdtest.Generate(3, 1, 2)}).URL
			c.BaseDN = slapdtest.Suffix
		}
		reports, err := open(t, c).Check(t.Context())
		if err != nil || len(reports) != 1 || len(reports[0].Warnings) > 0 || reports[0].Users.Count == 0 ||
			reports[0].Groups.Count == 0 {
			t.Errorf("%s: Check() = %+v, %v; want users, groups and no warning", name, reports, err)
		}
	}
	for _, name := range ldap.PresetNames() {
		if !documented[name] {
			t.Errorf("no page has a configuration with preset: %s", name)
		}
	}
}

// documentedSources returns the sources with a preset in the documentation, by page.
func documentedSources(t *testing.T) map[string]ldap.Config {
	t.Helper()
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]ldap.Config{}
	blocks := regexp.MustCompile("(?ms)^```yaml\n(.*?)^```")
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range blocks.FindAllStringSubmatch(string(text), -1) {
			var doc struct {
				Sources struct {
					LDAP []ldap.Config `yaml:"ldap"`
				} `yaml:"sources"`
			}
			if err := yaml.Unmarshal([]byte(block[1]), &doc); err != nil {
				continue // a part of another document
			}
			if i := slices.IndexFunc(doc.Sources.LDAP, func(c ldap.Config) bool { return c.Preset != "" }); i >= 0 {
				out[filepath.Base(page)] = doc.Sources.LDAP[i]
			}
		}
	}
	return out
}
