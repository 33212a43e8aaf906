package mapping_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/mapping"
	"rollcall/plan"
)

func TestDesiredUser(t *testing.T) {
	t.Parallel()
	ann := user("ann", "employeeNumber", "7")
	ann.Attributes = ann.Attributes.Set("mail", " Ann@Example.COM ", "second@example.com")
	got := one(t, mapping.Options{User: map[string]string{"phones": "ldap_all.none"}}, ann)
	want := plan.Desired{
		Ref: ref("u/ann"), Label: "ann", Source: "corp", Version: ann.Digest(), Address: "ann@example.com", Active: true,
		Rekey:   "7",
		Options: directory.Attributes{{Name: plan.AddressField, Values: []string{"second@example.com"}}},
		Fields: directory.Attributes{
			{Name: "name.familyName", Values: []string{"ann"}},
			{Name: "name.givenName", Values: []string{"Ann"}},
			{Name: "phones"}, // ours, and empty: the remote value is cleared
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestVersionIsTheSnapshots(t *testing.T) {
	t.Parallel()
	r, err := compile(t, mapping.Options{}).Desire(mapping.Input{Snapshot: directory.Snapshot{
		Entries: []directory.Entry{user("ann")}, Versions: map[directory.Ref]string{ref("u/ann"): "v7"},
	}})
	if err != nil || r.Desired[0].Version != "v7" {
		t.Errorf("Desire() = %v, %v", r.Desired, err)
	}
}

func TestHeld(t *testing.T) {
	t.Parallel()
	title := func(expression string) mapping.Options {
		return mapping.Options{User: map[string]string{"title": expression}}
	}
	address := func(expression string) mapping.Options {
		return mapping.Options{User: map[string]string{"address": expression}}
	}
	for _, test := range []struct {
		name   string
		opts   mapping.Options
		entry  directory.Entry
		reason plan.Reason
		detail string
	}{
		{"no mail", mapping.Options{}, without(user("ann"), "mail"), plan.NoAddress, "the address came out empty: mail"},
		{"no @", address("userName"), user("ann"), plan.NoAddress, `"ann" is no address: it has no @`},
		{"two @", address(`"a@b@c"`), user("ann"), plan.NoAddress, `"a@b@c" is no address: it has more than one @`},
		{"nothing before", address(`"@c"`), user("ann"), plan.NoAddress, `"@c" is no address: nothing stands before the @`},
		{"nothing after", address(`"a@"`), user("ann"), plan.NoAddress, `"a@" is no address: nothing stands after the @`},
		{"empty part", address(`"a@b..c"`), user("ann"), plan.NoAddress,
			`"a@b..c" is no address: the domain has an empty part`},
		{"blank", address(`"a b@c"`), user("ann"), plan.NoAddress, `"a b@c" is no address: ' ' cannot be part of one`},
		{"foreign", address(`"a@nowhere.org"`), user("ann"), plan.ForeignDomain,
			"the domain of a@nowhere.org is not one of the tenant's verified domains (example.com, example.org)"},
		{"required", mapping.Options{}, without(user("ann"), "givenName"), plan.BadMapping,
			"user_property_mappings.name.givenName: it is required and came out empty: givenName"},
		{"too long", mapping.Options{}, with(user("ann"), "givenName", "Ännchen-Lisa"), plan.BadMapping,
			`user_property_mappings.name.givenName: "Ännchen-Lisa" has 12 characters, 10 are allowed`},
		{"out of range", title("ldap_all.none[0]"), user("ann"), plan.BadMapping,
			"user_property_mappings.title: column 14: index out of range: 0 (array length is 0)"},
		{"a bad DN", title("ou(dn)"), at(user("ann"), "nonsense"), plan.BadMapping,
			`user_property_mappings.title: column 1: "nonsense" is no DN`},
		{"not a text", title("first([1])"), user("ann"), plan.BadMapping,
			"user_property_mappings.title: it gave a int, want a text"},
		{"not a truth", mapping.Options{User: map[string]string{"hidden": "cn"}}, user("ann"), plan.BadMapping,
			`user_property_mappings.hidden: it gave "Ann ann", want true or false`},
		{"out of bounds", title(`join(map(1..90000, "x")) + join(map(1..90000, "x"))`), user("ann"), plan.BadMapping,
			"user_property_mappings.title: column 6: memory budget exceeded"},
		{"the filter fails", mapping.Options{UserFilter: "mails[3] == cn"}, user("ann"), plan.BadMapping,
			"user_filter: column 6: index out of range: 3 (array length is 1)"},
		{"two things", title("mails[3]"), without(user("ann"), "mail"), plan.BadMapping, "user_property_mappings.title: " +
			"column 6: index out of range: 3 (array length is 0); the address came out empty: mail"},
		{"a group without a name", mapping.Options{}, entry(directory.Group, "g"), plan.NoAddress,
			`"@example.com" is no address: nothing stands before the @`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := desire(t, compile(t, test.opts), []string{"example.org", "example.com"}, test.entry)
			d := r.Desired[0]
			if d.Held != test.reason || d.Detail != test.detail {
				t.Errorf("held: %s %s\nwant: %s %s", d.Held, d.Detail, test.reason, test.detail)
			}
			if d.Held == plan.NoAddress && d.Address != "" {
				t.Errorf("address = %q", d.Address)
			}
		})
	}
}

func TestWithoutAnAddress(t *testing.T) {
	t.Parallel()
	out := map[string]plan.Addressless{"corp": plan.AddresslessLeaveOut}
	for _, test := range []struct {
		name string
		opts mapping.Options
		e    directory.Entry
		want bool
	}{
		{"held by default", mapping.Options{}, without(user("ann"), "mail"), false},
		{"left out by the provider", mapping.Options{NoAddress: plan.AddresslessLeaveOut}, without(user("ann"), "mail"),
			true},
		{"left out by the source", mapping.Options{NoAddressOf: out}, without(user("ann"), "mail"), true},
		{"the provider goes before the source", mapping.Options{NoAddress: plan.AddresslessHold, NoAddressOf: out},
			without(user("ann"), "mail"), false},
		{"another source", mapping.Options{NoAddressOf: map[string]plan.Addressless{"lab": plan.AddresslessLeaveOut}},
			without(user("ann"), "mail"), false},
		{"a name is missing, too", mapping.Options{NoAddressOf: out}, without(user("ann"), "mail", "givenName"), true},
		{"an address that is none", mapping.Options{NoAddressOf: out}, with(user("ann"), "mail", "ann"), false},
		{"an address", mapping.Options{NoAddressOf: out}, user("ann"), false},
	} {
		if d := one(t, test.opts, test.e); d.LeaveOut != test.want || (d.Held == "") != (test.name == "an address") {
			t.Errorf("%s: LeaveOut = %v, Held = %q, want %v", test.name, d.LeaveOut, d.Held, test.want)
		}
	}
}

func TestActive(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		opts   mapping.Options
		entry  directory.Entry
		active bool
	}{
		{"active", mapping.Options{}, user("ann"), true},
		{"disabled", mapping.Options{}, disabled(user("ann")), false},
		{"overridden", mapping.Options{User: map[string]string{"active": `ldap.status == "current"`}},
			user("ann", "status", "left"), false},
		{"overridden the other way", mapping.Options{User: map[string]string{"active": "true"}}, disabled(user("ann")), true},
		{"by a text", mapping.Options{User: map[string]string{"active": "ldap.on"}}, user("ann", "on", "TRUE"), true},
		{"a leaver without mail is held, and not active", mapping.Options{}, disabled(without(user("ann"), "mail")), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			d := one(t, test.opts, test.entry)
			why := plan.Disabled
			if test.active {
				why = ""
			}
			if d.Active != test.active || d.Why != why {
				t.Errorf("active = %v, why = %q; want %v, %q", d.Active, d.Why, test.active, why)
			}
		})
	}
}

