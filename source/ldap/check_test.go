package ldap_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
	"rollcall/internal/secret"
	"rollcall/internal/slapdtest"
	"rollcall/source/ldap"
)

func check(t *testing.T, c ldap.Config) []ldap.Report {
	t.Helper()
	reports, err := open(t, c).Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return reports
}

func TestCheck(t *testing.T) {
	t.Parallel()
	server := slapdtest.Start(t, slapdtest.Options{LDIF: slapdtest.Generate(30, 2, 3), TLS: true})
	c := config(server)
	c.ServerURI, c.CAFile, c.PageSize = server.LDAPSURL, secret.PublicFile(server.CAFile), 10
	got := check(t, c)
	want := []ldap.Report{{
		Server: server.LDAPSURL, Family: "OpenLDAP", TLS: "TLS 1.3", Contexts: []string{slapdtest.Suffix}, Paging: true,
		Users:  ldap.Sample{Searched: true, Count: 10, More: true, Example: slapdtest.UserDN(0)},
		Groups: ldap.Sample{Searched: true, Count: 2, Example: slapdtest.GroupDN(0)},
	}}
	for i := range got {
		r := &got[i]
		if len(r.Users.Entries) != r.Users.Count || len(r.Groups.Entries) != r.Groups.Count ||
			r.Users.Entries[0].Attributes.Get(directory.Mail) == "" {
			t.Errorf("entries of the first page = %+v and %+v, want all of them", r.Users.Entries, r.Groups.Entries)
		}
		r.Users.Entries, r.Groups.Entries = nil, nil
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Check() (-want +got):\n%s", diff)
	}
	c.UserObjectFilter = "(uid=nobody)"
	if got := check(t, c)[0]; len(got.Warnings) != 1 || !strings.Contains(got.Warnings[0], "no users below") {
		t.Errorf("Check() warns %q, want that nobody is there", got.Warnings)
	}
}

// TestCheckFailsWhereASyncWould has configurations and directories, each with one mistake. The first has none.
func TestCheckFailsWhereASyncWould(t *testing.T) {
	t.Parallel()
	server := slapdtest.Start(t, slapdtest.Options{LDIF: slapdtest.Generate(30, 2, 3)})
	posixGroups := func(c *ldap.Config) { c.GroupObjectFilter = "(objectClass=posixGroup)" }
	for _, tc := range []struct {
		name   string
		change func(*ldap.Config)
		mapped string
		file   string
		fails  string
		warns  string
	}{
		{name: "a good configuration"},
		{name: "ids of another family", change: func(c *ldap.Config) { c.ObjectUniquenessField = "objectGUID" },
			fails: "30 of 30 users have no usable objectGUID, such as " + slapdtest.UserDN(0) + ": entryUUID is on all of them"},
		{name: "ids of groups alone", change: func(c *ldap.Config) { c.GroupObjectUniquenessField = "gidNumberr" },
			fails: `group_object_uniqueness_field: the server's schema has no attribute "gidNumberr"`},
		{name: "membership", change: func(c *ldap.Config) { c.GroupMembershipField = "members" },
			fails: `group_membership_field: the server's schema has no attribute "members": every group would be empty`},
		{name: "membership that no group has", change: func(c *ldap.Config) { c.GroupMembershipField = "uniqueMember" },
			warns: "none of the entries on the first page has uniqueMember; groups there have member: set " +
				"group_membership_field: member"},
		{name: "members by login names", change: posixGroups,
			file:  someone("a") + team("h", "objectClass", "posixGroup", "gidNumber", "1", "memberUid", "A"),
			warns: "has member; groups there have memberUid: set group_membership_field: memberUid"},
		{name: "groups that only users name", change: posixGroups,
			file: someone("a", "memberOf", "cn=h,"+slapdtest.Groups) +
				team("h", "objectClass", "posixGroup", "gidNumber", "1"),
			warns: "has member; users there name their groups in memberOf: set user_membership_field: memberOf"},
		{name: "login name", change: func(c *ldap.Config) { c.UserNameField = "uidd" },
			fails: `user_name_field: the server's schema has no attribute "uidd"`},
		{name: "filter", change: func(c *ldap.Config) { c.UserObjectFilter = "(&(objectClass=person)(!(emplyeeType=x)))" },
			fails: `user_object_filter: the server's schema has no attribute "emplyeeType"`},
		{name: "mapping", mapped: "telephon", warns: "a mapping asks for ldap.telephon: the server's schema has no such " +
			"attribute"},
		{name: "mapping that no entry has", mapped: "roomNumber", warns: "a mapping: none of the entries on the first " +
			"page has ldap.roomNumber"},
		{name: "another name of an attribute", mapped: "surname"},
		{name: "filters of another family",
			change: func(c *ldap.Config) { c.UserObjectFilter = "(&(objectCategory=person)(objectClass=user))" },
			fails: "is written for another family of servers and finds 0 users; on OpenLDAP this one finds 30: " +
				"user_object_filter: (objectClass=inetOrgPerson)"},
		{name: "shared ids", file: someone("a") + someone("b", "cn", "x") +
			strings.Replace(someone("c"), uuid("c"), uuid("a"), 1), fails: "share the unique id"},
		{name: "not UTF-8", file: someone("a", "title", "x") + someone("b", "title", "\xe9"), mapped: "title",
			warns: "the user uid=b," + slapdtest.People + ` will be held: its title is not UTF-8: "\xe9"`},
		{name: "no id at all", file: slapdtest.Entry("uid=a,"+slapdtest.People, "objectClass", "inetOrgPerson", "uid", "a"),
			fails: "1 of 1 users have no usable entryUUID"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := config(server)
			if tc.file != "" {
				c = fileConfig(t, tc.file+team("g", "member", "uid=a,"+slapdtest.People))
			}
			if tc.change != nil {
				tc.change(&c)
			}
			var mapped []string
			if tc.mapped != "" {
				mapped = []string{tc.mapped}
			}
			reports, err := open(t, c, mapped...).Check(t.Context())
			if (err != nil) != (tc.fails != "") || !strings.Contains(fmt.Sprint(err), tc.fails) {
				t.Errorf("Check() = %v, want %q", err, tc.fails)
			}
			if len(reports) != 1 {
				t.Fatalf("%d reports, want one", len(reports))
			}
			if warnings := strings.Join(reports[0].Warnings, "\n"); !strings.Contains(warnings, tc.warns) || tc.warns == "" &&
				tc.fails == "" && warnings != "" {
				t.Errorf("Check() warns %q, want %q", warnings, tc.warns)
			}
		})
	}
}

func TestCheckNamesEveryServer(t *testing.T) {
	t.Parallel()
	server := slapdtest.Start(t, slapdtest.Options{LDIF: slapdtest.Generate(1, 0, 0)})
	c := config(server)
	c.ServerURI = "ldap://127.0.0.1:1," + server.URL
	reports, err := open(t, c).Check(t.Context())
	if len(reports) != 1 || !strings.Contains(fmt.Sprint(err), "connect to ldap://127.0.0.1:1:") {
		t.Errorf("Check() = %d reports, %v, want one report and the other server's error", len(reports), err)
	}
}

func TestCheckFile(t *testing.T) {
	t.Parallel()
	got := check(t, fileConfig(t, slapdtest.Generate(1500, 1, 1)))[0]
	if !got.Users.More || got.Users.Count != 1000 || got.Groups.Count != 1 || len(got.Warnings) > 0 {
		t.Errorf("Check() = %+v, want 1000 users and more, one group, no warnings", got)
	}
}
