package slapdtest_test

import (
	"testing"

	"github.com/go-ldap/ldap/v3"

	"rollcall/internal/slapdtest"
)

func count(t *testing.T, s *slapdtest.Server, filter string) int {
	t.Helper()
	res, err := s.Conn(t).Search(ldap.NewSearchRequest(slapdtest.Suffix, ldap.ScopeWholeSubtree, 0, 0, 0, false, filter,
		[]string{"1.1"}, nil))
	if err != nil {
		t.Fatal(err)
	}
	return len(res.Entries)
}

func TestServer(t *testing.T) {
	t.Parallel()
	s := slapdtest.Start(t, slapdtest.Options{LDIF: slapdtest.Generate(20, 3, 5), TLS: true, PPolicy: true,
		SizeLimit: "5", ReaderLimits: "size.prtotal=5"})
	s.Add(t, "uid=ada,"+slapdtest.People, "objectClass", "inetOrgPerson", "uid", "ada", "cn", "Ada", "sn", "King",
		"entryUUID", "11111111-2222-4333-8444-555555555555", "mail", "ada@example.org", "mail", "a@example.org")
	s.Set(t, slapdtest.UserDN(1), "title", "Boss")
	s.Rename(t, slapdtest.UserDN(2), "uid=two", "")
	s.Delete(t, slapdtest.UserDN(3))
	s.Limit(t, "7")
	s.Restart(t)
	for filter, want := range map[string]int{
		"(objectClass=inetOrgPerson)":                      20,
		"(objectClass=groupOfNames)":                       3,
		"(title=Boss)":                                     1,
		"(uid=two)":                                        1,
		"(entryUUID=" + slapdtest.UUID(2) + ")":            1,
		"(entryUUID=11111111-2222-4333-8444-555555555555)": 1,
	} {
		if got := count(t, s, filter); got != want {
			t.Errorf("%s matches %d entries, want %d", filter, got, want)
		}
	}
}
