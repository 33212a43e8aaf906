package slapdtest

import (
	"testing"

	"github.com/go-ldap/ldap/v3"
)

// Admin changes the entries of a directory as its administrator. The servers of other makers that tests run have one,
// too.
type Admin struct {
	// URL is where the server listens.
	URL string
	// DN and Password are those of the administrator.
	DN, Password string
	// Adding are sent with each entry that is added.
	Adding []ldap.Control
}

// Conn returns a connection that is bound as the administrator and closed when the test ends.
func (a *Admin) Conn(t testing.TB) *ldap.Conn {
	t.Helper()
	return a.conn(t, a.DN)
}

func (a *Admin) conn(t testing.TB, dn string) *ldap.Conn {
	t.Helper()
	c, err := ldap.DialURL(a.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.Bind(dn, a.Password); err != nil {
		t.Fatalf("bind as %s: %v", dn, err)
	}
	return c
}

// change makes one change over a connection of its own.
func (a *Admin) change(t testing.TB, dn string, with func(*ldap.Conn) error) {
	t.Helper()
	c := a.Conn(t)
	defer c.Close()
	if err := with(c); err != nil {
		t.Fatalf("%s: %v", dn, err)
	}
}

// Add adds an entry; attributes are name, value pairs. A Server takes operational attributes, too.
func (a *Admin) Add(t testing.TB, dn string, pairs ...string) {
	t.Helper()
	req := ldap.NewAddRequest(dn, a.Adding)
	values := map[string][]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		values[pairs[i]] = append(values[pairs[i]], pairs[i+1])
	}
	for name, v := range values {
		req.Attribute(name, v)
	}
	a.change(t, dn, func(c *ldap.Conn) error { return c.Add(req) })
}

// Set replaces the values of an attribute; none removes it.
func (a *Admin) Set(t testing.TB, dn, name string, values ...string) {
	t.Helper()
	req := ldap.NewModifyRequest(dn, nil)
	req.Replace(name, values)
	a.change(t, dn, func(c *ldap.Conn) error { return c.Modify(req) })
}

// Delete removes an entry.
func (a *Admin) Delete(t testing.TB, dn string) {
	t.Helper()
	a.change(t, dn, func(c *ldap.Conn) error { return c.Del(ldap.NewDelRequest(dn, nil)) })
}

// Rename gives an entry another first RDN and, where parent is not empty, moves it.
func (a *Admin) Rename(t testing.TB, dn, rdn, parent string) {
	t.Helper()
	a.change(t, dn, func(c *ldap.Conn) error { return c.ModifyDN(ldap.NewModifyDNRequest(dn, rdn, true, parent)) })
}
