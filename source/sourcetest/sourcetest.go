// Package sourcetest is the conformance suite of package source. It checks the contract of source.Source on real
// sources.
//
// A source's tests describe how to build one that holds given entries, and call Run:
//
//	sourcetest.Run(t, sourcetest.Fixture{
//		Open: func(t *testing.T, entries []directory.Entry) source.Source { … },
//	})
package sourcetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/source"
)

// Fixture builds sources of one kind.
type Fixture struct {
	// Open returns a source that holds these entries, and any others that the source's own structure needs. The
	// entries have ID, Kind, Active, Attributes and, for groups, Members. Members may refer to entries that do not
	// exist. The source fills in DN and Source.
	Open func(t *testing.T, entries []directory.Entry) source.Source
	// Broken returns a source that holds these entries and stops in the middle of every read of them. It is nil for a
	// source that cannot break.
	Broken func(t *testing.T, entries []directory.Entry) source.Source
}

// Run checks the contract of source.Source.
func Run(t *testing.T, f Fixture) {
	t.Helper()
	for name, check := range map[string]func(*testing.T, Fixture){
		"Everything": everything, "Empty": empty, "ByRef": byRef, "GroupByRef": groupByRef, "OnlyAbsent": onlyAbsent,
		"SameAgain": sameAgain, "Concurrent": concurrent, "Owned": owned, "Canceled": canceled, "Broken": broken,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, f)
		})
	}
}

// everything checks that the zero query returns all entries with all facts, sorted, without findings, absences or
// doubts.
func everything(t *testing.T, f Fixture) {
	snap := read(t, f.Open(t, People()))
	diff(t, "entries", Want(), strip(snap.Entries))
	if !slices.IsSortedFunc(snap.Entries, func(a, b directory.Entry) int { return a.Ref().Compare(b.Ref()) }) {
		t.Error("the entries are not sorted by Ref")
	}
	for i := range snap.Entries {
		e := &snap.Entries[i]
		if e.Source == "" {
			t.Errorf("%v has no source", e.Ref())
		}
		if !slices.IsSortedFunc(e.Attributes,
			func(a, b directory.Attribute) int { return strings.Compare(a.Name, b.Name) }) {
			t.Errorf("the attributes of %v are not sorted: %v", e.Ref(), e.Attributes)
		}
	}
	if len(snap.Absent)+len(snap.Findings)+len(snap.Doubts)+len(snap.Departed)+len(snap.Referrals) > 0 {
		t.Errorf("a sound source has absences, findings, doubts, departures or referrals: %+v", snap)
	}
}

// empty checks that a source without entries returns an empty snapshot. The engine decides whether that is plausible.
func empty(t *testing.T, f Fixture) {
	if snap := read(t, f.Open(t, nil)); len(snap.Entries)+len(snap.Findings)+len(snap.Doubts) > 0 {
		t.Errorf("an empty source gives %+v", snap)
	}
}

// byRef checks that a query returns just the requested entries and reports the missing ones.
func byRef(t *testing.T, f Fixture) {
	all := Want()
	gone := directory.Ref{Kind: directory.User, ID: "99999999-0000-4000-8000-000000000000"}
	wrongKind := directory.Ref{Kind: directory.Group, ID: all[0].ID}
	snap := read(t, f.Open(t, People()), all[2].Ref(), gone, all[0].Ref(), wrongKind, all[2].Ref(), gone)
	diff(t, "entries", []directory.Entry{all[0], all[2]}, strip(snap.Entries))
	diff(t, "absent", []directory.Ref{gone, wrongKind}, snap.Absent)
}

// groupByRef checks that a group that is read alone has the same members as in a full read.
func groupByRef(t *testing.T, f Fixture) {
	s := f.Open(t, People())
	for _, want := range Want() {
		if want.Kind == directory.Group {
			diff(t, "entries", []directory.Entry{want}, strip(read(t, s, want.Ref()).Entries))
		}
	}
}

func onlyAbsent(t *testing.T, f Fixture) {
	gone := []directory.Ref{{Kind: directory.User, ID: "not-even-a-uuid"},
		{Kind: directory.User, ID: "*)(objectClass=*"}, {Kind: directory.Group, ID: "x"}}
	slices.SortFunc(gone, directory.Ref.Compare)
	snap := read(t, f.Open(t, People()), gone...)
	diff(t, "absent", gone, snap.Absent)
	diff(t, "entries", []directory.Entry{}, strip(snap.Entries))
}

func sameAgain(t *testing.T, f Fixture) {
	s := f.Open(t, People())
	diff(t, "second read", read(t, s), read(t, s))
}

func concurrent(t *testing.T, f Fixture) {
	s := f.Open(t, People())
	snaps := make(chan directory.Snapshot, 4)
	for range cap(snaps) {
		go func() {
			snap, err := s.Read(t.Context(), directory.Query{})
			if err != nil {
				t.Errorf("Read() in parallel: %v", err)
			}
			snaps <- snap
		}()
	}
	for range cap(snaps) {
		diff(t, "entries", Want(), strip((<-snaps).Entries))
	}
}

// owned checks that the caller may change the result of Read.
func owned(t *testing.T, f Fixture) {
	s := f.Open(t, People())
	snap := read(t, s)
	for i := range snap.Entries {
		e := &snap.Entries[i]
		for j := range e.Attributes {
			e.Attributes[j].Values[0] = "changed"
		}
		clear(e.Members)
	}
	diff(t, "entries", Want(), strip(read(t, s).Entries))
}

