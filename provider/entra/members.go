package entra

import (
	"context"
	"maps"
	"net/http"
	"slices"

	"rollcall/fault"
)

// memberless ends the jobs without the id of a member.
func memberless(jobs []*job) []*job {
	for _, j := range jobs {
		if !j.done && !isObjectID(j.MemberRemoteID) {
			j.fail(fault.Errorf(fault.NotFound, "%s of %s: the member has no remote object", j.Op, j.Ref))
		}
	}
	return open(jobs)
}

// part is the members that one request adds to a group.
type part struct {
	jobs []*job
	item *item
}

// addMembers adds members, up to twenty to a group in one request. Graph adds all of them or none. If it refuses, the
// members that it names are added alone, and the others together again.
func (p *Provider) addMembers(ctx context.Context, jobs []*job) {
	jobs = memberless(jobs)
	byGroup := map[string][]*job{}
	var order []string
	for _, j := range jobs {
		if byGroup[j.RemoteID] == nil {
			order = append(order, j.RemoteID)
		}
		byGroup[j.RemoteID] = append(byGroup[j.RemoteID], j)
	}
	var parts []*part
	for _, id := range order {
		for some := range slices.Chunk(byGroup[id], mostMembers) {
			parts = append(parts, p.bind(id, some))
		}
	}
	for len(parts) > 0 {
		p.sendParts(ctx, parts)
		parts = p.divide(ctx, parts)
	}
}

// bind adds some members to a group.
func (p *Provider) bind(group string, jobs []*job) *part {
	if len(jobs) == 1 {
		return p.addOne(jobs[0])
	}
	links := make([]string, 0, len(jobs))
	for _, j := range jobs {
		links = append(links, p.link(j.MemberRemoteID))
	}
	it := &item{op: "members.add", method: http.MethodPatch, url: "/groups/" + group,
		body: map[string]any{"members@odata.bind": links}}
	it.reclassify = func(err error) error {
		switch r := refused(err); {
		case r == nil || !notFound(err) && !unreplicated(r):
			return err
		case r.names(group), unreplicated(r) && p.recent.Has(group):
			return p.settling(group)(err)
		}
		return fault.Errorf(fault.NotFound, "%w", err) // The members are divided, so that they do not all wait.
	}
	return &part{jobs, it}
}

func (p *Provider) addOne(j *job) *part {
	return &part{[]*job{j}, &item{
		op: "members.add", method: http.MethodPost, url: "/groups/" + j.RemoteID + "/members/$ref",
		body: map[string]any{"@odata.id": p.link(j.MemberRemoteID)}, reclassify: p.settling(j.RemoteID, j.MemberRemoteID),
	}}
}

// link returns the reference to another object in a request.
func (p *Provider) link(id string) string { return p.cfg.Endpoint + "/directoryObjects/" + id }

// sendParts sends the requests. Those with several members go first, because one recently created member delays its
// whole batch.
func (p *Provider) sendParts(ctx context.Context, parts []*part) {
	var together, alone []*item
	for _, part := range parts {
		if len(part.jobs) > 1 {
			together = append(together, part.item)
		} else {
			alone = append(alone, part.item)
		}
	}
	p.send(ctx, together...)
	p.send(ctx, alone...)
}

// divide ends the jobs of parts that succeeded, of single members, and of parts that cannot be divided. It returns
// smaller parts for the rest.
func (p *Provider) divide(ctx context.Context, parts []*part) []*part {
	var again []*part
	forbidden := map[string][]*part{}
	for _, part := range parts {
		r, group := refused(part.item.err), part.jobs[0].RemoteID
		switch {
		case len(part.jobs) == 1 || r == nil || !divisible(part.item.err) || r.names(group):
			p.joined(part)
		case r.forbidden():
			forbidden[group] = append(forbidden[group], part)
		default:
			again = append(again, p.split(part)...)
		}
	}
	for _, group := range slices.Sorted(maps.Keys(forbidden)) {
		again = append(again, p.tryForbidden(ctx, forbidden[group])...)
	}
	return again
}

// divisible reports whether the refusal of several members may concern only some of them.
func divisible(err error) bool {
	r, kind := refused(err), fault.KindOf(err)
	return r.Status >= 400 && r.Status < 500 && r.Status != http.StatusUnauthorized && kind != fault.Denied &&
		kind != fault.Throttled
}

// tryForbidden adds separately the members of the first of several forbidden parts of a group. If all of them are
// forbidden, the group itself cannot be written, and the other parts end. Otherwise it returns the members of the
// other parts, each alone.
func (p *Provider) tryForbidden(ctx context.Context, parts []*part) []*part {
	tried := p.alone(parts[0].jobs)
	p.sendParts(ctx, tried)
	locked := true
	for _, one := range tried {
		r := refused(one.item.err)
		locked = locked && r != nil && r.forbidden()
		p.joined(one)
	}
	var rest []*part
	for _, part := range parts[1:] {
		if locked {
			p.joined(part)
		} else {
			rest = append(rest, p.alone(part.jobs)...)
		}
	}
	return rest
}

func (p *Provider) alone(jobs []*job) []*part {
	parts := make([]*part, 0, len(jobs))
	for _, j := range jobs {
		parts = append(parts, p.addOne(j))
	}
	return parts
}

// split divides a refused part. The members that Graph names are alone, and the others stay together. If Graph names
// none, each member is alone.
func (p *Provider) split(whole *part) []*part {
	r := refused(whole.item.err)
	var named, others []*job
	for _, j := range whole.jobs {
		if r.names(j.MemberRemoteID) {
			named = append(named, j)
		} else {
			others = append(others, j)
		}
	}
	if len(named) == 0 || len(others) == 0 {
		return p.alone(whole.jobs)
	}
	return append(p.alone(named), p.bind(others[0].RemoteID, others))
}

// joined ends the jobs of a part with the outcome of its request. The picture did not have a member that is already
// in the group.
func (p *Provider) joined(part *part) {
	for _, j := range part.jobs {
		if j.end(part.item); alreadyMember(refused(part.item.err)) {
			p.seen.doubt(j.RemoteID)
			j.succeed("")
		}
	}
}

// removeMembers ends memberships in groups that are ours.
func (p *Provider) removeMembers(ctx context.Context, jobs []*job) {
	jobs = memberless(jobs)
	p.verifyGroups(ctx, jobs, own)
	jobs = open(jobs)
	items := make([]*item, 0, len(jobs))
	for _, j := range jobs {
		items = append(items, removeOne(j))
	}
	p.send(ctx, items...)
	for i, j := range jobs {
		if j.end(items[i]); noMember(refused(j.out.Err)) {
			p.seen.doubt(j.RemoteID)
			j.succeed("")
		}
	}
}

// removeOne removes the reference to a member. Without the /$ref at its end, Graph would delete the member itself.
func removeOne(j *job) *item {
	return &item{op: "members.remove", method: http.MethodDelete, url: "/groups/" + j.RemoteID + "/members/" +
		j.MemberRemoteID + "/$ref"}
}
