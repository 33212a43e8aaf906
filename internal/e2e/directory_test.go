package e2e

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"
	gocmp "github.com/google/go-cmp/cmp"

	"rollcall/internal/slapdtest"
)

// person is an account as the directory has it, and as the tenant should.
type person struct {
	Address, Given, Family, Unit, Title, Phone string
	Suspended                                  bool
}

// team is a group with the anchors of its members, sorted.
type team struct {
	Address, Name string
	Members       []string
}

// state is one side, by anchor.
type state struct {
	People map[string]person
	Teams  map[string]team
}

// directory reads what the tenant should have. It binds as the administrator, who has no limits.
func (w *world) directory() state {
	w.Helper()
	c := w.ldap.Conn(w)
	defer c.Close()
	s := state{People: map[string]person{}, Teams: map[string]team{}}
	byDN := map[string]string{}
	for _, e := range w.search(c, slapdtest.People, "(objectClass=inetOrgPerson)") {
		id := e.GetAttributeValue("entryUUID")
		byDN[strings.ToLower(e.DN)] = id
		s.People[id] = person{
			Address: strings.ToLower(e.GetAttributeValue("mail")), Given: e.GetAttributeValue("givenName"),
			Family: e.GetAttributeValue("sn"),
			Unit:   unit(e.DN), Title: e.GetAttributeValue("title"), Phone: e.GetAttributeValue("telephoneNumber"),
		}
	}
	for _, e := range w.search(c, slapdtest.Groups, "(objectClass=groupOfNames)") {
		t := team{Address: e.GetAttributeValue("cn") + "@" + domain, Name: e.GetAttributeValue("cn")}
		for _, dn := range e.GetAttributeValues("member") {
			if id := byDN[strings.ToLower(dn)]; id != "" {
				t.Members = append(t.Members, id)
			}
		}
		slices.Sort(t.Members)
		s.Teams[e.GetAttributeValue("entryUUID")] = t
	}
	return s
}

func (w *world) search(c *ldap.Conn, base, filter string) []*ldap.Entry {
	w.Helper()
	res, err := c.Search(ldap.NewSearchRequest(base, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, 0, 0, false, filter,
		[]string{"*", "entryUUID"}, nil))
	if err != nil {
		w.Fatal(err)
	}
	return res.Entries
}

// unit is the organizational unit that the mapping makes of a DN: people are one level deep at most.
func unit(dn string) string {
	if _, after, _ := strings.Cut(dn, ","); strings.HasSuffix(after, ","+slapdtest.People) {
		return "/" + strings.TrimPrefix(strings.TrimSuffix(after, ","+slapdtest.People), "ou=")
	}
	return "/"
}

// account returns the tenant's side of every account and group that carries an anchor. Two with one anchor fail the
// test.
func (w *world) accounts() state {
	w.Helper()
	s := state{People: map[string]person{}, Teams: map[string]team{}}
	anchors := map[string]string{}
	for _, u := range w.tenant.Users() {
		for _, e := range u.ExternalIDs {
			if e.CustomType != "rollcall" {
				continue
			}
			if _, twice := s.People[e.Value]; twice {
				w.Errorf("two accounts carry the anchor %s", e.Value)
			}
			anchors[u.ID] = e.Value
			s.People[e.Value] = person{
				Address: u.PrimaryEmail, Given: u.GivenName, Family: u.FamilyName, Unit: u.OrgUnitPath, Suspended: u.Suspended,
				Title: first(u.Resource, "organizations", "title"), Phone: first(u.Resource, "phones", "value"),
			}
		}
	}
	for _, g := range w.tenant.Groups() {
		for _, e := range g.ExternalIDs {
			anchor, ours := strings.CutPrefix(e.ID, "rollcall:")
			if !ours {
				continue
			}
			if _, twice := s.Teams[anchor]; twice {
				w.Errorf("two groups carry the anchor %s", anchor)
			}
			t := team{Address: g.Email, Name: g.Name}
			for _, m := range w.tenant.Members(g.ID) {
				t.Members = append(t.Members, cmp.Or(anchors[m.ID], m.Email))
			}
			slices.Sort(t.Members)
			s.Teams[anchor] = t
		}
	}
	return s
}

// first returns a field of the first element of an array of a user's resource.
func first(resource map[string]any, array, field string) string {
	list, _ := resource[array].([]any)
	if len(list) == 0 {
		return ""
	}
	element, _ := list[0].(map[string]any)
	text, _ := element[field].(string)
	return text
}

// converged fails the test unless the tenant is as the directory says. The accounts of the people in left must be
// suspended and in no group.
func (w *world) converged(left map[string]person) {
	w.Helper()
	want, got := w.directory(), w.accounts()
	for id, p := range left {
		p.Suspended = true
		want.People[id] = p
	}
	same := maps.EqualFunc(want.Teams, got.Teams, func(a, b team) bool {
		return a.Address == b.Address && a.Name == b.Name && slices.Equal(a.Members, b.Members)
	}) && maps.Equal(want.People, got.People)
	if !same { // Reflection takes its time over ten thousand people.
		diff := gocmp.Diff(want, got)
		const most = 4000
		w.Errorf("tenant differs from directory (-directory +tenant):\n%s", diff[:min(len(diff), most)])
	}
	if n := len(w.tenant.Users()); n != len(got.People)+1 {
		w.Errorf("the tenant has %d accounts, want %d: the directory's and the administrator", n, len(got.People)+1)
	}
}

// same fails the test unless the tenant is as it was.
func (w *world) same(before state) {
	w.Helper()
	if diff := gocmp.Diff(before, w.accounts()); diff != "" {
		const most = 4000
		w.Errorf("the tenant changed (-before +after):\n%s", diff[:min(len(diff), most)])
	}
}
