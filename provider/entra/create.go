package entra

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"rollcall/fault"
)

// createUsers makes accounts with their anchors. One of ours among the deleted items is brought back instead: it is the
// same person.
func (p *Provider) createUsers(ctx context.Context, jobs []*job) {
	p.checkAddresses(ctx, jobs)
	if jobs = open(jobs); len(jobs) == 0 {
		return
	}
	if err := p.listDeleted(ctx); err != nil {
		failAll(jobs, err)
		return
	}
	p.restoreDeleted(ctx, jobs)
	items := p.postUsers(ctx, open(jobs))
	p.findTaken(ctx, items)
}

// posted is a job with the request that was to make its account.
type posted struct {
	*job
	item *item
}

func (p *Provider) postUsers(ctx context.Context, jobs []*job) []posted {
	out := make([]posted, 0, len(jobs))
	items := make([]*item, 0, len(jobs))
	for _, j := range jobs {
		it := p.postUser(j)
		items, out = append(items, it), append(out, posted{j, it})
	}
	p.send(ctx, items...)
	for _, o := range out {
		o.end(o.item)
		if o.item.err != nil {
			continue
		}
		if u, ok := p.readUser(o.item.answer.body); ok {
			p.recent.Add(u.ID)
			o.out.RemoteID = u.ID
		} else {
			o.fail(fault.Errorf(fault.Unavailable, "users.create: the answer is no user"))
		}
	}
	p.denied(ctx, jobs, items)
	return out
}

func (p *Provider) postUser(j *job) *item {
	password := newPassword()
	body := map[string]any{
		"accountEnabled": true, "userPrincipalName": j.Address, "onPremisesImmutableId": encodeAnchor(j.ID),
		"mailNickname": nickname(strings.SplitN(j.Address, "@", 2)[0], "user"), "displayName": label(j),
		"passwordProfile": map[string]any{"password": password, "forceChangePasswordNextSignIn": false},
	}
	patch(body, j.Fields)
	return &item{op: "users.create", method: http.MethodPost, url: "/users", body: body, secret: password}
}

// label is what an object is called whose name is not mapped.
func label(j *job) string {
	if j.Label != "" {
		return j.Label
	}
	return string(j.ID)
}

// nickname makes a mail alias of a text: letters, digits and the signs that Entra takes, at most 64 of them.
func nickname(text, otherwise string) string {
	var b strings.Builder
	for _, r := range text {
		if r > ' ' && r < 0x7f && !strings.ContainsRune("@()\\[]\";:<>,", r) && b.Len() < 64 {
			b.WriteRune(r)
		}
	}
	if b.Len() == 0 {
		return otherwise
	}
	return b.String()
}

// restoreDeleted ends the jobs whose account was among the deleted items and is back. One that is not there any more is
// left open.
func (p *Provider) restoreDeleted(ctx context.Context, jobs []*job) {
	var back []*job
	var items []*item
	ids := map[*job]string{}
	for _, j := range jobs {
		u, found := p.deleted.take(j.ID)
		if !found {
			continue
		}
		ids[j] = u.id
		back = append(back, j)
		items = append(items, &item{
			op: "deletedItems.restore", method: http.MethodPost, url: "/directory/deletedItems/" + u.id + "/restore",
			body: map[string]any{"autoReconcileProxyConflict": true, "newUserPrincipalName": j.Address},
		})
	}
	if len(back) == 0 {
		return
	}
	if err := p.returning.begin(ctx, p, slices.Collect(maps.Values(ids))); err != nil {
		failAll(back, err)
		p.deleted.forget()
		return
	}
	p.send(ctx, items...)
	var restored []*job
	for i, j := range back {
		switch it := items[i]; {
		case it.err == nil:
			p.recent.Add(ids[j])
			restored = append(restored, j)
		case notFound(it.err): // An earlier attempt brought it back, or it is gone for good.
			restored = append(restored, j)
		case fault.KindOf(it.err) == fault.Conflict:
			j.fail(fault.Errorf(fault.Conflict, "the deleted account %s of this person cannot come back as %s: %w", ids[j], j.Address, it.err))
		default:
			j.fail(it.err)
			p.deleted.forget()
		}
	}
	p.revive(ctx, restored, ids)
}

