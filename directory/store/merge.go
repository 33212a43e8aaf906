package store

import (
	"cmp"
	"fmt"
	"slices"

	"rollcall/directory"
)

// merge makes one snapshot of what the parts answered.
func merge(q directory.Query, shares []share) directory.Snapshot {
	var all []*stored
	for _, s := range shares {
		all = append(all, s.entries...)
	}
	if len(shares) > 1 {
		slices.SortStableFunc(all, func(a, b *stored) int { return a.Ref().Compare(b.Ref()) })
	}
	s := directory.Snapshot{
		Entries: make([]directory.Entry, 0, len(all)), Versions: make(map[directory.Ref]string, len(all)),
	}
	spoken := make(map[directory.Ref]bool)
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].Ref() == all[0].Ref() {
			n++
		}
		if n == 1 {
			s.Entries = append(s.Entries, all[0].Entry)
			s.Versions[all[0].Ref()] = all[0].digest
		} else {
			spoken[all[0].Ref()] = true
			s.Findings = append(s.Findings, claimed(all[:n]))
		}
		all = all[n:]
	}
	s.Departed = departed(shares, func(ref directory.Ref) bool { _, here := s.Versions[ref]; return here || spoken[ref] })
	s.Absent = absent(q.Refs, s.Versions, spoken)
	return s
}

// claimed is the finding for an entry that several sources have.
func claimed(list []*stored) directory.Finding {
	problem := "sources"
	for i, e := range list {
		if i > 0 {
			problem += " and"
		}
		problem += fmt.Sprintf(" ldap:%s (%s)", e.Source, e.DN)
	}
	return directory.Finding{
		Ref: list[0].Ref(), DN: list[0].DN, Problem: problem +
			" have an entry with this id: take it out of the scope of all but one",
	}
}

// departed merges the departures of the sources. An entry that another source has has not left, and an entry that
// several sources lost left with the last of them.
func departed(shares []share, here func(directory.Ref) bool) []directory.Departure {
	var out []directory.Departure
	for _, s := range shares {
		for _, d := range s.departed {
			if !here(d.Ref) {
				out = append(out, d)
			}
		}
	}
	slices.SortFunc(out, func(a, b directory.Departure) int {
		return cmp.Or(a.Ref.Compare(b.Ref), b.Left.Compare(a.Left), cmp.Compare(a.Source, b.Source))
	})
	return slices.CompactFunc(out, func(a, b directory.Departure) bool { return a.Ref == b.Ref })
}

// absent returns what was asked for and is not there.
func absent(refs []directory.Ref, versions map[directory.Ref]string, spoken map[directory.Ref]bool) []directory.Ref {
	var out []directory.Ref
	for _, ref := range refs {
		if _, here := versions[ref]; !here && !spoken[ref] {
			out = append(out, ref)
		}
	}
	slices.SortFunc(out, directory.Ref.Compare)
	return slices.Compact(out)
}
