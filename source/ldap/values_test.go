package ldap_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/internal/slapdtest"
	"rollcall/source/ldap"
)

const peopleDN, groupsDN = slapdtest.People, slapdtest.Groups

// uuid makes an entryUUID of a name.
func uuid(name string) string {
	return fmt.Sprintf("%-8.8x-0000-4000-8000-000000000000", name+"\x00\x00\x00\x00")
}

// someone returns a person in LDIF, with pairs after the attributes that all persons have.
func someone(uid string, pairs ...string) string {
	return slapdtest.Entry("uid="+uid+","+peopleDN, append([]string{"objectClass", "inetOrgPerson", "entryUUID",
		uuid(uid), "uid", uid, "cn", uid, "sn", uid}, pairs...)...)
}

func team(cn string, pairs ...string) string {
	return slapdtest.Entry("cn="+cn+","+groupsDN, append([]string{"objectClass", "groupOfNames", "entryUUID", uuid(cn),
		"cn", cn}, pairs...)...)
}

// TestTextThatIsNotUTF8: a value of a text attribute that is not UTF-8 holds its entry, which is named with the
// attribute. All other entries, and memberships of the held one, go on.
func TestTextThatIsNotUTF8(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ bad, attr string }{
		"family name": {someone("luis", "givenName", "L", "cn", "x", "sn", "Mu\xf1oz"),
			`its sn is not UTF-8: "Mu\xf1oz" (ISO 8859-1? Then it reads "Muñoz"`},
		"a later value": {someone("luis", "mail", "a@example.org", "mail", "b\xe4@example.org"),
			"its mail is not UTF-8"},
		"a cut character":    {someone("luis", "displayName", "Lui\xc3"), "its displayName is not UTF-8"},
		"mapped attribute":   {someone("luis", "title", "Chef d'\xe9quipe"), "its title is not UTF-8"},
		"under another name": {someone("luis", "2.5.4.12", "Chef d'\xe9quipe"), "its title is not UTF-8"},
		"unique id": {slapdtest.Entry("uid=luis,"+peopleDN, "objectClass", "inetOrgPerson", "entryUUID",
			"id-\xff", "uid", "luis", "sn", "x"), "its entryUUID cannot be used: not UTF-8"},
		"DN": {slapdtest.Entry("uid=lu\xeds,"+peopleDN, "objectClass", "inetOrgPerson", "entryUUID",
			uuid("luis"), "uid", "luis", "sn", "x"), "its DN is not UTF-8"},
		"member of a group": {team("odd", "member", "uid=ada,"+peopleDN, "member", "uid=lu\xeds,"+peopleDN),
			"a value of its member is not UTF-8"},
		"description of a group": {team("odd", "description", "Caf\xe9"), "its description is not UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, fileConfig(t, someone("ada")+team("staff", "member", "uid=ada,"+peopleDN, "member",
				"uid=luis,"+peopleDN)+tc.bad), "title")
			snap := read(t, s)
			if got := names(snap); !slices.Equal(got, []string{"ada", "staff"}) {
				t.Errorf("entries = %v, want ada and staff", got)
			}
			if len(snap.Findings) != 1 || !strings.Contains(snap.Findings[0].Problem, tc.attr) || snap.Findings[0].DN == "" {
				t.Errorf("findings = %+v, want one with %q", snap.Findings, tc.attr)
			}
			if name == "family name" {
				if len(snap.Doubts) > 0 || snap.Findings[0].Label != "luis" || string(snap.Findings[0].ID) != uuid("luis") {
					t.Errorf("doubts %v, finding %+v, want no doubt and the name", snap.Doubts, snap.Findings[0])
				}
				if staff := snap.Entries[1]; len(staff.Members) != 2 {
					t.Errorf("members = %v, want the held one, too", staff.Members)
				}
			}
		})
	}
}

// TestBinaryAttributes: those that are not mapped do no harm, and mapped ones are base64 whatever their bytes are.
func TestBinaryAttributes(t *testing.T) {
	t.Parallel()
	photo := []string{"jpegPhoto", "\xff\xd8\xff", "userCertificate;binary", "\x30\x82", "userSMIMECertificate", "text"}
	snap := read(t, open(t, fileConfig(t, someone("ada", photo...)), "userSMIMECertificate"))
	if got := snap.Entries[0].Attributes.Get("userSMIMECertificate"); got != "dGV4dA==" || len(snap.Findings) > 0 {
		t.Errorf("userSMIMECertificate = %q, findings %v, want base64 and none", got, snap.Findings)
	}
}

