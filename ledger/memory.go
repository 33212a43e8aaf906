package ledger

import (
	"context"
	"maps"
	"slices"
	"sync"

	"rollcall/directory"
	"rollcall/plan"
)

// Memory is a ledger that is forgotten with the process.
type Memory struct {
	mu     sync.Mutex
	links  map[directory.Ref]plan.Link
	groups map[directory.ID]plan.Confirmed
	facts  Facts
}

var _ Ledger = (*Memory)(nil)

// NewMemory returns an empty ledger.
func NewMemory() *Memory {
	return &Memory{links: map[directory.Ref]plan.Link{}, groups: map[directory.ID]plan.Confirmed{}}
}

// Links implements Ledger.
func (m *Memory) Links(context.Context) (map[directory.Ref]plan.Link, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.links), nil
}

// LinksOf implements Ledger.
func (m *Memory) LinksOf(_ context.Context, refs ...directory.Ref) (map[directory.Ref]plan.Link, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return pick(m.links, refs), nil
}

// PutLinks implements Ledger.
func (m *Memory) PutLinks(_ context.Context, links map[directory.Ref]plan.Link) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.Copy(m.links, links)
	return nil
}

// DropLinks implements Ledger.
func (m *Memory) DropLinks(_ context.Context, refs ...directory.Ref) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	drop(m.links, refs)
	return nil
}

// Groups implements Ledger.
func (m *Memory) Groups(context.Context) (map[directory.ID]plan.Confirmed, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.groups), nil
}

// ConfirmedOf implements Ledger.
func (m *Memory) ConfirmedOf(_ context.Context, ids ...directory.ID) (map[directory.ID]plan.Confirmed, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return pick(m.groups, ids), nil
}

// Confirm implements Ledger.
func (m *Memory) Confirm(_ context.Context, groups map[directory.ID]plan.Confirmed) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, c := range groups {
		c.Members = slices.Clone(c.Members)
		m.groups[id] = c
	}
	return nil
}

// Unconfirm implements Ledger.
func (m *Memory) Unconfirm(_ context.Context, ids ...directory.ID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	drop(m.groups, ids)
	return nil
}

// Facts implements Ledger.
func (m *Memory) Facts(context.Context) (Facts, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.facts.clone(), nil
}

// SetFacts implements Ledger.
func (m *Memory) SetFacts(_ context.Context, f Facts) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.facts = f.clone()
	return nil
}

func pick[K comparable, V any](from map[K]V, keys []K) map[K]V {
	out := make(map[K]V, len(keys))
	for _, k := range keys {
		if v, ok := from[k]; ok {
			out[k] = v
		}
	}
	return out
}

func drop[K comparable, V any](from map[K]V, keys []K) {
	for _, k := range keys {
		delete(from, k)
	}
}
