package boot_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rollcall/container"
	"rollcall/internal/redistest"
	"rollcall/internal/slapdtest"
	"rollcall/status"
)

// resident is a person of a directory file, with a number that tells it from others. An empty ou is that of all people.
type resident struct {
	n              int
	uid, ou, email string
	number         string
}

func (s resident) dn() string { return "uid=" + s.uid + "," + s.ou + slapdtest.People }

func (s resident) String() string {
	pairs := []string{"objectClass", "inetOrgPerson", "entryUUID", id(s.n), "uid", s.uid, "cn", s.uid, "sn", s.uid,
		"givenName", s.uid, "mail", mail(s.email)}
	if s.number != "" {
		pairs = append(pairs, "employeeNumber", s.number)
	}
	return slapdtest.Entry(s.dn(), pairs...)
}

// team writes the group with a number.
func team(n int, cn string, members ...string) string {
	pairs := []string{"objectClass", "groupOfNames", "entryUUID", id(slapdtest.GroupUUIDs + n), "cn", cn}
	for _, m := range members {
		pairs = append(pairs, "member", m)
	}
	return slapdtest.Entry("cn="+cn+","+slapdtest.Groups, pairs...)
}

// crowd are people who stay as they are, in a group of their own.
func crowd() string {
	var b strings.Builder
	var dns []string
	for n := range 12 {
		s := resident{n: 500 + n, uid: fmt.Sprintf("stays%d", n), email: fmt.Sprintf("stays%d", n)}
		b.WriteString(s.String())
		dns = append(dns, s.dn())
	}
	return b.String() + team(9, "crowd", dns...)
}

// accounts describes the accounts and groups of both tenants that are not of the crowd: by their remote ids, which the
// first call names after the addresses.
func (o *office) accounts(names map[string]string) map[container.ID][]string {
	out := map[container.ID][]string{}
	name := func(remote, address string) string {
		if names[remote] == "" {
			names[remote] = "#" + address
		}
		return names[remote]
	}
	note := func(in container.ID, remote, address string, active bool, groups []string) {
		local, _, _ := strings.Cut(address, "@")
		if strings.HasPrefix(local, "stays") || local == "boss" || local == "admin" {
			return
		}
		text := name(remote, local) + " " + local
		if !active {
			text += " suspended"
		}
		slices.Sort(groups)
		out[in] = append(out[in], strings.TrimSpace(text+" "+strings.Join(groups, " ")))
	}
	in := map[string][]string{}
	for _, g := range o.tenant.Groups() {
		for _, m := range o.tenant.Members(g.Email) {
			in[m.ID] = append(in[m.ID], g.Name)
		}
	}
	for _, u := range o.tenant.Users() {
		note(workspace, u.ID, u.PrimaryEmail, !u.Suspended, in[u.ID])
	}
	clear(in)
	for _, g := range o.graph.Groups() {
		for _, m := range o.graph.Members(g.ID) {
			in[m] = append(in[m], g.DisplayName)
		}
	}
	for _, u := range o.graph.Users() {
		note(entra, u.ID, u.UserPrincipalName, !u.Disabled, in[u.ID])
	}
	for _, list := range out {
		slices.Sort(list)
	}
	return out
}

