package entra

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider/remote"
)

// createUsers creates accounts with their anchors. An account of ours among the deleted items is restored instead,
// because it belongs to the same entry.
func (p *Provider) createUsers(ctx context.Context, jobs []*job) {
	p.checkAddresses(ctx, jobs)
	p.restoreDeleted(ctx, open(jobs))
	p.postUsers(ctx, open(jobs))
	p.renamed(jobs)
}

func (p *Provider) postUsers(ctx context.Context, jobs []*job) {
	items := make([]*item, 0, len(jobs))
	for _, j := range jobs {
		items = append(items, p.postUser(j))
	}
	p.sendCreates(ctx, items)
	var taken []*job
	var posts []*item
	for i, j := range jobs {
		it := items[i]
		j.end(it)
		if clash(it.err) {
			taken, posts = append(taken, j), append(posts, it)
		}
		if it.err != nil {
			continue
		}
		if u, ok := p.readUser(it.answer.body); ok {
			p.recent.Add(u.ID)
			j.out.RemoteID = u.ID
		} else {
			j.fail(fault.Errorf(fault.Unavailable, "users.create: the answer is not a user"))
		}
	}
	p.findTaken(ctx, taken, posts)
}

func (p *Provider) postUser(j *job) *item {
	password := remote.NewPassword()
	local, _, _ := strings.Cut(j.Address, "@")
	body := map[string]any{
		"accountEnabled": true, "userPrincipalName": j.Address, "onPremisesImmutableId": encodeAnchor(j.ID),
		"displayName":     label(j),
		"passwordProfile": map[string]any{"password": password, "forceChangePasswordNextSignIn": false},
	}
	patch(body, j.Fields)
	it := &item{op: "users.create", method: http.MethodPost, url: "/users", body: body, secret: password}
	it.deriveNickname(j.ID, local)
	return it
}

// label is the name of an object without a mapped name.
func label(j *job) string {
	return cmp.Or(j.Label, string(j.ID))
}

// clash reports whether a request was refused because another object has one of its values.
func clash(err error) bool {
	r := refused(err)
	return r != nil && fault.KindOf(err) == fault.Conflict && (duplicate(r) || r.Status == http.StatusConflict)
}

// findTaken finds the objects with the address or the anchor of accounts that Graph did not create. An account of an
// earlier attempt is a success, and any other object a Conflict that names it. An account with the anchor that was
// deleted meanwhile is restored.
func (p *Provider) findTaken(ctx context.Context, jobs []*job, posts []*item) {
	var items []*item
	for i, j := range jobs {
		byAnchor := get("users.list",
			"/users?"+filter("onPremisesImmutableId eq "+quoted(encodeAnchor(j.ID)))+"&"+userSelection(nil))
		items = append(items, p.holder(j.Address, posts[i].attempts > 1), byAnchor)
	}
	p.send(ctx, items...)
	var deleted []*job
	for i, j := range jobs {
		p.judgeTaken(ctx, j, items[2*i], items[2*i+1])
		if !j.done {
			deleted = append(deleted, j)
		}
	}
	if len(deleted) == 0 {
		return
	}
	p.deleted.forget()
	p.restoreDeleted(ctx, deleted)
	failAll(deleted, fault.Errorf(fault.Refused,
		"an account with the anchor of this entry exists and Graph does not show it yet, "+
			"neither among the users nor among the deleted items: the next run tries again"))
}

// holder returns the request for the user with an address. After an attempt with a lost answer it is repeated for a
// while, because reads lag behind writes.
func (p *Provider) holder(address string, patient bool) *item {
	it := get("users.get", "/users/"+url.PathEscape(address)+"?"+userSelection(nil))
	it.reclassify = func(err error) error {
		if patient && notFound(err) {
			return fault.Errorf(fault.Unavailable, "not yet visible: %w", err)
		}
		return err
	}
	return it
}

