package plan_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
	"rollcall/plan"
)

// shows are the attributes of a person in a local directory of n people, under ou=a.
func shows(n int) directory.Attributes {
	uid := fmt.Sprintf("u%02d", n)
	return directory.Attributes{
		{Name: plan.MirrorDN, Values: []string{"cn=" + uid + ",ou=a"}},
		{Name: directory.EmployeeNumber, Values: []string{fmt.Sprint(n % 10)}}, // of three people each
		{Name: directory.Mail, Values: []string{uid + "@x"}},
		{Name: directory.UserName, Values: []string{uid}},
	}
}

// TestLaw10OnlyWhatMayBeTheEntryWithoutAnIDIsHeld has thirty people, 0 and 1 of them absent, and entries without a
// readable ID. Only a departure that may be such an entry is held, with its memberships.
func TestLaw10OnlyWhatMayBeTheEntryWithoutAnIDIsHeld(t *testing.T) {
	t.Parallel()
	other := []string{"delete user/01 because absent", "remove_member group/g user/01"}
	both := []string{"delete user/00 because absent", other[0], "remove_member group/g user/00", other[1]}
	nameless := func(dn string, pairs ...string) directory.Finding {
		f := directory.Finding{Ref: directory.Ref{Kind: directory.User}, DN: dn, Problem: "no id"}
		for i := 0; i < len(pairs); i += 2 {
			f.Attributes = append(f.Attributes, directory.Attribute{Name: pairs[i], Values: []string{pairs[i+1]}})
		}
		return f
	}
	for name, tc := range map[string]struct {
		finding directory.Finding
		want    []string
	}{
		"another entry":         {nameless("cn=odd,ou=a", directory.UserName, "odd"), both},
		"the DN":                {nameless("CN=u00,ou=a", directory.UserName, "odd"), other},
		"the login name":        {nameless("cn=odd,ou=b", directory.UserName, "U00"), other},
		"the address":           {nameless("cn=odd,ou=b", directory.Mail, "u00@x"), other},
		"moved, shows nothing":  {nameless("cn=u00,ou=b"), other},
		"moved, a namesake":     {nameless("cn=u00,ou=b", directory.UserName, "odd"), both},
		"what others have, too": {nameless("cn=odd,ou=b", directory.EmployeeNumber, "0"), both},
		"a group": {directory.Finding{Ref: directory.Ref{Kind: directory.Group}, DN: "cn=u00,ou=a"},
			both},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := plan.Input{Capabilities: plan.Capabilities{Mirror: true}, Findings: []directory.Finding{tc.finding}}
			g := plan.Desired{Ref: group("g"), Active: true}
			had := plan.Object{Ref: group("g"), RemoteID: "group/g", Active: true}
			for n := range 30 {
				ref := user(fmt.Sprintf("%02d", n))
				in.State.Objects = append(in.State.Objects,
					plan.Object{Ref: ref, RemoteID: ref.String(), Active: true, Fields: shows(n)})
				had.Members = append(had.Members, ref.String())
				if n > 1 {
					in.Desired = append(in.Desired, plan.Desired{Ref: ref, Active: true, Fields: shows(n)})
					g.Members = append(g.Members, plan.Member{Ref: ref})
				}
			}
			in.Desired, in.State.Objects = append(in.Desired, g), append(in.State.Objects, had)
			apply, held := plan.Compute(in).Guard(plan.Limits{}, plan.Budget{})
			got := slices.DeleteFunc(lines(apply), func(l string) bool { return strings.HasPrefix(l, "held ") })
			slices.Sort(got)
			if diff := cmp.Diff(tc.want, got); diff != "" || len(held.Changes) > 0 {
				t.Errorf("applied (-want +got):\n%sheld: %v", diff, held.Changes)
			}
		})
	}
}

// Where half of the known entries lost their IDs, it is more likely that the IDs are hidden.
func TestLaw13ManyEntriesWithoutAnIDAreADoubt(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ people, lost, doubts int }{{10, 4, 0}, {10, 5, 1}, {2, 2, 0}, {3, 3, 1}} {
		in := plan.Input{Capabilities: plan.Capabilities{Mirror: true}}
		for n := range tc.people {
			ref := user(fmt.Sprintf("%02d", n))
			in.State.Objects = append(in.State.Objects,
				plan.Object{Ref: ref, RemoteID: ref.String(), Active: true, Fields: shows(n)})
			if n < tc.lost {
				in.Findings = append(in.Findings, directory.Finding{Ref: directory.Ref{Kind: directory.User},
					DN: fmt.Sprintf("cn=u%02d,ou=a", n), Problem: "no id"})
			} else {
				in.Desired = append(in.Desired, plan.Desired{Ref: ref, Active: true, Fields: shows(n)})
			}
		}
		if p := plan.Compute(in); len(p.Doubts) != tc.doubts || len(p.Changes) > 0 {
			t.Errorf("%d of %d: doubts %v, changes %v", tc.lost, tc.people, p.Doubts, lines(p))
		}
	}
}

// A comma that is escaped is a part of a name.
func TestTheFirstPartOfADNEndsAtAComma(t *testing.T) {
	t.Parallel()
	fields := directory.Attributes{{Name: plan.MirrorDN, Values: []string{`cn=Doe\, Jane,ou=a`}}}
	for dn, found := range map[string]bool{`cn=Doe\, Jane,ou=b`: true, `cn=Doe,ou=b`: false, `cn=Doe\, Jim,ou=b`: false,
		`cn=Doe\, Jane`: true} {
		nameless := plan.FindNameless([]directory.Finding{{Ref: directory.Ref{Kind: directory.User}, DN: dn}})
		if got := nameless.Of(directory.User, fields) != nil; got != found {
			t.Errorf("%s: found %v, want %v", dn, got, found)
		}
	}
}
