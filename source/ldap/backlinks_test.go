package ldap_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/internal/slapdtest"
	"rollcall/source/ldap"
)

// named is a person who names groups in an attribute.
func named(n int, uid, attr string, groups ...string) string {
	pairs := []string{"objectClass", "inetOrgPerson", "entryUUID", slapdtest.UUID(n), "uid", uid, "cn", uid, "sn", uid}
	for _, g := range groups {
		pairs = append(pairs, attr, g)
	}
	return slapdtest.Entry("uid="+uid+","+slapdtest.People, pairs...)
}

func sect(n int, cn string, members ...string) string {
	pairs := []string{"objectClass", "groupOfNames", "entryUUID", slapdtest.UUID(slapdtest.GroupUUIDs + n), "cn", cn}
	for _, m := range members {
		pairs = append(pairs, "member", m)
	}
	return slapdtest.Entry("cn="+cn+","+slapdtest.Groups, pairs...)
}

// backlinked has people who name their groups, and a group that lists a member, too. One of the groups is not in
// scope.
func backlinked(attr string) string {
	sales, staff := "CN=Sales, ou=groups,"+slapdtest.Suffix, "cn=staff,"+slapdtest.Groups
	return named(1, "ada", attr, sales, staff) + named(2, "bob", attr, sales, "cn=gone,"+slapdtest.Groups) +
		named(3, "carl", attr) + named(4, "dora", attr, "cn=staff,"+slapdtest.Groups) +
		sect(1, "sales", "uid=carl,"+slapdtest.People) + sect(2, "staff", "uid=dora,"+slapdtest.People) +
		sect(3, "empty", "cn=staff,"+slapdtest.Groups)
}

// A group has the users that name it, and the members that it lists. A read of single entries gives the same, from a
// server and from a file.
func TestUsersThatNameTheirGroups(t *testing.T) {
	t.Parallel()
	server := slapdtest.Start(t, slapdtest.Options{LDIF: backlinked("seeAlso")})
	live, file := config(server), fileConfig(t, backlinked("memberOf"))
	live.UserMembershipField, file.UserMembershipField = "seeAlso", "memberOf"
	want := map[directory.Ref][]directory.Ref{
		group(1): {user(1), user(2), user(3)}, group(2): {user(1), user(4)}, group(3): {group(2)},
	}
	for name, c := range map[string]ldap.Config{"server": live, "file": file} {
		s := open(t, c)
		for how, snap := range map[string]directory.Snapshot{"full": read(t, s), "by ref": read(t, s, group(1), group(2),
			group(3))} {
			got := map[directory.Ref][]directory.Ref{}
			for i := range snap.Entries {
				if e := &snap.Entries[i]; e.Kind == directory.Group {
					got[e.Ref()] = e.Members
				}
			}
			if diff := cmp.Diff(want, got); diff != "" || len(snap.Findings)+len(snap.Doubts) > 0 {
				t.Errorf("%s, %s: findings %v, doubts %v, members (-want +got):\n%s", name, how, snap.Findings, snap.Doubts, diff)
			}
		}
		belongs := map[directory.Ref][]directory.Ref{user(2): {group(1)}, user(3): {}, user(1): {group(1), group(2)}}
		if diff := cmp.Diff(belongs, read(t, s, user(1), user(2), user(3)).Belongs); diff != "" {
			t.Errorf("%s: groups of the users (-want +got):\n%s", name, diff)
		}
	}
}

// The count of users that name a group is covered: a fall of it is a doubt about members.
func TestTheAttributeOfUsersIsCovered(t *testing.T) {
	t.Parallel()
	c := fileConfig(t, backlinked("memberOf"))
	c.UserMembershipField = "memberOf"
	all := read(t, open(t, c)).Coverage
	at := slices.IndexFunc(all, func(c directory.Coverage) bool { return c.Name == "memberOf" })
	want := directory.Coverage{Kind: directory.User, Name: "memberOf", Entries: 3, Members: true, Lists: true,
		Of: []directory.ID{directory.ID(slapdtest.UUID(1)), directory.ID(slapdtest.UUID(2)), directory.ID(slapdtest.UUID(4))}}
	if at < 0 || !cmp.Equal(all[at], want) {
		t.Errorf("coverage = %+v, want %+v", all, want)
	}
}

// An attribute that names no entries is refused, one that the server computes gives no delta runs, and check says what
// is wrong with it.
func TestAnAttributeOfUsersThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	server := slapdtest.Start(t, slapdtest.Options{LDIF: backlinked("seeAlso"), SyncProv: true, SessionLog: 100})
	c := config(server)
	c.UserMembershipField = "title"
	_, err := open(t, c).Read(t.Context(), directory.Query{})
	if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "the values of title are no DNs") {
		t.Errorf("Read() = %v, want a refusal of title", err)
	}
	c.UserMembershipField = "memberOf"
	if got := follow(t, open(t, c), start(t, open(t, config(server)))); !strings.Contains(got.Whole, "memberOf changes") {
		t.Errorf("Changes() = %+v, want the reason to read everything", got)
	}
	_, err = open(t, c).Check(t.Context())
	const why = `user_membership_field: the server's schema has no attribute "memberOf"`
	if err == nil || !strings.Contains(err.Error(), why) {
		t.Errorf("Check() = %v, want the missing attribute", err)
	}
	c.UserMembershipField = "manager"
	reports, err := open(t, c).Check(t.Context())
	if err != nil || !slices.ContainsFunc(reports[0].Warnings, func(w string) bool {
		return strings.HasPrefix(w, "user_membership_field: none of the entries on the first page has manager")
	}) {
		t.Errorf("Check() = %+v, %v, want a warning of manager", reports, err)
	}
	c.SyncUsers = false
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "user_membership_field: it needs sync_users") {
		t.Errorf("Validate() = %v, want the missing users", err)
	}
}

// A bind account that may read the attribute of users and not search in it gets full syncs right, and others wrong.
func TestCheckSearchesForTheGroupsThatUsersName(t *testing.T) {
	t.Parallel()
	server := slapdtest.Start(t, slapdtest.Options{LDIF: backlinked("seeAlso")})
	c := config(server)
	c.UserMembershipField = "seeAlso"
	for _, rule := range []string{"", "to attrs=seeAlso by * =rd"} {
		if rule != "" {
			server.Access(t, rule, "to * by * read")
		}
		reports, err := open(t, c).Check(t.Context())
		if err != nil || len(reports) != 1 {
			t.Fatalf("%q: Check() = %+v, %v", rule, reports, err)
		}
		said := slices.ContainsFunc(reports[0].Warnings, func(w string) bool {
			return strings.HasPrefix(w, "user_membership_field: uid=ada,"+slapdtest.People) &&
				strings.Contains(w, "a search for (seeAlso=CN=Sales, ou=groups,"+slapdtest.Suffix+") finds nobody")
		})
		if said != (rule != "") {
			t.Errorf("%q: warnings %q", rule, reports[0].Warnings)
		}
	}
}
