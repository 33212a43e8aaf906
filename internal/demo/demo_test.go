package demo_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"rollcall/directory"
	"rollcall/internal/demo"
	"rollcall/mapping"
	"rollcall/plan"
	"rollcall/provider/googleworkspace"
	"rollcall/source/ldap"
)

// read reads LDIF through the LDAP source with the demo's configuration.
func read(t *testing.T, ldif []byte) directory.Snapshot {
	t.Helper()
	path := filepath.Join(t.TempDir(), "people.ldif")
	if err := os.WriteFile(path, ldif, 0o600); err != nil {
		t.Fatal(err)
	}
	c := ldap.DefaultConfig()
	c.Slug, c.ServerURI, c.BaseDN = "corp", "file://"+path, demo.BaseDN
	c.AdditionalUserDN, c.AdditionalGroupDN = "ou=people", "ou=groups"
	c.UserObjectFilter, c.GroupObjectFilter = "(objectClass=inetOrgPerson)", "(objectClass=groupOfNames)"
	s, err := ldap.New(c, []string{"title", "telephoneNumber", "manager"}, ldap.Options{})
	if err != nil {
		t.Fatal(err)
	}
	snap, err := s.Read(t.Context(), directory.Query{})
	if err != nil {
		t.Fatal(err)
	}
	return snap
}

// desire returns the desired state of a tenant.
func desire(t *testing.T, snap directory.Snapshot) mapping.Result {
	t.Helper()
	m, err := googleworkspace.Config{DefaultGroupEmailDomain: demo.Domain}.Mapping()
	if err != nil {
		t.Fatal(err)
	}
	r, err := m.Desire(mapping.Input{Snapshot: snap, Domains: []string{demo.Domain}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestCompany(t *testing.T) {
	t.Parallel()
	snap := read(t, demo.LDIF())
	if users, groups := snap.Count(directory.User), snap.Count(directory.Group); users < 245 || users > 260 ||
		groups != 40 {
		t.Errorf("%d people and %d groups, want about 250 and 40", users, groups)
	}
	if len(snap.Findings) > 0 || len(snap.Doubts) > 0 {
		t.Errorf("findings %v, doubts %v, want none", snap.Findings, snap.Doubts)
	}
	inactive, members := 0, 0
	for i := range snap.Entries {
		if !snap.Entries[i].Active {
			inactive++
		}
		members += len(snap.Entries[i].Members)
	}
	if inactive != 4 {
		t.Errorf("%d people are disabled, want 4", inactive)
	}
	if members < 500 {
		t.Errorf("%d direct memberships, want at least 500: are the members' DNs understood?", members)
	}
	r := desire(t, snap)
	if len(r.Cycles) != 2 {
		t.Errorf("cycles %v, want the two wiki groups", r.Cycles)
	}
	held := map[plan.Reason][]string{}
	for _, d := range r.Desired {
		if d.Held != "" {
			held[d.Held] = append(held[d.Held], d.Label)
		}
	}
	for reason, want := range map[plan.Reason]string{plan.NoAddress: "tbak", plan.ForeignDomain: "x-rcontreras",
		plan.BadMapping: "teeranai"} {
		if !slices.Equal(held[reason], []string{want}) {
			t.Errorf("held as %s: %v, want %s", reason, held[reason], want)
		}
	}
	if len(held) != 3 {
		t.Errorf("held: %v", held)
	}
}

// TestMorning plans the second morning of the local directory. It is what the demo shows after the first sync.
func TestMorning(t *testing.T) {
	t.Parallel()
	before, after := read(t, demo.LDIF()), read(t, demo.Next())
	apply, held := plan.Compute(plan.Input{
		Desired: mirrored(after), State: plan.State{Objects: objects(before)}, Capabilities: plan.Capabilities{Mirror: true},
	}).Guard(plan.Limits{}, plan.Budget{})
	if len(held.Changes) > 0 {
		t.Errorf("%d changes are held: %s", len(held.Changes), held.Changes[0].Held)
	}
	counts := map[string]int{}
	for i := range apply.Changes {
		c := &apply.Changes[i]
		counts[c.Op.String()+" "+c.Kind.String()]++
	}
	for what, want := range map[string]int{"create user": 4, "delete user": 3, "suspend user": 1, "restore user": 1,
		"create group": 0, "delete group": 0} {
		if counts[what] != want {
			t.Errorf("%s: %d, want %d", what, counts[what], want)
		}
	}
	for what, least := range map[string]int{"update user": 2, "add_member group": 8, "remove_member group": 5} {
		if counts[what] < least || counts[what] > 40 {
			t.Errorf("%s: %d, want %d or a few more", what, counts[what], least)
		}
	}
}

// mirrored and objects are the two sides of the local directory, without a store.
func mirrored(s directory.Snapshot) []plan.Desired {
	var out []plan.Desired
	for i := range s.Entries {
		e := &s.Entries[i]
		d := plan.Desired{Ref: e.Ref(), Label: e.Label(), Active: e.Active, Fields: e.Attributes}
		if e.DN != "" {
			d.Fields = d.Fields.Clone().Set("dn", e.DN)
		}
		for _, m := range e.Members {
			d.Members = append(d.Members, plan.Member{Ref: m})
		}
		out = append(out, d)
	}
	return out
}

func objects(s directory.Snapshot) []plan.Object {
	var out []plan.Object
	for _, d := range mirrored(s) {
		o := plan.Object{Ref: d.Ref, RemoteID: d.String(), Active: d.Active, Fields: d.Fields}
		for _, m := range d.Members {
			o.Members = append(o.Members, m.Ref.String())
		}
		out = append(out, o)
	}
	return out
}
