package scim_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/mapping"
	"rollcall/plan"
	"rollcall/provider/scim"
	simulator "rollcall/simulator/scim"
)

// TestListsOfValues maps roles, entitlements and further typed values, on servers with each way to write. What others
// added stays.
func TestListsOfValues(t *testing.T) {
	t.Parallel()
	for name, v := range map[string]vendor{
		"patch":           {letter: &letter{}},
		"put":             {letter: &letter{put: true}},
		"put that keeps":  {letter: &letter{put: true, quirks: quirks{keeps: true}}},
		"texts":           {letter: &letter{quirks: quirks{texts: true, answers: true}}},
		"without a type":  {letter: &letter{spell: strings.ToUpper}},
		"cursors, no ids": {letter: &letter{cursors: true, quirks: quirks{blind: true}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCompany(t, v.start(t), "token")
			for _, field := range []string{"roles", "entitlements.license", "entitlements.primary",
				"entitlements.primary.display", "phoneNumbers.fax", "ims.xmpp"} {
				c.cfg.UserPropertyMappings[field] = "cn"
			}
			c.restart()
			u := c.user(1)
			wants := func(field string, values ...string) {
				u.Fields = slices.DeleteFunc(u.Fields.Clone(), func(a directory.Attribute) bool { return a.Name == field })
				u.Fields = append(u.Fields, directory.Attribute{Name: field, Values: values})
			}
			id := func() string { return c.links[u.Ref].RemoteID }
			shows := func(attr string, want ...string) {
				t.Helper()
				list, _ := v.find(id()).attrs[attr].([]any)
				var got []string
				for _, el := range list {
					m := el.(map[string]any)
					text := fmt.Sprint(m["value"])
					for _, sub := range []string{"type", "display", "primary"} {
						if m[sub] != nil {
							text += fmt.Sprintf(" %s=%v", sub, m[sub])
						}
					}
					got = append(got, text)
				}
				if slices.Sort(got); !slices.Equal(got, want) {
					t.Errorf("%s = %q, want %q", attr, got, want)
				}
			}
			wants("roles", "editor", "Prüfer")
			wants("entitlements.license", "E3", "E5")
			wants("entitlements.primary", "00e1")
			wants("entitlements.primary.display", "Standard User")
			wants("phoneNumbers.fax", "+49 30 9")
			wants("ims.xmpp", "ann@chat.example.com")
			c.settle()
			shows("roles", "Prüfer", "editor")
			shows("entitlements", "00e1 display=Standard User primary=true", "E3 type=license", "E5 type=license")
			shows("ims", "ann@chat.example.com type=xmpp")

			foreign := map[string]any{"value": "owner", "display": "Owner"}
			other := map[string]any{"value": "E9", "type": "license"}
			v.enrich(id(), "roles", foreign)
			v.enrich(id(), "entitlements", other)
			if n := c.settle(); n != 0 {
				t.Errorf("%d changes because others added values, want none", n)
			}
			wants("roles", "Prüfer", "reader")
			wants("entitlements.license", "E5")
			wants("entitlements.primary", "00e2")
			c.settle()
			shows("roles", "Prüfer", "owner display=Owner", "reader")
			shows("entitlements", "00e2 display=Standard User primary=true", "E5 type=license", "E9 type=license")

			for _, field := range []string{"roles", "entitlements.license", "entitlements.primary",
				"entitlements.primary.display", "phoneNumbers.fax", "ims.xmpp"} {
				wants(field)
			}
			c.settle()
			shows("roles", "owner display=Owner")
			shows("entitlements", "E9 type=license")
			shows("ims")
		})
	}
}

// enrich adds an element to a list as an administrator of the server does.
func (l *letter) enrich(id, attr string, el map[string]any) {
	list, _ := l.find(id).attrs[attr].([]any)
	l.become(id, attr, append(slices.Clone(list), el))
}

// become gives an attribute another value.
func (l *letter) become(id, attr string, value any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.all {
		if e.id == id {
			e.attrs[attr], e.version = value, e.version+1
		}
	}
}

