package boot_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"rollcall/container"
	"rollcall/internal/slapdtest"
	"rollcall/status"
)

// entry is an entry of a directory that a test writes.
type entry struct {
	dn    string
	pairs []string
}

// tree is what a file has above the people and groups that slapdtest makes.
const tree = "dn: " + slapdtest.Suffix + "\nobjectClass: domain\ndc: example\n\n" +
	"dn: " + slapdtest.People + "\nobjectClass: organizationalUnit\nou: people\n\n" +
	"dn: " + slapdtest.Groups + "\nobjectClass: organizationalUnit\nou: groups\n\n"

// randomCompany is a directory of people with every attribute that is read. Some are inactive, each by one attribute.
// The groups list DNs in member or, with logins, login names in memberUid.
func randomCompany(r *rand.Rand, people int, logins bool) []entry {
	out := []entry{{"ou=unit," + slapdtest.People, []string{"objectClass", "organizationalUnit", "ou", "unit"}}}
	var dns []string
	for n := range people {
		uid := fmt.Sprintf("u%06d", n)
		dn := "uid=" + uid + "," + []string{"ou=unit," + slapdtest.People, slapdtest.People}[min(1, r.IntN(10)/3)]
		dns = append(dns, dn)
		p := []string{"objectClass", "inetOrgPerson", "entryUUID", slapdtest.UUID(n), "uid", uid,
			"cn", "First Last" + uid, "sn", "Last" + uid, "givenName", "First", "displayName", "Shown " + uid,
			"mail", uid + "@example.org", "employeeNumber", fmt.Sprint(n), "title", "Engineer",
			"telephoneNumber", "+1 555 " + uid[1:]}
		if r.IntN(5) == 0 {
			p = append(p, "mail", "b"+uid+"@example.org")
		}
		switch n % 8 {
		case 0:
			p = append(p, "nsAccountLock", "TRUE")
		case 1:
			p = append(p, "shadowExpire", "1000")
		case 2:
			p = append(p, "shadowExpire", "100000", "nsAccountLock", "FALSE")
		case 3:
			p = append(p, "shadowExpire", "100000", "pwdAccountLockedTime", "000001010000Z")
		}
		out = append(out, entry{dn, p})
	}
	for n := range 6 {
		p := []string{"objectClass", "groupOfNames", "entryUUID", slapdtest.UUID(slapdtest.GroupUUIDs + n), "cn",
			fmt.Sprintf("g%05d", n), "description", "Group"}
		for _, dn := range dns {
			switch uid := strings.TrimPrefix(dn[:strings.Index(dn, ",")], "uid="); {
			case r.IntN(4) > 0:
			case logins:
				p = append(p, "memberUid", uid)
			default:
				p = append(p, "member", dn)
			}
		}
		out = append(out, entry{slapdtest.GroupDN(n), p})
	}
	return out
}

// ldif writes entries. hidden says which values are left out.
func ldif(all []entry, hidden func(dn, attr string) bool) string {
	var b strings.Builder
	b.WriteString(tree)
	for _, e := range all {
		var pairs []string
		for i := 0; i < len(e.pairs); i += 2 {
			if hidden == nil || !hidden(e.dn, e.pairs[i]) {
				pairs = append(pairs, e.pairs[i], e.pairs[i+1])
			}
		}
		b.WriteString(slapdtest.Entry(e.dn, pairs...))
	}
	return b.String()
}

// replace gives the directory of an office with a file another content.
func (o *office) replace(text string) {
	o.Helper()
	file := filepath.Join(o.dir, "people.ldif")
	if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
		o.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		o.Fatal(err)
	}
}

