package store_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"rollcall/directory"
	"rollcall/directory/store"
	"rollcall/mapping"
	"rollcall/plan"
)

// TestANeighbourhoodDecidesLikeTheWhole compares what a mapping gives for a few entries of random directories. The
// directories have two sources, nested groups and circles, inactive entries, and entries that both sources have.
func TestANeighbourhoodDecidesLikeTheWhole(t *testing.T) {
	each(t, func(d *dir) {
		rng := rand.New(rand.NewPCG(7, 11))
		mappings := map[string]*mapping.Mapping{}
		for _, within := range []string{"", "g0", "cn=g1,dc=corp", "CN=g1, dc=corp"} {
			for _, nested := range []mapping.Nested{mapping.Flatten, mapping.Keep} {
				m, err := mapping.Compile(
					mapping.Spec{UserAddress: "mail", User: []mapping.Field{{Name: "title", Default: "ldap.title"}}},
					mapping.Options{FilterGroup: within, Nested: nested, Exclude: []string{"u3"}})
				d.must(err)
				mappings[within+"/"+string(nested)] = m
			}
		}
		r := store.NewReader(d.part("corp"), d.part("acme"))
		joined := 0
		for i := range 12 {
			if i%3 > 0 { // Former memberships bring more groups into a neighbourhood.
				d.must(d.rdb.FlushDB(d.Context()).Err())
			}
			d.sync("corp", fmt.Sprint("r", i), at(i), tangled(rng, "corp"))
			d.sync("acme", fmt.Sprint("r", i), at(i), tangled(rng, "acme"))
			whole := d.read(r)
			for key, m := range mappings {
				within, _, _ := strings.Cut(key, "/")
				for range 4 {
					refs := []directory.Ref{userRef(fmt.Sprint("u", rng.IntN(9))),
						groupRef(fmt.Sprint("g", rng.IntN(6)))}[:1+rng.IntN(2)]
					joined += sameDecisions(d, fmt.Sprint(key, " ", i, " ", refs), r, m, within, whole, refs)
				}
			}
		}
		if joined == 0 {
			d.Error("no entry was a member of a group")
		}
	})
}

// sameDecisions compares both mappings of the entries, and returns how many groups they are members of.
func sameDecisions(d *dir, what string, r *store.Reader, m *mapping.Mapping, within string, whole directory.Snapshot,
	refs []directory.Ref) int {
	d.Helper()
	near, err := r.Around(d.Context(), directory.Neighbourhood{Refs: refs, Within: within})
	d.must(err)
	want, wantErr := m.Desire(mapping.Input{Snapshot: whole})
	got, gotErr := m.Desire(mapping.Input{Snapshot: near})
	if fmt.Sprint(wantErr) != fmt.Sprint(gotErr) {
		d.Errorf("%s: Desire() = %v, over the whole %v", what, gotErr, wantErr)
	}
	d.equal(what+": doubts", got.Doubts, want.Doubts)
	a, joined := about(got, refs)
	b, _ := about(want, refs)
	d.equal(what+": what is desired", a, b)
	of := func(s directory.Snapshot) (out []any) {
		for _, f := range s.Findings {
			if slices.Contains(refs, f.Ref) {
				out = append(out, f)
			}
		}
		for _, g := range s.Departed {
			if slices.Contains(refs, g.Ref) {
				out = append(out, g)
			}
		}
		return out
	}
	d.equal(what+": findings and departures", of(near), of(whole))
	return joined
}

// about is what a mapping gave for some entries, with their memberships.
func about(r mapping.Result, refs []directory.Ref) (out []any, joined int) {
	for _, x := range r.Desired {
		if slices.Contains(refs, x.Ref) {
			out = append(out, x)
			continue
		}
		for _, m := range x.Members {
			if slices.Contains(refs, m.Ref) {
				joined++
				x.Members = []plan.Member{m}
				out = append(out, x)
			}
		}
	}
	for _, x := range r.Decisions {
		if slices.Contains(refs, x.Ref) {
			out = append(out, x)
		}
	}
	for _, x := range r.Cycles {
		if slices.Contains(refs, x) {
			out = append(out, x)
		}
	}
	return out, joined
}