// judgeTaken ends a job, or opens it again where only a deleted account can have its anchor.
func (p *Provider) judgeTaken(ctx context.Context, j *job, byAddress, byAnchor *item) {
	var holder *user
	if byAddress.err == nil {
		holder, _ = p.readUser(byAddress.answer.body)
	}
	twins, err := collect(ctx, p, []*item{byAnchor}, p.userOf, func(u *user) string { return u.ID })
	for _, u := range twins {
		if id, ours := decodeAnchor(u.Anchor); ours && id == j.ID && len(twins) == 1 && holder == nil {
			holder = u
		}
	}
	switch {
	case holder != nil:
		if id, ours := decodeAnchor(holder.Anchor); ours && id == j.ID {
			p.recent.Add(holder.ID)
			j.out.RemoteID = holder.ID
			j.succeed("already existed with its anchor")
			return
		}
		j.fail(fault.Errorf(fault.Conflict, "user %s (%s) has the address %s", strings.ToLower(holder.UPN), holder.ID,
			j.Address))
	case byAddress.err != nil && !notFound(byAddress.err):
		j.fail(byAddress.err)
	case err != nil:
		j.fail(err)
	case refused(j.out.Err).concerns("onPremisesImmutableId"):
		j.done = false
	case byAddress.err != nil && fault.KindOf(byAddress.err).Retryable():
		j.fail(byAddress.err)
	default:
		j.fail(hidden(j))
	}
}

// hidden returns the error for an address that is taken according to Graph and that is not the userPrincipalName of
// any user that Graph shows.
func hidden(j *job) error {
	return fault.Errorf(fault.Conflict,
		"another object has the address %s: it is the alias of a user, a group or a contact, or the name of an account "+
			"that was created moments ago: %w", j.Address, j.out.Err)
}

// nameHolders names the objects that have the addresses of refused renames.
func (p *Provider) nameHolders(ctx context.Context, jobs []*job) {
	var clashes []*job
	var items []*item
	for _, j := range jobs {
		if j.out.Err != nil && remote.NewAddress(j.Change) != "" && clash(j.out.Err) {
			clashes = append(clashes, j)
			items = append(items, p.holder(j.Address, false))
		}
	}
	p.send(ctx, items...)
	for i, j := range clashes {
		if u, ok := p.readUser(items[i].answer.body); items[i].err == nil && ok {
			j.fail(fault.Errorf(fault.Conflict, "user %s (%s) has the address %s", strings.ToLower(u.UPN), u.ID,
				j.Address))
			continue
		}
		j.fail(hidden(j))
	}
}

// updateUsers changes mapped fields and the properties of base. A change of the address is a rename, which keeps
// the account.
func (p *Provider) updateUsers(ctx context.Context, jobs []*job, base func(*job) map[string]any) {
	p.checkAddresses(ctx, jobs)
	jobs = open(jobs)
	items := make([]*item, 0, len(jobs))
	for _, j := range jobs {
		body := base(j)
		patch(body, j.Fields)
		if address := remote.NewAddress(j.Change); address != "" {
			body["userPrincipalName"] = address
		}
		items = append(items, p.patchUser(j.RemoteID, body))
	}
	p.sendPatches(ctx, jobs, items)
	p.nameHolders(ctx, jobs)
	p.renamed(jobs)
	p.setManagers(ctx, jobs)
}

// patchUser changes one account.
func (p *Provider) patchUser(id string, body map[string]any) *item {
	return &item{op: "users.update", method: http.MethodPatch, url: "/users/" + id, body: body, reclassify: p.settling(id)}
}

// checkAddresses ends the jobs with a new address that the tenant cannot have.
func (p *Provider) checkAddresses(ctx context.Context, jobs []*job) {
	var names []string
	for _, j := range jobs {
		address := remote.NewAddress(j.Change)
		if j.Op == plan.Create {
			address = j.Address
		} else if address == "" {
			continue
		}
		if names == nil {
			var err error
			if names, err = p.writableDomains(ctx); err != nil {
				failAll(jobs, err)
				return
			}
		}
		if err := inDomain(address, names); err != nil {
			j.fail(err)
		}
	}
}

// claimUsers puts our anchor on accounts. Adopt expects an account without an anchor, Reanchor one with the anchor of
// another entry.
func (p *Provider) claimUsers(ctx context.Context, jobs []*job) {
	p.verifyUsers(ctx, jobs, true, func(j *job) []directory.ID { return []directory.ID{j.ID, j.From} })
	p.updateUsers(ctx, open(jobs), func(j *job) map[string]any {
		return map[string]any{"onPremisesImmutableId": encodeAnchor(j.ID)}
	})
}

