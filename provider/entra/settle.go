package entra

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
)

// seen is what is kept between a Read and the Settle after it.
type seen struct {
	mu      sync.Mutex
	picture *picture
	// wrote says that something was written since; doubtful are groups whose members turned out to be others than the picture has.
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

// note says that something was written.
func (s *seen) note() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wrote = true
}

// doubt says that the members of a group are others than was thought.
func (s *seen) doubt(group string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.doubtful != nil {
		s.doubtful[group] = true
	}
}

// Settle implements reconcile.Settler: it follows the delta queries over what this run wrote and keeps what they show
// with the links to where they end.
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

// relist reads the members of groups again that delta had wrong, or that somebody else changed while we did.
func (p *Provider) relist(ctx context.Context, s *picture, doubtful map[string]bool) error {
	for _, id := range slices.Sorted(maps.Keys(doubtful)) {
		if g := s.groups.objects[id]; g != nil && groupID(g.Name) != "" {
			g.Unlisted = true
		}
	}
	return p.listUnlisted(ctx, s)
}

// keep saves what changed, and links that would grow too old.
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

// keepLong saves what took long to read, so that it need not be read again when the run fails. Settle says what goes wrong
// with that.
func (p *Provider) keepLong(ctx context.Context, s *picture) {
	if s.users.pages+s.groups.pages >= keepAfter || s.users.saved.IsZero() || s.groups.saved.IsZero() {
		_ = p.keep(ctx, s)
	}
}
