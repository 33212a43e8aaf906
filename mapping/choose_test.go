package mapping_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
	"rollcall/mapping"
	"rollcall/plan"
)

var choosing = mapping.Spec{
	User: []mapping.Field{{Name: "familyName", Default: "familyName"}, {Name: "title", Default: "ldap.title"},
		{Name: "login", Default: "userName"}},
	Group:       []mapping.Field{{Name: "name", Default: "cn"}},
	UserAddress: "mail", GroupAddress: "lower(cn) + \"@example.com\"",
}

func severalValues() []directory.Entry {
	return []directory.Entry{
		{Kind: directory.User, ID: "u1", Source: "corp", Active: true, DN: "uid=mia,ou=people,dc=example",
			Attributes: directory.Attributes{
				{Name: directory.FamilyName, Values: []string{"Hill", "Berg"}},
				{Name: directory.Mail, Values: []string{"z@elsewhere.example", "mia@example.com", "mia.hill@example.com"}},
				{Name: "title", Values: []string{"Dr", "CTO", "Prof"}},
				{Name: directory.UserName, Values: []string{"aaa", "mia"}},
			}},
		{Kind: directory.Group, ID: "g1", Source: "corp", Active: true, DN: "cn=staff,ou=groups,dc=example",
			Attributes: directory.Attributes{
				{Name: directory.CommonName, Values: []string{"all hands", "staff"}},
			}},
	}
}

// desiredOf maps entries with values in a random order.
func desiredOf(t *testing.T, m *mapping.Mapping, r *rand.Rand) []plan.Desired {
	t.Helper()
	entries := severalValues()
	for i := range entries {
		for _, a := range entries[i].Attributes {
			r.Shuffle(len(a.Values), func(x, y int) { a.Values[x], a.Values[y] = a.Values[y], a.Values[x] })
		}
	}
	versions := map[directory.Ref]string{{Kind: directory.User, ID: "u1"}: "v", {Kind: directory.Group, ID: "g1"}: "v"}
	result, err := m.Desire(mapping.Input{Snapshot: directory.Snapshot{Entries: entries, Versions: versions},
		Domains: []string{"example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	return result.Desired
}

func TestLaw14TheOrderOfValuesMeansNothing(t *testing.T) {
	t.Parallel()
	m, err := mapping.Compile(choosing, mapping.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(3, 1))
	first := desiredOf(t, m, r)
	mia, staff := first[0], first[1]
	if mia.Address != "mia.hill@example.com" || mia.Fields.Get("familyName") != "Berg" ||
		mia.Fields.Get("login") != "mia" ||
		mia.Fields.Get("title") != "CTO" || staff.Address != "staff@example.com" || staff.Fields.Get("name") != "staff" {
		t.Errorf("Desire() = %+v", first)
	}
	objects := []plan.Object{
		{Ref: mia.Ref, RemoteID: "1", Address: "mia@example.com", Active: true, Fields: directory.Attributes{
			{Name: "familyName", Values: []string{"Hill"}}, {Name: "login", Values: []string{"mia"}},
			{Name: "title", Values: []string{"Prof"}},
		}},
		{Ref: staff.Ref, RemoteID: "2", Address: "staff@example.com", Active: true,
			Fields: directory.Attributes{{Name: "name", Values: []string{"staff"}}}},
	}
	for range 100 {
		again := desiredOf(t, m, r)
		if diff := cmp.Diff(first, again); diff != "" {
			t.Fatalf("another order gives another result (-first +now):\n%s", diff)
		}
		if p := plan.Compute(plan.Input{Desired: again, State: plan.State{Objects: objects}}); !p.Empty() {
			t.Fatalf("the account does not keep what it has: %+v", p.Changes)
		}
	}
	objects[0].Address, objects[1].Fields[0].Values = "old@example.com", []string{"all hands"}
	p := plan.Compute(plan.Input{Desired: first, State: plan.State{Objects: objects}})
	if len(p.Changes) != 2 || p.Changes[0].Address != "mia.hill@example.com" ||
		p.Changes[1].Fields[0].After[0] != "staff" {
		t.Errorf("what is no value any more is replaced: %+v", p.Changes)
	}
}

// However many values an attribute has, the account keeps the one that it has.
func TestLaw14OneOfManyValuesStays(t *testing.T) {
	t.Parallel()
	m, err := mapping.Compile(choosing, mapping.Options{})
	if err != nil {
		t.Fatal(err)
	}
	mails, titles := []string{}, []string{}
	for i := range 300 {
		mails, titles = append(mails, fmt.Sprintf("mia%03d@example.com", i)), append(titles, fmt.Sprintf("T%03d", i))
	}
	ref := directory.Ref{Kind: directory.User, ID: "u1"}
	entry := directory.Entry{Kind: directory.User, ID: "u1", Source: "corp", Active: true, DN: "uid=mia,dc=example",
		Attributes: directory.Attributes{
			{Name: directory.Mail, Values: mails}, {Name: "title", Values: titles},
		}}
	result, err := m.Desire(mapping.Input{
		Snapshot: directory.Snapshot{Entries: []directory.Entry{entry}, Versions: map[directory.Ref]string{ref: "v"}},
		Domains:  []string{"example.com"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{0, 8, 9, 299} {
		p := plan.Compute(plan.Input{Desired: result.Desired, State: plan.State{Objects: []plan.Object{{
			Ref: ref, RemoteID: "1", Address: mails[i], Active: true,
			Fields: directory.Attributes{{Name: "title", Values: titles[i : i+1]}},
		}}}})
		if !p.Empty() {
			t.Errorf("the account with value %d does not keep what it has: %+v", i, p.Changes)
		}
	}
}

// What one account keeps depends on the values that its expression reads. The value in the RDN is the name of the
// entry, and no other one stays.
func TestLaw14WhatAnAccountMayKeep(t *testing.T) {
	t.Parallel()
	m, err := mapping.Compile(mapping.Spec{UserAddress: "first(mails)",
		User: []mapping.Field{{Name: "login", Default: "userName"}, {Name: "title", Default: `join(ldap_all.title, "+")`}}},
		mapping.Options{})
	if err != nil {
		t.Fatal(err)
	}
	entry := directory.Entry{Kind: directory.User, ID: "u1", Source: "corp", Active: true, DN: "uid=mia,dc=example",
		Attributes: directory.Attributes{{Name: directory.Mail, Values: []string{"a@x.org", "b@x.org"}},
			{Name: "title", Values: []string{"A", "B"}}, {Name: directory.UserName, Values: []string{"abc", "mia", "xyz"}}}}
	result, err := m.Desire(mapping.Input{Snapshot: directory.Snapshot{Entries: []directory.Entry{entry}}})
	if err != nil {
		t.Fatal(err)
	}
	d := result.Desired[0]
	want := directory.Attributes{}.Set(plan.AddressField, "b@x.org").Set("title", "B+A")
	if d.Address != "a@x.org" || d.Fields.Get("login") != "mia" || d.Fields.Get("title") != "A+B" {
		t.Errorf("desired %+v", d)
	}
	if diff := cmp.Diff(want, d.Options); diff != "" {
		t.Errorf("options (-want +got):\n%s", diff)
	}
}
