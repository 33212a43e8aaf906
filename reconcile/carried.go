package reconcile

import (
	"context"
	"maps"
	"slices"

	"rollcall/directory"
	"rollcall/plan"
	"rollcall/provider"
)

// carried translates IDs for a provider whose objects keep the anchor of an entry's former ID, because it cannot be
// changed there (plan.Capabilities.FixedAnchors). The link of the new ID names the anchor; the provider sees the old ID.
type carried struct {
	anchor map[directory.Ref]directory.ID // by the entry's present ID
}

func carry(links map[directory.Ref]plan.Link) carried {
	c := carried{anchor: map[directory.Ref]directory.ID{}}
	for ref, link := range links {
		if link.Anchor != "" {
			c.anchor[ref] = link.Anchor
		}
	}
	return c
}

// outside returns the reference that the provider knows.
func (c carried) outside(ref directory.Ref) directory.Ref {
	if id, ok := c.anchor[ref]; ok {
		ref.ID = id
	}
	return ref
}

// query returns the query in the provider's IDs.
func (c carried) query(q provider.Query) provider.Query {
	if len(c.anchor) == 0 {
		return q
	}
	q.Known, q.Groups = maps.Clone(q.Known), maps.Clone(q.Groups)
	for ref, id := range c.anchor {
		if link, ok := q.Known[ref]; ok {
			delete(q.Known, ref)
			q.Known[directory.Ref{Kind: ref.Kind, ID: id}] = link
		}
		if confirmed, ok := q.Groups[ref.ID]; ok && ref.Kind == directory.Group {
			delete(q.Groups, ref.ID)
			q.Groups[id] = confirmed
		}
	}
	q.Lookups = slices.Clone(q.Lookups)
	for i := range q.Lookups {
		l := &q.Lookups[i]
		l.Ref, l.Groups = c.outside(l.Ref), slices.Clone(l.Groups)
		for k := range l.Groups {
			l.Groups[k].ID = c.outside(directory.Ref{Kind: directory.Group, ID: l.Groups[k].ID}).ID
		}
	}
	return q
}

// state puts the present IDs on the objects that the links name.
func (c carried) state(s plan.State, links map[directory.Ref]plan.Link) plan.State {
	present := make(map[directory.Ref]directory.Ref, len(c.anchor))
	for ref, id := range c.anchor {
		present[directory.Ref{Kind: ref.Kind, ID: id}] = ref
	}
	for i := range s.Objects {
		o := &s.Objects[i]
		if ref, ok := present[o.Ref]; ok && links[ref].RemoteID == o.RemoteID {
			o.Ref = ref
		}
	}
	return s
}

// carriedOut hands a batch to the provider, in its IDs. A re-anchoring of an object whose anchor cannot be changed is an
// update of its fields: the ledger records the new ID.
func (a *applier) carriedOut(ctx context.Context, batch []plan.Change) []provider.Result {
	results := make([]provider.Result, len(batch))
	send, at := make([]plan.Change, 0, len(batch)), make([]int, 0, len(batch))
	fixed := a.cfg.Provider.Capabilities().FixedAnchors
	a.mu.Lock()
	for i, c := range batch {
		if c.Op == plan.Reanchor && slices.Contains(fixed, c.Kind) {
			if len(c.Fields) == 0 {
				results[i].RemoteID = c.RemoteID
				continue
			}
			c.Op, c.Ref, c.From = plan.Update, a.carried.outside(directory.Ref{Kind: c.Kind, ID: c.From}), ""
		} else {
			c.Ref = a.carried.outside(c.Ref)
		}
		if c.Member != nil {
			member := a.carried.outside(*c.Member)
			c.Member = &member
		}
		send, at = append(send, c), append(at, i)
	}
	a.mu.Unlock()
	if len(send) == 0 {
		return results
	}
	for k, r := range a.cfg.Provider.Apply(ctx, send) {
		results[at[k]] = r
	}
	return results
}

// reanchored returns the link of an entry whose account had another ID until now. The caller holds the lock.
func (a *applier) reanchored(c *plan.Change) plan.Link {
	old := directory.Ref{Kind: c.Kind, ID: c.From}
	link := a.link(old)
	link.RemoteID, link.Anchor = c.RemoteID, ""
	if slices.Contains(a.cfg.Provider.Capabilities().FixedAnchors, c.Kind) {
		if id := a.carried.outside(old).ID; id != c.ID {
			link.Anchor = id
			a.carried.anchor[c.Ref] = id
		}
	}
	return link
}