// tenants returns what both tenants have, one line for each object.
func (o *office) tenants() map[string]string {
	out := map[string]string{}
	for _, u := range o.tenant.Users() {
		out["google user "+u.ID] = fmt.Sprintln(!u.Suspended, u.PrimaryEmail, u.GivenName, u.FamilyName,
			u.Resource["organizations"], u.Resource["phones"])
	}
	for _, g := range o.tenant.Groups() {
		var members []string
		for _, m := range o.tenant.Members(g.ID) {
			members = append(members, m.ID)
		}
		slices.Sort(members)
		out["google group "+g.ID] = fmt.Sprintln(g.Email, g.Name, members)
	}
	for _, u := range o.graph.Users() {
		out["graph user "+u.ID] = fmt.Sprintln(!u.Disabled, u.UserPrincipalName, u.DisplayName, u.GivenName, u.Surname,
			u.Mail, u.EmployeeID, u.JobTitle, u.Properties["businessPhones"])
	}
	for _, g := range o.graph.Groups() {
		members := slices.Sorted(slices.Values(o.graph.Members(g.ID)))
		out["graph group "+g.ID] = fmt.Sprintln(g.UniqueName, g.DisplayName, members)
	}
	return out
}

// work returns how many changes a run planned.
func work(run status.Run) (n int64) {
	for _, p := range run.Progress {
		n += p.Expected
	}
	return n
}

// judge syncs everything. It fails the test if a tenant is not as it was before, or if a good run of the source says
// nothing of what must not be ignored.
func (o *office) judge(what string, before map[string]string, silent bool) {
	o.Helper()
	source := o.begin(corp)
	if !silent && source.TaskStatus() == status.TaskSuccessful {
		o.Errorf("%s: the run of the source is successful", what)
	}
	for _, name := range []container.ID{workspace, entra} {
		if run := o.begin(name); work(run) > 0 {
			o.Errorf("%s: %s plans %+v", what, name, run.Progress)
		}
	}
	if diff := gocmp.Diff(before, o.tenants()); diff != "" {
		o.Fatalf("%s (-before +after):\n%s", what, diff[:min(len(diff), 3000)])
	}
}

// Each attribute in turn becomes invisible, for all people, or for those of one unit. The tenants stay as they are, and
// the source's run says what it holds. When everything is visible again, the next runs find nothing to do.
func TestLaw13EachAttributeHiddenInTurn(t *testing.T) {
	t.Parallel()
	for seed, tc := range map[uint64]struct {
		logins bool
		lines  officeOptions
		attrs  []string
	}{
		1: {false, officeOptions{}, []string{"nsAccountLock", "shadowExpire", "pwdAccountLockedTime", "mail",
			"givenName", "sn", "cn", "displayName", "employeeNumber", "title", "member", "entryUUID", "objectClass"}},
		2: {true, officeOptions{
			source: []string{"group_membership_field: memberUid"},
			google: []string{`  address: userName + "@example.org"`},
			entra:  []string{`user_property_mappings: {address: 'userName + "@example.org"'}`},
		}, []string{"uid", "memberUid", "nsAccountLock"}},
	} {
		t.Run(strings.Join(tc.attrs, " "), func(t *testing.T) {
			t.Parallel()
			all := randomCompany(rand.New(rand.NewPCG(seed, 1)), 64, tc.logins)
			tc.lines.ldif, tc.lines.file = ldif(all, nil), true
			o := newOffice(t, tc.lines)
			o.sync(corp, workspace, entra)
			before := o.tenants()
			for _, attr := range tc.attrs {
				places := map[string]string{"everywhere": "", "for people": ",ou=people,"}
				if !slices.Contains([]string{"nsAccountLock", "shadowExpire", "pwdAccountLockedTime"}, attr) {
					places["in one unit"] = ",ou=unit," // Only a server can say whether a few of these are hidden.
				}
				for where, dns := range places {
					what := attr + " hidden " + where
					hidden := func(dn, a string) bool { return a == attr && strings.Contains(dn, dns) }
					o.replace(ldif(all, hidden))
					o.judge(what, before, where != "everywhere")
					o.replace(ldif(all, nil))
					o.judge(what+" and visible again", before, true)
				}
			}
		})
	}
}

