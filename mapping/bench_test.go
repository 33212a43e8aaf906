package mapping_test

import (
	"fmt"
	"testing"

	"rollcall/directory"
	"rollcall/mapping"
)

// BenchmarkDesire maps directories with one group for every ten people, in two levels.
func BenchmarkDesire(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			in := mapping.Input{Snapshot: large(n), Domains: []string{"example.com"}}
			m := compile(b, mapping.Options{
				User: map[string]string{"orgUnitPath": "ou(dn)", "phones": "ldap_all.telephoneNumber",
					"title": "ldap.title"},
				FilterGroup: "g0",
			})
			b.ReportAllocs()
			for b.Loop() {
				r, err := m.Desire(in)
				if err != nil || len(r.Desired) == 0 {
					b.Fatal(err)
				}
			}
		})
	}
}

func large(n int) directory.Snapshot {
	s := directory.Snapshot{Versions: map[directory.Ref]string{}}
	for i := range n {
		s.Entries = append(s.Entries, user(fmt.Sprintf("%06d", i), "telephoneNumber", fmt.Sprint("+41 ", i), "title",
			"Clerk"))
	}
	root := group("g0")
	for i := range n / 10 {
		var in []string
		for k := range 50 {
			in = append(in, fmt.Sprintf("u/%06d", (i*10+k*7)%n))
		}
		g := group(fmt.Sprintf("g%d", i+1), in...)
		s.Entries = append(s.Entries, g)
		root.Members = append(root.Members, g.Ref())
	}
	s.Entries = append(s.Entries, root)
	for i := range s.Entries {
		s.Versions[s.Entries[i].Ref()] = fmt.Sprint(i)
	}
	return s
}
