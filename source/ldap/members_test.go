package ldap_test

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/internal/slapdtest"
	"rollcall/source/ldap"
)

// people is a directory on slapd with groups that name their members in every way.
func people() string {
	var b strings.Builder
	b.WriteString("dn: ou=other," + slapdtest.Suffix + "\nobjectClass: organizationalUnit\nou: other\n\n")
	user := func(n int, uid, rdn string) {
		b.WriteString(slapdtest.Entry(rdn+","+slapdtest.People, "objectClass", "inetOrgPerson", "entryUUID",
			slapdtest.UUID(n), "uid", uid, "cn", "Name "+uid, "sn", uid))
	}
	user(1, "ada", "uid=ada")
	user(2, "Bob", `cn=Name Bob`)
	user(3, "carl, jr", `uid=carl\, jr`)
	user(4, "dora", "cn=Name dora+uid=dora")
	b.WriteString(slapdtest.Entry("uid=eve,ou=other,"+slapdtest.Suffix, "objectClass", "inetOrgPerson", "entryUUID",
		slapdtest.UUID(5), "uid", "eve", "cn", "Eve", "sn", "Eve"))
	group := func(n int, class, field string, values ...string) {
		cn := "g" + string(rune('0'+n))
		pairs := []string{"objectClass", class, "entryUUID", slapdtest.UUID(slapdtest.GroupUUIDs + n), "cn", cn}
		if class == "posixGroup" {
			pairs = append(pairs, "gidNumber", "1000")
		}
		for _, v := range values {
			pairs = append(pairs, field, v)
		}
		b.WriteString(slapdtest.Entry("cn="+cn+","+slapdtest.Groups, pairs...))
	}
	group(1, "groupOfNames", "member", "UID=Ada, OU=People, DC=Example, DC=org",
		"cn=name bob,ou=people,dc=example,dc=org", `uid=carl\2C JR,ou=people,dc=example,dc=org`,
		"uid=dora+cn=Name  Dora,ou=people,dc=example,dc=org", "uid=eve,ou=other,dc=example,dc=org",
		"uid=nobody,ou=people,dc=example,dc=org", "cn=g2,ou=groups,dc=example,dc=org", "cn=g1,"+slapdtest.Groups)
	group(2, "groupOfUniqueNames", "uniqueMember", "uid=ada,"+slapdtest.People+"#'0101'B", "cn=Name Bob,"+slapdtest.People)
	group(3, "posixGroup", "memberUid", "ADA", "bob", "carl, jr", "eve", "*")
	return b.String()
}

func TestMembers(t *testing.T) {
	t.Parallel()
	server := slapdtest.Start(t, slapdtest.Options{LDIF: people()})
	for _, tc := range []struct {
		field, filter string
		group         int
		want          []directory.Ref
		outside       string
	}{
		{"member", "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames))", 1,
			[]directory.Ref{user(1), user(2), user(3), user(4), group(1), group(2)}, "2 members of 1 groups"},
		{"uniqueMember", "(objectClass=groupOfUniqueNames)", 2, []directory.Ref{user(1), user(2)}, ""},
		{"memberUid", "(objectClass=posixGroup)", 3, []directory.Ref{user(1), user(2), user(3)}, "2 members of 1 groups"},
	} {
		t.Run(tc.field, func(t *testing.T) {
			t.Parallel()
			c := config(server)
			c.GroupMembershipField, c.GroupObjectFilter = tc.field, tc.filter
			s := open(t, c)
			full := read(t, s)
			one := read(t, s, group(tc.group))
			for name, snap := range map[string]directory.Snapshot{"full": full, "by ref": one} {
				for i := range snap.Entries {
					if e := &snap.Entries[i]; e.Ref() == group(tc.group) {
						if diff := cmp.Diff(tc.want, e.Members); diff != "" {
							t.Errorf("%s: members (-want +got):\n%s", name, diff)
						}
					}
				}
				if notes := strings.Join(snap.Notes, "\n"); !strings.HasPrefix(notes, tc.outside) ||
					(notes == "") != (tc.outside == "") {
					t.Errorf("%s: notes = %q, want %q", name, notes, tc.outside)
				}
				if len(snap.Findings)+len(snap.Doubts) > 0 {
					t.Errorf("%s: findings %v, doubts %v, want none", name, snap.Findings, snap.Doubts)
				}
			}
		})
	}
}

