package ledgertest

import (
	"bytes"
	"context"
	"sync"

	"rollcall/ledger"
)

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
