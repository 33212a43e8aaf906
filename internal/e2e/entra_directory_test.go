package e2e

import (
	"encoding/base64"
	"encoding/hex"
	"maps"
	"slices"
	"strings"

	gocmp "github.com/google/go-cmp/cmp"
)

// anchorOf decodes an onPremisesImmutableId as Rollcall's documentation describes it, base64 of the bytes of a UUID.
func anchorOf(immutable string) string {
	raw, err := base64.StdEncoding.DecodeString(immutable)
	if err != nil || len(raw) != 16 {
		return ""
	}
	s := hex.EncodeToString(raw)
	return strings.Join([]string{s[:8], s[8:12], s[12:16], s[16:20], s[20:]}, "-")
}

// wanted is the directory as the Entra tenant should have it. Groups have no address there, and people have no unit.
func (w *entraWorld) wanted() state {
	w.Helper()
	s := w.directory()
	for id, p := range s.People {
		p.Unit = ""
		s.People[id] = p
	}
	for id, t := range s.Teams {
		t.Address = ""
		s.Teams[id] = t
	}
	return s
}

// entraState returns every account and group of the Entra tenant that carries an anchor. Two with one anchor fail the
// test.
func (w *entraWorld) entraState() state {
	w.Helper()
	s := state{People: map[string]person{}, Teams: map[string]team{}}
	anchors := map[string]string{}
	for _, u := range w.graph.Users() {
		id := anchorOf(u.OnPremisesImmutableID)
		if id == "" {
			continue
		}
		if _, twice := s.People[id]; twice {
			w.Errorf("two accounts carry the anchor %s", id)
		}
		anchors[u.ID] = id
		p := person{Address: u.UserPrincipalName, Given: u.GivenName, Family: u.Surname, Title: u.JobTitle,
			Suspended: u.Disabled}
		if phones, _ := u.Properties["businessPhones"].([]string); len(phones) > 0 {
			p.Phone = phones[0]
		}
		s.People[id] = p
	}
	for _, g := range w.graph.Groups() {
		id, ours := strings.CutPrefix(g.UniqueName, "rollcall-")
		if !ours {
			continue
		}
		t := team{Name: g.DisplayName}
		for _, m := range w.graph.Members(g.ID) {
			if anchors[m] == "" {
				t.Members = append(t.Members, m)
				continue
			}
			t.Members = append(t.Members, anchors[m])
		}
		slices.Sort(t.Members)
		s.Teams[id] = t
	}
	return s
}

// graphConverged fails the test unless the Entra tenant is as the directory says. The accounts of the people in left
// must be suspended and in no group. The tenant has the given number of strangers besides.
func (w *entraWorld) graphConverged(left map[string]person, strangers int) {
	w.Helper()
	want, got := w.wanted(), w.entraState()
	for id, p := range left {
		p.Suspended, p.Unit = true, ""
		want.People[id] = p
	}
	same := maps.EqualFunc(want.Teams, got.Teams, func(a, b team) bool {
		return a.Name == b.Name && slices.Equal(a.Members, b.Members)
	}) && maps.Equal(want.People, got.People)
	if !same { // Reflection takes its time over thousands of people.
		diff := gocmp.Diff(want, got)
		const most = 4000
		w.Errorf("the Entra tenant differs from the directory (-directory +tenant):\n%s", diff[:min(len(diff), most)])
	}
	if n := len(w.graph.Users()); n != len(want.People)+1+strangers {
		w.Errorf("the Entra tenant has %d accounts, want %d: the directory's, the administrator and %d strangers", n,
			len(want.People)+1+strangers, strangers)
	}
}

// graphSame fails the test unless the Entra tenant is as it was.
func (w *entraWorld) graphSame(before state) {
	w.Helper()
	if diff := gocmp.Diff(before, w.entraState()); diff != "" {
		const most = 4000
		w.Errorf("the Entra tenant changed (-before +after):\n%s", diff[:min(len(diff), most)])
	}
}

// graphIdle runs both hops and fails the test if they plan or write anything, or ask more often than six times.
func (w *entraWorld) graphIdle() {
	w.Helper()
	w.graph.ResetCalls()
	w.paths.take()
	source, provider := w.hop()
	if source.planned()+provider.planned() != 0 {
		w.Errorf("nothing changed, and %v and %v were planned", source.Progress, provider.Progress)
	}
	if made := w.graphWrites(); len(made) > 0 {
		w.Errorf("nothing changed, and the Entra tenant was written: %v", made)
	}
	if asked := w.paths.take(); len(asked) > 6 {
		w.Errorf("nothing changed, and the Entra tenant was asked %d times: %q", len(asked), asked)
	}
}
