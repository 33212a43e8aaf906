//go:build samba

package ldap_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	server "github.com/go-ldap/ldap/v3"
	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/internal/sambatest"
	"rollcall/internal/secret"
	"rollcall/source/ldap"
)

// domain fills an Active Directory domain and returns a configuration for it.
func domain(t *testing.T) (*sambatest.Domain, ldap.Config) {
	t.Helper()
	d := sambatest.Start(t)
	people, alumni := "OU=People,"+sambatest.Base, "OU=Alumni,"+sambatest.Base
	d.Add(t, people, "objectClass", "organizationalUnit")
	d.Add(t, alumni, "objectClass", "organizationalUnit")
	// 544 is a normal account that needs no password; 2 more disables it.
	user := func(name, control string, more ...string) {
		d.Add(t, "CN="+name+","+people, append([]string{"objectClass", "user", "sAMAccountName", strings.ToLower(name[:3]),
			"userAccountControl", control}, more...)...)
	}
	user("Ada King", "544", "givenName", "Ada", "sn", "King", "mail", "ada@example.test", "employeeID", "42",
		"displayName", "Ada King")
	user(`Bob\, Jr`, "546")
	user("Carl", "544", "accountExpires", "132223104000000000")
	d.Add(t, "CN=Staff,"+people, "objectClass", "group", "sAMAccountName", "staff", "member", "CN=Ada King,"+people,
		"member", `CN=Bob\2C Jr,`+people)
	d.Add(t, "CN=All,"+people, "objectClass", "group", "sAMAccountName", "all", "member", "CN=Staff,"+people, "member",
		"CN=Carl,"+people)
	c := ldap.DefaultConfig()
	c.Slug, c.ServerURI, c.BaseDN = "ad", d.URL, sambatest.Base
	c.BindCN, c.BindPasswordFile = sambatest.Administrator, secret.File(d.PasswordFile)
	c.ObjectUniquenessField, c.UserObjectFilter, c.GroupObjectFilter = "objectGUID",
		"(&(objectCategory=person)(objectClass=user))", "(objectClass=group)"
	c.PageSize = 7
	return d, c
}

