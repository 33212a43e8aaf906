package entra

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"rollcall/directory"
	"rollcall/plan"
)

// half contains all users, or all groups, as of the time when Graph returned the link.
type half[R any] struct {
	// Made identifies the tenant and the requested properties.
	Made string `json:"made"`
	// Link continues the delta query.
	Link string `json:"link"`
	// Began is the time of the last read from the beginning, Linked that of the link.
	Began  time.Time `json:"began"`
	Linked time.Time `json:"linked"`
	Count  int       `json:"count"`

	objects map[string]*R
	// changed is set while the half differs from the cache. pages counts the pages since the last save. saved is the
	// time of the saved link.
	changed bool
	pages   int
	saved   time.Time
}

// encode writes a header line for the half and a line for each object, by id.
func (h *half[R]) encode() ([]byte, error) {
	var b bytes.Buffer
	h.Count = len(h.objects)
	out := json.NewEncoder(&b)
	out.SetEscapeHTML(false)
	if err := out.Encode(h); err != nil {
		return nil, err
	}
	for _, id := range slices.Sorted(maps.Keys(h.objects)) {
		if err := out.Encode(h.objects[id]); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

// decode parses the output of encode.
func decode[R any](blob []byte, id func(*R) string) (*half[R], error) {
	in := json.NewDecoder(bufio.NewReader(bytes.NewReader(blob)))
	h := &half[R]{}
	if err := in.Decode(h); err != nil {
		return nil, err
	}
	h.objects = make(map[string]*R, h.Count)
	for {
		one := new(R)
		if err := in.Decode(one); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		h.objects[id(one)] = one
	}
	if len(h.objects) != h.Count {
		return nil, fmt.Errorf("%d objects, want %d", len(h.objects), h.Count)
	}
	return h, nil
}

// made identifies the tenant and the properties that this Provider requests for a half.
func (p *Provider) made(selection string) string {
	return strings.Join([]string{"1", p.cfg.Endpoint, p.cfg.TenantID, selection}, " ")
}

// load reads a half from the cache. It returns an empty half if the cache has no matching or readable one.
func load[R any](ctx context.Context, p *Provider, name, made string, id func(*R) string) *half[R] {
	empty := &half[R]{Made: made, objects: map[string]*R{}}
	if p.opts.Cache == nil {
		return empty
	}
	blob, err := p.opts.Cache.Load(ctx, name)
	if err != nil || blob == nil {
		return empty
	}
	h, err := decode(blob, id)
	if err != nil || h.Made != made {
		return empty
	}
	h.saved = h.Linked
	return h
}

// save writes a half to the cache.
func save[R any](ctx context.Context, p *Provider, name string, h *half[R]) error {
	if p.opts.Cache == nil {
		return nil
	}
	blob, err := h.encode()
	if err != nil {
		return fmt.Errorf("keep %s: %w", name, err)
	}
	if err := p.opts.Cache.Save(ctx, name, blob); err != nil {
		return fmt.Errorf("keep %s: %w", name, err)
	}
	h.changed, h.pages, h.saved = false, 0, h.Linked
	return nil
}

// seen is the state between a Read and the Settle after it.
type seen struct {
	mu      sync.Mutex
	picture *picture
	// wrote is set after a write. doubtful are groups with members that differ from the picture.
	wrote    bool
	doubtful map[string]bool
}

func (s *seen) put(p *picture) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.picture, s.wrote, s.doubtful = p, false, map[string]bool{}
}

func (s *seen) take() (p *picture, wrote bool, doubtful map[string]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, wrote, doubtful = s.picture, s.wrote, s.doubtful
	s.picture, s.doubtful = nil, nil
	return p, wrote, doubtful
}

// note records a write.
func (s *seen) note() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wrote = true
}

// doubt records that the members of a group differ from the picture.
func (s *seen) doubt(group string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.doubtful != nil {
		s.doubtful[group] = true
	}
}

// Settle implements reconcile.Settler. It continues the delta queries past the writes of this run, and keeps the
// picture with the new links.
func (p *Provider) Settle(ctx context.Context) error {
	s, wrote, doubtful := p.seen.take()
	if s == nil || p.opts.Cache == nil {
		return nil
	}
	if wrote {
		if err := p.advance(ctx, s); err != nil {
			return err
		}
	}
	if err := p.relist(ctx, s, doubtful); err != nil {
		return err
	}
	return p.keep(ctx, s)
}

// relist reads the members of groups again that delta had wrong, or that were changed by hand meanwhile.
func (p *Provider) relist(ctx context.Context, s *picture, doubtful map[string]bool) error {
	for _, id := range slices.Sorted(maps.Keys(doubtful)) {
		if g := s.groups.objects[id]; g != nil && groupID(g.Name) != "" {
			g.Unlisted = true
		}
	}
	return p.listUnlisted(ctx, s)
}

// keep saves changes, and links that would become too old.
func (p *Provider) keep(ctx context.Context, s *picture) error {
	var errs []error
	if s.users.changed || s.users.Linked.Sub(s.users.saved) >= relink {
		errs = append(errs, save(ctx, p, "users", s.users))
	}
	if s.groups.changed || s.groups.Linked.Sub(s.groups.saved) >= relink {
		errs = append(errs, save(ctx, p, "groups", s.groups))
	}
	return errors.Join(errs...)
}

// keepLong saves a picture that took long to read, for the case that the run fails. It ignores errors, because Settle
// reports them.
func (p *Provider) keepLong(ctx context.Context, s *picture) {
	if s.users.pages+s.groups.pages >= keepAfter || s.users.saved.IsZero() || s.groups.saved.IsZero() {
		_ = p.keep(ctx, s)
	}
}

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
