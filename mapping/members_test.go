package mapping_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
	"rollcall/mapping"
)

// members renders a group's members, with passive ones in brackets.
func members(r mapping.Result, id string) string {
	for _, d := range r.Desired {
		if d.Ref != ref("g/"+id) {
			continue
		}
		var out []string
		for _, m := range d.Members {
			s := short(m.Ref)
			if m.Passive {
				s = "(" + s + ")"
			}
			out = append(out, s)
		}
		return strings.Join(out, " ")
	}
	return "no such group"
}

func TestMembers(t *testing.T) {
	t.Parallel()
	entries := []directory.Entry{
		user("ann"), user("bob"), disabled(user("cay")), without(user("dan"), "mail"), user("eve", "employeeType", "guest"),
		user("fay"),
		group("top", "g/mid", "u/ann", "u/gone", "g/gone"),
		group("mid", "g/low", "u/bob", "u/ann"),
		group("low", "u/cay", "u/dan", "u/eve"),
		group("c1", "g/c2", "u/ann"), group("c2", "g/c3", "u/bob"), group("c3", "g/c1", "g/low", "u/fay"),
		group("self", "g/self", "u/ann"),
		group("holds-c", "g/c2"),
		group("secret", "g/low"), group("shows", "g/secret"),
		group("found", "u/bad", "u/ann"),
	}
	opts := mapping.Options{UserFilter: `ldap.employeeType != "guest"`, GroupFilter: `cn != "secret"`}
	for nested, want := range map[mapping.Nested]map[string]string{
		mapping.Flatten: {
			"top": "u/ann u/bob (u/cay) (u/dan) (u/eve)", "low": "(u/cay) (u/dan) (u/eve)",
			"c1": "u/ann u/bob (u/cay) (u/dan) (u/eve) u/fay", "c3": "u/ann u/bob (u/cay) (u/dan) (u/eve) u/fay",
			"self": "u/ann", "holds-c": "u/ann u/bob (u/cay) (u/dan) (u/eve) u/fay",
			"shows": "(u/cay) (u/dan) (u/eve)", "found": "u/ann (u/bad)",
		},
		mapping.Keep: {
			"top": "u/ann g/mid", "mid": "u/ann u/bob g/low", "low": "(u/cay) (u/dan) (u/eve)",
			"c1": "u/ann u/bob u/fay g/low", "c2": "u/ann u/bob u/fay g/low", "c3": "u/ann u/bob u/fay g/low",
			"self": "u/ann", "holds-c": "g/c2", "shows": "(g/secret)", "found": "u/ann (u/bad)",
		},
	} {
		t.Run(string(nested), func(t *testing.T) {
			t.Parallel()
			opts := opts
			opts.Nested = nested
			r, err := compile(t, opts).Desire(mapping.Input{Snapshot: directory.Snapshot{
				Entries: entries, Findings: []directory.Finding{{Ref: ref("u/bad"), Problem: "no name"}},
			}})
			if err != nil {
				t.Fatal(err)
			}
			for id, want := range want {
				if got := members(r, id); got != want {
					t.Errorf("%s: %s\nwant: %s", id, got, want)
				}
			}
			if got := fmt.Sprint(r.Cycles); got != "[group/c1 group/c2 group/c3 group/self]" {
				t.Errorf("Cycles = %s", got)
			}
		})
	}
}

func TestAGroupWithAnUnreadableGroupInItIsHeld(t *testing.T) {
	t.Parallel()
	in := mapping.Input{Snapshot: directory.Snapshot{
		Entries: []directory.Entry{user("ann"), group("fine", "u/ann"), group("mid", "g/bad"),
			group("top", "g/mid", "u/ann")},
		Findings: []directory.Finding{{Ref: ref("g/bad"), Problem: "no name"}, {Problem: "no id"}},
	}}
	for nested, want := range map[mapping.Nested]string{
		mapping.Flatten: "group/mid unusable, group/top unusable",
		mapping.Keep:    "",
	} {
		r, err := compile(t, mapping.Options{Nested: nested}).Desire(in)
		if err != nil {
			t.Fatal(err)
		}
		var held []string
		for _, d := range r.Desired {
			if d.Held != "" {
				held = append(held, d.Ref.String()+" "+string(d.Held))
			}
		}
		if got := strings.Join(held, ", "); got != want {
			t.Errorf("%s: held %q, want %q", nested, got, want)
		}
		if nested == mapping.Keep && members(r, "mid") != "(g/bad)" {
			t.Errorf("keep: mid has %s", members(r, "mid"))
		}
	}
}

