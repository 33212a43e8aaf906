package ldap_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"rollcall/directory"
	"rollcall/internal/slapdtest"
	"rollcall/plan"
	"rollcall/source/ldap"
)

// preset returns the configuration of a preset for an export.
func preset(t *testing.T, name, content string) ldap.Config {
	t.Helper()
	c := ldap.PresetConfig(name)
	c.Slug, c.ServerURI, c.BaseDN = "corp", fileConfig(t, content).ServerURI, slapdtest.Suffix
	return c
}

// TestPresetsInADocument: each key wins over its preset, an empty switch as well, and a document without a preset has
// the general defaults.
func TestPresetsInADocument(t *testing.T) {
	t.Parallel()
	decode := func(text string) (c ldap.Config) {
		if err := yaml.Unmarshal([]byte(text), &c); err != nil {
			t.Fatal(err)
		}
		return c
	}
	want := ldap.PresetConfig("active_directory")
	want.PageSize, want.PrimaryGroups, want.NoAddress = 50, false, plan.AddresslessHold
	got := decode("page_size: 50\nprimary_groups: false\nno_address: hold\npreset: active_directory\n")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("a preset with keys (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(ldap.DefaultConfig(), decode("slug: ''")); diff != "" {
		t.Errorf("no preset (-want +got):\n%s", diff)
	}
	for _, name := range ldap.PresetNames() {
		c := ldap.PresetConfig(name)
		c.Slug, c.ServerURI = "corp", "ldaps://ldap.example.org"
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !c.Enabled || !c.SyncUsers || !c.SyncGroups || c.NoAddress != plan.AddresslessLeaveOut {
			t.Errorf("%s = %+v, want everything read and entries without an address left out", name, c)
		}
	}
	c := ldap.PresetConfig("novell")
	c.GroupMembershipField = "member,memberURL"
	c.NoAddress = "drop"
	for _, want := range []string{"preset: \"novell\" is unknown", "no_address: \"drop\" is unknown",
		"group_membership_field: memberURL has a search and no members"} {
		if err := c.Validate(); !strings.Contains(err.Error(), want) {
			t.Errorf("Validate() = %v, want %q", err, want)
		}
	}
}

// TestPresetOfFreeIPA: the base may be the suffix or what the preset puts in front of it, and the compat tree is out.
func TestPresetOfFreeIPA(t *testing.T) {
	t.Parallel()
	const users, groups = "cn=users,cn=accounts," + slapdtest.Suffix, "cn=groups,cn=accounts," + slapdtest.Suffix
	person := func(uid, dn string, more ...string) string {
		return slapdtest.Entry(dn, append([]string{"objectClass", "person", "objectClass", "posixAccount", "uid", uid, "cn",
			uid,
			"sn", uid, "ipaUniqueID", uuid(uid)}, more...)...)
	}
	content := person("ada", "uid=ada,"+users) + person("bob", "uid=bob,"+users, "nsAccountLock", "TRUE", "shadowExpire",
		"1") +
		person("carl", "uid=carl,"+users, "shadowExpire", "1") +
		person("eve", "uid=eve,cn=deleted users,cn=accounts,cn=provisioning,"+slapdtest.Suffix) +
		slapdtest.Entry("uid=ada,cn=users,cn=compat,"+slapdtest.Suffix, "objectClass", "posixAccount", "uid", "ada", "cn",
			"ada") +
		slapdtest.Entry("cn=staff,"+groups, "objectClass", "ipaUserGroup", "cn", "staff", "ipaUniqueID", uuid("staff"),
			"member", "uid=ada,"+users)
	for _, base := range []string{slapdtest.Suffix, "cn=accounts," + slapdtest.Suffix} {
		c := preset(t, "freeipa", content)
		c.BaseDN = base
		snap := read(t, open(t, c))
		if diff := cmp.Diff([]string{"ada", "bob", "carl", "staff"}, names(snap)); diff != "" || len(snap.Findings) > 0 {
			t.Errorf("%s: entries (-want +got):\n%s%v", base, diff, snap.Findings)
			continue
		}
		active := map[string]bool{}
		for _, e := range snap.Entries {
			active[e.Attributes.Get(directory.CommonName)] = e.Active
		}
		if !active["ada"] || active["bob"] || !active["carl"] {
			t.Errorf("active = %v, want nsAccountLock to count and shadowExpire not", active)
		}
	}
}

