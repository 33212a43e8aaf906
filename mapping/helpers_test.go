package mapping_test

import (
	"testing"

	"rollcall/directory"
	"rollcall/mapping"
	"rollcall/plan"
)

// spec is a provider with one field of each sort.
func spec() mapping.Spec {
	return mapping.Spec{
		UserAddress:  "mail",
		GroupAddress: `slug(cn) + "@" + domain`,
		User: []mapping.Field{
			{Name: "name.givenName", Default: "givenName", Required: true, MaxLength: 10},
			{Name: "name.familyName", Default: "coalesce(familyName, cn)", Required: true},
			{Name: "orgUnitPath"},
			{Name: "phones", Many: true},
			{Name: "aliases", Many: true, Addresses: true},
			{Name: "hidden", Bool: true},
			{Name: "title"},
			{Name: "street", MultiLine: true},
		},
		Group: []mapping.Field{{Name: "name", Default: "cn"}, {Name: "description", Default: "description"}},
	}
}

func compile(t testing.TB, opts mapping.Options) *mapping.Mapping {
	t.Helper()
	if opts.Domain == "" {
		opts.Domain = "example.com"
	}
	m, err := mapping.Compile(spec(), opts)
	if err != nil {
		t.Fatalf("Compile() = %v", err)
	}
	return m
}

// user is a person with a mail address. More attributes are pairs of name and value, one pair for each value.
func user(id string, pairs ...string) directory.Entry {
	return entry(directory.User, id, append([]string{
		"cn", "Ann " + id, "givenName", "Ann", "familyName", id, "mail", id + "@example.com", "userName", id,
	}, pairs...)...)
}

func entry(kind directory.Kind, id string, pairs ...string) directory.Entry {
	e := directory.Entry{Kind: kind, ID: directory.ID(id), Source: "corp", Active: true}
	e.DN = "uid=" + id + ",ou=people,dc=example,dc=com"
	seen := map[string][]string{}
	for i := 0; i < len(pairs); i += 2 {
		seen[pairs[i]] = append(seen[pairs[i]], pairs[i+1])
		e.Attributes = e.Attributes.Set(pairs[i], seen[pairs[i]]...)
	}
	return e
}

func disabled(e directory.Entry) directory.Entry {
	e.Active = false
	return e
}

// without removes attributes.
func without(e directory.Entry, names ...string) directory.Entry {
	for _, name := range names {
		e.Attributes = e.Attributes.Set(name)
	}
	return e
}

// with sets one attribute.
func with(e directory.Entry, name string, values ...string) directory.Entry {
	e.Attributes = e.Attributes.Set(name, values...)
	return e
}

func at(e directory.Entry, dn string) directory.Entry {
	e.DN = dn
	return e
}

// group has members by "u/<id>" and "g/<id>".
func group(id string, members ...string) directory.Entry {
	e := entry(directory.Group, id, "cn", id, "displayName", id)
	e.DN = "cn=" + id + ",ou=groups,dc=example,dc=com"
	for _, m := range members {
		e.Members = append(e.Members, ref(m))
	}
	return e
}

func ref(s string) directory.Ref {
	kind := directory.User
	if s[0] == 'g' {
		kind = directory.Group
	}
	return directory.Ref{Kind: kind, ID: directory.ID(s[2:])}
}

func short(r directory.Ref) string { return r.Kind.String()[:1] + "/" + string(r.ID) }

// desire maps entries and fails on an error.
func desire(t testing.TB, m *mapping.Mapping, domains []string, entries ...directory.Entry) mapping.Result {
	t.Helper()
	r, err := m.Desire(mapping.Input{Snapshot: directory.Snapshot{Entries: entries}, Domains: domains})
	if err != nil {
		t.Fatalf("Desire() = %v", err)
	}
	return r
}

// one maps one entry.
func one(t testing.TB, opts mapping.Options, e directory.Entry) plan.Desired {
	t.Helper()
	r := desire(t, compile(t, opts), nil, e)
	if len(r.Desired) != 1 {
		t.Fatalf("Desire() gave %d entries, want 1", len(r.Desired))
	}
	return r.Desired[0]
}