// revive gives accounts that were brought back what a new one would get, and activates them.
func (p *Provider) revive(ctx context.Context, jobs []*job, ids map[*job]string) {
	items := make([]*item, 0, len(jobs))
	for _, j := range jobs {
		body := map[string]any{"accountEnabled": true, "userPrincipalName": j.Address}
		patch(body, j.Fields)
		items = append(items, p.patchUser(ids[j], body))
	}
	p.send(ctx, items...)
	for i, j := range jobs {
		switch it := items[i]; {
		case notFound(it.err) && fault.KindOf(it.err) == fault.NotFound:
			// Gone for good: a new account is made.
		case it.err == nil:
			j.end(it)
			j.out.RemoteID = ids[j]
			j.out.Note = "restored from the deleted items"
			p.returning.end(ctx, p, ids[j])
		default:
			j.end(it)
			p.deleted.forget()
		}
	}
}

// findTaken ends the jobs whose account Graph did not make because something has its address or its anchor: success where
// an earlier attempt made it, else a Conflict that names what is in the way.
func (p *Provider) findTaken(ctx context.Context, all []posted) {
	var taken []posted
	var items []*item
	for _, o := range all {
		if o.out.Err == nil || fault.KindOf(o.out.Err) != fault.Conflict || refused(o.out.Err) == nil {
			continue
		}
		taken = append(taken, o)
		byAnchor := get("users.list", "/users?"+filter("onPremisesImmutableId eq "+quoted(encodeAnchor(o.ID)))+"&"+userSelection(nil))
		items = append(items, p.holder(o.Address, o.item.attempts > 1), byAnchor)
	}
	p.send(ctx, items...)
	for i, o := range taken {
		p.judgeTaken(o, items[2*i], items[2*i+1])
	}
}

// holder asks who has an address. After an attempt whose answer got lost it is asked with patience: reads trail behind.
func (p *Provider) holder(address string, patient bool) *item {
	it := get("users.get", "/users/"+url.PathEscape(address)+"?"+userSelection(nil))
	it.retell = func(err error) error {
		if patient && notFound(err) {
			return fault.Errorf(fault.Unavailable, "not yet to be seen: %w", err)
		}
		return err
	}
	return it
}

func (p *Provider) judgeTaken(o posted, byAddress, byAnchor *item) {
	var holder *user
	if byAddress.err == nil {
		holder, _ = p.readUser(byAddress.answer.body)
	}
	twins, err := collect([]*item{byAnchor}, p.readUser, func(u *user) string { return u.ID })
	for _, u := range twins {
		if id, ours := decodeAnchor(u.Anchor); ours && id == o.ID && len(twins) == 1 && holder == nil {
			holder = u
		}
	}
	switch {
	case holder != nil:
		if id, ours := decodeAnchor(holder.Anchor); ours && id == o.ID {
			p.recent.Add(holder.ID)
			o.out.RemoteID = holder.ID
			o.succeed("was already there, with its anchor")
			return
		}
		o.fail(fault.Errorf(fault.Conflict, "user %s (%s) has the address %s", strings.ToLower(holder.UPN), holder.ID, o.Address))
	case byAddress.err != nil && !notFound(byAddress.err):
		o.fail(byAddress.err)
	case err != nil:
		o.fail(err)
	case refused(o.out.Err).concerns("onPremisesImmutableId"):
		p.deleted.forget()
		o.fail(fault.Errorf(fault.Unavailable, "an account with the anchor is there and cannot be seen yet, live or deleted: %w", o.out.Err))
	case byAddress.err != nil && fault.KindOf(byAddress.err).Retryable():
		o.fail(byAddress.err)
	default:
		o.fail(fault.Errorf(fault.Conflict, "%s is taken by something that cannot be seen, or by the mail address of another object: %w", o.Address, o.out.Err))
	}
}

// nameHolders says who has the address that a rename was refused.
func (p *Provider) nameHolders(ctx context.Context, jobs []*job) {
	var clashes []*job
	var items []*item
	for _, j := range jobs {
		if j.out.Err != nil && fault.KindOf(j.out.Err) == fault.Conflict && refused(j.out.Err) != nil && newAddress(j.Change) != "" && duplicate(refused(j.out.Err)) {
			clashes = append(clashes, j)
			items = append(items, p.holder(j.Address, false))
		}
	}
	p.send(ctx, items...)
	for i, j := range clashes {
		if u, ok := p.readUser(items[i].answer.body); items[i].err == nil && ok {
			j.fail(fault.Errorf(fault.Conflict, "user %s (%s) has the address %s", strings.ToLower(u.UPN), u.ID, j.Address))
			continue
		}
		j.fail(fmt.Errorf("%s is taken by something that cannot be seen: %w", j.Address, j.out.Err))
	}
}
