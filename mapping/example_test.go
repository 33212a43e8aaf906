package mapping_test

import (
	"fmt"

	"rollcall/directory"
	"rollcall/mapping"
)

// A mapping says which address and fields an account should have. An expression of the configuration replaces a
// default.
func ExampleMapping_Desire() {
	m, err := mapping.Compile(mapping.Spec{
		UserAddress: "mail",
		User:        []mapping.Field{{Name: "title", Default: "ldap.title"}},
	}, mapping.Options{User: map[string]string{"title": `upper(ldap.title)`}})
	if err != nil {
		panic(err)
	}
	attributes := directory.Attributes{
		{Name: directory.Mail, Values: []string{"Ada@example.com"}}, {Name: "title", Values: []string{"engineer"}},
	}
	ada := directory.Entry{Kind: directory.User, ID: "4711", Source: "corp", Active: true, Attributes: attributes}
	r, err := m.Desire(mapping.Input{Snapshot: directory.Snapshot{Entries: []directory.Entry{ada}},
		Domains: []string{"example.com"}})
	if err != nil {
		panic(err)
	}
	fmt.Println(r.Desired[0].Address, r.Desired[0].Fields.Get("title"))
	// Output: ada@example.com ENGINEER
}
