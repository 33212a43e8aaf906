package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/internal/slapdtest"
)

// deltas returns how many of the requests read a delta query.
func deltas(paths []string) (n int) {
	for _, p := range paths {
		if strings.HasSuffix(p, "/delta") {
			n++
		}
	}
	return n
}

// A directory with large groups reaches Entra in few requests, costs next to nothing while it stays as it is, and
// what changes in it goes in batches.
func TestEntraInFewRequests(t *testing.T) {
	t.Parallel()
	people, groups, each := 2_000, 200, 100
	if underRace {
		people, groups = 1_000, 50
	}
	w := newEntraWorld(t, entraOptions{options: options{slapd: slapdtest.Options{LDIF: slapdtest.Generate(people, groups,
		each)}}})
	_, first := w.hop()
	want := map[string]int{"user create": people, "group create": groups, "membership create": groups * each}
	if diff := cmp.Diff(want, first.made()); diff != "" {
		t.Errorf("first sync (-want +got):\n%s", diff)
	}
	requests, writes := len(w.paths.take()), w.graph.Calls().Writes
	t.Logf("first sync: %d requests for %d writes of Graph, %d changes", requests, writes, first.planned())
	if requests*15 > writes {
		t.Errorf("%d requests for %d writes (%v), want at most one for fifteen", requests, writes, w.graph.Calls().ByMethod)
	}
	w.graphConverged(nil, 0)
	w.graphIdle()

	left := w.entraHundredth(people, groups)
	w.graphConverged(left, 0)
	w.graphIdle()
}

// entraHundredth changes one in a hundred of everything and syncs, with one request for ten changes at most beside
// delta.
func (w *entraWorld) entraHundredth(people, groups int) map[string]person {
	w.Helper()
	e, before := w.editor(), w.wanted()
	left := map[string]person{}
	for n := 0; n < people; n += 500 { // Each in ten groups.
		left[slapdtest.UUID(n)] = before.People[slapdtest.UUID(n)]
		e.remove(slapdtest.UserDN(n))
		e.person(people+n, "")
		for k := 1; k <= 3; k++ {
			e.set(slapdtest.UserDN(n+k), "title", "Director")
		}
	}
	for g := 0; g < groups; g += 100 {
		for k := range 50 {
			dn := slapdtest.UserDN(5 + k)
			if !slices.Contains(before.Teams[slapdtest.UUID(slapdtest.GroupUUIDs+g)].Members, slapdtest.UUID(5+k)) {
				e.member(slapdtest.GroupDN(g), dn, true)
			}
		}
		e.rename(slapdtest.GroupDN(g+1), fmt.Sprintf("cn=renamed%05d", g+1), "")
	}
	w.paths.take()
	w.graph.ResetCalls()
	_, r := w.hop()
	made, asked := 0, w.paths.take()
	for _, n := range r.made() {
		made += n
	}
	d := deltas(asked)
	w.Logf("one in a hundred: %d requests, %d of them delta, for %d changes: %v", len(asked), d, made, r.made())
	if !underRace && (len(asked)-d)*10 > made { // The smaller directory has too few changes to fill a batch of each kind.
		w.Errorf("%d requests beside %d for delta for %d changes, want one for ten at most: %q", len(asked)-d, d, made, asked)
	}
	if d > 4 {
		w.Errorf("%d requests for delta, want one before and one after for users and groups each", d)
	}
	return left
}
