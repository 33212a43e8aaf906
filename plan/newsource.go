package plan

import (
	"fmt"

	"rollcall/container"
	"rollcall/directory"
)

// Joins reports whether the change gives its entry an account or a group for the first time, or one that existed.
func (c *Change) Joins() bool { return c.Op == Create || c.Op == Adopt || c.Op == Undelete }

// NewSource is a source that a provider was never synced from.
type NewSource struct {
	Slug string
	// Accounts counts its entries with an object here: those of a decision about a part.
	Accounts Tally
}

// newSources holds what would join from a source that the tenant was never synced from, where that is more of a kind
// than a day's limit. What waits after a decision about a part goes on waiting, however few they are. The first sync of
// a tenant is held by nothing here.
func (g *guard) newSources() {
	anchored := g.plan.Counts.Anchored
	if anchored.User+anchored.Group == 0 {
		return
	}
	limit := Tally{User: Limit{}.Of(anchored.User), Group: Limit{}.Of(anchored.Group)}
	for _, source := range g.limits.NewSources {
		joins := func(c *Change) bool { return c.Source == source.Slug && c.Joins() }
		n := Tally{
			User:  g.count(func(c *Change) bool { return joins(c) && c.Kind == directory.User }),
			Group: g.count(func(c *Change) bool { return joins(c) && c.Kind == directory.Group }),
		}
		if n.User+source.Accounts.User <= limit.User && n.Group+source.Accounts.Group <= limit.Group {
			continue
		}
		g.hold(RuleSource, fmt.Sprintf("%d users and %d groups would join from %s, which was never synced here before: "+
			"without approval at most %d users and %d groups join (%d and %d carry our anchor)", n.User, n.Group,
			container.Source(source.Slug), limit.User, limit.Group, anchored.User, anchored.Group), joins)
	}
}