func canceled(t *testing.T, f Fixture) {
	s := f.Open(t, People())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	snap, err := s.Read(ctx, directory.Query{})
	if err == nil || fault.KindOf(err) != fault.Canceled {
		t.Errorf("Read() with a canceled context: error %v, want one of kind canceled", err)
	}
	diff(t, "snapshot beside the error", directory.Snapshot{}, snap)
}

// broken checks that a read that cannot be finished returns an error and no snapshot.
func broken(t *testing.T, f Fixture) {
	if f.Broken == nil {
		return
	}
	s := f.Broken(t, People())
	for _, q := range []directory.Query{{}, {Refs: []directory.Ref{Want()[0].Ref()}}} {
		snap, err := s.Read(t.Context(), q)
		if err == nil {
			t.Errorf("Read(%v) of a broken source gives no error", q)
			continue
		}
		if k := fault.KindOf(err); k == fault.Internal {
			t.Errorf("Read(%v) error has no kind: %v", q, err)
		}
		diff(t, "snapshot beside the error", directory.Snapshot{}, snap)
	}
}

func read(t *testing.T, s source.Source, refs ...directory.Ref) directory.Snapshot {
	t.Helper()
	snap, err := s.Read(t.Context(), directory.Query{Refs: refs})
	if err != nil {
		t.Fatalf("Read(%v): %v", refs, err)
	}
	return snap
}

// strip removes the fields that belong to the source.
func strip(entries []directory.Entry) []directory.Entry {
	out := slices.Clone(entries)
	for i := range out {
		out[i].DN, out[i].Source = "", ""
		out[i].Attributes = out[i].Attributes.Clone()
	}
	return out
}

func diff(t *testing.T, what string, want, got any) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

// id returns the nth entry's ID.
func id(n int) directory.ID { return directory.ID(fmt.Sprintf("%08x-aaaa-4bbb-8ccc-00000000000d", n)) }

func user(n int) directory.Ref  { return directory.Ref{Kind: directory.User, ID: id(n)} }
func group(n int) directory.Ref { return directory.Ref{Kind: directory.Group, ID: id(100 + n)} }

// People returns the entries of the suite. They are a hundred users and some groups, with names, values and
// memberships that sources tend to get wrong.
func People() []directory.Entry {
	var all []directory.Entry
	for i, p := range []struct {
		login, cn, given, sn string
		mail                 []string
		disabled             bool
	}{
		{login: "ada", cn: "Ada King", given: "Ada", sn: "King",
			mail: []string{"King@example.org", "a@example.org", "ada@example.org"}},
		{login: "BOB", cn: "King, Bob", given: "Bob", sn: "King"},
		{login: "jürgen", cn: "Jürgen Groß", given: "Jürgen", sn: "Groß", mail: []string{"juergen@example.org"}},
		{login: "off", cn: "Switched Off", sn: "Off", disabled: true},
		{login: "o'neil+x", cn: `O"Neil <#1>; \ = *`, sn: "(O'Neil)"},
		{login: "山田", cn: "山田 太郎", given: "太郎", sn: "山田"},
	} {
		all = append(all, person(i, p.login, p.cn, p.given, p.sn, p.mail, !p.disabled))
	}
	for i := len(all); i < 100; i++ {
		login := fmt.Sprintf("u%03d", i)
		all = append(all, person(i, login, "User "+login, "User", login, []string{login + "@example.org"}, true))
	}
	everyone := make([]directory.Ref, 100)
	for i := range everyone {
		everyone[i] = user(i)
	}
	all = append(all, team(0, "staff", "Everybody here", user(2), user(0), user(1), user(3), user(4), user(5)),
		team(1, "nested", "", group(0), user(9)),
		team(2, "Köln, Büro", "Groups have names too", user(0)),
		team(3, "strangers", "", user(0), directory.Ref{Kind: directory.User, ID: id(5000)},
			directory.Ref{Kind: directory.Group, ID: id(6000)}),
		team(4, "loop-a", "", group(5)),
		team(5, "loop-b", "", group(4), user(1)),
		team(6, "everyone", "", everyone...),
	)
	slices.Reverse(all)
	return all
}

// Want returns the entries that a source with People must return.
func Want() []directory.Entry {
	all := People()
	known := map[directory.Ref]bool{}
	for i := range all {
		known[all[i].Ref()] = true
	}
	for i := range all {
		all[i].Members = slices.DeleteFunc(all[i].Members, func(m directory.Ref) bool { return !known[m] })
		slices.SortFunc(all[i].Members, directory.Ref.Compare)
	}
	slices.SortFunc(all, func(a, b directory.Entry) int { return a.Ref().Compare(b.Ref()) })
	return all
}

func person(n int, login, cn, given, sn string, mail []string, active bool) directory.Entry {
	e := directory.Entry{Kind: directory.User, ID: id(n), Active: active}
	e.Attributes = e.Attributes.Set(directory.UserName, login).Set(directory.CommonName, cn)
	e.Attributes = e.Attributes.Set(directory.FamilyName, sn)
	if given != "" {
		e.Attributes = e.Attributes.Set(directory.GivenName, given).Set(directory.DisplayName, given+" "+sn)
	}
	if len(mail) > 0 {
		e.Attributes = e.Attributes.Set(directory.Mail, mail...)
	}
	e.Attributes = e.Attributes.Set(directory.EmployeeNumber, fmt.Sprintf("%04d", n))
	return e
}

func team(n int, cn, description string, members ...directory.Ref) directory.Entry {
	e := directory.Entry{Kind: directory.Group, ID: id(100 + n), Active: true, Members: members}
	e.Attributes = e.Attributes.Set(directory.CommonName, cn).Set(directory.DisplayName, cn)
	if description != "" {
		e.Attributes = e.Attributes.Set(directory.Description, description)
	}
	return e
}
