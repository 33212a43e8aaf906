package entra

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"rollcall/directory"
	"rollcall/plan"
	"rollcall/provider/remote"
)

// managerField is the field with the userPrincipalName of the manager. Graph has a relationship between the two users.
const managerField = "manager"

// managed returns the index of the manager among the mapped fields, or -1.
func (p *Provider) managed() int { return slices.Index(p.userFields, managerField) }

// managerProperties are those of a manager that the provider reads.
const managerProperties = "id,userPrincipalName,onPremisesImmutableId"

// learnManagers stores the names of the expanded managers in answers with users. An expanded manager has no anchor, so
// the managers that are not known yet are read.
func (p *Provider) learnManagers(ctx context.Context, answers ...*item) error {
	if p.managed() < 0 {
		return nil
	}
	var asked []*item
	for id, name := range managersIn(answers) {
		if p.names.Knows(id) {
			p.names.Learn(id, name)
		} else {
			asked = append(asked, get("users.get", "/users/"+id+"?$select="+managerProperties))
		}
	}
	p.send(ctx, asked...)
	for _, it := range asked {
		if _, err := p.readManager(it); err != nil && !ofOne(err) {
			return err
		}
	}
	return nil
}

// readManager reads the answer about one manager. The user is nil if it is no account of ours.
func (p *Provider) readManager(it *item) (*user, error) {
	var r raw
	if err := it.decode(&r); err != nil {
		return nil, err
	}
	u := &user{}
	if u.merge(r, nil); !p.learnName(u) {
		return nil, nil
	}
	return u, nil
}

// managersIn returns the names of the expanded managers in answers, by id.
func managersIn(answers []*item) map[string]string {
	found := map[string]string{}
	for _, it := range answers {
		var page listPage
		var one raw
		if it == nil || it.err != nil || json.Unmarshal(it.answer.body, &page) != nil ||
			json.Unmarshal(it.answer.body, &one) != nil {
			continue
		}
		for _, r := range append(page.Value, one) {
			var manager raw
			u := &user{}
			if json.Unmarshal(r[managerField], &manager) == nil {
				u.merge(manager, nil)
			}
			if isObjectID(u.ID) {
				found[u.ID] = u.UPN
			}
		}
	}
	return found
}

// learnName stores the name of an account of ours. Another one with the address of a manager is not the manager.
func (p *Provider) learnName(u *user) bool {
	_, ours := decodeAnchor(u.Anchor)
	if ours && u.ID != "" && u.UPN != "" {
		p.names.Learn(u.ID, u.UPN)
	}
	return ours
}

// learnNames stores the names of all accounts of ours, if managers are mapped.
func (r *reading) learnNames(users map[string]*user) {
	if r.p.managed() < 0 {
		return
	}
	r.p.names.Replace(func(yield func(id, name string) bool) {
		for id, u := range users {
			if _, ours := decodeAnchor(u.Anchor); ours && !yield(id, u.UPN) {
				return
			}
		}
	})
}

// userValues returns the mapped fields of a user. The manager is shown by its name. One that is no account of ours,
// such as a contact, is shown by its id.
func (p *Provider) userValues(u *user) directory.Attributes {
	values, i := u.Fields, p.managed()
	if i >= 0 && i < len(values) && values[i] != "" {
		values = slices.Clone(values)
		values[i] = p.names.NameOf(values[i])
	}
	return attributes(p.userFields, values)
}

// dropManagers removes deleted users from the accounts that they managed. Graph does not show them any more.
func (p *Provider) dropManagers(h *half[user], gone map[string]bool) {
	i := p.managed()
	if i < 0 || len(gone) == 0 {
		return
	}
	for _, u := range h.objects {
		if i < len(u.Fields) && gone[u.Fields[i]] {
			u.Fields = slices.Clone(u.Fields)
			u.Fields[i], h.changed = "", true
		}
	}
}

// setManagers changes the managers of the accounts without another change that failed.
func (p *Provider) setManagers(ctx context.Context, jobs []*job) {
	var with []*job
	var wanted []string
	for _, j := range jobs {
		for _, f := range j.Fields {
			if f.Name != managerField || j.out.Err != nil {
				continue
			}
			with = append(with, j)
			wanted = append(wanted, slices.Concat(f.After, []string{""})[0])
		}
	}
	ids, failed := p.findManagers(ctx, wanted)
	var set []*job
	var items []*item
	for i, j := range with {
		name := wanted[i]
		switch id := ids[name]; {
		case failed[name] != nil:
			j.fail(failed[name])
		case name != "" && id == "":
			j.out.Note = remote.NoManager(name)
		default:
			set, items = append(set, j), append(items, p.managerItem(j.RemoteID, id))
		}
	}
	p.send(ctx, items...)
	for i, j := range set {
		note := j.out.Note
		j.end(items[i])
		j.out.Note = note
	}
}

// managerItem returns the request that sets the manager of a user, or removes it where the id is empty.
func (p *Provider) managerItem(user, id string) *item {
	it := &item{op: "users.manager.remove", method: http.MethodDelete, url: "/users/" + user + "/manager/$ref",
		reclassify: missingIsFine}
	if id != "" {
		it.op, it.method, it.reclassify = "users.manager.set", http.MethodPut, p.settling(user, id)
		it.body = map[string]any{"@odata.id": p.cfg.Endpoint + "/users/" + id}
	}
	return it
}

// findManagers returns the ids of the users with these names, and the errors of those that cannot be read. A name that
// no account of ours has is in neither map.
func (p *Provider) findManagers(ctx context.Context, names []string) (ids map[string]string, failed map[string]error) {
	ids, failed = map[string]string{}, map[string]error{}
	asked := map[string]*item{}
	var items []*item
	for _, name := range names {
		if id := p.names.IDOf(name); id != "" || name == "" || asked[name] != nil {
			ids[name] = id
			continue
		}
		asked[name] = get("users.get", "/users/"+url.PathEscape(name)+"?$select="+managerProperties)
		items = append(items, asked[name])
	}
	p.send(ctx, items...)
	for _, name := range slices.Sorted(maps.Keys(asked)) {
		switch u, err := p.readManager(asked[name]); {
		case err != nil && !notFound(err):
			failed[name] = err
		case u != nil:
			ids[name] = u.ID
		}
	}
	return ids, failed
}

// renamed stores the new names of accounts.
func (p *Provider) renamed(jobs []*job) {
	if p.managed() < 0 {
		return
	}
	for _, j := range jobs {
		if j.out.Err == nil && j.out.RemoteID != "" && (j.Op == plan.Create || remote.NewAddress(j.Change) != "") {
			p.names.Learn(j.out.RemoteID, j.Address)
		}
	}
}
