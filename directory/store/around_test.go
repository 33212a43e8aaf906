package store_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

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

// A full run of the source replaces the names that an earlier version has written for searching, and nothing else.
func TestAFullRunReplacesTheNamesOfAnEarlierVersion(t *testing.T) {
	each(t, func(d *dir) {
		const index, meta = "rollcall:{ldap:corp}:dir:index", "rollcall:{ldap:corp}:dir:meta"
		jo := user("u1", directory.UserName, "jo", directory.DisplayName, "Jörg Müller", directory.FamilyName, "Müller")
		gone := user("u2", directory.UserName, "ex", directory.DisplayName, "Köhler, Ute")
		d.sync("corp", "r1", at(0), snapshot(jo, gone, group("g", userRef("u1"))))
		d.sync("corp", "r2", at(1), snapshot(jo, group("g"))) // u1 was a member.
		d.must(d.rdb.ZRemRangeByLex(t.Context(), index, "[s", "(t").Err())
		for id, name := range map[string]string{"u1": "jörg müller", "u2": "köhler, ute"} {
			d.must(d.rdb.ZAdd(t.Context(), index, redis.Z{Member: "s" + name + "\x00\x02" + id}).Err())
		}
		field := "user/u2"
		d.must(d.rdb.HSet(t.Context(), "rollcall:{ldap:corp}:dir:gone", field, strings.ReplaceAll(d.rdb.HGet(t.Context(),
			"rollcall:{ldap:corp}:dir:gone", field).Val(), "kohler", "köhler")).Err())
		d.must(d.rdb.HDel(t.Context(), meta, "shown").Err())
		found := func(text string) int {
			out, _, err := d.reader().Search(t.Context(), text, 5)
			d.must(err)
			return len(out)
		}
		for text, want := range map[string]int{"jörg": 1, "jorg": 0, "müller": 0, "köhler": 1, "kohler": 0} {
			if got := found(text); got != want {
				d.Errorf("before the run %q finds %d, want %d", text, got, want)
			}
		}
		others := func() (out []string) {
			for _, m := range d.rdb.ZRange(t.Context(), index, 0, -1).Val() {
				if m[0] != 's' {
					out = append(out, m)
				}
			}
			return out
		}
		before := others()
		d.sync("corp", "r3", at(2), snapshot(jo, group("g")))
		for _, text := range []string{"jörg", "jorg", "müller", "muller", "köhler", "kohler"} {
			if got := found(text); got != 1 {
				d.Errorf("after the run %q finds %d, want 1", text, got)
			}
		}
		d.equal("the other names and members", others(), before)
		if left := d.rdb.ZRangeByLex(t.Context(), index, &redis.ZRangeBy{Min: "[sjö", Max: "(sk"}).Val(); len(left) != 0 {
			d.Errorf("the former names are still there: %q", left)
		}
	})
}

// TestTheIndexEqualsOneThatIsBuiltAnew compares the index after random runs with one that is built of the same data,
// as it is after an upgrade from a version without an index.
func TestTheIndexEqualsOneThatIsBuiltAnew(t *testing.T) {
	each(t, func(d *dir) {
		rng := rand.New(rand.NewPCG(3, 4))
		key := func(name string) string { return "rollcall:{ldap:corp}:dir:" + name }
		index := func() (out []string) {
			for _, m := range d.rdb.ZRange(t.Context(), key("index"), 0, -1).Val() {
				if m[0] != 'V' && m[0] != 'H' { // Former memberships are in no entry.
					out = append(out, fmt.Sprintf("%q", m))
				}
			}
			return out
		}
		for i := range 10 {
			d.sync("corp", fmt.Sprint("r", i), at(i), tangled(rng, "corp"))
		}
		maintained, heads := index(), d.rdb.HGetAll(t.Context(), key("head")).Val()
		d.must(d.rdb.Del(t.Context(), key("index"), key("head")).Err())
		d.must(d.rdb.HDel(t.Context(), key("meta"), "index", "index_seq").Err())
		d.must(d.rdb.HSet(t.Context(), key("name"), "user/ada", "ada").Err())
		if _, _, err := d.reader().Search(t.Context(), "u1", 5); err != nil {
			d.Fatalf("Search() of data without an index = %v", err)
		}
		d.equal("the index", index(), maintained)
		d.equal("the heads of groups", d.rdb.HGetAll(t.Context(), key("head")).Val(), heads)
		if d.rdb.Exists(t.Context(), key("name")).Val() != 0 {
			d.Error("the names of the older version are still there")
		}
	})
}

// TestAnOlderWriterInvalidatesTheIndex checks that a write by a version without the index is noticed.
func TestAnOlderWriterInvalidatesTheIndex(t *testing.T) {
	each(t, func(d *dir) {
		d.sync("corp", "r1", at(0), snapshot(user("ada")))
		meta := "rollcall:{ldap:corp}:dir:meta"
		d.must(d.rdb.HIncrBy(t.Context(), meta, "seq", 1).Err()) // which every write of any version does
		d.must(d.rdb.ZRem(t.Context(), "rollcall:{ldap:corp}:dir:index",
			d.rdb.ZRange(t.Context(), "rollcall:{ldap:corp}:dir:index", 0, 0).Val()).Err())
		found, err := d.reader().Find(t.Context(), directory.User, "ada@corp.example")
		d.must(err)
		if len(found) != 1 {
			d.Errorf("Find() = %v, want ada", found)
		}
		if got := d.rdb.HGet(t.Context(), meta, "index_seq").Val(); got != d.rdb.HGet(t.Context(), meta, "seq").Val() {
			d.Errorf("the index is that of write %s, want the last write", got)
		}
	})
}
