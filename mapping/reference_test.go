package mapping_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
	"rollcall/mapping"
	"rollcall/plan"
)

// TestAddressOf: a DN leads to the address of an account. The field keeps its value where that is not known.
func TestAddressOf(t *testing.T) {
	t.Parallel()
	const people = ",ou=people,dc=example,dc=com"
	m := compile(t, mapping.Options{User: map[string]string{"title": "address_of(ldap.manager)"},
		UserFilter: `userName != "guest"`})
	ann := func(manager string) directory.Entry { return user("ann", "manager", manager) }
	far := user("boss")
	far.Source = "branch"
	foreign := with(user("boss"), "mail", "boss@elsewhere.org")
	for _, test := range []struct {
		name, manager string
		others        []directory.Entry
		change        func(*directory.Snapshot)
		want          string // "unchanged" for a field that keeps what it has
	}{
		{name: "a person", manager: "uid=boss" + people, others: []directory.Entry{user("boss")}, want: "boss@example.com"},
		{name: "another spelling", manager: "UID=Boss, OU=people,dc=example,dc=com", others: []directory.Entry{user("boss")},
			want: "boss@example.com"},
		{name: "later in the order", manager: "uid=zoe" + people, others: []directory.Entry{user("zoe")},
			want: "zoe@example.com"},
		{name: "a circle", manager: "uid=boss" + people, want: "boss@example.com",
			others: []directory.Entry{user("boss", "manager", "uid=ann"+people)}},
		{name: "the person", manager: "uid=ann" + people, want: "ann@example.com"},
		{name: "nobody", manager: "uid=gone" + people},
		{name: "none"},
		{name: "no DN", manager: "the boss"},
		{name: "out of scope", manager: "uid=guest" + people, others: []directory.Entry{user("guest")}},
		{name: "of another source", manager: "uid=boss" + people, others: []directory.Entry{far}},
		{name: "without an address", manager: "uid=boss" + people, others: []directory.Entry{without(user("boss"), "mail")}},
		{name: "in another domain", manager: "uid=boss" + people, others: []directory.Entry{foreign}},
		{name: "disabled", manager: "uid=boss" + people, others: []directory.Entry{disabled(user("boss"))},
			want: "unchanged"},
		{name: "without a required field", manager: "uid=boss" + people, want: "unchanged",
			others: []directory.Entry{without(user("boss"), "givenName")}},
		{name: "illegal address", manager: "uid=boss" + people, want: "unchanged",
			others: []directory.Entry{with(user("boss"), "mail", "b\u202eoss@example.com")}},
		{name: "unreadable", manager: "uid=boss" + people, want: "unchanged",
			change: func(s *directory.Snapshot) {
				s.Findings = []directory.Finding{{Ref: ref("u/boss"), DN: "uid=boss" + people, Problem: "not UTF-8"}}
			}},
		{name: "not read", manager: "uid=boss" + people, want: "unchanged",
			change: func(s *directory.Snapshot) { s.Partial = true }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := directory.Snapshot{Entries: append([]directory.Entry{ann(test.manager)}, test.others...)}
			if test.manager == "" {
				s.Entries[0] = user("ann")
			}
			if test.change != nil {
				test.change(&s)
			}
			r, err := m.Desire(mapping.Input{Snapshot: s, Domains: []string{"example.com"}})
			if err != nil {
				t.Fatal(err)
			}
			got := "unchanged"
			for _, a := range r.Desired[0].Fields {
				if a.Name == "title" {
					got = strings.Join(a.Values, " ")
				}
			}
			if got != test.want || r.Desired[0].Held != "" {
				t.Errorf("title = %q, held: %s, want %q", got, r.Desired[0].Detail, test.want)
			}
			want := map[directory.Ref][]string{}
			for i := range s.Entries {
				if dn := s.Entries[i].Attributes.Get("manager"); dn != "" {
					want[s.Entries[i].Ref()] = []string{dn}
				}
			}
			if diff := cmp.Diff(want, r.References); diff != "" {
				t.Errorf("references (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAddressOfIsForFields(t *testing.T) {
	t.Parallel()
	const use = "address_of(ldap.manager)"
	for _, opts := range []mapping.Options{
		{User: map[string]string{plan.AddressField: use}}, {User: map[string]string{mapping.ActiveField: use}},
		{UserFilter: use + ` != ""`}, {GroupFilter: use + ` != ""`}, {RekeyBy: use},
	} {
		if _, err := mapping.Compile(spec(), opts); err == nil || !strings.Contains(err.Error(), "address_of is for fields") {
			t.Errorf("Compile(%+v) = %v, want that address_of is refused", opts, err)
		}
	}
}

// TestFurtherAddresses reads aliases from the forms that directories use.
func TestFurtherAddresses(t *testing.T) {
	t.Parallel()
	m := compile(t, mapping.Options{User: map[string]string{"aliases": "ldap_all.proxyAddresses"}})
	for value, want := range map[string]string{
		"smtp:Ada@Example.com": "ada@example.com", "SMTP:ada@example.com": "ada@example.com",
		"ada@example.com ": "ada@example.com", "smtp:ada@elsewhere.org": "", "X400:c=US;a= ;p=Org": "",
		"sip:ada@example.com": "", "x500:/o=Org/cn=ada@example.com": "", "smtp:ada": "", "smtp:": "",
	} {
		e := directory.Entry{Kind: directory.User, ID: "1", Active: true, Attributes: directory.Attributes{
			{Name: directory.Mail, Values: []string{"a@example.com"}}, {Name: "proxyAddresses", Values: []string{value}}}}
		r, err := m.Desire(mapping.Input{Snapshot: directory.Snapshot{Entries: []directory.Entry{e}},
			Domains: []string{"example.com"}})
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(r.Desired[0].Fields.Values("aliases"), " "); got != want {
			t.Errorf("alias of %q = %q, want %q", value, got, want)
		}
	}
}

// An address that the field does not take holds the entry, with what else is wrong with it. A held entry neither joins
// groups nor leaves them.
func TestAnAddressOfAnotherEntryThatIsTooLong(t *testing.T) {
	t.Parallel()
	m := compile(t, mapping.Options{User: map[string]string{"name.givenName": "address_of(ldap.manager)"}})
	const says = `name.givenName: "boss@example.com" has 16 characters, 10 are allowed`
	ann := user("ann", "manager", "uid=boss,ou=people,dc=example,dc=com")
	boss := user("boss", "manager", "uid=boss,ou=people,dc=example,dc=com")
	for _, e := range []directory.Entry{ann, with(ann, "mail", "none")} {
		r := desire(t, m, nil, e, boss, group("staff", "u/ann"))
		d, staff := r.Desired[0], r.Desired[2]
		if d.Held == "" || !strings.HasSuffix(d.Detail, says) {
			t.Errorf("held %q %s, want %s", d.Held, d.Detail, says)
		}
		if noAddress := e.Attributes.Get("mail") == "none"; noAddress != strings.Contains(d.Detail, "is no address") {
			t.Errorf("detail %s", d.Detail)
		}
		if !staff.Members[0].Passive {
			t.Error("the held entry joins its group")
		}
	}
}

// A person who is held only because of another entry still gives an address, whatever the order of the ids is. A single
// sync does not read that other entry.
func TestAReferenceDoesNotDependOnTheOrderOfIDs(t *testing.T) {
	t.Parallel()
	const text = `address_of(ldap.manager) == "" ? int("x") : address_of(ldap.manager)`
	m := compile(t, mapping.Options{UserFilter: `ldap.uid != "none"`, User: map[string]string{"title": text}})
	for _, id := range []string{"aaa", "zoe"} {
		boss := user(id, "manager", "uid=none,ou=people,dc=example,dc=com")
		ann := user("ann", "manager", boss.DN)
		r := desire(t, m, nil, ann, boss, user("none", "uid", "none"))
		for _, d := range r.Desired {
			if d.ID == "ann" && d.Fields.Get("title") != id+"@example.com" || d.ID != "ann" && d.Held != plan.BadMapping {
				t.Errorf("boss %s: %+v, want ann with the boss's address, and the boss held", id, d)
			}
		}
	}
}

// The second of two entries with one id leads to no other entry.
func TestAReferenceToAnIDThatComesTwice(t *testing.T) {
	t.Parallel()
	m := compile(t, mapping.Options{User: map[string]string{"title": "address_of(ldap.manager)"}})
	ann := user("ann", "manager", "uid=second,dc=com")
	r := desire(t, m, nil, ann, user("zoe"), at(user("zoe"), "uid=second,dc=com"))
	if got := r.Desired[0].Fields.Get("title"); got != "zoe@example.com" {
		t.Errorf("title = %q, want the address of zoe", got)
	}
	hidden := compile(t, mapping.Options{UserFilter: "false"})
	if r := desire(t, hidden, nil, user("zoe"), at(user("zoe"), "uid=second,dc=com")); len(r.Desired) > 0 {
		t.Errorf("desired %+v, want none", r.Desired)
	}
}
