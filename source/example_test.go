package source_test

import (
	"context"
	"fmt"
	"slices"

	"rollcall/directory"
	"rollcall/source"
)

// payroll is a source that keeps its people in memory.
type payroll struct{ people []directory.Entry }

// Read implements source.Source. It returns all that the query asks for, or an error.
func (p payroll) Read(_ context.Context, q directory.Query) (directory.Snapshot, error) {
	if q.All() {
		return directory.Snapshot{Entries: p.people}, nil
	}
	var s directory.Snapshot
	for _, ref := range q.Refs {
		i := slices.IndexFunc(p.people, func(e directory.Entry) bool { return e.Ref() == ref })
		if i < 0 {
			s.Absent = append(s.Absent, ref)
			continue
		}
		s.Entries = append(s.Entries, p.people[i])
	}
	return s, nil
}

// A source reads everything, or a few entries. It names the ones that do not exist.
func ExampleSource() {
	var s source.Source = payroll{[]directory.Entry{{Kind: directory.User, ID: "4711", Source: "payroll", Active: true,
		Attributes: directory.Attributes{{Name: directory.UserName, Values: []string{"ada"}}}}}}
	all, err := s.Read(context.Background(), directory.Query{})
	if err != nil {
		panic(err)
	}
	fmt.Println(all.Entries[0].Label(), all.Entries[0].Ref())
	some, err := s.Read(context.Background(), directory.Query{Refs: []directory.Ref{{Kind: directory.User, ID: "4712"}}})
	if err != nil {
		panic(err)
	}
	fmt.Println("absent:", some.Absent)
	// Output:
	// ada user/4711
	// absent: [user/4712]
}