// TestIdentityOverTime changes a directory between two runs of both hops. Accounts stay those of the same entries in
// both tenants, and what cannot be told is held by name. A name such as #ada is the account that ada@ was before.
func TestIdentityOverTime(t *testing.T) {
	t.Parallel()
	ada := resident{n: 1, uid: "ada", email: "ada", number: "4711"}
	ben := resident{n: 2, uid: "ben", email: "ben", number: "4712"}
	with := func(s resident, change func(*resident)) resident { change(&s); return s }
	both := func(a, b resident) string {
		return a.String() + b.String() + team(1, "red", a.dn(), b.dn()) + team(2, "blue", b.dn())
	}
	sales := func(s resident, ou string) resident { return with(s, func(s *resident) { s.ou = "ou=" + ou + "," }) }
	same := []string{"#ada ada red", "#ben ben blue red"}
	for name, tc := range map[string]struct {
		settings      []string // of both tenants
		before, after string
		want          []string
		// google is what Google has, where that is something else.
		google []string
		// held are words of what is held or named, in each tenant, or in the source where a tenant cannot know.
		held []string
	}{
		"a rename": {before: both(ada, ben),
			after: both(with(ada, func(s *resident) { s.uid = "countess" }), ben), want: same},
		"a move between OUs": {before: both(ada, ben), after: both(sales(ada, "sales"), ben), want: same},
		"another mail address": {before: both(ada, ben),
			after: both(with(ada, func(s *resident) { s.email = "lovelace" }), ben),
			want:  []string{"#ada lovelace red", "#ben ben blue red"}},
		"an account created again": {before: both(ada, ben),
			after: both(with(ada, func(s *resident) { s.n = 11 }), ben), want: same, held: []string{"ada", "re-anchor"}},
		"two entries with one id": {before: both(ada, ben),
			after: both(ada, ben) + resident{n: 1, uid: "twin", email: "twin"}.String(), want: same, held: []string{"ada"}},
		"one mail on two people": {before: both(ada, ben),
			after: both(ada, ben) + resident{n: 3, uid: "cid", email: "ada"}.String(), want: same,
			held: []string{"cid", "ada@example.org"}},
		"a leaver's mail for a joiner": {before: both(ada, ben),
			after: resident{n: 3, uid: "cid", email: "ada", number: "4799"}.String() + ben.String() + team(1, "red", ben.dn()) +
				team(2, "blue", ben.dn()), settings: []string{"rekey_by: employeeNumber"},
			want: []string{"#ada ada suspended", "#ben ben blue red"}, held: []string{"cid", "ada@example.org"}},
		"a leaver's mail for a joiner without a number": {before: both(ada, ben),
			after: resident{n: 3, uid: "cid", email: "ada"}.String() + ben.String() + team(1, "red", ben.dn()) +
				team(2, "blue", ben.dn()), want: []string{"#ada ada suspended", "#ben ben blue red"},
			held: []string{"cid", "ada@example.org"}},
		"a user name that becomes a group": {before: both(ada, ben),
			after: both(with(ada, func(s *resident) { s.email = "lovelace" }), ben) + team(3, "ada", ben.dn()),
			want:  []string{"#ada lovelace red", "#ben ben ada blue red"}},
		"a user name that a group would take": {before: both(ada, ben),
			after: both(ada, ben) + team(3, "ada", ben.dn()),
			want:  []string{"#ada ada red", "#ben ben ada blue red"}, google: same, held: nil},
		"a renamed OU and the old member values": {before: both(sales(ada, "sales"), sales(ben, "sales")),
			after: sales(ada, "vertrieb").String() + sales(ben, "vertrieb").String() +
				team(1, "red", sales(ada, "sales").dn(), sales(ben, "sales").dn()) + team(2, "blue", sales(ben, "sales").dn()),
			// The values lead nowhere, as on the server itself. Each is named, with the entry that has the same name now.
			want: []string{"#ada ada", "#ben ben"}, held: []string{"red", "ou=sales", "uid=ada,ou=vertrieb"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t, officeOptions{ldif: crowd() + tc.before, file: true, both: tc.settings})
			o.sync(corp, workspace, entra)
			names := map[string]string{}
			o.accounts(names)
			for round := range 2 {
				write(t, filepath.Join(o.dir, "people.ldif"), crowd()+tc.after)
				said := map[container.ID]string{}
				for _, name := range []container.ID{corp, workspace, entra} {
					said[name] = o.messages(o.begin(name))
				}
				got := o.accounts(maps.Clone(names))
				for _, in := range []container.ID{workspace, entra} {
					want := tc.want
					if in == workspace && tc.google != nil {
						want = tc.google
					}
					if !slices.Equal(got[in], want) {
						t.Errorf("%s, run %d: accounts %q, want %q", in, round+1, got[in], want)
					}
					if text := said[corp] + said[in]; !containsAll(text, tc.held) {
						t.Errorf("%s, run %d: %q is not named in %s", in, round+1, tc.held, text)
					}
				}
			}
		})
	}
}

// messages returns those of a run, which has to be a good one.
func (o *office) messages(run status.Run) string {
	o.Helper()
	list, _, err := o.app.Status.Messages(o.Context(), run.Container, run.ID, "", 1000)
	if err != nil || run.State != status.Completed {
		o.Fatalf("the run of %s is %s: %s, %v", run.Container, run.State, run.FailReason, err)
	}
	var b strings.Builder
	for _, m := range list {
		fmt.Fprintln(&b, m.Event, m.Attributes)
	}
	return b.String()
}

func containsAll(text string, parts []string) bool {
	return !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(text, p) })
}

