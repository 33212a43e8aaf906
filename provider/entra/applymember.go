package entra

import (
	"context"
	"net/http"
	"slices"

	"rollcall/fault"
)

// memberless ends the jobs that do not name a member.
func memberless(jobs []*job) []*job {
	for _, j := range jobs {
		if !j.done && !isObjectID(j.MemberRemoteID) {
			j.fail(fault.Errorf(fault.NotFound, "%s of %s: the member has no remote object", j.Op, j.Ref))
		}
	}
	return open(jobs)
}

// addMembers adds members, up to twenty of a group in one request. Graph adds all of them or none: where it refuses, each is
// added by itself, which tells who is in the way.
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
	var parts [][]*job
	var items []*item
	for _, id := range order {
		for some := range slices.Chunk(byGroup[id], mostMembers) {
			parts, items = append(parts, some), append(items, p.bind(id, some))
		}
	}
	p.send(ctx, items...)
	var alone []*job
	for i, part := range parts {
		if len(part) > 1 && blames(items[i].err) {
			alone = append(alone, part...)
			continue
		}
		for _, j := range part {
			p.joined(j, items[i])
		}
	}
	p.addAlone(ctx, alone)
	p.deniedParts(ctx, parts, items)
}

// blames reports whether Graph refused a request for one of the members in it.
func blames(err error) bool {
	r := refused(err)
	return r != nil && (r.status == http.StatusBadRequest || r.status == http.StatusNotFound) && !fault.KindOf(err).Retryable()
}

// bind adds some members to a group.
func (p *Provider) bind(group string, jobs []*job) *item {
	if len(jobs) == 1 {
		return p.addOne(jobs[0])
	}
	ids, links := []string{group}, make([]string, 0, len(jobs))
	for _, j := range jobs {
		ids, links = append(ids, j.MemberRemoteID), append(links, p.link(j.MemberRemoteID))
	}
	return &item{op: "members.add", method: http.MethodPatch, url: "/groups/" + group, body: map[string]any{"members@odata.bind": links}, retell: p.settling(ids...)}
}

func (p *Provider) addOne(j *job) *item {
	return &item{
		op: "members.add", method: http.MethodPost, url: "/groups/" + j.RemoteID + "/members/$ref",
		body: map[string]any{"@odata.id": p.link(j.MemberRemoteID)}, retell: p.settling(j.RemoteID, j.MemberRemoteID),
	}
}

// link is how a request names another object.
func (p *Provider) link(id string) string { return p.cfg.Endpoint + "/directoryObjects/" + id }

func (p *Provider) addAlone(ctx context.Context, jobs []*job) {
	items := make([]*item, 0, len(jobs))
	for _, j := range jobs {
		items = append(items, p.addOne(j))
	}
	p.send(ctx, items...)
	for i, j := range jobs {
		p.joined(j, items[i])
	}
}

// joined ends a job with what became of its request. Who is a member already was not known to be one.
func (p *Provider) joined(j *job, it *item) {
	j.end(it)
	if alreadyMember(refused(it.err)) {
		p.seen.doubt(j.RemoteID)
		j.succeed("")
	}
}

// deniedParts tells groups that we may not write from an app that may write none.
func (p *Provider) deniedParts(ctx context.Context, parts [][]*job, items []*item) {
	for i, part := range parts {
		for _, j := range part {
			p.denied(ctx, []*job{j}, []*item{items[i]})
		}
	}
}

// removeMembers ends memberships, in groups that are ours.
func (p *Provider) removeMembers(ctx context.Context, jobs []*job) {
	jobs = memberless(jobs)
	p.verifyGroups(ctx, jobs)
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
	p.denied(ctx, jobs, items)
}

// removeOne removes the reference to a member. Without the /$ref at its end, Graph would delete the member itself.
func removeOne(j *job) *item {
	return &item{op: "members.remove", method: http.MethodDelete, url: "/groups/" + j.RemoteID + "/members/" + j.MemberRemoteID + "/$ref"}
}
