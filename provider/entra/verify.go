package entra

import (
	"context"
	"encoding/json"
	"slices"

	"rollcall/directory"
	"rollcall/fault"
)

// verifyUsers reads the accounts that are about to be taken over or to lose something, together with who is an
// administrator now, and ends the jobs whose account is not ours to touch. from names the anchors that it may carry, none
// for an account without. It returns the accounts by id.
func (p *Provider) verifyUsers(ctx context.Context, jobs []*job, harms bool, anchors func(*job) []directory.ID) map[string]*user {
	items := byIDs("users.list", "users", userSelection(nil), remoteIDs(jobs))
	var administrators map[string]bool
	var err error
	if harms {
		administrators, err = p.readAdministrators(ctx, items...)
	} else {
		p.send(ctx, items...)
	}
	users, readErr := collect(items, p.readUser, func(u *user) string { return u.ID })
	if err == nil {
		err = readErr
	}
	if err != nil {
		failAll(jobs, err)
		return nil
	}
	for _, j := range open(jobs) {
		u := users[j.RemoteID]
		if u == nil {
			j.fail(p.gone(j))
			continue
		}
		if err := carries(j, u, anchors(j)); err != nil {
			j.fail(err)
			continue
		}
		if why := p.protects(u, administrators); why != "" && harms {
			j.fail(fault.Errorf(fault.Conflict, "%s: user %s is protected: %s", j.Op, j.RemoteID, why))
		} else if u.Synced {
			j.fail(fault.Errorf(fault.Conflict, "%s: user %s is synchronised from another directory", j.Op, j.RemoteID))
		}
	}
	return users
}

// own is the one anchor that an account has to carry to lose something.
func own(j *job) []directory.ID { return []directory.ID{j.ID} }

// carries refuses an account that does not carry one of the anchors: somebody took it out of our hands.
func carries(j *job, u *user, anchors []directory.ID) error {
	id, ours := decodeAnchor(u.Anchor)
	switch {
	case ours && slices.Contains(anchors, id), u.Anchor == "" && slices.Contains(anchors, ""):
		return nil
	case u.Anchor == "":
		return fault.Errorf(fault.Conflict, "user %s no longer carries our anchor", j.RemoteID)
	case !ours:
		return fault.Errorf(fault.Conflict, "user %s carries the onPremisesImmutableId of another system", j.RemoteID)
	}
	return fault.Errorf(fault.Conflict, "user %s carries the anchor of another entry (%s)", j.RemoteID, id)
}

// verifyGroups reads the groups that are about to lose something and ends the jobs whose group is not ours. A group that
// is gone ends them with success: nothing is left to lose.
func (p *Provider) verifyGroups(ctx context.Context, jobs []*job) {
	items := byIDs("groups.list", "groups", groupSelection(nil), remoteIDs(jobs))
	p.send(ctx, items...)
	groups, err := collect(items, p.readGroup, func(g *group) string { return g.ID })
	if err != nil {
		failAll(jobs, err)
		return
	}
	for _, j := range open(jobs) {
		g := groups[j.RemoteID]
		switch {
		case g == nil && p.recent.Has(j.RemoteID):
			j.fail(p.gone(j))
		case g == nil:
			j.succeed("")
		case groupID(g.Name) != j.ID:
			j.fail(fault.Errorf(fault.Conflict, "group %s does not carry the anchor of the entry (uniqueName %q)", j.RemoteID, g.Name))
		case g.readOnly() != "":
			j.fail(fault.Errorf(fault.Conflict, "%s: group %s is not written: %s", j.Op, j.RemoteID, g.readOnly()))
		case p.cfg.Protects(g.ID) != "" && !j.Op.Membership():
			j.fail(fault.Errorf(fault.Conflict, "%s: group %s is protected by the configuration", j.Op, j.RemoteID))
		}
	}
}

// remoteIDs returns the remote ids of jobs, each once.
func remoteIDs(jobs []*job) []string {
	ids := make([]string, 0, len(jobs))
	for _, j := range jobs {
		ids = append(ids, j.RemoteID)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// collect reads the objects of lists by id.
func collect[R any](items []*item, read func(json.RawMessage) (*R, bool), id func(*R) string) (map[string]*R, error) {
	out := map[string]*R{}
	for _, it := range items {
		list, err := first(it)
		if err != nil {
			return nil, err
		}
		for _, body := range list {
			if one, ok := read(body); ok {
				out[id(one)] = one
			}
		}
	}
	return out, nil
}