// TestPresetOfEDirectory: the GUID has its canonical text and is found by it again, and loginDisabled counts.
func TestPresetOfEDirectory(t *testing.T) {
	t.Parallel()
	const guid = "\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee"
	person := func(cn, last string, more ...string) string {
		return slapdtest.Entry("cn="+cn+","+peopleDN, append([]string{"objectClass", "inetOrgPerson", "cn", cn, "sn", cn,
			"GUID", guid + last}, more...)...)
	}
	content := person("ada", "\xff") + person("bob", "\xfe", "loginDisabled", "TRUE") +
		person("carl", "\xfd", "loginExpirationTime", "20010101000000Z") +
		person("dora", "\xfc", "loginDisabled", "FALSE", "loginExpirationTime", "29990101000000Z") +
		slapdtest.Entry("cn=g,"+groupsDN, "objectClass", "groupOfNames", "cn", "g", "GUID", guid+"\x01", "member",
			"cn=ada,"+peopleDN)
	s := open(t, preset(t, "edirectory", content))
	snap := read(t, s)
	got := map[directory.ID]bool{}
	for _, e := range snap.Entries {
		got[e.ID] = e.Active
	}
	const id = "00112233-4455-6677-8899-aabbccddee"
	if diff := cmp.Diff(map[directory.ID]bool{id + "ff": true, id + "fe": false, id + "fd": false, id + "fc": true,
		id + "01": true},
		got); diff != "" {
		t.Errorf("active by id (-want +got):\n%s", diff)
	}
	one := read(t, s, directory.Ref{Kind: directory.User, ID: id + "ff"})
	if len(one.Entries) != 1 || one.Entries[0].Attributes.Get(directory.UserName) != "ada" {
		t.Errorf("read by id = %v, want ada", one.Entries)
	}
}

// TestPresetOfOpenLDAP: members are named in three ways, in one group as well, and a group whose members are a search
// alone is held and named.
func TestPresetOfOpenLDAP(t *testing.T) {
	t.Parallel()
	content := someone("ada") + someone("bob") + someone("carl") +
		slapdtest.Entry("cn=mixed,"+groupsDN, "objectClass", "posixGroup", "entryUUID", uuid("mixed"), "cn", "mixed",
			"gidNumber", "1", "member", "uid=ada,"+peopleDN, "memberUid", "BOB", "memberUid", "nobody",
			"uniqueMember", "uid=carl,"+peopleDN+"#'01'B") +
		slapdtest.Entry("cn=dynamic,"+groupsDN, "objectClass", "groupOfURLs", "entryUUID", uuid("dynamic"), "cn", "dynamic",
			"memberURL", "ldap:///"+peopleDN+"??sub?(uid=a*)")
	s := open(t, preset(t, "openldap", content))
	mixed := directory.Ref{Kind: directory.Group, ID: directory.ID(uuid("mixed"))}
	for name, snap := range map[string]directory.Snapshot{"full": read(t, s), "by ref": read(t, s, mixed)} {
		group := snap.Entries[len(snap.Entries)-1]
		if len(group.Members) != 3 || !strings.Contains(strings.Join(snap.Notes, "\n"), "nobody of cn=mixed") {
			t.Errorf("%s: members %v, notes %q, want three members and nobody left out", name, group.Members, snap.Notes)
		}
	}
	findings := read(t, s).Findings
	if len(findings) != 1 || !strings.Contains(findings[0].Problem, "its members are given by memberURL, a search") {
		t.Errorf("findings = %v, want the dynamic group named", findings)
	}
}
