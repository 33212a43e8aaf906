package googleworkspace_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
	"rollcall/mapping"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/googleworkspace"
	simulator "rollcall/simulator/googleworkspace"
)

// sync plans a directory of users and carries the plan out. It returns the changes and the errors.
func (w *world) sync(entries ...directory.Entry) (p plan.Plan, errs []string) {
	w.t.Helper()
	m, err := w.cfg.Mapping()
	if err != nil {
		w.t.Fatal(err)
	}
	state := w.read(provider.Query{})
	d, err := m.Desire(mapping.Input{Snapshot: directory.Snapshot{Entries: entries}, Domains: state.Domains})
	if err != nil {
		w.t.Fatal(err)
	}
	p = plan.Compute(plan.Input{Desired: d.Desired, State: state, Capabilities: w.Capabilities(), Now: w.clock.Now()})
	for _, r := range w.Apply(w.t.Context(), p.Changes) {
		if r.Err != nil {
			errs = append(errs, r.Err.Error())
		} else if strings.Contains(r.Note, "not added") {
			errs = append(errs, r.Note)
		}
	}
	return p, errs
}

func withAliases(id directory.ID, mail string, proxies ...string) directory.Entry {
	e := directory.Entry{Kind: directory.User, ID: id, Active: true}
	e.Attributes = directory.Attributes{}.Set(directory.CommonName, "Liz").Set(directory.FamilyName, "Smith").
		Set(directory.GivenName, "Liz").Set(directory.Mail, mail).Set("proxyAddresses", proxies...)
	return e
}

func (w *world) aliasesOf(address string) []string {
	w.t.Helper()
	u, ok := w.tenant.User(address)
	if !ok {
		w.t.Fatalf("no user %s", address)
	}
	return slices.Sorted(slices.Values(u.Aliases))
}

// TestAliases gives an account the addresses of proxyAddresses. What others added stays, and nothing is planned twice.
func TestAliases(t *testing.T) {
	t.Parallel()
	w := open(t, setup{config: func(c *googleworkspace.Config) {
		c.UserPropertyMappings = map[string]string{"aliases": "ldap_all.proxyAddresses", "phones.work": "ldap.phone"}
	}})
	const liz = "liz@example.com"
	kinds := []string{"SMTP:liz@example.com", "smtp:Elizabeth@Example.com", "smtp:l@elsewhere.org", "X500:/o=Org/cn=liz",
		"sip:liz@example.com", "l.smith@example.com"}
	both := []string{"elizabeth@example.com", "l.smith@example.com"}
	admins := append(slices.Clone(both), "byhand@example.com")
	for _, s := range []struct {
		name    string
		before  func()
		mail    string
		proxies []string
		want    []string
		changes int
	}{
		{"a new account", nil, liz, kinds, both, 1},
		{"another party adds one", func() { w.addAlias(liz, "byhand@example.com") }, liz, kinds, admins, 0},
		{"the directory wants it, too", nil, liz, append(slices.Clone(kinds), "smtp:byhand@example.com"), admins, 1},
		{"and no longer", nil, liz, kinds, admins, 1},
		{"one is removed by hand", func() { w.dropAlias(liz, both[0]) }, liz, kinds, admins, 1},
		{"one goes", nil, liz, kinds[:2], []string{both[0], "byhand@example.com"}, 1},
		{"a rename keeps the old address", nil, "smith@example.com", kinds[1:2],
			[]string{both[0], "byhand@example.com", liz}, 1},
		{"which the directory wants", nil, "smith@example.com", []string{kinds[1], "smtp:" + liz},
			[]string{both[0], "byhand@example.com", liz}, 1},
		{"an alias becomes the address", nil, both[0], []string{"SMTP:" + both[0], "smtp:" + liz},
			[]string{"byhand@example.com", liz, "smith@example.com"}, 1},
		{"all go", nil, both[0], nil, []string{"byhand@example.com", liz, "smith@example.com"}, 1},
	} {
		if s.before != nil {
			s.before()
		}
		entry := withAliases("u1", s.mail, s.proxies...)
		p, errs := w.sync(entry)
		if len(p.Changes) != s.changes || len(errs) > 0 {
			t.Errorf("%s: changes %+v, errors %q, want %d changes", s.name, p.Changes, errs, s.changes)
		}
		slices.Sort(s.want)
		if diff := cmp.Diff(s.want, w.aliasesOf(s.mail)); diff != "" {
			t.Errorf("%s: aliases (-want +got):\n%s", s.name, diff)
		}
		if p, _ := w.sync(entry); len(p.Changes) > 0 {
			t.Errorf("%s: the next plan has %+v, want nothing", s.name, p.Changes)
		}
	}
}

func (w *world) addAlias(user, alias string) {
	w.t.Helper()
	if err := w.tenant.AddAlias(user, alias); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) dropAlias(user, alias string) {
	w.t.Helper()
	if err := w.tenant.RemoveAlias(user, alias); err != nil {
		w.t.Fatal(err)
	}
}

// TestAliasOfAnother fails only the account whose alias another object has, and names that object. Its other aliases
// are there.
func TestAliasOfAnother(t *testing.T) {
	t.Parallel()
	w := open(t, setup{config: func(c *googleworkspace.Config) {
		c.UserPropertyMappings = map[string]string{"aliases": "ldap_all.proxyAddresses"}
	}})
	other := simulator.User{PrimaryEmail: "other@example.com", GivenName: "A", FamilyName: "B"}
	if _, err := w.tenant.AddUser(other); err != nil {
		t.Fatal(err)
	}
	liz := withAliases("u1", "liz@example.com", "smtp:other@example.com", "smtp:free@example.com")
	for _, name := range []string{"create", "update"} {
		_, errs := w.sync(liz, withAliases("u2", "ben@example.com"))
		if len(errs) != 1 || !strings.Contains(errs[0], "alias other@example.com: user other@example.com") {
			t.Errorf("%s: errors %q, want the holder of the alias", name, errs)
		}
		if got := w.aliasesOf("liz@example.com"); !slices.Equal(got, []string{"free@example.com"}) {
			t.Errorf("%s: aliases %q", name, got)
		}
	}
	w.aliasesOf("ben@example.com")
}