// TestOneValueOfAList covers servers that take one value.
func TestOneValueOfAList(t *testing.T) {
	t.Parallel()
	one := true
	w := open(t, configured(func(c *scim.Config) {
		c.SingleValues, c.UserPropertyMappings["roles"] = &one, "ldap_all.role"
	}))
	many := plan.FieldChange{Name: "roles", After: []string{"a", "b"}}
	if err := w.refused(newUser("u1", "ann@example.com", many), fault.Invalid); fault.RejectedField(err) != "roles" {
		t.Errorf("Apply() = %v, want the field named", err)
	}
	id := w.must(newUser("u1", "ann@example.com", field("roles", "a")))
	next := field("roles", "b")
	next.Before = []string{"a"}
	w.must(change(plan.Update, userRef("u1"), id, next))
	if got := w.object(id).Fields.Values("roles"); !slices.Equal(got, []string{"b"}) {
		t.Errorf("roles = %q, want one", got)
	}
}

// TestATextWithoutItsValue covers what people see for a mail address or role that the account does not have.
func TestATextWithoutItsValue(t *testing.T) {
	t.Parallel()
	for name, setups := range map[string][]setup{
		"patch": nil, "put": {behaving(simulator.Behaviours{NoPatch: true})},
	} {
		for _, value := range []string{"emails.work", "roles.primary"} {
			text := value + ".display"
			w := open(t, append(setups, configured(func(c *scim.Config) {
				c.UserPropertyMappings[value], c.UserPropertyMappings[text] = "mail", "cn"
			}))...)
			id := w.must(newUser("u1", "ann@example.com"))
			err := w.refused(change(plan.Update, userRef("u1"), id, field(text, "Ann")), fault.Invalid)
			if fault.RejectedField(err) != text || !strings.Contains(err.Error(), "does not have") {
				t.Errorf("%s, %s: Apply() = %v, want the field named", name, text, err)
			}
			w.must(change(plan.Update, userRef("u1"), id, field(value, "ann@example.com"), field(text, "Ann")))
			if got := w.object(id).Fields.Get(text); got != "Ann" {
				t.Errorf("%s: %s = %q, want it beside its value", name, text, got)
			}
		}
	}
}

// wants sets a mapped field of the user.
func (c *company) wants(u *plan.Desired, field string, values ...string) {
	u.Fields = slices.DeleteFunc(u.Fields.Clone(), func(a directory.Attribute) bool { return a.Name == field })
	u.Fields = append(u.Fields, directory.Attribute{Name: field, Values: values})
	slices.SortFunc(u.Fields, func(a, b directory.Attribute) int { return strings.Compare(a.Name, b.Name) })
}

// has returns an attribute as the server has it.
func (l *letter) has(id, attr string) string {
	return fmt.Sprint(l.find(id).attrs[attr])
}

// TestLetterCaseOfAList covers servers that store roles in lower case, and a mapping that changes the case of letters.
func TestLetterCaseOfAList(t *testing.T) {
	t.Parallel()
	l := &letter{quirks: quirks{answers: true}}
	c := newCompany(t, l.start(t), "token")
	c.cfg.UserPropertyMappings["roles"] = "cn"
	c.restart()
	u := c.user(1)
	c.wants(u, "roles", "Editor", "Writer")
	c.settle()
	l.become(c.links[u.Ref].RemoteID, "roles", []any{map[string]any{"value": "editor"},
		map[string]any{"value": "writer"}})
	if n := c.sync(0); n != 0 {
		t.Errorf("%d changes for the case of letters, want none", n)
	}
	c.wants(u, "roles", "EDITOR", "Reader")
	c.settle()
	if got := l.has(c.links[u.Ref].RemoteID, "roles"); got != "[map[value:editor] map[value:Reader]]" {
		t.Errorf("roles = %s, want the writer replaced", got)
	}
}

