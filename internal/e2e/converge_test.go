package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/internal/slapdtest"
)

// writes returns how many calls of each writing method the tenant granted since the last ResetCalls.
func (w *world) writes() map[string]int {
	out := map[string]int{}
	for method, n := range w.tenant.Calls().ByMethod {
		if n.Granted > 0 && writing(method) {
			out[method] = n.Granted
		}
	}
	return out
}

// writing reports whether a method of the Directory API writes.
func writing(method string) bool {
	word := method[strings.LastIndexByte(method, '.')+1:]
	return word != "list" && word != "get" && word != "hasMember"
}

// idle runs both hops and fails the test if they plan or write anything.
func (w *world) idle() (calls int) {
	w.Helper()
	w.tenant.ResetCalls()
	source, provider := w.both()
	if source.planned()+provider.planned() != 0 {
		w.Errorf("nothing changed, and %v and %v were planned", source.Progress, provider.Progress)
	}
	if diff := cmp.Diff(map[string]int{}, w.writes()); diff != "" {
		w.Errorf("nothing changed, and the tenant was written: %s", diff)
	}
	c := w.tenant.Calls()
	return c.Reads + c.Writes + c.Refused
}

// A directory of ten thousand people arrives in the tenant unchanged, costs next to nothing while it stays the same,
// and each later change changes just its own objects.
func TestTenThousandPeopleConverge(t *testing.T) {
	t.Parallel()
	people, groups := 10_000, 1_000
	if underRace {
		people, groups = 1_000, 100
	}
	w := newWorld(t, options{slapd: slapdtest.Options{LDIF: slapdtest.Generate(people, groups, 20)}})
	source, provider := w.both()
	memberships := 20 * groups
	want := map[string]int{"user create": people, "group create": groups, "membership create": memberships}
	if diff := cmp.Diff(want, source.made()); diff != "" {
		t.Errorf("first source sync (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, provider.made()); diff != "" {
		t.Errorf("first provider sync (-want +got):\n%s", diff)
	}
	w.converged(nil)

	w.idle() // Lists each group once, because this run was the first to see it with its members.
	pages := (people+1+499)/500 + (groups+199)/200
	if calls := w.idle(); calls > pages+5 {
		t.Errorf("a sync without changes made %d calls, want %d list pages and at most 5 more: %v", calls, pages,
			w.tenant.Calls().ByMethod)
	}

	left := w.firstChanges(people)
	w.change(people, groups, left)
	w.idle()
	w.idle()
}

// firstChanges has one person in a hundred leave, and returns them.
func (w *world) firstChanges(people int) map[string]person {
	w.Helper()
	e, before, left := w.editor(), w.directory(), map[string]person{}
	memberships := 0
	for n := 0; n < people; n += 100 {
		e.remove(slapdtest.UserDN(n))
		left[slapdtest.UUID(n)] = before.People[slapdtest.UUID(n)]
	}
	for _, t := range before.Teams {
		for _, m := range t.Members {
			if _, gone := left[m]; gone {
				memberships++
			}
		}
	}
	w.exactly(map[string]int{"user deactivate": len(left), "membership delete": memberships}, left)
	return left
}

// change does to one in a hundred of everything what may happen to it.
func (w *world) change(people, groups int, left map[string]person) {
	w.Helper()
	e := w.editor()
	want := map[string]int{}
	before := w.directory()
	for n := 0; n < people; n += 100 {
		// Half of those who left come back, under their old identifiers.
		if n%200 == 0 {
			e.person(n, "")
			delete(left, slapdtest.UUID(n))
			want["user activate"]++
		}
		e.set(slapdtest.UserDN(n+1), "title", "Director")
		// A marriage changes the login name, the DN and the address.
		name := fmt.Sprintf("renamed%06d", n+2)
		dn := e.rename(slapdtest.UserDN(n+2), "uid="+name, "")
		e.set(dn, "mail", name+"@example.org")
		e.set(dn, "sn", "Renamed")
		// Another department.
		parent := "ou=sales," + slapdtest.People
		if n%200 == 0 {
			parent = "ou=engineering," + slapdtest.People
		}
		e.rename(slapdtest.UserDN(n+3), rdn(slapdtest.UserDN(n+3)), parent)
		want["user update"] += 3
		// A person joins.
		e.person(people+n, "")
		want["user create"]++
		// A person leaves.
		id := slapdtest.UUID(n + 4)
		left[id] = before.People[id]
		e.remove(slapdtest.UserDN(n + 4))
		want["user deactivate"]++
	}
	for g := 0; g < groups; g += 100 {
		// Ten new members of one group, another group's name, and a new group.
		for k := range 10 {
			e.member(slapdtest.GroupDN(g), slapdtest.UserDN(people+100*k), true)
		}
		e.rename(slapdtest.GroupDN(g+1), fmt.Sprintf("cn=renamed%05d", g+1), "")
		want["group update"]++
		e.add(slapdtest.GroupDN(groups+g), "objectClass", "groupOfNames", "cn", fmt.Sprintf("g%05d", groups+g), "member",
			slapdtest.UserDN(5))
		want["group create"]++
	}
	joined, gone := memberChanges(before, w.directory())
	want["membership create"], want["membership delete"] = joined, gone
	maps.DeleteFunc(want, func(_ string, n int) bool { return n == 0 })
	w.exactly(want, left)
}

// memberChanges counts the memberships that came and went.
func memberChanges(before, after state) (joined, left int) {
	count := func(from, to state) (n int) {
		for id, t := range to.Teams {
			for _, m := range t.Members {
				if !slices.Contains(from.Teams[id].Members, m) {
					n++
				}
			}
		}
		return n
	}
	return count(before, after), count(after, before)
}

// exactly syncs and fails the test unless these changes were made, with one write each and the sessions of leavers
// ended, and nothing else.
func (w *world) exactly(want map[string]int, left map[string]person) {
	w.Helper()
	w.tenant.ResetCalls()
	_, provider := w.both()
	if diff := cmp.Diff(want, provider.made()); diff != "" {
		w.Errorf("changes made (-want +got):\n%s", diff)
	}
	calls := map[string]int{}
	for kind, method := range map[string]string{
		"user create": "directory.users.insert", "user update": "directory.users.update",
		"user activate":   "directory.users.update",
		"user deactivate": "directory.users.update", "group create": "directory.groups.insert",
		"group update":      "directory.groups.patch",
		"membership create": "directory.members.insert", "membership delete": "directory.members.delete",
	} {
		if want[kind] > 0 {
			calls[method] += want[kind]
		}
		if kind == "user deactivate" && want[kind] > 0 {
			calls["directory.users.signOut"] = want[kind]
		}
	}
	if diff := cmp.Diff(calls, w.writes()); diff != "" {
		w.Errorf("writes (-want +got):\n%s", diff)
	}
	w.converged(left)
}