// TestNestedGroupsLaws checks over random directories that flattening finds the users that a search finds. Keeping
// must change no membership of a user and leave no circle.
func TestNestedGroupsLaws(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 7))
		var entries []directory.Entry
		for i := range 6 {
			entries = append(entries, user(fmt.Sprint(i)))
		}
		for i := range 8 {
			var in []string
			for range rng.IntN(4) {
				in = append(in, fmt.Sprintf("g/%d", rng.IntN(8)))
			}
			for range rng.IntN(3) {
				in = append(in, fmt.Sprintf("u/%d", rng.IntN(6)))
			}
			entries = append(entries, group(fmt.Sprint(i), in...))
		}
		direct := map[directory.Ref][]directory.Ref{}
		for _, e := range entries {
			direct[e.Ref()] = e.Members
		}
		flat := edges(desire(t, compile(t, mapping.Options{Nested: mapping.Flatten}), nil, entries...))
		kept := edges(desire(t, compile(t, mapping.Options{Nested: mapping.Keep}), nil, entries...))
		for i := range 8 {
			g := ref(fmt.Sprintf("g/%d", i))
			want, _ := people(direct, g)
			got, _ := people(flat, g)
			if !slices.Equal(got, want) || len(flat[g]) != len(want) {
				t.Fatalf("seed %d: flatten gives %s %v, want %v", seed, g, flat[g], want)
			}
			got, circle := people(kept, g)
			if !slices.Equal(got, want) || circle {
				t.Fatalf("seed %d: keep gives %s %v (in a circle: %v), want %v", seed, g, got, circle, want)
			}
		}
	}
}

func edges(r mapping.Result) map[directory.Ref][]directory.Ref {
	out := map[directory.Ref][]directory.Ref{}
	for _, d := range r.Desired {
		for _, m := range d.Members {
			out[d.Ref] = append(out[d.Ref], m.Ref)
		}
	}
	return out
}

// people searches for all users in a group, and reports whether the group is in itself.
func people(in map[directory.Ref][]directory.Ref, group directory.Ref) (users []directory.Ref, circle bool) {
	seen := map[directory.Ref]bool{}
	for todo := []directory.Ref{group}; len(todo) > 0; todo = todo[1:] {
		for _, m := range in[todo[0]] {
			if m == group {
				circle = true
			}
			if !seen[m] {
				seen[m] = true
				todo = append(todo, m)
			}
		}
	}
	for r := range seen {
		if r.Kind == directory.User {
			users = append(users, r)
		}
	}
	slices.SortFunc(users, directory.Ref.Compare)
	return users, circle
}

// Members that were seen and cannot be used stay members, each as itself.
func TestMembersThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	m := compile(t, mapping.Options{})
	r, err := m.Desire(mapping.Input{Snapshot: directory.Snapshot{
		Entries:  []directory.Entry{group("staff", "u/ann", "u/x1", "u/x2", "u/x3"), user("ann")},
		Findings: []directory.Finding{{Ref: ref("u/x1")}, {Ref: ref("u/x2")}, {Ref: ref("u/x3")}, {Ref: ref("u/")}}}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range r.Desired {
		for _, member := range d.Members {
			text := short(member.Ref)
			if member.Passive {
				text += "?"
			}
			got = append(got, text)
		}
	}
	if diff := cmp.Diff([]string{"u/ann", "u/x1?", "u/x2?", "u/x3?"}, got); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
}
