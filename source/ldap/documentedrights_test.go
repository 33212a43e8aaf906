package ldap_test

import (
	"os"
	"strings"
	"testing"

	goldap "github.com/go-ldap/ldap/v3"

	"rollcall/internal/slapdtest"
)

// The access rules of the page about OpenLDAP show people to the account, without their passwords.
func TestDocumentedRightsOfOpenLDAP(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/openldap.md")
	if err != nil {
		t.Fatal(err)
	}
	var rules []string
	for line := range strings.Lines(string(page)) {
		if rule, ok := strings.CutPrefix(strings.TrimSpace(line), "olcAccess: {"); ok {
			_, rule, _ = strings.Cut(rule, "}")
			rules = append(rules, strings.ReplaceAll(rule, "cn=rollcall,ou=services,dc=example,dc=com", slapdtest.Reader))
		}
	}
	if len(rules) != 2 {
		t.Fatalf("the page has the rules %q, want two", rules)
	}
	ada := slapdtest.Entry("uid=ada,"+slapdtest.People, "objectClass", "inetOrgPerson", "uid", "ada", "cn", "Ada", "sn",
		"Ada", "mail", "ada@example.org", "userPassword", "{SSHA}x")
	server := slapdtest.Start(t, slapdtest.Options{LDIF: ada, Access: append(rules, "to * by anonymous auth by * none")})
	password, err := os.ReadFile(server.ReaderPasswordFile)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := goldap.DialURL(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.Bind(slapdtest.Reader, strings.TrimSpace(string(password))); err != nil {
		t.Fatal(err)
	}
	found, err := conn.Search(&goldap.SearchRequest{BaseDN: "uid=ada," + slapdtest.People, Filter: "(objectClass=*)",
		Attributes: []string{"mail", "userPassword"}})
	if err != nil || len(found.Entries) != 1 {
		t.Fatalf("Search() = %v, %v; want the person", found, err)
	}
	e := found.Entries[0]
	if mail, secret := e.GetAttributeValue("mail"), e.GetAttributeValue("userPassword"); mail == "" || secret != "" {
		t.Errorf("mail = %q, userPassword = %q; want the mail alone", mail, secret)
	}
}
