package slapdtest

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"
)

// Entry writes one LDIF record; attributes are name, value pairs, and values that LDIF cannot hold as text (RFC 2849,
// SAFE-STRING) are written in base64.
func Entry(dn string, pairs ...string) string {
	var b strings.Builder
	line(&b, "dn", dn)
	for i := 0; i+1 < len(pairs); i += 2 {
		line(&b, pairs[i], pairs[i+1])
	}
	b.WriteByte('\n')
	return b.String()
}

func line(b *strings.Builder, name, value string) {
	safe := value == "" || !strings.ContainsAny(value[:1], " :<") && !strings.HasSuffix(value, " ")
	for i := 0; safe && i < len(value); i++ {
		safe = value[i] >= ' ' && value[i] < 0x7f
	}
	if safe {
		fmt.Fprintf(b, "%s: %s\n", name, value)
		return
	}
	fmt.Fprintf(b, "%s:: %s\n", name, base64.StdEncoding.EncodeToString([]byte(value)))
}

// UUID returns the entryUUID that Generate gives the nth user (or group, from GroupUUIDs on).
func UUID(n int) string { return fmt.Sprintf("%08x-0000-4000-8000-%012x", n, n) }

// GroupUUIDs is the first number of the groups' entryUUIDs.
const GroupUUIDs = 0x40000000

// UserDN returns the DN that Generate gives to a user.
func UserDN(n int) string { return fmt.Sprintf("uid=u%06d,%s", n, People) }

// GroupDN returns the DN that Generate gives to a group.
func GroupDN(n int) string { return fmt.Sprintf("cn=g%05d,%s", n, Groups) }

// Generate writes users and groups with members each, spread over the users.
func Generate(users, groups, members int) string {
	var b strings.Builder
	for i := range users {
		fmt.Fprintf(&b, "dn: %s\nobjectClass: inetOrgPerson\nentryUUID: %s\nuid: u%06[3]d\ncn: First%[3]d Last%[3]d\nsn: "+
			"Last%[3]d\n", UserDN(i), UUID(i), i)
		fmt.Fprintf(&b, "givenName: First%[1]d\ndisplayName: First%[1]d Last%[1]d\nmail: "+
			"u%06[1]d@example.org\nemployeeNumber: %[1]d\n", i)
		fmt.Fprintf(&b, "telephoneNumber: +1 555 %07d\ntitle: Engineer %d\ndepartmentNumber: D%d\nl: City %d\nstreet: %d "+
			"Main Street\n\n", i, i%17, i%101, i%53, i)
	}
	for j := range groups {
		fmt.Fprintf(&b, "dn: %s\nobjectClass: groupOfNames\nentryUUID: %s\ncn: g%05[3]d\ndescription: Group %[3]d\n",
			GroupDN(j), UUID(GroupUUIDs+j), j)
		seen := map[int]bool{}
		for k := range members {
			if n := (j*7919 + k*104729) % max(users, 1); !seen[n] {
				seen[n] = true
				fmt.Fprintf(&b, "member: %s\n", UserDN(n))
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// Limit changes olcSizeLimit of the running server.
func (s *Server) Limit(t testing.TB, size string) {
	t.Helper()
	req := ldap.NewModifyRequest("olcDatabase={-1}frontend,cn=config", nil)
	req.Replace("olcSizeLimit", []string{size})
	s.must(t, s.conn(t, "cn=config").Modify(req))
}

// Access replaces the access rules of the running server. Without rules every client may read everything.
func (s *Server) Access(t testing.TB, rules ...string) {
	t.Helper()
	values := make([]string, len(rules))
	for i, rule := range rules {
		values[i] = fmt.Sprintf("{%d}%s", i, rule)
	}
	req := ldap.NewModifyRequest("olcDatabase={1}mdb,cn=config", nil)
	req.Replace("olcAccess", values)
	s.must(t, s.conn(t, "cn=config").Modify(req))
}
