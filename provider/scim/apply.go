package scim

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/remote"
)

// Apply implements provider.Provider. Changes of one group's members go into one request.
func (p *Provider) Apply(ctx context.Context, batch []plan.Change) []provider.Result {
	results := make([]provider.Result, len(batch))
	for i := 0; i < len(batch); {
		n := 1
		for first := &batch[i]; first.Op.Membership() && i+n < len(batch); n++ {
			if next := &batch[i+n]; next.Op != first.Op || next.Ref != first.Ref {
				break
			}
		}
		p.applySome(ctx, batch[i:i+n], results[i:i+n])
		i += n
	}
	return results
}

// applySome carries out one change, or the changes of one group's members.
func (p *Provider) applySome(ctx context.Context, changes []plan.Change, results []provider.Result) {
	first := &changes[0]
	switch {
	case ctx.Err() != nil:
		for i := range changes {
			results[i] = provider.Result{RemoteID: changes[i].RemoteID,
				Err: fault.New(fault.KindOf(ctx.Err()), "", ctx.Err())}
		}
	case first.Op.Membership():
		p.changeMembers(ctx, changes, results)
	default:
		out, err := p.carryOut(ctx, first)
		if out.remoteID == "" {
			out.remoteID = first.RemoteID
		}
		results[0] = provider.Result{RemoteID: out.remoteID, Note: out.note, Foreign: out.foreign,
			Outlived: out.outlived, Err: detailed(first, err)}
	}
}

// outcome is the result of a change, besides its error.
type outcome struct {
	remoteID, note    string
	foreign, outlived bool
}

func (p *Provider) carryOut(ctx context.Context, c *plan.Change) (outcome, error) {
	group := c.Kind == directory.Group
	switch {
	case c.Op != plan.Create && c.RemoteID == "":
		return outcome{}, fault.Errorf(fault.NotFound, "%s has no remote object", c.Ref)
	case group && (c.Op == plan.Suspend || c.Op == plan.Restore):
		return outcome{note: "groups cannot be suspended"}, nil
	}
	if group {
		s, err := p.known(ctx)
		if err == nil {
			err = s.needGroups()
		}
		if err != nil {
			return outcome{}, err
		}
	}
	switch c.Op {
	case plan.Create:
		return p.create(ctx, c)
	case plan.Update:
		return p.update(ctx, c)
	case plan.Adopt, plan.Reanchor:
		if group && c.Op == plan.Adopt {
			return outcome{}, fault.Errorf(fault.Conflict, "groups of SCIM have no unique name and are never adopted")
		}
		return outcome{}, p.claim(ctx, c)
	case plan.Suspend:
		return p.suspend(ctx, c)
	case plan.Restore:
		return p.restore(ctx, c)
	case plan.Delete:
		return p.delete(ctx, c)
	case plan.Undelete:
		return outcome{}, fault.Errorf(fault.Invalid, "SCIM cannot restore a deleted user")
	case plan.AddMember, plan.RemoveMember: // See changeMembers.
	}
	return outcome{}, fault.Errorf(fault.Internal, "%s of a %s", c.Op, c.Kind)
}

// gone returns the error for an object that is in the ledger and not on the server.
func (p *Provider) gone(c *plan.Change) error {
	if p.recent.Has(c.RemoteID) {
		return fault.Errorf(fault.Unavailable, "%s %s was created moments ago and is not visible yet", c.Kind,
			c.RemoteID)
	}
	return fault.Errorf(fault.NotFound, "%s %s does not exist", c.Kind, c.RemoteID)
}

// settling makes the 404 about a recently created object Unavailable.
func (p *Provider) settling(c *plan.Change, err error) error {
	if fault.KindOf(err) == fault.NotFound && p.recent.Has(c.RemoteID) {
		return fault.Errorf(fault.Unavailable, "created moments ago and not yet visible: %w", err)
	}
	return err
}

// carries returns an error unless the object carries one of the wanted anchors.
func carries(c *plan.Change, r resource, want ...directory.ID) error {
	return remote.Carries(c, directory.ID(r.anchor()), want...)
}

// unprotected returns an error for an object that is protected.
func (p *Provider) unprotected(c *plan.Change, r resource) error {
	if c.Kind == directory.Group {
		return remote.Unprotected(c, p.groupObject(r).Protected)
	}
	return remote.Unprotected(c, p.protectsUser(r))
}

// checkDomain refuses an address outside of the configured domains.
func (p *Provider) checkDomain(c *plan.Change) error {
	_, domain, _ := strings.Cut(c.Address, "@")
	domain = strings.ToLower(domain)
	if c.Kind != directory.User || len(p.cfg.Domains) == 0 || slices.Contains(p.cfg.Domains, domain) {
		return nil
	}
	return fault.Errorf(fault.Invalid, "%s is not in one of the domains %s", c.Address,
		strings.Join(p.cfg.Domains, ", "))
}