// suspendUsers blocks accounts. An account that is blocked already stays as it is. Its suspension is foreign unless
// the ledger has it as ours.
func (p *Provider) suspendUsers(ctx context.Context, jobs []*job) {
	users := p.verifyUsers(ctx, jobs, true, own)
	var items []*item
	var active []*job
	for _, j := range open(jobs) {
		switch {
		case users[j.RemoteID].Disabled && p.marks.has(j.RemoteID):
			j.succeed("")
		case users[j.RemoteID].Disabled:
			j.out.Foreign = true
			j.succeed("was already suspended in the tenant, not by Rollcall, and has to be restored there")
		default:
			p.marks.set(j.RemoteID, true) // It is set before the write, because the answer may get lost.
			active = append(active, j)
			items = append(items, p.patchUser(j.RemoteID, map[string]any{"accountEnabled": false}))
		}
	}
	p.sendPatches(ctx, active, items)
	for _, j := range active {
		if j.out.Err == nil {
			p.returning.end(ctx, p, j.RemoteID)
		}
		if j.out.Err != nil && !fault.KindOf(j.out.Err).Retryable() && fault.KindOf(j.out.Err) != fault.Canceled {
			p.marks.set(j.RemoteID, false)
		}
	}
	p.revokeSessions(ctx, jobs)
}

// restoreUsers lifts suspensions of ours. An account with our mark is written also where it is shown as active,
// because reads lag behind writes.
func (p *Provider) restoreUsers(ctx context.Context, jobs []*job) {
	users := p.verifyUsers(ctx, jobs, false, own)
	var items []*item
	var ours []*job
	for _, j := range open(jobs) {
		switch {
		case p.marks.has(j.RemoteID):
			ours = append(ours, j)
			items = append(items, p.patchUser(j.RemoteID, map[string]any{"accountEnabled": true}))
		case users[j.RemoteID].Disabled:
			j.fail(fault.Errorf(fault.Conflict, "user %s was suspended in the tenant, not by Rollcall, and stays suspended",
				j.RemoteID))
		default:
			j.succeed("")
		}
	}
	p.sendPatches(ctx, ours, items)
	for _, j := range ours {
		if j.out.Err == nil {
			p.marks.set(j.RemoteID, false)
			p.returning.end(ctx, p, j.RemoteID)
		}
	}
}

// deleteUsers deletes accounts. Entra can restore them for thirty days.
func (p *Provider) deleteUsers(ctx context.Context, jobs []*job) {
	p.verifyUsers(ctx, jobs, true, own)
	var items []*item
	var found []*job
	for _, j := range jobs {
		switch {
		case !j.done:
			p.recent.Drop(j.RemoteID)
			found = append(found, j)
			items = append(items, &item{op: "users.delete", method: http.MethodDelete, url: "/users/" + j.RemoteID,
				reclassify: missingIsFine})
		case j.out.Err != nil && fault.KindOf(j.out.Err) == fault.NotFound:
			j.succeed("")
		}
	}
	p.sendPatches(ctx, found, items)
}

// verifyUsers reads the accounts that are about to be adopted or to lose something, together with the current
// administrators. It ends the jobs of accounts that Rollcall may not change. anchors returns the anchors that the
// account of a job may carry, with "" for none. The result has the accounts by id.
func (p *Provider) verifyUsers(ctx context.Context, jobs []*job, harms bool,
	anchors func(*job) []directory.ID) map[string]*user {
	items := byIDs("users.list", "users", userSelection(nil), remoteIDs(jobs))
	var administrators map[string]bool
	var err error
	if harms {
		administrators, err = p.readAdministrators(ctx, items...)
	} else {
		p.send(ctx, items...)
	}
	users, readErr := collect(ctx, p, items, p.userOf, func(u *user) string { return u.ID })
	var refused map[string]error
	if readErr != nil && fault.KindOf(readErr) == fault.Denied { // The tenant may still show single accounts.
		users, refused, readErr = p.getUsers(ctx, remoteIDs(jobs))
	}
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
			j.fail(cmp.Or(refused[j.RemoteID], p.gone(j)))
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

// own returns the only anchor with which an account may lose something.
func own(j *job) []directory.ID {
	if j.Op.Membership() && j.From != "" { // The group is re-anchored later in the same plan.
		return []directory.ID{j.ID, j.From}
	}
	return []directory.ID{j.ID}
}

// carries returns an error if an account carries none of the anchors, which means that Rollcall no longer manages it.
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