// TestSeveralSources has two directories for both tenants. What they share is held and named on both sides, and a
// directory that goes takes no account with it without a question.
func TestSeveralSources(t *testing.T) {
	t.Parallel()
	var guests strings.Builder
	for n := range 6 {
		uid := fmt.Sprintf("guest%d", n)
		guests.WriteString(resident{n: 700 + n, uid: uid, email: uid}.String())
	}
	ada := resident{n: 1, uid: "ada", email: "ada"}
	file := filepath.Join(t.TempDir(), "other.ldif")
	all := []container.ID{corp, "ldap:other", workspace, entra}
	write(t, file, guests.String()+team(5, "visitors", "uid=guest0,"+slapdtest.People))
	other := "\n    - slug: other\n      server_uri: file://" + file +
		"\n      base_dn: dc=example,dc=org\n      group_object_filter: (objectClass=groupOfNames)"
	redis := redistest.URL(t)
	o := newOffice(t, officeOptions{ldif: crowd() + ada.String(), file: true, source: []string{other}, redis: redis})
	o.sync(all...)
	names := map[string]string{}
	before := o.accounts(names)
	if n := len(before[workspace]); n != 7 || len(before[entra]) != 7 {
		t.Fatalf("accounts %q, want those of both sources", before)
	}
	for name, more := range map[string]resident{
		"the same address": {n: 3, uid: "cid", email: "ada"}, "the same id": {n: 1, uid: "dot", email: "dot"},
	} {
		write(t, file, guests.String()+team(5, "visitors", "uid=guest0,"+slapdtest.People)+more.String())
		o.sync(corp, "ldap:other")
		for _, in := range []container.ID{workspace, entra} {
			said := o.said(in)
			if !containsAll(said, []string{"Held: ", "ada", more.uid}) {
				t.Errorf("%s, %s: not both sides are named in %s", name, in, said)
			}
		}
		if got := o.accounts(maps.Clone(names)); !maps.EqualFunc(got, before, slices.Equal[[]string]) {
			t.Errorf("%s: accounts %q, want %q", name, got, before)
		}
	}
	// A group has no members of another source.
	write(t, file, guests.String()+team(5, "visitors", "uid=guest0,"+slapdtest.People, ada.dn()))
	if said := o.said("ldap:other"); !containsAll(said, []string{"1 members of 1 groups", ada.dn()}) {
		t.Errorf("a member of another source is not named in %s", said)
	}
	o.sync(workspace, entra)
	if got := o.accounts(maps.Clone(names)); !maps.EqualFunc(got, before, slices.Equal[[]string]) {
		t.Errorf("with a member of another source: accounts %q, want %q", got, before)
	}
	write(t, file, guests.String()+team(5, "visitors", "uid=guest0,"+slapdtest.People))
	o.sync(all...)
	o.rest()
	yaml := filepath.Join(o.dir, "rollcall.yaml")
	text, err := os.ReadFile(yaml)
	if err != nil {
		t.Fatal(err)
	}
	write(t, yaml, strings.ReplaceAll(string(text), other, ""))
	o.open(yaml, redis)
	for _, in := range []container.ID{workspace, entra} {
		if said := o.said(in); !strings.Contains(said, "6 users would go") {
			t.Errorf("%s without the source: %s", in, said)
		}
	}
	if got := o.accounts(maps.Clone(names)); !maps.EqualFunc(got, before, slices.Equal[[]string]) {
		t.Errorf("accounts without the source %q, want %q", got, before)
	}
}

// TestASourceAddedLater adds a directory to tenants that are in step. The accounts that are there stay as they are,
// also those with an address, an id or a login name of the new directory. Its people join after one approval.
func TestASourceAddedLater(t *testing.T) {
	t.Parallel()
	ada, ben := resident{n: 1, uid: "ada", email: "ada"}, resident{n: 2, uid: "ben", email: "ben"}
	var guests strings.Builder
	for n := range 4 {
		uid := fmt.Sprintf("guest%d", n)
		guests.WriteString(resident{n: 700 + n, uid: uid, email: uid}.String())
	}
	guests.WriteString(resident{n: 710, uid: "cid", email: "ada"}.String() +
		resident{n: 2, uid: "dot", email: "dot"}.String() + resident{n: 711, uid: "ada", email: "eve"}.String() +
		team(7, "red", "uid=guest0,"+slapdtest.People) +
		team(8, "visitors", "uid=guest0,"+slapdtest.People, "uid=ada,"+slapdtest.People))
	redis := redistest.URL(t)
	o := newOffice(t, officeOptions{ldif: crowd() + ada.String() + ben.String() + team(1, "red", ada.dn(), ben.dn()),
		file: true, redis: redis})
	o.sync(corp, workspace, entra)
	names := map[string]string{}
	before := o.accounts(names)
	o.rest()
	file, yaml := filepath.Join(o.dir, "other.ldif"), filepath.Join(o.dir, "rollcall.yaml")
	write(t, file, guests.String())
	text, err := os.ReadFile(yaml)
	if err != nil {
		t.Fatal(err)
	}
	write(t, yaml, strings.Replace(string(text), "providers:", "    - slug: other\n      server_uri: file://"+file+
		"\n      base_dn: dc=example,dc=org\n      group_object_filter: (objectClass=groupOfNames)\nproviders:", 1))
	o.open(yaml, redis)
	o.sync("ldap:other")
	// Names of groups are not unique in Entra.
	for in, groups := range map[container.ID]int{workspace: 1, entra: 2} {
		want := []string{fmt.Sprintf("5 users and %d groups would join from ldap:other", groups), "cid", "ada@example.org",
			"dot"}
		for range 2 {
			if said := o.said(in); !containsAll(said, want) {
				t.Errorf("%s: not all of %q is named in %s", in, want, said)
			}
		}
	}
	if got := o.accounts(maps.Clone(names)); !maps.EqualFunc(got, before, slices.Equal[[]string]) {
		t.Errorf("accounts %q, want %q", got, before)
	}
	for in, groups := range map[container.ID]string{workspace: "visitors", entra: "red visitors"} {
		o.approve(in)
		o.sync(in)
		want := []string{"#ada ada red", "#ben ben red", "#eve eve visitors", "#guest0 guest0 " + groups, "#guest1 guest1",
			"#guest2 guest2", "#guest3 guest3"}
		if got := o.accounts(maps.Clone(names))[in]; !slices.Equal(got, want) {
			t.Errorf("%s: accounts %q, want %q", in, got, want)
		}
	}
}