// A server may keep two entries apart whose DNs RFC 4518 makes equal. A group has the one that it lists. A value that
// fits both holds the group.
func TestMembersWithNamesThatAreNearlyEqual(t *testing.T) {
	t.Parallel()
	person := func(n int, cn string) string {
		return slapdtest.Entry("cn="+cn+","+slapdtest.People, "objectClass", "inetOrgPerson", "entryUUID", slapdtest.UUID(n),
			"cn", cn, "sn", cn)
	}
	team := func(n int, cns ...string) string {
		pairs := []string{"objectClass", "groupOfNames", "entryUUID", slapdtest.UUID(slapdtest.GroupUUIDs + n), "cn",
			"g" + string(rune('0'+n))}
		for _, cn := range cns {
			pairs = append(pairs, "member", "cn="+cn+","+slapdtest.People)
		}
		return slapdtest.Entry("cn="+pairs[5]+","+slapdtest.Groups, pairs...)
	}
	text := person(1, "Max Strasse") + person(2, "Max Straße") + person(3, "Jürg") + team(1, "Max Strasse") +
		team(2, "MAX STRAßE") + team(3, "Max Straße", "max strasse", `J\C3\9CRG`)
	server := slapdtest.Start(t, slapdtest.Options{LDIF: text})
	file := fileConfig(t, text+team(4, "Max Stra\u017fse", "Jürg"))
	file.AdditionalUserDN, file.AdditionalGroupDN = "ou=people", "ou=groups"
	want := map[directory.Ref][]directory.Ref{group(1): {user(1)}, group(2): {user(2)},
		group(3): {user(1), user(2), user(3)}}
	for name, c := range map[string]ldap.Config{"server": config(server), "file": file} {
		for _, refs := range [][]directory.Ref{nil, {group(1), group(2), group(3)}} {
			got, snap := map[directory.Ref][]directory.Ref{}, read(t, open(t, c), refs...)
			for i := range snap.Entries {
				if e := &snap.Entries[i]; e.Kind == directory.Group {
					got[e.Ref()] = e.Members
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s, %d refs: members (-want +got):\n%s", name, len(refs), diff)
			}
			if held := name == "file" && refs == nil; held != (len(snap.Findings) == 1) ||
				held && !strings.Contains(snap.Findings[0].Problem, "several entries are equal to \"cn=Max Stra\u017fse") {
				t.Errorf("%s, %d refs: findings %+v", name, len(refs), snap.Findings)
			}
		}
	}
}

// An empty value, which a group without members needs on many servers, is not the DN of an entry with a DN that cannot
// be read. The extended form of a DN names its entry.
func TestMembersThatAreNoDNs(t *testing.T) {
	t.Parallel()
	c := (&fake{announces: paging, answer: func(q query) []message {
		switch {
		case q.base != "dc=example,dc=org":
			return []message{done(32, "")}
		case strings.Contains(q.filter, "person"):
			odd := entryOf(`cn=an "odd" name,dc=example,dc=org`, attr{"entryUUID", []string{"id-odd"}})
			return []message{person("ada"), odd, page("")}
		}
		return []message{entryOf("cn=g,dc=example,dc=org", attr{"entryUUID", []string{"g"}}, attr{"member",
			[]string{"", " ", "no DN", "<GUID=1f>;<SID=01>;uid=ada,dc=example,dc=org"}}), page("")}
	}}).start(t)
	c.SyncGroups = true
	snap := read(t, open(t, c))
	if got := snap.Entries[len(snap.Entries)-1].Members; len(got) != 1 || got[0].ID != "id-ada" {
		t.Errorf("members = %v, want ada", got)
	}
	if len(snap.Notes) != 1 || !strings.HasPrefix(snap.Notes[0], "1 members of 1 groups") {
		t.Errorf("notes = %q, want the value that is no DN", snap.Notes)
	}
}

// TestMovedMember has a user who is moved after the users were read: the group alone knows the new DN.
func TestMovedMember(t *testing.T) {
	t.Parallel()
	var moved atomic.Bool
	f := &fake{announces: paging, answer: func(q query) []message {
		switch {
		case q.base == "uid=ada,ou=new,dc=example,dc=org" && strings.Contains(q.filter, "person"):
			moved.Store(true)
			return []message{entry(q.base, "entryUUID", "id-ada"), done(0, "")}
		case q.base != "dc=example,dc=org":
			return []message{done(32, "")}
		case strings.Contains(q.filter, "person"):
			return []message{person("ada"), person("bob"), page("")}
		}
		return []message{entryOf("cn=g,dc=example,dc=org", attr{"entryUUID", []string{"g"}},
			attr{"member", []string{"uid=ada,ou=new,dc=example,dc=org", "uid=gone,dc=example,dc=org"}}), page("")}
	}}
	c := f.start(t)
	c.SyncGroups = true
	snap := read(t, open(t, c))
	want := []directory.Ref{{Kind: directory.User, ID: "id-ada"}}
	if diff := cmp.Diff(want, snap.Entries[2].Members); diff != "" || !moved.Load() {
		t.Errorf("members (-want +got):\n%s", diff)
	}
}

// TestUnusableEntries has entries that cannot be told apart: they are named. What the one without an ID shows tells
// which known entry it may be.
func TestUnusableEntries(t *testing.T) {
	t.Parallel()
	bob := strings.NewReplacer("uid=ada", "uid=bob", "uid: ada", "uid: bob", "00000000000A", "00000000000b").Replace(ada)
	double := strings.ReplaceAll(bob, "bob", "bob2")
	nameless := strings.Replace(strings.ReplaceAll(ada, "ada", "eve"), "entryUUID: "+
		"11111111-0000-4000-8000-00000000000A\n", "", 1)
	group := slapdtest.Entry("cn=g,"+slapdtest.Suffix, "objectClass", "groupOfNames", "entryUUID", slapdtest.UUID(9),
		"cn", "g",
		"member", "uid=bob,ou=people,"+slapdtest.Suffix, "member", "uid=ada,ou=people,"+slapdtest.Suffix)
	snap := read(t, open(t, fileConfig(t, ada+bob+double+nameless+group)))
	if diff := cmp.Diff([]string{"ada", "g"}, names(snap)); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	var got []string
	for _, f := range snap.Findings {
		got = append(got, string(f.ID)+" "+f.DN)
	}
	want := []string{
		" uid=eve,ou=people,dc=example,dc=org", "11111111-0000-4000-8000-00000000000b uid=bob,ou=people,dc=example,dc=org",
		"11111111-0000-4000-8000-00000000000b uid=bob2,ou=people,dc=example,dc=org",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	if f := snap.Findings[0]; f.Attributes.Get(directory.UserName) != "eve" || f.Attributes.Get(directory.Mail) == "" {
		t.Errorf("the entry without an id shows %v, want its login name and address", f.Attributes)
	}
	// A member that is held is still a member.
	if members := snap.Entries[1].Members; len(members) != 2 {
		t.Errorf("members = %v, want 2", members)
	}
}

// TestSameLoginTwice: a group with a login name that two users have cannot be used. Everything else goes on, departures
// too.
func TestSameLoginTwice(t *testing.T) {
	t.Parallel()
	other := strings.NewReplacer("uid=ada", "cn=other", "00000000000A", "00000000000b", "uid: ada",
		"uid: ADA").Replace(ada)
	of := func(id int, cn, login string) string {
		return slapdtest.Entry("cn="+cn+","+slapdtest.Suffix, "objectClass", "posixGroup", "entryUUID", string(group(id).ID),
			"cn", cn, "memberUid", "bob", "memberUid", login)
	}
	bob := strings.NewReplacer("ada", "bob", "00000000000A", "00000000000c").Replace(ada)
	c := fileConfig(t, ada+other+bob+of(8, "g", "ada")+of(9, "h", "bob"))
	c.GroupObjectFilter, c.GroupMembershipField = "(objectClass=posixGroup)", "memberUid"
	s := open(t, c)
	for _, refs := range [][]directory.Ref{nil, {group(8), group(9)}} {
		snap := read(t, s, refs...)
		if len(snap.Doubts) > 0 || len(snap.Absent) > 0 {
			t.Errorf("doubts = %q, absent = %v, want none", snap.Doubts, snap.Absent)
		}
		f := snap.Findings
		if len(f) != 1 || f[0].Ref != group(8) || !strings.Contains(f[0].Problem, `"ada"`) {
			t.Errorf("findings = %+v, want the group with ada", f)
		}
		last := snap.Entries[len(snap.Entries)-1]
		if last.Ref() != group(9) || len(last.Members) != 1 {
			t.Errorf("the last entry is %v with the members %v, want the other group with bob", last.Ref(), last.Members)
		}
	}
}

func TestIdentifierThatNobodyHas(t *testing.T) {
	t.Parallel()
	server := slapdtest.Start(t, slapdtest.Options{LDIF: people()})
	c := config(server)
	c.ObjectUniquenessField = "objectGUID"
	if err := refuse(t, open(t, c), fault.Invalid); !strings.Contains(err.Error(), "set object_uniqueness_field") {
		t.Errorf("Read() = %v, want a hint", err)
	}
	c.ObjectUniquenessField, c.UserObjectUniquenessField, c.GroupObjectUniquenessField = "", "uid", "cn"
	snap := read(t, open(t, c))
	if got := snap.Entries[1].Ref(); got != (directory.Ref{Kind: directory.User, ID: "ada"}) {
		t.Errorf("second entry = %v, want user/ada", got)
	}
}

// TestWhatIsKept reads identities through a rename and values that are hard.
func TestWhatIsKept(t *testing.T) {
	t.Parallel()
	server := slapdtest.Start(t, slapdtest.Options{LDIF: people(), PPolicy: true})
	server.Set(t, "uid=ada,"+slapdtest.People, "jpegPhoto", "\xff\xd8\xff")
	server.Rename(t, "uid=ada,"+slapdtest.People, "uid=countess", "ou=other,"+slapdtest.Suffix)
	server.Set(t, "cn=Name Bob,"+slapdtest.People, "pwdAccountLockedTime", "000001010000Z")
	c := config(server)
	c.AdditionalUserDN = ""
	snap := read(t, open(t, c, "jpegPhoto", "sn"), user(1), user(2))
	if len(snap.Entries) != 2 {
		t.Fatalf("entries = %v, want 2", names(snap))
	}
	ada := snap.Entries[0]
	if got := ada.Attributes.Get("jpegPhoto"); got != "/9j/" {
		t.Errorf("jpegPhoto = %q, want it in base64", got)
	}
	if got := ada.Attributes.Get("sn"); got != "ada" {
		t.Errorf("sn = %q, want ada", got)
	}
	if snap.Entries[1].Active {
		t.Error("an account that an administrator locked is active")
	}
}