// A mapping decides who is active. Odd values of attributes that it does not use hold no person. The attribute that it
// uses becomes invisible for the few people who have it, which gives no access back.
func TestLaw13AMappingDecidesWhoIsActive(t *testing.T) {
	t.Parallel()
	company := func(attr string) string {
		text := tree
		for n := range 12 {
			uid := fmt.Sprintf("u%02d", n)
			text += someone(uid, "First", "Last", uid+"@example.org", n, "nsAccountLock", "odd")
			if n < 4 {
				text = strings.TrimSuffix(text, "\n") + attr + ": left\n\n"
			}
		}
		return text
	}
	mapping := `active: 'ldap.employeeType != "left"'`
	o := newOffice(t, officeOptions{ldif: company("x"), file: true, google: []string{"  " + mapping},
		entra: []string{"user_property_mappings: {" + mapping + "}"}})
	o.sync(corp, workspace, entra)
	o.replace(company("employeeType"))
	o.sync(corp, workspace, entra)
	for _, name := range []container.ID{workspace, entra} {
		o.approve(name)
	}
	for n, want := range []bool{3: false, 4: true} {
		if google, entra := o.active(fmt.Sprintf("u%02d", n)); n >= 3 && (google != want || entra != want) {
			t.Errorf("u%02d is active at Google %t, Entra %t, want %t", n, google, entra, want)
		}
	}
	before := o.tenants()
	o.replace(company("x"))
	o.judge("employeeType hidden", before, false)
	if set := o.held(corp); len(set.Changes) != 4 || !strings.Contains(set.Changes[0].Reason, "attribute employeeType") {
		t.Errorf("the source holds %+v, want four changes that name employeeType", set.Changes)
	}
	o.replace(company("employeeType"))
	o.judge("visible again", before, true)
}

// An access rule of the server hides the attribute that says that a person is locked. One locked person is too few for
// a count, and another attribute of the person is still visible. The person stays without an account until the
// attribute is visible again, and gets one when the lock is lifted.
func TestLaw13AServerHidesTheLockOfOnePerson(t *testing.T) {
	t.Parallel()
	const locked = "uid=locked," + slapdtest.People
	person := func(uid string, n int, more ...string) string {
		return slapdtest.Entry("uid="+uid+","+slapdtest.People, append([]string{"objectClass", "inetOrgPerson",
			"objectClass", "vendorObject", "objectClass", "shadowAccount", "entryUUID", slapdtest.UUID(n), "uid", uid,
			"cn", uid, "sn", "Last", "givenName", "First", "mail", uid + "@example.org"}, more...)...)
	}
	text := person("locked", 1, "nsAccountLock", "TRUE", "shadowExpire", "100000")
	for n := range 10 {
		text += person(fmt.Sprintf("u%d", n), 10+n, "nsAccountLock", "FALSE")
	}
	o := newOffice(t, officeOptions{ldif: text, source: []string{"bind_cn: " + slapdtest.Reader,
		"bind_password_env: READER"}})
	o.sync(corp, workspace, entra)
	before := o.tenants()
	for _, rule := range []string{"to attrs=nsAccountLock", "to dn.subtree=" + locked + " attrs=nsAccountLock"} {
		for _, right := range []string{"none", "search"} {
			o.ldap.Access(t, rule+" by * "+right, "to * by * read")
			o.judge(rule+" by "+right, before, false)
			var held struct {
				Conflicts []struct{ Label, Reason, Detail string } `json:"conflicts"`
			}
			o.call(http.MethodGet, "/sources/ldap/corp/sync/held/", "", http.StatusOK, &held)
			if len(held.Conflicts) != 1 || held.Conflicts[0].Label != "locked" ||
				!strings.Contains(held.Conflicts[0].Detail, locked+": it was inactive, and the bind account may not see whether "+
					"it has nsAccountLock") {
				t.Errorf("%s by %s: the conflicts are %+v", rule, right, held.Conflicts)
			}
			o.ldap.Access(t, "to * by * read")
			o.judge("visible again", before, true)
		}
	}
	o.ldap.Set(t, locked, "nsAccountLock")
	o.sync(corp, workspace, entra)
	if n := len(o.tenants()) - len(before); n != 2 {
		t.Errorf("%d accounts were made when the lock was lifted, want 2", n)
	}
}
