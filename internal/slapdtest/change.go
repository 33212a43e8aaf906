package slapdtest

import (
	"fmt"
	"testing"

	"github.com/go-ldap/ldap/v3"
)

// Conn returns a connection that is bound as RootDN and closed when the test ends.
func (s *Server) Conn(t testing.TB) *ldap.Conn { return s.conn(t, RootDN) }

func (s *Server) conn(t testing.TB, dn string) *ldap.Conn {
	t.Helper()
	c, err := ldap.DialURL(s.URL)
	s.must(t, err)
	t.Cleanup(func() { c.Close() })
	s.must(t, c.Bind(dn, RootPassword))
	return c
}

// Add adds an entry; attributes are name, value pairs. They may include operational attributes, because slapd's relax
// rules control lets RootDN set them.
func (s *Server) Add(t testing.TB, dn string, pairs ...string) {
	t.Helper()
	const relax = "1.3.6.1.4.1.4203.666.5.12"
	req := ldap.NewAddRequest(dn, []ldap.Control{ldap.NewControlString(relax, true, "")})
	values := map[string][]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		values[pairs[i]] = append(values[pairs[i]], pairs[i+1])
	}
	for name, v := range values {
		req.Attribute(name, v)
	}
	s.must(t, s.Conn(t).Add(req))
}

// Set replaces the values of an attribute; none removes it.
func (s *Server) Set(t testing.TB, dn, name string, values ...string) {
	t.Helper()
	req := ldap.NewModifyRequest(dn, nil)
	req.Replace(name, values)
	s.must(t, s.Conn(t).Modify(req))
}

// Delete removes an entry.
func (s *Server) Delete(t testing.TB, dn string) {
	t.Helper()
	s.must(t, s.Conn(t).Del(ldap.NewDelRequest(dn, nil)))
}

// Rename gives an entry another first RDN and, where parent is not empty, moves it.
func (s *Server) Rename(t testing.TB, dn, rdn, parent string) {
	t.Helper()
	s.must(t, s.Conn(t).ModifyDN(ldap.NewModifyDNRequest(dn, rdn, true, parent)))
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
