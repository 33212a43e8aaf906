package remote

import (
	"iter"
	"strings"
	"sync"
)

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
