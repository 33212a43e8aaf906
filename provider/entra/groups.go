package entra

import (
	"context"
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
