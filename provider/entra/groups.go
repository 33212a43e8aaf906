package entra

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"rollcall/directory"
	"rollcall/fault"
)

// groupByName returns the path of a group by its uniqueName.
func groupByName(id directory.ID) string {
	return "/groups(uniqueName=" + url.PathEscape(quoted(uniqueName(id))) + ")"
}

// createGroups creates security groups, or finds those of earlier attempts, with the same request. A group that was
// assigned to another entry keeps its uniqueName and must not be found for the first one. So the groups are read
// before.
func (p *Provider) createGroups(ctx context.Context, jobs []*job) {
	p.readGroups(ctx, jobs)
	jobs = open(jobs)
	items := make([]*item, 0, len(jobs))
	for _, j := range jobs {
		body := map[string]any{"displayName": label(j)}
		patch(body, j.Fields)
		body["mailEnabled"], body["securityEnabled"] = false, true
		it := &item{op: "groups.create", method: http.MethodPatch, url: groupByName(j.ID), body: body,
			prefer: "create-if-missing"}
		name, _ := body["displayName"].(string)
		it.deriveNickname(j.ID, name)
		items = append(items, it)
	}
	p.sendCreates(ctx, items)
	var found []*job
	for i, j := range jobs {
		j.end(items[i])
		if j.out.Err != nil {
			continue
		}
		if g, ok := p.readGroup(items[i].answer.body); ok {
			p.recent.Add(g.ID)
			j.out.RemoteID = g.ID
		} else {
			found = append(found, j)
		}
	}
	p.identify(ctx, found)
}

// readGroups ends a job where the uniqueName belongs to the group of another entry.
func (p *Provider) readGroups(ctx context.Context, jobs []*job) {
	items := make([]*item, 0, len(jobs))
	for _, j := range jobs {
		items = append(items, get("groups.get", groupByName(j.ID)+"?"+groupSelection(nil)))
	}
	p.send(ctx, items...)
	for i, j := range jobs {
		if notFound(items[i].err) {
			continue
		}
		if j.end(items[i]); j.out.Err != nil {
			continue
		}
		g, ok := p.readGroup(items[i].answer.body)
		switch id := p.entryOf(g); {
		case !ok:
			j.fail(fault.Errorf(fault.Unavailable, "groups.get: the answer is not a group"))
		case id != j.ID:
			j.fail(fault.Errorf(fault.Conflict,
				"group %s has the uniqueName of this entry and was given to entry %s: delete one of the two entries", g.ID, id))
		default:
			j.done = false
		}
	}
}

// identify reads the ids of groups that already existed.
func (p *Provider) identify(ctx context.Context, jobs []*job) {
	items := make([]*item, 0, len(jobs))
	for _, j := range jobs {
		it := get("groups.get", groupByName(j.ID)+"?$select=id")
		it.reclassify = func(err error) error {
			if notFound(err) {
				return fault.Errorf(fault.Unavailable, "created moments ago and not yet visible everywhere: %w", err)
			}
			return err
		}
		items = append(items, it)
	}
	p.send(ctx, items...)
	for i, j := range jobs {
		g, ok := p.readGroup(items[i].answer.body)
		switch {
		case items[i].err != nil:
			j.fail(items[i].err)
		case !ok:
			j.fail(fault.Errorf(fault.Unavailable, "groups.get: the answer is not a group"))
		default:
			p.recent.Add(g.ID)
			j.out.RemoteID = g.ID
			j.succeed("already existed with its anchor")
		}
	}
}

// updateGroups changes mapped fields and the properties of base.
func (p *Provider) updateGroups(ctx context.Context, jobs []*job, base func(*job) map[string]any) {
	items := make([]*item, 0, len(jobs))
	for _, j := range jobs {
		body := base(j)
		patch(body, j.Fields)
		items = append(items, &item{op: "groups.update", method: http.MethodPatch, url: "/groups/" + j.RemoteID,
			body: body, reclassify: p.settling(j.RemoteID)})
	}
	p.sendPatches(ctx, jobs, items)
}

// reanchorGroups assigns groups to the entries that replace their former ones. The uniqueName of a group can never be
// changed, so the group keeps it. The new ID is written to the ledger and, where the nickname is not mapped, to the
// mail nickname.
func (p *Provider) reanchorGroups(ctx context.Context, jobs []*job) {
	p.verifyGroups(ctx, jobs, func(j *job) []directory.ID { return []directory.ID{j.ID, j.From} })
	for _, j := range jobs {
		if j.done && j.out.Err == nil { // A missing group, which verifyGroups counts as a success, is a failure here.
			j.fail(fault.Errorf(fault.NotFound, "group %s does not exist", j.RemoteID))
		}
	}
	jobs = open(jobs)
	p.updateGroups(ctx, jobs, func(j *job) map[string]any {
		if mark := p.nicknameMark(j.ID); mark != "" {
			return map[string]any{"mailNickname": mark}
		}
		return map[string]any{}
	})
	for _, j := range jobs {
		if j.out.Err == nil {
			p.marks.give(j.RemoteID, j.ID)
			j.out.Note = "the group keeps its uniqueName, which names entry " + string(j.From)
		}
	}
}

// deleteGroups deletes groups of ours. Entra does not restore every security group.
func (p *Provider) deleteGroups(ctx context.Context, jobs []*job) {
	p.verifyGroups(ctx, jobs, own)
	jobs = open(jobs)
	items := make([]*item, 0, len(jobs))
	for _, j := range jobs {
		p.recent.Drop(j.RemoteID)
		items = append(items, &item{op: "groups.delete", method: http.MethodDelete, url: "/groups/" + j.RemoteID,
			reclassify: missingIsFine})
	}
	p.sendPatches(ctx, jobs, items)
}

// verifyGroups reads the groups that are about to lose something, and ends the jobs of groups without any of the
// anchors. The jobs of missing groups end with success, because such groups have nothing to lose.
func (p *Provider) verifyGroups(ctx context.Context, jobs []*job, anchors func(*job) []directory.ID) {
	items := byIDs("groups.list", "groups", groupSelection(nil), remoteIDs(jobs))
	p.send(ctx, items...)
	groups, err := collect(ctx, p, items, p.groupOf, func(g *group) string { return g.ID })
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
		case groupID(g.Name) == "" || !slices.Contains(anchors(j), p.entryOf(g)):
			j.fail(fault.Errorf(fault.Conflict, "group %s does not carry the anchor of the entry (uniqueName %q)",
				j.RemoteID, g.Name))
		case g.readOnly() != "":
			j.fail(fault.Errorf(fault.Conflict, "%s: group %s is not written: %s", j.Op, j.RemoteID, g.readOnly()))
		case p.cfg.Protects(g.ID) != "" && !j.Op.Membership():
			j.fail(fault.Errorf(fault.Conflict, "%s: group %s is protected by the configuration", j.Op, j.RemoteID))
		}
	}
}

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
