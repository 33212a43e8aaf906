package remote

import (
	"slices"
	"sync"

	"rollcall/directory"
	"rollcall/plan"
	"rollcall/provider"
)

// State is the state of a read in progress. It has each object once, and is safe for concurrent use.
type State struct {
	plan.State

	mu       sync.Mutex
	index    map[string]int // in Objects by kind and remote id
	anchored map[directory.Ref]bool
}

// Add stores an object unless it is there, and returns its index.
func (s *State) Add(o plan.Object) int { return s.put(o, false) }

// Replace stores an object, in place of what was read of it before.
func (s *State) Replace(o plan.Object) { s.put(o, true) }

func (s *State) put(o plan.Object, replace bool) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.index == nil {
		s.index, s.anchored = map[string]int{}, map[directory.Ref]bool{}
	}
	if o.Anchored() {
		s.anchored[o.Ref] = true
	}
	key := o.Kind.String() + o.RemoteID
	i, there := s.index[key]
	if !there {
		i = len(s.Objects)
		s.index[key] = i
		s.Objects = append(s.Objects, o)
	} else if replace {
		s.Objects[i] = o
	}
	return i
}

// Missing returns the entries that are in the ledger and not in the state, sorted.
func (s *State) Missing(known map[directory.Ref]plan.Link) []directory.Ref {
	var missing []directory.Ref
	for ref, link := range known {
		if _, listed := s.index[ref.Kind.String()+link.RemoteID]; link.RemoteID != "" && !listed && !s.anchored[ref] {
			missing = append(missing, ref)
		}
	}
	slices.SortFunc(missing, directory.Ref.Compare)
	return missing
}

// Absent records that the object of an entry is not found. It may have been created too recently to be visible.
func (s *State) Absent(ref directory.Ref, q *provider.Query) {
	if !Unsettled(q.Known[ref], q) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Unsettled = append(s.Unsettled, ref)
	slices.SortFunc(s.Unsettled, directory.Ref.Compare)
}

// Unsettled reports whether an invisible object may have been created too recently to be visible.
func Unsettled(link plan.Link, q *provider.Query) bool {
	return !link.Created.IsZero() && q.Now.Sub(link.Created) < provider.Settle
}