func TestRekey(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, by string
		entry    directory.Entry
		want     string
	}{
		{"number", "", user("ann", "employeeNumber", "7"), "7"},
		{"mail", "", user("ann"), "ann@example.com"},
		{"attribute", "uidNumber", user("ann", "uidnumber", "1001"), "1001"},
		{"variable", "userName", user("ann"), "ann"},
		{"expression", `source + "/" + userName`, user("ann"), "corp/ann"},
		{"group", "uidNumber", group("staff"), "staff"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := one(t, mapping.Options{RekeyBy: test.by}, test.entry).Rekey; got != test.want {
				t.Errorf("Rekey = %q, want %q", got, test.want)
			}
		})
	}
}

func TestGroupAddress(t *testing.T) {
	t.Parallel()
	g := with(with(group("x"), "cn", "Straße & Grün"), "displayName", "Straße & Grün")
	if got := one(t, mapping.Options{}, g).Address; got != "strasse-and-grun@example.com" {
		t.Errorf("Address = %q", got)
	}
}

func TestScope(t *testing.T) {
	t.Parallel()
	entries := []directory.Entry{
		user("ann"), user("bob"), user("cay", "employeeType", "guest"), user("dan"),
		group("all", "g/inner", "u/ann"), group("inner", "u/cay", "g/all"), group("other", "u/bob"),
	}
	for _, test := range []struct {
		name string
		opts mapping.Options
		out  string
	}{
		{"everything", mapping.Options{}, ""},
		{"a group by cn", mapping.Options{FilterGroup: "ALL"}, "u/bob filter_group, u/dan filter_group"},
		{"a group by id", mapping.Options{FilterGroup: "inner"}, "u/bob filter_group, u/dan filter_group"},
		{"a group by DN", mapping.Options{FilterGroup: "CN=other, ou=Groups,dc=example,dc=com"},
			"u/ann filter_group, u/cay filter_group, u/dan filter_group"},
		{"an expression", mapping.Options{UserFilter: `ldap.employeeType != "guest"`}, "u/cay user_filter"},
		{"both", mapping.Options{UserFilter: `ldap.employeeType != "guest"`, FilterGroup: "all"},
			"u/bob filter_group, u/cay user_filter, u/dan filter_group"},
		{"exclude by id and login name", mapping.Options{Exclude: []string{"BOB", "d?n"}}, "u/bob exclude, u/dan exclude"},
		{"exclude by mail", mapping.Options{Exclude: []string{"a*@example.com"}, FilterGroup: "inner"},
			"u/ann exclude, u/bob filter_group, u/dan filter_group"},
		{"exclude by DN", mapping.Options{Exclude: []string{"*,OU=Groups,dc=example,dc=com"}},
			"g/all exclude, g/inner exclude, g/other exclude"},
		{"groups", mapping.Options{GroupFilter: `cn != "other"`}, "g/other group_filter"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := desire(t, compile(t, test.opts), nil, entries...)
			var got []string
			for i, d := range r.Decisions {
				if d.Ref != r.OutOfScope[i] {
					t.Errorf("decision %d is about %s, want %s", i, d.Ref, r.OutOfScope[i])
				}
				got = append(got, short(d.Ref)+" "+d.Rule)
			}
			if s := strings.Join(got, ", "); s != test.out {
				t.Errorf("out of scope: %s\nwant: %s", s, test.out)
			}
			if len(r.Desired)+len(r.OutOfScope) != len(entries) {
				t.Errorf("%d desired and %d out of scope of %d", len(r.Desired), len(r.OutOfScope), len(entries))
			}
		})
	}
}