// TestThePrimaryOneOfAList checks that a primary role may be one of the roles, and that the primary one of others
// keeps its value.
func TestThePrimaryOneOfAList(t *testing.T) {
	t.Parallel()
	for name, l := range map[string]*letter{"patch": {}, "put": {put: true}} {
		c := newCompany(t, l.start(t), "token")
		c.cfg.UserPropertyMappings["roles"], c.cfg.UserPropertyMappings["roles.primary"] = "cn", "cn"
		c.restart()
		u := c.user(1)
		step := func(want string, roles ...string) {
			t.Helper()
			c.wants(u, "roles", roles...)
			c.settle()
			if got := l.has(c.links[u.Ref].RemoteID, "roles"); got != want {
				t.Errorf("%s: roles = %s, want %s", name, got, want)
			}
		}
		c.wants(u, "roles.primary", "a")
		step("[map[primary:true value:a] map[value:b]]", "a", "b")
		c.wants(u, "roles.primary", "b")
		step("[map[value:a] map[primary:true value:b]]", "a", "b")
		l.become(c.links[u.Ref].RemoteID, "roles", []any{map[string]any{"value": "a"}, map[string]any{"value": "b"},
			map[string]any{"value": "theirs", "primary": true}})
		step("[map[value:a] map[primary:true value:b] map[value:theirs]]", "a", "b")
		step("[map[value:a] map[primary:true value:b] map[value:theirs]]", "a") // It is still the primary one.
		c.wants(u, "roles.primary", "c")
		step("[map[value:a] map[primary:true value:c] map[value:theirs]]", "a")
		c.wants(u, "roles.primary", "a")
		step("[map[primary:true value:a] map[value:theirs]]", "a")
		c.wants(u, "roles.primary")
		step("[map[value:a] map[value:theirs]]", "a")
		step("[map[value:theirs]]")
	}
}

// TestAValueWithoutAListStays covers servers that show a single value without a list.
func TestAValueWithoutAListStays(t *testing.T) {
	t.Parallel()
	l := &letter{}
	c := newCompany(t, l.start(t), "token")
	c.cfg.UserPropertyMappings["roles"], c.cfg.UserPropertyMappings["phoneNumbers.home"] = "cn", "cn"
	c.restart()
	u := c.user(1)
	c.settle()
	l.become(c.links[u.Ref].RemoteID, "roles", map[string]any{"value": "owner"})
	l.become(c.links[u.Ref].RemoteID, "phonenumbers", map[string]any{"value": "1", "type": "work"})
	c.wants(u, "roles", "reader")
	c.wants(u, "phoneNumbers.work", "1")
	c.wants(u, "phoneNumbers.home", "2")
	c.settle()
	if got := l.has(c.links[u.Ref].RemoteID, "roles"); got != "[map[value:owner] map[value:reader]]" {
		t.Errorf("roles = %s, want the owner kept", got)
	}
	got := l.has(c.links[u.Ref].RemoteID, "phonenumbers")
	if !strings.Contains(got, "work") || !strings.Contains(got, "home") {
		t.Errorf("phoneNumbers = %s, want the one at work kept", got)
	}
}

// TestAMappedRoleProtectsNoUser checks that a mapping cannot give a role that keeps its user from being suspended.
func TestAMappedRoleProtectsNoUser(t *testing.T) {
	t.Parallel()
	for name, held := range map[string]bool{"roles": true, "roles.primary": true, "roles.kind": true,
		"roles.primary.display": true, "urn:ietf:params:scim:schemas:core:2.0:User:roles": true,
		"urn:ietf:params:scim:schemas:core:2.0:User:Roles.display": true, "urn:example:User:roles": false,
		"entitlements": false, "entitlements.license": false, "entitlements.primary.display": false} {
		cfg := scim.Config{Endpoint: "https://example.com/scim/v2", TokenFile: "token"}
		cfg.ID, cfg.Name, cfg.UserPropertyMappings = 1, "SCIM", map[string]string{name: "ldap.title"}
		cfg.SetDefaults()
		m, err := cfg.Mapping()
		if err != nil {
			t.Fatal(err)
		}
		e := directory.Entry{Kind: directory.User, ID: "1", Active: true, Attributes: directory.Attributes{
			{Name: "mail", Values: []string{"a@example.com"}}, {Name: "title", Values: []string{"Site Admin"}}}}
		r, err := m.Desire(mapping.Input{Snapshot: directory.Snapshot{Entries: []directory.Entry{e}}})
		if err != nil || len(r.Desired) != 1 {
			t.Fatalf("%s: Desire() = %+v, %v, want an entry", name, r.Desired, err)
		}
		if got := r.Desired[0].Detail; strings.Contains(got, "protected_roles: *admin*") != held || (got == "") == held {
			t.Errorf("%s: Desire() = %q, want the entry held: %v", name, got, held)
		}
	}
}