// TestOrderOfValuesMeansNothing: the same sets give the same snapshot in whatever order a server gives entries and
// values.
func TestOrderOfValuesMeansNothing(t *testing.T) {
	t.Parallel()
	mails := []string{"mail", "mia.hill@example.org", "mail", "mia@example.org", "mail", "a@example.org", "cn", "Mia",
		"cn", "Mia Hill", "givenName", "M", "title", "x", "title", "y"}
	members := []string{"member", "uid=mia," + peopleDN, "member", "uid=ada," + peopleDN, "cn", "all hands"}
	var want directory.Snapshot
	r := rand.New(rand.NewPCG(7, 7))
	for round := range 20 {
		entries := []string{someone("mia", shuffled(r, mails)...), someone("ada"), team("staff", shuffled(r, members)...)}
		r.Shuffle(len(entries), func(i, j int) { entries[i], entries[j] = entries[j], entries[i] })
		got := read(t, open(t, fileConfig(t, strings.Join(entries, "")), "title"))
		if round == 0 {
			want = got
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("round %d (-want +got):\n%s", round, diff)
		}
	}
	if staff := want.Entries[2]; staff.Attributes.Get("cn") != "staff" ||
		staff.Attributes.Get(directory.DisplayName) != "staff" {
		t.Errorf("staff is called %v, want the name in its DN", staff.Attributes)
	}
}

func shuffled(r *rand.Rand, pairs []string) []string {
	out := slices.Clone(pairs)
	r.Shuffle(len(out)/2, func(i, j int) {
		out[2*i], out[2*j] = out[2*j], out[2*i]
		out[2*i+1], out[2*j+1] = out[2*j+1], out[2*i+1]
	})
	return out
}

// TestNamingValueWins: the value in the entry's own RDN is its name, also where the RDN has several.
func TestNamingValueWins(t *testing.T) {
	t.Parallel()
	content := slapdtest.Entry("cn=Zoë\\, B+uid=zoe,"+peopleDN, "objectClass", "inetOrgPerson", "entryUUID", "1", "uid",
		"a", "uid", "ZOE", "sn", "B", "cn", "A", "cn", "zoë,  b") +
		slapdtest.Entry("commonName=staff,"+groupsDN, "objectClass", "groupOfNames", "entryUUID", "2", "cn", "all hands",
			"cn", "Staff")
	snap := read(t, open(t, fileConfig(t, content)))
	zoe, staff := snap.Entries[0].Attributes, snap.Entries[1].Attributes
	if zoe.Get("cn") != "zoë,  b" || zoe.Get(directory.UserName) != "ZOE" || staff.Get("cn") != "Staff" {
		t.Errorf("names = %q, %q, %q, want those of the DNs", zoe.Get("cn"), zoe.Get(directory.UserName), staff.Get("cn"))
	}
}

// TestAttributeAliases: an attribute may be named by any of its names or by its number, everywhere (RFC 4512,
// section 2.5).
func TestAttributeAliases(t *testing.T) {
	t.Parallel()
	content := someone("ada", "mobile", "+41 1", "givenName", "Ada") +
		slapdtest.Entry("cn=staff,"+groupsDN, "objectClass", "posixGroup", "entryUUID", uuid("staff"), "cn", "staff",
			"gidNumber", "1", "memberUid", "ada")
	server := slapdtest.Start(t, slapdtest.Options{LDIF: content})
	asked := []string{"surname", "2.5.4.42", "mobileTelephoneNumber", "0.9.2342.19200300.100.1.41"}
	for name, c := range map[string]ldap.Config{"server": config(server), "file": fileConfig(t, content)} {
		c.UserNameField, c.UserObjectFilter, c.GroupObjectFilter, c.GroupMembershipField = "userid",
			"(&(objectClass=person)(surname=ada))", "(commonName=staff)", "1.3.6.1.1.1.1.12"
		snap := read(t, open(t, c, asked...))
		if len(snap.Entries) != 2 {
			t.Fatalf("%s: entries = %v, want ada and staff", name, names(snap))
		}
		ada, staff := snap.Entries[0].Attributes, snap.Entries[1]
		for attr, want := range map[string]string{"surname": "ada", "2.5.4.42": "Ada", "mobileTelephoneNumber": "+41 1",
			"0.9.2342.19200300.100.1.41": "+41 1", directory.UserName: "ada"} {
			if got := ada.Get(attr); got != want {
				t.Errorf("%s: %s = %q, want %q", name, attr, got, want)
			}
		}
		if len(staff.Members) != 1 {
			t.Errorf("%s: members = %v, want ada", name, staff.Members)
		}
	}
}

