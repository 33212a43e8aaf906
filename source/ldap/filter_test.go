package ldap

import (
	"slices"
	"testing"

	"github.com/go-ldap/ldap/v3"

	"rollcall/internal/slapdtest"
)

// filterLDIF has what the filters below tell apart.
func filterLDIF() string {
	ldif := slapdtest.Entry("uid=ada,"+slapdtest.People, "objectClass", "inetOrgPerson", "objectClass", "vendorObject",
		"uid", "ada", "cn", "Ada  King", "sn", "King",
		"mail", "ada@example.org", "mail", "king@example.org", "employeeNumber", "0042", "userAccountControl", "514",
		"manager", "uid=Bob, ou=people, dc=Example,dc=org",
		"description", "likes (brackets) * and \\", "cn;lang-de", "Ada Koenig", "objectGUID", "\x00\x01\xff)")
	ldif += slapdtest.Entry("uid=bob,"+slapdtest.People, "objectClass", "inetOrgPerson", "objectClass", "vendorObject",
		"uid", "bob", "cn", "Bob", "sn", "JÜRGENS",
		"userAccountControl", "512", "accountExpires", "9", "nsAccountLock", "TRUE")
	ldif += slapdtest.Entry("cn=King\\, Carl,"+slapdtest.People, "objectClass", "person", "objectClass", "vendorObject",
		"cn", "King, Carl", "sn", "king", "accountExpires", "10")
	ldif += slapdtest.Entry("cn=staff,"+slapdtest.Groups, "objectClass", "groupOfNames", "cn", "staff", "member",
		"uid=ada,"+slapdtest.People, "member", "cn=King\\2C Carl,"+slapdtest.People)
	return ldif
}

// TestFiltersAgreeWithServer evaluates filters on a file and on slapd and wants the same entries.
func TestFiltersAgreeWithServer(t *testing.T) {
	t.Parallel()
	server := slapdtest.Start(t, slapdtest.Options{LDIF: filterLDIF()})
	conn := server.Conn(t)
	all, err := conn.Search(ldap.NewSearchRequest(slapdtest.Suffix, ldap.ScopeWholeSubtree, 0, 0, 0, false,
		"(objectClass=*)", []string{"*", "+"}, nil))
	if err != nil {
		t.Fatal(err)
	}
	for _, filter := range []string{
		"(objectClass=*)", "(objectclass=PERSON)", "(objectClass=inetOrgPerson)", "(objectClass=organizationalPerson)",
		"(objectClass=top)",
		"(!(objectClass=person))", "(&(objectClass=person)(!(nsAccountLock=TRUE)))", "(&)", "(|)", "(!(&))",
		"(cn=ada king)", "(CN=ADA   KING)", "(commonName=Ada King)", "(2.5.4.3=bob)", "(surname=king)", "(sn=jürgens)",
		"(sn=j\\C3\\BCrgens)",
		"(cn=*king*)", "(cn=ada*)", "(cn=*king)", "(cn=*a*k*g)", "(cn=*k*a*)", "(cn=a*a*g)", "(cn=ada koenig)",
		"(cn;lang-de=ada koenig)", "(cn;lang-de=*)", "(cn;lang-fr=*)",
		"(mail=KING@example.org)", "(mail=*@example.org)", "(!(mail=*))", "(mail=*)", "(title=*)",
		"(employeeNumber=0042)", "(employeeNumber=42)", "(accountExpires>=10)", "(accountExpires<=9)",
		"(accountExpires>=9)", "(!(accountExpires>=10))",
		"(manager=uid=bob,ou=People,dc=example,dc=org)", "(manager=UID=bob ,OU=People,DC=example,DC=org)",
		"(member=cn=king\\5c, carl,ou=people,dc=example,dc=org)",
		"(manager=nonsense)", "(!(manager=nonsense))",
		"(description=likes \\28brackets\\29 \\2a and \\5c)", "(description=*\\28b*)", "(description=*\\2a*)",
		"(objectGUID=\\00\\01\\ff\\29)", "(objectGUID=\\00\\01\\FE\\29)",
		"(uid:=ADA)", "(uid:caseExactMatch:=ada)", "(uid:caseExactMatch:=Ada)", "(uid:2.5.13.2:=ADA)",
		"(manager:distinguishedNameMatch:=uid=BOB,ou=people,dc=example,dc=org)",
		"(uid~=ada)", "(|(uid=ada)(uid=bob))", "(&(uid=ada)(uid=bob))",
		"(&(|(uid=ada)(cn=staff))(!(objectClass=groupOfNames)))",
	} {
		match, err := compileFilter(filter)
		if err != nil {
			t.Errorf("compileFilter(%q): %v", filter, err)
			continue
		}
		var got, want []string
		for _, e := range all.Entries {
			if match(e) == yes {
				got = append(got, e.DN)
			}
		}
		res, err := conn.Search(ldap.NewSearchRequest(slapdtest.Suffix, ldap.ScopeWholeSubtree, 0, 0, 0, false, filter,
			[]string{"1.1"}, nil))
		if err != nil {
			t.Errorf("%s: %v", filter, err)
			continue
		}
		for _, e := range res.Entries {
			want = append(want, e.DN)
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s matches on the file %q, on slapd %q", filter, got, want)
		}
	}
}

func TestFilterBits(t *testing.T) {
	t.Parallel()
	e := ldap.NewEntry("cn=a", map[string][]string{"userAccountControl": {"514"},
		"objectSid": {"\x01\x01\x00\x00\x00\x00\x00\x05\x12\x00\x00\x00"}})
	for filter, want := range map[string]truth{
		"(userAccountControl:1.2.840.113556.1.4.803:=2)":    yes,
		"(userAccountControl:1.2.840.113556.1.4.803:=16)":   no,
		"(userAccountControl:1.2.840.113556.1.4.803:=18)":   no,
		"(userAccountControl:1.2.840.113556.1.4.804:=18)":   yes,
		"(!(userAccountControl:1.2.840.113556.1.4.803:=2))": no,
		"(!(userAccountControl:1.2.840.113556.1.4.803:=x))": undefined,
		"(objectSid=S-1-5-18)":                              yes,
		"(objectSid=s-1-5-19)":                              no,
	} {
		match, err := compileFilter(filter)
		if err != nil {
			t.Fatal(err)
		}
		if got := match(e); got != want {
			t.Errorf("%s = %v, want %v", filter, got, want)
		}
	}
	for _, filter := range []string{"(cn:dn:=x)", "(:2.5.13.2:=x)", "(member:1.2.840.113556.1.4.1941:=cn=a)",
		"(&(cn=a)(cn:1.2.3:=b))", "(!(cn:1.2.3:=b))"} {
		if _, err := compileFilter(filter); err == nil {
			t.Errorf("compileFilter(%q) gives no error", filter)
		}
	}
}