func TestActiveDirectory(t *testing.T) {
	t.Parallel()
	d, c := domain(t)
	s := open(t, c, "userPrincipalName", "objectSid")
	snap := read(t, s)
	entries := byName(snap)
	ada, bob, carl, staff, all := entries["Ada King"], entries["Bob, Jr"], entries["Carl"], entries["Staff"],
		entries["All"]
	if guid := regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`); !guid.MatchString(string(ada.ID)) {
		t.Errorf("ID = %q, want a GUID", ada.ID)
	}
	sid := ada.Attributes.Get("objectSid")
	want := directory.Attributes{
		{Name: "cn", Values: []string{"Ada King"}}, {Name: "displayName", Values: []string{"Ada King"}},
		{Name: "employeeNumber", Values: []string{"42"}},
		{Name: "familyName", Values: []string{"King"}}, {Name: "givenName", Values: []string{"Ada"}},
		{Name: "mail", Values: []string{"ada@example.test"}},
		{Name: "objectSid", Values: []string{sid}}, {Name: "userName", Values: []string{"ada"}},
	}
	if diff := cmp.Diff(want, ada.Attributes); diff != "" || !strings.HasPrefix(sid, "S-1-5-21-") {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	if got, want := [3]bool{ada.Active, bob.Active, carl.Active}, [3]bool{true, false, false}; got != want {
		t.Errorf("active = %v, want %v (disabled, expired)", got, want)
	}
	if len(staff.Members) != 2 || len(all.Members) != 2 || all.Members[1] != staff.Ref() {
		t.Errorf("members = %v and %v, want two each", staff.Members, all.Members)
	}
	if len(snap.Referrals) == 0 || len(snap.Findings)+len(snap.Doubts) > 0 {
		t.Errorf("referrals %q, findings %v, doubts %v, want referrals alone", snap.Referrals, snap.Findings, snap.Doubts)
	}

	d.Rename(t, "CN=Ada King,OU=People,"+sambatest.Base, "CN=Ada Lovelace", "OU=Alumni,"+sambatest.Base)
	again := read(t, s, ada.Ref(), staff.Ref(), directory.Ref{Kind: directory.User, ID: staff.ID})
	if len(again.Entries) != 2 || !strings.Contains(again.Entries[0].DN, "Lovelace") ||
		!cmp.Equal(again.Entries[1].Members, staff.Members) {
		t.Errorf("after the move: %v, want the same user and the same members", again.Entries)
	}
	if len(again.Absent) != 1 {
		t.Errorf("absent = %v, want the group that was asked for as a user", again.Absent)
	}
	if got := byName(read(t, s))["Staff"].Members; !cmp.Equal(got, staff.Members) {
		t.Errorf("members after the move = %v, want %v", got, staff.Members)
	}

	c.ObjectUniquenessField = "objectSid"
	if got := read(t, open(t, c), directory.Ref{Kind: directory.User, ID: directory.ID(sid)}); len(got.Entries) != 1 {
		t.Errorf("read by objectSid = %v, want one entry", got.Entries)
	}
	if later := read(t, s).Position; snap.Position.IsZero() || later.Compare(snap.Position) != directory.Newer ||
		!strings.Contains(later.Name, "Active Directory DC1") {
		t.Errorf("positions %v and %v, want a newer one after changes", snap.Position, later)
	}
	c.PageSize = 1000 // A check reads the first page, and the server's order of groups changes with their ids.
	report := check(t, c)[0]
	if len(report.Warnings) != 1 || !strings.Contains(report.Warnings[0], "groups are built into Active Directory") {
		t.Errorf("Check() warns %q, want the built-in groups", report.Warnings)
	}
	every := c.GroupObjectFilter
	c.GroupObjectFilter = "(&(objectClass=group)(!(isCriticalSystemObject=TRUE)))"
	report = check(t, c)[0]
	c.GroupObjectFilter = every
	if report.Family != "Active Directory" || !report.Paging || len(report.Warnings) > 0 {
		t.Errorf("Check() = %+v, want Active Directory without warnings", report)
	}
	c.ObjectUniquenessField = "entryUUID"
	refuse(t, open(t, c), fault.Invalid)
	if _, err := open(t, c).Check(t.Context()); !strings.Contains(fmt.Sprint(err), "objectGUID is on all of them") {
		t.Errorf("Check() = %v, want objectGUID recommended", err)
	}
	c.ObjectUniquenessField, c.UserObjectFilter = "objectGUID", "(objectClass=inetOrgPerson)"
	if _, err := open(t, c).Check(t.Context()); !strings.Contains(fmt.Sprint(err),
		"is written for another family of servers and finds 0 users; on Active Directory") {
		t.Errorf("Check() = %v, want the filter of another family named", err)
	}
	c.BindCN = "Nobody@" + sambatest.Realm
	refuse(t, open(t, c), fault.Denied)
	c.BindCN, c.BindPasswordFile = "", ""
	refuse(t, open(t, c), fault.Denied)
}

// A change of linked values, such as the members of a group, raises uSNChanged of the entry that has them. The reads of
// values in several answers depend on it.
func TestMembersRaiseUSNChanged(t *testing.T) {
	t.Parallel()
	d, _ := domain(t)
	conn := d.Conn(t)
	staff, carl := "CN=Staff,OU=People,"+sambatest.Base, "CN=Carl,OU=People,"+sambatest.Base
	number := func() string {
		got, err := conn.Search(server.NewSearchRequest(staff, server.ScopeBaseObject, server.NeverDerefAliases, 0, 0, false,
			"(objectClass=*)", []string{"uSNChanged"}, nil))
		if err != nil {
			t.Fatal(err)
		}
		return got.Entries[0].GetAttributeValue("uSNChanged")
	}
	last := number()
	add, remove := server.NewModifyRequest(staff, nil), server.NewModifyRequest(staff, nil)
	add.Add("member", []string{carl})
	remove.Delete("member", []string{carl})
	for _, m := range []*server.ModifyRequest{add, remove} {
		if err := conn.Modify(m); err != nil {
			t.Fatal(err)
		}
		now := number()
		t.Logf("uSNChanged %s, was %s", now, last)
		if now == last {
			t.Errorf("uSNChanged is still %s after %+v", now, m.Changes)
		}
		last = now
	}
}
