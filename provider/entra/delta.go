package entra

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"rollcall/fault"
	"rollcall/provider/remote"
)

const (
	// readAnew is how long a delta query is continued before everything is read again. It bounds the age of missed
	// changes.
	readAnew = 72 * time.Hour
	// linkLife is how long a link is used. Graph promises seven days.
	linkLife = 6 * 24 * time.Hour
	// keepAfter is the number of pages that are worth saving before the run is over.
	keepAfter = 10
	// relink is the age at which a link is replaced in the cache without a change.
	relink = 24 * time.Hour
)

// picture is the state of the tenant as returned by delta queries.
type picture struct {
	users  *half[user]
	groups *half[group]
}

// refresh brings the cached picture up to date.
func (p *Provider) refresh(ctx context.Context) (*picture, error) {
	s := &picture{
		users:  load(ctx, p, "users", p.made(userForm(p.userFields)), func(u *user) string { return u.ID }),
		groups: load(ctx, p, "groups", p.made(groupSelection(p.groupFields)), func(g *group) string { return g.ID }),
	}
	if err := p.advance(ctx, s); err != nil {
		return nil, err
	}
	if len(s.users.objects) == 0 {
		return nil, fault.Errorf(fault.Unavailable,
			"users.delta: there is no user where a tenant has an administrator at least")
	}
	return s, nil
}

// advance continues both delta queries to their ends. After an error the picture must not be used.
func (p *Provider) advance(ctx context.Context, s *picture) error {
	gone, goneGroups := map[string]bool{}, map[string]bool{}
	g, both := errgroup.WithContext(ctx)
	g.Go(func() error {
		return follow(both, p, "users.delta", "/users/delta?"+trackManager(p.userFields), s.users,
			func(id string, r raw, removed bool) {
				if removed {
					delete(s.users.objects, id)
					gone[id] = true
					return
				}
				delete(gone, id)
				if s.users.objects[id] == nil {
					s.users.objects[id] = &user{}
				}
				s.users.objects[id].merge(r, p.userFields)
			})
	})
	g.Go(func() error {
		return follow(both, p, "groups.delta", "/groups/delta?"+groupSelection(p.groupFields)+",members", s.groups,
			func(id string, r raw, removed bool) {
				if removed {
					delete(s.groups.objects, id)
					goneGroups[id] = true
					return
				}
				delete(goneGroups, id)
				p.mergeGroup(s.groups, id, r)
			})
	})
	if err := g.Wait(); err != nil {
		return err
	}
	p.dropManagers(s.users, gone)
	maps.Copy(gone, goneGroups)
	s.prune(gone)
	return p.listUnlisted(ctx, s)
}

// follow continues a delta query to its end, or starts it again where that is due.
func follow[R any](ctx context.Context, p *Provider, op, first string, h *half[R],
	merge func(id string, r raw, removed bool)) error {
	now := p.now()
	if h.Link != "" && now.Sub(h.Began) < readAnew && now.Sub(h.Linked) < linkLife {
		if err := p.followFrom(ctx, op, h.Link, &h.Link, &h.changed, &h.pages, merge); !stale(err) {
			h.Linked = now
			return err
		}
	}
	clear(h.objects)
	h.Began, h.Linked, h.changed = now, now, true
	err := p.followFrom(ctx, op, first, &h.Link, &h.changed, &h.pages, merge)
	if expired(err) { // The next run begins again.
		return fault.Errorf(fault.Unavailable, "the query from the beginning ended before its last page: %w", err)
	}
	return err
}

// expired reports whether Graph rejects the link as too old and asks for a read from the beginning.
func expired(err error) bool {
	r := refused(err)
	if r == nil {
		return false
	}
	switch strings.ToLower(r.Code) {
	case "resyncrequired", "syncstatenotfound", "syncstateinvalid", "directory_resyncrequired",
		"directory_expiredpagetoken":
		return true
	}
	return r.Status == http.StatusGone && !r.page
}

// stale reports whether a stored link is of no use any more. Its token is opaque, so a refusal in any form means that
// the query has to begin again.
func stale(err error) bool {
	r := refused(err)
	return expired(err) || r != nil && (r.Status == http.StatusNotFound && !r.page ||
		r.Status == http.StatusBadRequest && !r.foreign)
}

// deltaPage is one page of a delta query.
type deltaPage struct {
	Value []raw  `json:"value"`
	Next  string `json:"@odata.nextLink"`
	Delta string `json:"@odata.deltaLink"`
}

func (p *Provider) followFrom(ctx context.Context, op, from string, link *string, changed *bool, pages *int,
	merge func(string, raw, bool)) error {
	visited := map[string]bool{}
	for at := from; ; {
		page, err := p.deltaPage(ctx, op, at)
		if err != nil {
			return err
		}
		*pages++
		for _, r := range page.Value {
			id := ""
			if take(r, "id", &id); id == "" {
				return fault.Errorf(fault.Unavailable, "%s: the answer has an object without an id", op)
			}
			_, removed := r["@removed"]
			merge(id, r, removed)
			*changed = true
		}
		if page.Delta != "" {
			*link, err = p.local(op, page.Delta)
			return err
		}
		if at, err = p.local(op, page.Next); err != nil {
			return err
		}
		if visited[at] || len(visited) == remote.MostPages {
			return fault.Errorf(fault.Unavailable,
				"%s: Graph repeats a link, so the query cannot be read to its end", op)
		}
		visited[at] = true
	}
}

func (p *Provider) deltaPage(ctx context.Context, op, url string) (deltaPage, error) {
	var page deltaPage
	it := get(op, url)
	if p.send(ctx, it); it.err != nil {
		return page, it.err
	}
	if err := it.decode(&page); err != nil {
		return page, err
	}
	if page.Value == nil || (page.Next == "") == (page.Delta == "") {
		return page, fault.Errorf(fault.Unavailable, "%s: the answer is not a page of a delta query", op)
	}
	return page, nil
}

// mergeGroup merges the properties of a group on a page into the half.
func (p *Provider) mergeGroup(h *half[group], id string, r raw) {
	g, known := h.objects[id]
	if !known {
		g = &group{}
		h.objects[id] = g
	}
	was := groupID(g.Name) != ""
	g.merge(r, p.groupFields)
	if groupID(g.Name) == "" {
		g.Members = nil
		return
	}
	if known && !was {
		g.Unlisted = true
	}
	if list, ok := r["members@delta"]; ok {
		var members []raw
		_ = json.Unmarshal(list, &members)
		g.mergeMembers(members)
	}
}

// mergeMembers adds and removes members. The last change of a member counts.
func (g *group) mergeMembers(changes []raw) {
	in := make(map[string]bool, len(changes))
	for _, m := range changes {
		id := ""
		take(m, "id", &id)
		_, removed := m["@removed"]
		in[id] = !removed
	}
	kept := slices.DeleteFunc(slices.Clone(g.Members), func(m string) bool { _, said := in[m]; return said })
	for id, is := range in {
		if is && id != "" {
			kept = append(kept, id)
		}
	}
	slices.Sort(kept)
	g.Members = kept
}

// prune removes deleted objects from the groups that they were in.
func (s *picture) prune(gone map[string]bool) {
	if len(gone) == 0 {
		return
	}
	for _, g := range s.groups.objects {
		if slices.ContainsFunc(g.Members, func(m string) bool { return gone[m] }) {
			g.Members = slices.DeleteFunc(slices.Clone(g.Members), func(m string) bool { return gone[m] })
			s.groups.changed = true
		}
	}
}
