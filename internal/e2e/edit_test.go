package e2e

import (
	"fmt"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"rollcall/internal/slapdtest"
)

// editor changes the directory over one connection, as its administrator.
type editor struct {
	*world
	conn *ldap.Conn
}

func (w *world) editor() *editor { return &editor{w, w.ldap.Conn(w)} }

func (e *editor) must(err error) {
	e.Helper()
	if err != nil {
		e.Fatal(err)
	}
}

// set replaces the values of an attribute; none removes it.
func (e *editor) set(dn, name string, values ...string) {
	e.Helper()
	req := ldap.NewModifyRequest(dn, nil)
	req.Replace(name, values)
	e.must(e.conn.Modify(req))
}

// member adds or removes a member.
func (e *editor) member(group, dn string, add bool) {
	e.Helper()
	req := ldap.NewModifyRequest(group, nil)
	if add {
		req.Add("member", []string{dn})
	} else {
		req.Delete("member", []string{dn})
	}
	e.must(e.conn.Modify(req))
}

// remove deletes an entry. Groups keep its name, as they do without the refint overlay.
func (e *editor) remove(dn string) {
	e.Helper()
	e.must(e.conn.Del(ldap.NewDelRequest(dn, nil)))
}

// removeTree deletes what is below dn.
func (e *editor) removeTree(dn, filter string) {
	e.Helper()
	for _, found := range e.search(e.conn, dn, filter) {
		e.remove(found.DN)
	}
}

// add adds an entry with a chosen entryUUID, either a restored backup or a new person.
func (e *editor) add(dn string, pairs ...string) {
	e.Helper()
	e.ldap.Add(e, dn, pairs...)
}

// person adds the nth user, as slapdtest.Generate writes it, below parent ("" is the usual place).
func (e *editor) person(n int, parent string) (dn string) {
	e.Helper()
	if dn = slapdtest.UserDN(n); parent != "" {
		dn = rdn(dn) + "," + parent
	}
	e.add(dn, "objectClass", "inetOrgPerson", "entryUUID", slapdtest.UUID(n), "uid", fmt.Sprintf("u%06d", n),
		"cn", fmt.Sprintf("First%d Last%d", n, n), "sn", fmt.Sprintf("Last%d", n), "givenName", fmt.Sprintf("First%d", n),
		"displayName", fmt.Sprintf("First%d Last%d", n, n),
		"mail", fmt.Sprintf("u%06d@example.org", n), "employeeNumber", fmt.Sprint(n),
		"telephoneNumber", fmt.Sprintf("+1 555 %07d", n), "title", fmt.Sprintf("Engineer %d", n%17))
	return dn
}

// rename gives an entry another name, or another place, and the groups its new DN.
func (e *editor) rename(dn, newRDN, parent string) (now string) {
	e.Helper()
	e.must(e.conn.ModifyDN(ldap.NewModifyDNRequest(dn, newRDN, true, parent)))
	_, rest, _ := strings.Cut(dn, ",")
	if parent != "" {
		rest = parent
	}
	now = newRDN + "," + rest
	for _, g := range e.search(e.conn, slapdtest.Groups, "(member="+ldap.EscapeFilter(dn)+")") {
		e.member(g.DN, dn, false)
		e.member(g.DN, now, true)
	}
	return now
}

func rdn(dn string) string {
	first, _, _ := strings.Cut(dn, ",")
	return first
}
