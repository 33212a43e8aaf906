package entra

import (
	"maps"
	"sync"

	"rollcall/directory"
	"rollcall/plan"
)

// marks are facts that Graph cannot store and that the ledger had at the last reads. They are the accounts that we
// suspended and the entries of groups. Only our own suspensions may be lifted.
type marks struct {
	mu      sync.Mutex
	ours    map[string]bool         // by remote id
	entries map[string]directory.ID // of groups, by remote id
}

func (m *marks) replace(known map[directory.Ref]plan.Link) {
	m.mu.Lock()
	m.ours, m.entries = map[string]bool{}, map[string]directory.ID{}
	m.mu.Unlock()
	m.add(known)
}

func (m *marks) add(known map[directory.Ref]plan.Link) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.init()
	entries := map[string]directory.ID{}
	for ref, link := range known {
		if link.RemoteID == "" {
			continue
		}
		if link.Suspended || m.ours[link.RemoteID] {
			m.ours[link.RemoteID] = link.Suspended
		}
		if ref.Kind == directory.Group {
			if _, twice := entries[link.RemoteID]; twice {
				ref.ID = "" // Two entries claim the group.
			}
			entries[link.RemoteID] = ref.ID
		}
	}
	maps.Copy(m.entries, entries)
}

func (m *marks) init() {
	if m.ours == nil {
		m.ours, m.entries = map[string]bool{}, map[string]directory.ID{}
	}
}

func (m *marks) has(id string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ours[id]
}

func (m *marks) set(id string, ours bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.init()
	m.ours[id] = ours
}

// entry returns the entry of a group, or "" if it is not known.
func (m *marks) entry(group string) directory.ID {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.entries[group]
}

// give assigns a group to an entry.
func (m *marks) give(group string, entry directory.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.init()
	m.entries[group] = entry
}