func TestFilterGroupThatIsNotOneGroupStopsTheRun(t *testing.T) {
	t.Parallel()
	twin := with(group("g2"), "cn", "staff")
	twin.DN = "cn=staff,ou=b,dc=example,dc=com"
	for name, want := range map[string]string{
		"nobody": `filter_group: no group has the id, DN or cn "nobody"`,
		"staff": `filter_group: "staff" names 2 groups (` +
			`cn=g1,ou=groups,dc=example,dc=com, cn=staff,ou=b,dc=example,dc=com, …): write the DN or the id of one`,
	} {
		_, err := compile(t, mapping.Options{FilterGroup: name}).Desire(mapping.Input{Snapshot: directory.Snapshot{
			Entries: []directory.Entry{user("nobody"), with(group("g1"), "cn", "staff"), twin},
		}})
		if err == nil || fault.KindOf(err) != fault.Invalid || err.Error() != want {
			t.Errorf("Desire() = %v, want %s", err, want)
		}
	}
}

func TestFilterGroupThatCannotBeReadWholeIsADoubt(t *testing.T) {
	t.Parallel()
	r, err := compile(t, mapping.Options{FilterGroup: "all"}).Desire(mapping.Input{Snapshot: directory.Snapshot{
		Entries:  []directory.Entry{user("ann"), group("all", "g/bad")},
		Findings: []directory.Finding{{Ref: ref("g/bad"), Problem: "two of them"}},
	}})
	if err != nil || len(r.Doubts) != 1 || !strings.Contains(r.Doubts[0], "group/bad") {
		t.Errorf("Desire() = %q, %v", r.Doubts, err)
	}
}

func TestAnIDThatComesTwiceIsHeld(t *testing.T) {
	t.Parallel()
	r := desire(t, compile(t, mapping.Options{}), nil, user("ann"), user("ann"), user("bob"))
	if len(r.Desired) != 2 || r.Desired[0].Held != plan.Unusable || r.Desired[1].Held != "" {
		t.Errorf("Desired = %+v", r.Desired)
	}
}

func TestResultIsSortedThoughTheSnapshotIsNot(t *testing.T) {
	t.Parallel()
	r := desire(t, compile(t, mapping.Options{}), nil, group("g", "u/b", "u/a"), user("b"), user("a"))
	var got []string
	for _, d := range r.Desired {
		got = append(got, short(d.Ref))
	}
	if s := strings.Join(got, " "); s != "u/a u/b g/g" {
		t.Errorf("Desired = %s", s)
	}
	if s := members(r, "g"); s != "u/a u/b" {
		t.Errorf("Members = %s", s)
	}
}

// A decision names the rule as it is configured, because people read it.
func TestDecisionsSayWhatDecided(t *testing.T) {
	t.Parallel()
	slash := with(user("eve"), "userName", `svc/eve`)
	r := desire(t, compile(t, mapping.Options{
		Exclude: []string{"nobody", "SVC/*", `uid=d\2cn,*`}, FilterGroup: "staff", UserFilter: `userName != "fay"`,
	}), nil, slash, user("bob"), user("fay"), group("staff", "u/fay"))
	got := map[directory.ID]mapping.Decision{}
	for _, d := range r.Decisions {
		got[d.ID] = d
	}
	for id, want := range map[directory.ID][2]string{
		"eve": {mapping.ExcludeKey, "svc/*"}, "bob": {mapping.FilterGroupKey, "staff"},
		"fay": {mapping.UserFilterKey, `userName != "fay"`},
	} {
		if d := got[id]; d.Rule != want[0] || d.Setting != want[1] {
			t.Errorf("%s is left out by %s: %q, want %s: %q", id, d.Rule, d.Setting, want[0], want[1])
		}
	}
}
