package entra

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"sync"
	"time"
)

// returning remembers the accounts that are being brought back from the deleted items. They come back blocked, as they
// were, and are activated by a second request: should that be lost, the blocked account is ours to activate, though the
// ledger forgot it when it was deleted.
type returning struct {
	mu  sync.Mutex
	ids map[string]time.Time
}

// returningLife is how long an account is believed to be on its way: for as long as Entra keeps deleted users
// (learn.microsoft.com/graph/api/directory-deleteditems-restore).
const returningLife = 30 * 24 * time.Hour

// load takes over what other processes began.
func (r *returning) load(ctx context.Context, p *Provider) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ids == nil {
		r.ids = map[string]time.Time{}
	}
	if p.opts.Cache == nil {
		return
	}
	blob, err := p.opts.Cache.Load(ctx, "returning")
	if err != nil || blob == nil {
		return
	}
	kept := map[string]time.Time{}
	if json.Unmarshal(blob, &kept) == nil {
		maps.DeleteFunc(kept, func(_ string, since time.Time) bool { return p.now().Sub(since) > returningLife })
		r.ids = kept
	}
}

func (r *returning) has(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, on := r.ids[id]
	return on
}

// begin notes accounts before they are brought back.
func (r *returning) begin(ctx context.Context, p *Provider, ids []string) error {
	return r.change(ctx, p, func() {
		for _, id := range ids {
			r.ids[id] = p.now()
		}
	})
}

// end forgets accounts that are active, or blocked again by somebody.
func (r *returning) end(ctx context.Context, p *Provider, ids ...string) {
	on := false
	for _, id := range ids {
		on = on || r.has(id)
	}
	if on { // What cannot be kept is forgotten by the next read.
		_ = r.change(ctx, p, func() {
			for _, id := range ids {
				delete(r.ids, id)
			}
		})
	}
}

func (r *returning) change(ctx context.Context, p *Provider, do func()) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ids == nil {
		r.ids = map[string]time.Time{}
	}
	do()
	if p.opts.Cache == nil {
		return nil
	}
	blob, err := json.Marshal(r.ids)
	if err == nil {
		err = p.opts.Cache.Save(ctx, "returning", blob)
	}
	if err != nil {
		return fmt.Errorf("note what is restored: %w", err)
	}
	return nil
}