// tangled is a random directory. Most of the entries of acme have ids of their own.
func tangled(rng *rand.Rand, source string) directory.Snapshot {
	var entries []directory.Entry
	users, first := 9, 0
	if source == "acme" {
		users, first = 3, 7
	}
	for i := first; i < first+users; i++ {
		if rng.IntN(5) > 0 {
			e := user(fmt.Sprint("u", i), "title", fmt.Sprint(rng.IntN(2)))
			e.Active = rng.IntN(4) > 0
			entries = append(entries, e)
		}
	}
	for i := range 6 {
		if source == "acme" && i < 5 || rng.IntN(6) == 0 && i > 1 && i < 5 {
			continue
		}
		var members []directory.Ref
		for m := range 10 {
			if rng.IntN(4) == 0 {
				members = append(members, userRef(fmt.Sprint("u", m)))
			}
		}
		for m := range 6 {
			if rng.IntN(4) == 0 {
				members = append(members, groupRef(fmt.Sprint("g", m)))
			}
		}
		if i == 5 && rng.IntN(2) == 0 { // A group that both sources have, below others and above none.
			members = nil
		}
		e := group(fmt.Sprint("g", i), members...)
		e.Attributes = e.Attributes.Set(directory.CommonName, fmt.Sprint("g", i))
		entries = append(entries, e)
	}
	return snapshot(of(source, entries...)...)
}

// TestFormerGroupsAreNear checks that the group that an entry left is read with it for a month, as its remote group
// may still have the member.
func TestFormerGroupsAreNear(t *testing.T) {
	each(t, func(d *dir) {
		groups := func() (out []directory.ID) {
			s, err := d.reader().Around(t.Context(), directory.Neighbourhood{Refs: []directory.Ref{userRef("ada")}})
			d.must(err)
			for _, e := range s.Entries {
				if e.Kind == directory.Group {
					out = append(out, e.ID)
					if len(e.Members) > 1 {
						d.Errorf("group %s has the members %v, want only those that are near", e.ID, e.Members)
					}
				}
			}
			return out
		}
		staff := func(members ...directory.Ref) directory.Entry {
			return group("staff", append(members, userRef("bob"), userRef("cyd"))...)
		}
		all := []directory.Entry{user("ada"), user("bob"), user("cyd")}
		d.sync("corp", "r1", at(0), snapshot(append(all, staff(userRef("ada")))...))
		d.equal("Groups of a member", groups(), []directory.ID{"staff"})
		d.sync("corp", "r2", at(1), snapshot(append(all, staff())...))
		d.equal("Groups right after leaving", groups(), []directory.ID{"staff"})
		d.now = noon.AddDate(0, 0, 32)
		d.sync("corp", "r3", at(2), snapshot(append(all, staff())...))
		d.equal("Groups a month later", groups(), []directory.ID(nil))
	})
}

// TestNamesLeadToEntries checks the names by which a neighbourhood finds rivals and former entries.
func TestNamesLeadToEntries(t *testing.T) {
	each(t, func(d *dir) {
		d.sync("corp", "r1", at(0), snapshot(user("ada", directory.EmployeeNumber, "0042"), user("bob"), user("cyd")))
		d.sync("corp", "r2", at(1), snapshot(user("bob"), user("cyd")))
		s, err := d.reader().Around(t.Context(), directory.Neighbourhood{Names: []string{"0042", "BOB@corp.example"}})
		d.must(err)
		if len(s.Entries) != 1 || s.Entries[0].ID != "bob" || len(s.Departed) != 1 || s.Departed[0].ID != "ada" {
			d.Errorf("Around() = %+v and the departures %+v, want bob and ada", s.Entries, s.Departed)
		}
	})
}

func TestSearch(t *testing.T) {
	each(t, func(d *dir) {
		const id = "0a1b2c3d-7c1f-4d52-9a43-5f0d6c1b2a3e"
		ada := user("u1", directory.UserName, "ada", directory.DisplayName, "Lovelace, Ada")
		adam := user("u2", directory.UserName, "adam", directory.CommonName, "Adam Müller", directory.FamilyName, "Müller")
		zoe := user(id, directory.UserName, "zoe")
		d.sync("corp", "r1", at(0), snapshot(ada, adam, zoe, user("u4", directory.UserName, "adal"), group("adepts")))
		d.sync("corp", "r2", at(1), snapshot(ada, adam, zoe, group("adepts")))
		for _, tc := range []struct {
			text  string
			limit int
			want  []string
		}{
			{"ADA", 10, []string{"user/u1", "user/u2", "user/u4 departed"}}, {"lovel", 10, []string{"user/u1"}},
			{"u2@corp", 10, []string{"user/u2"}}, {"the a", 10, []string{"group/adepts"}},
			{"Müll", 10, []string{"user/u2"}}, {"mulle", 10, []string{"user/u2"}}, {"adam m", 10, []string{"user/u2"}},
			{"0A1B2", 10, []string{"user/" + id}}, {"ada", 1, []string{"user/u1"}}, {" ", 10, nil}, {"x*", 10, nil},
		} {
			found, whole, err := d.reader().Search(t.Context(), tc.text, tc.limit)
			if d.must(err); !whole {
				d.Errorf("Search(%s) is not whole", tc.text)
			}
			var got []string
			for _, m := range found {
				text := m.String()
				if !m.Departed.IsZero() {
					text += " departed"
				}
				got = append(got, text)
			}
			d.equal("Search("+tc.text+")", got, tc.want)
		}
	})
}