// TestIDsByTheirMatchingRule: an ID in another letter case is the known one where the attribute ignores case, and
// another one where it does not.
func TestIDsByTheirMatchingRule(t *testing.T) {
	t.Parallel()
	content := someone("Ben") + team("vpn", "member", "uid=BEN,"+peopleDN)
	server := slapdtest.Start(t, slapdtest.Options{LDIF: content})
	known := []directory.Ref{{Kind: directory.User, ID: "bEN"}, {Kind: directory.Group, ID: "VPN"}}
	for name, c := range map[string]ldap.Config{"server": config(server), "file": fileConfig(t, content)} {
		c.UserObjectUniquenessField, c.GroupObjectUniquenessField = "uid", "cn"
		s := open(t, c)
		list := func(context.Context) ([]directory.Ref, error) { return known, nil }
		for _, q := range []directory.Query{{Known: list}, {Refs: known}} {
			snap, err := s.Read(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			if len(snap.Entries) != 2 || snap.Entries[0].Ref() != known[0] || snap.Entries[1].Ref() != known[1] ||
				len(snap.Absent) > 0 {
				t.Fatalf("%s: entries %v, absent %v, want the known IDs", name, snap.Entries, snap.Absent)
			}
			if diff := cmp.Diff(known[:1], snap.Entries[1].Members); diff != "" {
				t.Errorf("%s: members (-want +got):\n%s", name, diff)
			}
		}
	}
	// memberUid is compared by caseExactMatch (RFC 2307).
	c := fileConfig(t, someone("a", "memberUid", "x")+someone("b", "memberUid", "X"))
	c.ObjectUniquenessField, c.SyncGroups = "memberUid", false
	if snap := read(t, open(t, c)); len(snap.Entries) != 2 || snap.Entries[0].ID != "X" {
		t.Errorf("IDs that differ in case: %v, findings %v, want two entries", snap.Entries, snap.Findings)
	}
	c.ObjectUniquenessField = "employeeNumber"
	if snap := read(t, open(t, rewrite(t, c, someone("a", "employeeNumber", "x")+someone("b", "employeeNumber",
		"X")))); len(snap.Findings) != 2 {
		t.Errorf("IDs that the rule takes for equal: findings %v, want both", snap.Findings)
	}
}

// rewrite returns c with another file.
func rewrite(t *testing.T, c ldap.Config, content string) ldap.Config {
	c.ServerURI = fileConfig(t, content).ServerURI
	return c
}

// TestConflictObjectsOfReplication are left out and named; the entry whose name they have goes on.
func TestConflictObjectsOfReplication(t *testing.T) {
	t.Parallel()
	const guid = "1fe3ec62-01a3-48f0-a157-c9e6cf7f3cb3"
	entry := func(dn, id string, pairs ...string) string {
		return slapdtest.Entry(dn, append([]string{"objectClass", "inetOrgPerson", "entryUUID", id, "uid", id, "sn", "Roe",
			"mail", "jane@example.org"}, pairs...)...)
	}
	content := entry("cn=Jane Roe,"+peopleDN, "jane") +
		entry(`cn=Jane Roe\0ACNF:`+guid+","+peopleDN, "ad", "cn", "Jane Roe\nCNF:"+guid) +
		entry(`cn=joan roe\0acnf:`+guid+","+peopleDN, "lower") +
		entry("nsuniqueid=66446001-1dd211b2+uid=jane,"+peopleDN, "389") +
		entry("uid=marked,"+peopleDN, "marked", "nsds5ReplConflict", "namingConflict uid=jane") +
		entry("cn=CNF:"+guid+","+peopleDN, "cnf") +
		entry(`uid=below,ou=x\0ACNF:`+guid+","+peopleDN, "below") +
		slapdtest.Entry(`cn=staff\0ACNF:`+guid+","+groupsDN, "objectClass", "groupOfNames", "entryUUID", "odd", "cn",
			"staff\nCNF:"+guid)
	snap := read(t, open(t, fileConfig(t, content)))
	if got := names(snap); !slices.Equal(got, []string{"below", "cnf", "jane"}) {
		t.Errorf("entries = %v, want jane and those that are no conflict objects", got)
	}
	if len(snap.Findings) != 5 || len(snap.Doubts) > 0 {
		t.Fatalf("findings = %v, doubts %v, want five and none", snap.Findings, snap.Doubts)
	}
	for _, f := range snap.Findings {
		if !strings.Contains(f.Problem, "conflict object of replication") || f.DN == "" || f.ID == "" {
			t.Errorf("finding = %+v, want it named as what it is", f)
		}
	}
}

func TestAnEntryGivenTwiceIsOneEntry(t *testing.T) {
	t.Parallel()
	f := &fake{announces: paging, answer: func(query) []message {
		return []message{person("ada"), person("ada"),
			page("")}
	}}
	if snap := read(t, open(t, f.start(t))); len(snap.Entries) != 1 || len(snap.Findings) > 0 {
		t.Errorf("entries %v, findings %v, want one and none", names(snap), snap.Findings)
	}
}

// TestHiddenActivity: Active Directory gives every user userAccountControl and accountExpires, so a user without one of
// them fails the read. Contacts have neither, and other directories' users need not have them.
func TestHiddenActivity(t *testing.T) {
	t.Parallel()
	user := func(uid string, attrs ...attr) message {
		return person(uid, append(attrs, attr{"objectClass", []string{"top", "person", "user"}})...)
	}
	control, expires := attr{"userAccountControl", []string{"512"}}, attr{"accountExpires", []string{"0"}}
	contact := person("law", attr{"objectClass", []string{"top", "contact"}})
	for _, tc := range []struct {
		name, want string
		answers    []message
	}{
		{"all readable", "", []message{user("a", control, expires), contact}},
		{"control hidden for one", "1 of 2 accounts have no userAccountControl",
			[]message{user("a", control, expires), user("b", expires), contact}},
		{"expiry hidden for all", "2 of 2 accounts have no accountExpires",
			[]message{user("a", control), user("b", control)}},
		{"class hidden, too", "1 of 1 accounts have no userAccountControl", []message{person("a")}},
	} {
		f := &fake{announces: paging, family: activeDirectory,
			answer: func(query) []message { return append(tc.answers, page("")) }}
		c := f.start(t)
		c.BindCN, c.BindPasswordEnv = "reader@example.org", "HOME"
		s := open(t, c)
		if tc.want == "" {
			read(t, s)
			continue
		}
		if err := refuse(t, s, fault.Denied); !strings.Contains(fmt.Sprint(err), tc.want) ||
			!strings.Contains(fmt.Sprint(err), "reader@example.org may not read it") {
			t.Errorf("%s: Read() = %v, want it to say %q and the bind account", tc.name, err, tc.want)
		}
		if _, err := s.Read(t.Context(), directory.Query{Refs: []directory.Ref{{Kind: directory.User,
			ID: "id-a"}}}); err == nil {
			t.Errorf("%s: Read() of one entry gives no error", tc.name)
		}
	}
	f := &fake{announces: paging, answer: func(query) []message { return []message{person("a"), page("")} }}
	read(t, open(t, f.start(t)))
}

// An export from Active Directory without one of the two attributes fails the read, too.
func TestHiddenActivityInAnExport(t *testing.T) {
	t.Parallel()
	account := func(cn string, more ...string) string {
		return slapdtest.Entry("cn="+cn+","+peopleDN, append([]string{"objectClass", "user", "sAMAccountType", "805306368",
			"objectGUID",
			"\x01\x02\x03\x04\x05\x06\x07\x08\x09\x10\x11\x12\x13\x14\x15" + cn, "sAMAccountName", cn}, more...)...)
	}
	whole := account("a", "userAccountControl", "512", "accountExpires", "0")
	contact := slapdtest.Entry("cn=c,"+peopleDN, "objectClass", "contact", "cn", "c")
	for want, ldif := range map[string]string{
		"": whole + contact,
		"1 of 2 accounts have no userAccountControl": whole + account("b", "accountExpires", "0"),
		"1 of 2 accounts have no accountExpires":     whole + account("b", "userAccountControl", "514"),
	} {
		for _, preset := range []bool{false, true} {
			c := fileConfig(t, ldif)
			if c.ObjectUniquenessField = "objectGUID"; preset {
				uri := c.ServerURI
				c = ldap.PresetConfig(ldap.PresetActiveDirectory)
				c.Slug, c.ServerURI, c.BaseDN = "corp", uri, slapdtest.Suffix
			}
			s := open(t, c)
			if want == "" {
				read(t, s)
			} else if err := refuse(t, s, fault.Denied); !strings.Contains(fmt.Sprint(err), want) ||
				!strings.Contains(fmt.Sprint(err), "Export again with this attribute") {
				t.Errorf("preset %t: Read() = %v, want %q and what to do", preset, err, want)
			}
		}
	}
}

// What says whether a user is active cannot be read, or says both. The user is held and named, and is not taken for
// active. Attributes that decide nothing may have any value.
func TestActivityThatCannotBeRead(t *testing.T) {
	t.Parallel()
	held := map[string][]string{
		`its nsAccountLock is "locked", which is not TRUE or FALSE`:      {"nsAccountLock", "locked"},
		`its nsAccountLock is " ", which is not TRUE`:                    {"nsAccountLock", " "},
		`its shadowExpire is "soon", which is not a number`:              {"shadowExpire", "soon"},
		`several values of nsAccountLock (["FALSE" "TRUE"])`:             {"nsAccountLock", "FALSE", "nsAccountLock", "TRUE"},
		`several values of nsAccountLock (["TRUE" "FALSE"])`:             {"nsAccountLock", "TRUE", "nsAccountLock", "FALSE"},
		`its userAccountControl is " ", which is not a number`:           {"userAccountControl", " "},
		`its pwdAccountLockedTime is "ever", which is not a time`:        {"pwdAccountLockedTime", "ever"},
		`its krbPrincipalExpiration is "20261301000000Z", which is not`:  {"krbPrincipalExpiration", "20261301000000Z"},
		`its msDS-UserAccountDisabled is "1", which is not TRUE or FALS`: {"msDS-UserAccountDisabled", "1"},
	}
	fine := someone("fine", "userAccountControl", "512", "nsAccountLock", "odd") +
		someone("same", "nsAccountLock", "true", "nsAccountLock", "TRUE")
	for want, pairs := range held {
		c := fileConfig(t, fine+someone("odd", pairs...))
		snap := read(t, open(t, c))
		if got := names(snap); !slices.Equal(got, []string{"fine", "same"}) || len(snap.Findings) != 1 ||
			snap.Findings[0].DN == "" || !strings.Contains(snap.Findings[0].Problem, want) {
			t.Errorf("entries %v, findings %+v, want %q", got, snap.Findings, want)
		}
		s, err := ldap.New(c, nil, ldap.Options{Deciding: ldap.Deciding{Alone: true}})
		if err != nil {
			t.Fatal(err)
		}
		if snap := read(t, s); len(snap.Entries) != 3 || len(snap.Findings) > 0 {
			t.Errorf("a mapping decides alone: entries %v, findings %+v, want three and none", names(snap), snap.Findings)
		}
	}
}

func TestCoverage(t *testing.T) {
	t.Parallel()
	s, err := ldap.New(fileConfig(t, someone("a", "mail", "a@example.org")+someone("b", "nsAccountLock", "true",
		"employeeType", "left")+team("g", "title", "x")), []string{"title", "employeeType"},
		ldap.Options{Deciding: ldap.Deciding{By: []string{"EmployeeType"}}})
	if err != nil {
		t.Fatal(err)
	}
	snap := read(t, s)
	got := map[string]directory.Coverage{}
	for _, c := range snap.Coverage {
		got[c.Kind.String()+" "+c.Name] = c
	}
	for key, want := range map[string]directory.Coverage{
		"user mail":          {Kind: directory.User, Name: "mail", Entries: 1, Attributes: []string{directory.Mail}},
		"user sn":            {Kind: directory.User, Name: "sn", Entries: 2, Attributes: []string{directory.FamilyName}},
		"user nsAccountLock": {Kind: directory.User, Name: "nsAccountLock", Entries: 1, Activity: true},
		"user employeeType": {Kind: directory.User, Name: "employeeType", Entries: 1, Attributes: []string{"employeeType"},
			Activity: true},
		"user title":   {Kind: directory.User, Name: "title", Attributes: []string{"title"}},
		"group title":  {Kind: directory.Group, Name: "title", Entries: 1, Attributes: []string{"title"}},
		"group member": {Kind: directory.Group, Name: "member", Members: true, Lists: true},
	} {
		if diff := cmp.Diff(want, got[key]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", key, diff)
		}
	}
	if !slices.IsSortedFunc(snap.Coverage, func(a, b directory.Coverage) int {
		return strings.Compare(a.Kind.String(), b.Kind.String())*-2 + strings.Compare(a.Name, b.Name)
	}) {
		t.Errorf("coverage is not sorted: %v", snap.Coverage)
	}
}