// update changes mapped fields. The resource is read first only where a list changes, or where there is no PATCH.
func (p *Provider) update(ctx context.Context, c *plan.Change) (outcome, error) {
	address := remote.NewAddress(c)
	if address != "" {
		if err := p.checkDomain(c); err != nil {
			return outcome{}, err
		}
	}
	s, err := p.known(ctx)
	if err != nil {
		return outcome{}, err
	}
	list, missing, err := p.settings(ctx, s, c)
	out := outcome{}
	if missing != "" {
		out.note = remote.NoManager(missing)
	}
	if err != nil || len(list) == 0 {
		return out, err
	}
	inList := func(one setting) bool { return one.inList() }
	if p.patches(s, c.Kind) && !slices.ContainsFunc(list, inList) {
		err = p.write(ctx, &server{patch: true}, c, nil, list, false)
	} else {
		err = p.modify(ctx, c, false, func(_ *server, r resource) ([]setting, error) {
			return list, carries(c, r, c.ID)
		})
	}
	switch {
	case err == nil && address != "" && c.Kind == directory.User:
		p.names.Learn(c.RemoteID, address)
	case clash(err):
		err = p.renamed(ctx, c, err)
	}
	return out, err
}

// renamed names the user that has the new name of another.
func (p *Provider) renamed(ctx context.Context, c *plan.Change, err error) error {
	if c.Kind != directory.User || c.Address == "" {
		return err
	}
	holders, findErr := p.findUserName(ctx, c.Address)
	for _, h := range holders {
		if h.id() != c.RemoteID {
			return fault.Errorf(fault.Conflict, "user %s (%s) has the userName %s", h.text(userNameAttr), h.id(),
				c.Address)
		}
	}
	if findErr != nil {
		return findErr
	}
	return hidden(c, err)
}

// claim puts our anchor on an object. Adopt expects one without an anchor, Reanchor one with an older anchor of ours.
func (p *Provider) claim(ctx context.Context, c *plan.Change) error {
	return p.modify(ctx, c, true, func(s *server, r resource) ([]setting, error) {
		if err := p.unprotected(c, r); err != nil {
			return nil, err
		}
		if err := carries(c, r, c.ID, c.From); err != nil {
			return nil, err // From is empty for Adopt, which allows no anchor.
		}
		list, _, err := p.settings(ctx, s, c)
		return append(list, set(anchorSlot, string(c.ID))), err
	})
}

// suspend sets active to false, and reads the account again.
func (p *Provider) suspend(ctx context.Context, c *plan.Change) (out outcome, err error) {
	err = p.modify(ctx, c, true, func(_ *server, r resource) ([]setting, error) {
		if err := carries(c, r, c.ID); err != nil {
			return nil, err
		}
		if err := p.unprotected(c, r); err != nil {
			return nil, err
		}
		if !r.active() {
			if !p.marks.has(c.RemoteID) {
				out = outcome{foreign: true,
					note: "was already suspended on the server, not by Rollcall, and has to be restored there"}
			}
			return nil, nil
		}
		p.marks.set(c.RemoteID, true) // It is set before the write, because the answer may get lost.
		return []setting{set(activeSlot, false)}, nil
	})
	if err != nil && remote.OfOneObject(err) {
		p.marks.set(c.RemoteID, false)
	}
	return out, err
}

// restore lifts a suspension of ours.
func (p *Provider) restore(ctx context.Context, c *plan.Change) (outcome, error) {
	err := p.modify(ctx, c, true, func(_ *server, r resource) ([]setting, error) {
		switch err := carries(c, r, c.ID); {
		case err != nil:
			return nil, err
		case r.active():
			return nil, nil
		case !p.marks.has(c.RemoteID):
			return nil, fault.Errorf(fault.Conflict,
				"user %s was suspended on the server, not by Rollcall, and stays suspended", c.RemoteID)
		}
		return []setting{set(activeSlot, true)}, nil
	})
	if err == nil {
		p.marks.set(c.RemoteID, false)
	}
	return outcome{}, err
}

// delete deletes an object of ours. Nothing can restore it.
func (p *Provider) delete(ctx context.Context, c *plan.Change) (outcome, error) {
	p.recent.Drop(c.RemoteID)
	r, found, err := p.get(ctx, c.Kind, c.RemoteID, p.withoutMembers(c.Kind))
	if err != nil || !found {
		return outcome{}, err
	}
	if err := carries(c, r, c.ID); err != nil {
		return outcome{}, err
	}
	if err := p.unprotected(c, r); err != nil {
		return outcome{}, err
	}
	if c.Kind == directory.User && r.active() {
		p.marks.set(c.RemoteID, true) // Many servers suspend the account.
	}
	err = p.call(ctx, &request{op: opOf(c.Kind, "delete"), method: http.MethodDelete, path: p.path(c.Kind, c.RemoteID),
		version: r.version()}, nil)
	code := status(err)
	switch unsupported := code == http.StatusMethodNotAllowed || code == http.StatusNotImplemented; {
	case err != nil && fault.KindOf(err) == fault.NotFound, err == nil && c.Kind == directory.Group:
		return outcome{}, nil
	case err == nil, unsupported && c.Kind == directory.User:
		return p.outlives(ctx, c)
	}
	return outcome{}, err
}

// outlives makes sure that a deleted user has no access. Many servers only suspend the account, and some refuse to
// delete any. Such an account keeps its anchor, and is ours to restore.
func (p *Provider) outlives(ctx context.Context, c *plan.Change) (outcome, error) {
	out, err := p.suspend(ctx, c)
	switch {
	case err != nil && fault.KindOf(err) == fault.NotFound:
		p.marks.set(c.RemoteID, false)
		return outcome{}, nil
	case err == nil:
		out.outlived, out.note = true, "the server does not delete users: the account stays there, suspended"
	}
	return out, err
}

// label is the name of an object without a mapped name.
func label(c *plan.Change) string {
	return cmp.Or(c.Label, string(c.ID))
}
