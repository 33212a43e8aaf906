package entra

import (
	"context"
	"net/http"
	"net/url"

	"rollcall/fault"
)

// groupByName is the path of a group by the anchor that it carries.
func groupByName(j *job) string {
	return "/groups(uniqueName=" + url.PathEscape(quoted(uniqueName(j.ID))) + ")"
}

// createGroups makes security groups, or finds those that earlier attempts made: the same request does both.
func (p *Provider) createGroups(ctx context.Context, jobs []*job) {
	items := make([]*item, 0, len(jobs))
	for _, j := range jobs {
		body := map[string]any{"displayName": label(j)}
		patch(body, j.Fields)
		if _, mapped := body["mailNickname"]; !mapped {
			name, _ := body["displayName"].(string)
			body["mailNickname"] = nickname(name, nickname(uniqueName(j.ID), "group"))
		}
		body["mailEnabled"], body["securityEnabled"] = false, true
		items = append(items, &item{op: "groups.create", method: http.MethodPatch, url: groupByName(j), body: body, prefer: "create-if-missing"})
	}
	p.send(ctx, items...)
	for i, j := range jobs {
		j.end(items[i])
	}
	p.denied(ctx, jobs, items)
	var found []*job
	for i, j := range jobs {
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

// identify learns the ids of groups that were there already.
func (p *Provider) identify(ctx context.Context, jobs []*job) {
	items := make([]*item, 0, len(jobs))
	for _, j := range jobs {
		it := get("groups.get", groupByName(j)+"?$select=id")
		it.retell = func(err error) error {
			if notFound(err) {
				return fault.Errorf(fault.Unavailable, "created moments ago and not yet everywhere: %w", err)
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
			j.fail(fault.Errorf(fault.Unavailable, "groups.get: the answer is no group"))
		default:
			p.recent.Add(g.ID)
			j.out.RemoteID = g.ID
			j.succeed("was already there, with its anchor")
		}
	}
}

func (p *Provider) updateGroups(ctx context.Context, jobs []*job) {
	items := make([]*item, 0, len(jobs))
	for _, j := range jobs {
		body := map[string]any{}
		patch(body, j.Fields)
		items = append(items, &item{op: "groups.update", method: http.MethodPatch, url: "/groups/" + j.RemoteID, body: body, retell: p.settling(j.RemoteID)})
	}
	p.sendPatches(ctx, jobs, items)
}

// deleteGroups deletes groups of ours. Entra does not bring every security group back.
func (p *Provider) deleteGroups(ctx context.Context, jobs []*job) {
	p.verifyGroups(ctx, jobs)
	jobs = open(jobs)
	items := make([]*item, 0, len(jobs))
	for _, j := range jobs {
		p.recent.Drop(j.RemoteID)
		items = append(items, &item{op: "groups.delete", method: http.MethodDelete, url: "/groups/" + j.RemoteID, retell: missingIsFine})
	}
	p.sendPatches(ctx, jobs, items)
}
