package remote

import (
	"cmp"
	"iter"
	"slices"
	"strings"
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

// Add stores an object unless it is there, and returns its index. What lookups read of one group is joined.
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
	} else if o.Kind == directory.Group {
		s.Objects[i] = joined(s.Objects[i], o)
	}
	return i
}

// joined returns what two lookups read of one group. The lookup of a user has the group with that user alone, or
// without members; the lookup of the group has all of its members and fields.
func joined(a, b plan.Object) plan.Object {
	switch {
	case a.Listed:
		return a
	case b.Listed:
		return b
	case len(a.Fields) == 0 && len(b.Fields) > 0:
		a, b = b, a
	}
	a.Members = slices.Concat(a.Members, b.Members)
	slices.Sort(a.Members)
	a.Members, a.Size = slices.Compact(a.Members), max(a.Size, b.Size)
	a.Unreadable, a.ReadOnly = a.Unreadable || b.Unreadable, cmp.Or(a.ReadOnly, b.ReadOnly)
	return a
}

// AddMemberships stores the groups of a lookup. in has those with the user by their remote ids. The others are stored
// without members.
func (s *State) AddMemberships(groups []provider.GroupRef, in map[string]plan.Object) {
	for _, g := range groups {
		o, member := in[g.RemoteID]
		if !member {
			o = plan.Object{Ref: directory.Ref{Kind: directory.Group, ID: g.ID}, RemoteID: g.RemoteID, Active: true}
		}
		s.Add(o)
	}
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

// Names maps the ids of users to their names and back, for fields that name another account. Names are in lower case.
// The zero Names is empty. It is safe for concurrent use.
type Names struct {
	mu   sync.Mutex
	name map[string]string
	id   map[string]string
}

// Learn stores the name of a user. An empty name is ignored.
func (n *Names) Learn(id, name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.learn(id, name)
}

func (n *Names) learn(id, name string) {
	if n.name == nil {
		n.name, n.id = map[string]string{}, map[string]string{}
	}
	if name = strings.ToLower(name); name != "" {
		n.name[id], n.id[name] = name, id
	}
}

// Replace stores the names of all users, in place of what was known.
func (n *Names) Replace(all iter.Seq2[string, string]) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.name, n.id = nil, nil
	for id, name := range all {
		n.learn(id, name)
	}
}

// NameOf returns the name of a user, or its id where the user is not known.
func (n *Names) NameOf(id string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if name := n.name[id]; name != "" {
		return name
	}
	return id
}

// Knows reports whether the name of an id is known.
func (n *Names) Knows(id string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, ok := n.name[id]
	return ok
}

// IDOf returns the id of the user with a name, or "".
func (n *Names) IDOf(name string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.id[strings.ToLower(name)]
}

// NoManager is the note about a change that left out a manager without an account.
func NoManager(address string) string {
	return "the manager " + address + " has no account yet; a later run sets it"
}
