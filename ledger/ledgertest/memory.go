// Package ledgertest has a ledger for tests.
package ledgertest

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"sync"

	"rollcall/directory"
	"rollcall/ledger"
	"rollcall/plan"
)

// Memory is a ledger in memory. It implements reconcile.Ledger.
type Memory struct {
	mu     sync.Mutex
	links  map[directory.Ref]plan.Link
	groups map[directory.ID]plan.Confirmed
	facts  ledger.Facts
	claims ledger.Claims
}

// NewMemory returns an empty ledger.
func NewMemory() *Memory {
	return &Memory{links: map[directory.Ref]plan.Link{}, groups: map[directory.ID]plan.Confirmed{}}
}

// Links returns every link.
func (m *Memory) Links(context.Context) (map[directory.Ref]plan.Link, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.links), nil
}

// PutLinks replaces the links of these entries.
func (m *Memory) PutLinks(_ context.Context, links map[directory.Ref]plan.Link) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.Copy(m.links, links)
	return nil
}

// DropLinks deletes the links of these entries.
func (m *Memory) DropLinks(_ context.Context, refs ...directory.Ref) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	drop(m.links, refs)
	return nil
}

// Groups returns the confirmed members of every group.
func (m *Memory) Groups(context.Context) (map[directory.ID]plan.Confirmed, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.groups), nil
}

// Confirm replaces what is known of these groups.
func (m *Memory) Confirm(_ context.Context, groups map[directory.ID]plan.Confirmed) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, c := range groups {
		c.Members = slices.Clone(c.Members)
		m.groups[id] = c
	}
	return nil
}

// Unconfirm deletes what is known of these groups.
func (m *Memory) Unconfirm(_ context.Context, ids ...directory.ID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	drop(m.groups, ids)
	return nil
}

// Facts returns the facts.
func (m *Memory) Facts(context.Context) (ledger.Facts, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.facts
	f.Referrals, f.Refused, f.Coverage = slices.Clone(f.Referrals), slices.Clone(f.Refused), slices.Clone(f.Coverage)
	return f, nil
}

// SetFacts replaces the facts.
func (m *Memory) SetFacts(_ context.Context, f ledger.Facts) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	f.Referrals, f.Refused, f.Coverage = slices.Clone(f.Referrals), slices.Clone(f.Refused), slices.Clone(f.Coverage)
	m.facts = f
	return nil
}

func drop[K comparable, V any](from map[K]V, keys []K) {
	for _, k := range keys {
		delete(from, k)
	}
}

// LinksOf returns the links of some entries.
func (m *Memory) LinksOf(_ context.Context, refs ...directory.Ref) (map[directory.Ref]plan.Link, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return some(m.links, refs), nil
}

// ConfirmedOf returns the confirmed members of some groups.
func (m *Memory) ConfirmedOf(_ context.Context, ids ...directory.ID) (map[directory.ID]plan.Confirmed, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return some(m.groups, ids), nil
}

// Claimants returns the entries that claim one of these.
func (m *Memory) Claimants(_ context.Context, keys ...string) ([]directory.Ref, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []directory.Ref
	for _, key := range keys {
		out = append(out, m.claims[key]...)
	}
	return out, nil
}

// SetClaims replaces all claims.
func (m *Memory) SetClaims(_ context.Context, claims ledger.Claims) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.claims = make(ledger.Claims, len(claims))
	for key, refs := range claims {
		m.claims[key] = slices.Compact(slices.SortedFunc(slices.Values(refs), directory.Ref.Compare))
	}
	return nil
}

func some[K comparable, V any](of map[K]V, keys []K) map[K]V {
	out := map[K]V{}
	for _, k := range keys {
		if v, ok := of[k]; ok {
			out[k] = v
		}
	}
	return out
}

// Cache is a ledger.Cache in memory.
type Cache struct {
	mu    sync.Mutex
	blobs map[string][]byte
}

var _ ledger.Cache = (*Cache)(nil)

// NewCache returns an empty cache.
func NewCache() *Cache { return &Cache{blobs: map[string][]byte{}} }

// Load implements ledger.Cache.
func (c *Cache) Load(_ context.Context, name string) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Clone(c.blobs[name]), nil
}

// Save implements ledger.Cache.
func (c *Cache) Save(_ context.Context, name string, blob []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.blobs[name] = bytes.Clone(blob)
	return nil
}
