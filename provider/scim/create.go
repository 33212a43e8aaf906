package scim

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider/remote"
)

// create creates a user or group with its anchor. An object with our anchor is the work of an earlier attempt.
func (p *Provider) create(ctx context.Context, c *plan.Change) (outcome, error) {
	if err := p.checkDomain(c); err != nil {
		return outcome{}, err
	}
	if c.Kind == directory.Group && p.anchorless.Load() {
		return outcome{}, fault.Errorf(fault.Refused, "the server does not keep the externalId of groups, so no group "+
			"is created: mend the server, and restart Rollcall")
	}
	s, err := p.known(ctx)
	if err != nil {
		return outcome{}, err
	}
	list, missing, err := p.settings(ctx, s, c)
	if err != nil {
		return outcome{}, err
	}
	out := outcome{}
	if missing != "" {
		out.note = remote.NoManager(missing)
	}
	made, code, err := p.post(ctx, c, p.body(c, list))
	if err != nil {
		if clash(err) {
			return p.taken(ctx, c, err)
		}
		return outcome{}, err
	}
	if code == 0 {
		return outcome{remoteID: made.id(), note: "already existed with its anchor"}, nil
	}
	p.recent.Add(made.id())
	made, lost, err := p.verified(ctx, c, list, made, code)
	if out.remoteID = made.id(); c.Kind == directory.User {
		p.names.Learn(made.id(), made.text(userNameAttr))
	}
	if len(lost) > 0 {
		out.note = strings.TrimPrefix(out.note+"; the server did not keep "+strings.Join(lost, ", "), "; ")
	}
	return out, err
}

// body returns the resource of a POST.
func (p *Provider) body(c *plan.Change, list []setting) resource {
	r := resource{externalIDAttr: string(c.ID)}
	if c.Kind == directory.User {
		r[userNameAttr], r["active"] = c.Address, true
	} else {
		r["displayName"] = label(c)
	}
	for _, one := range list {
		r.put(one.slot, one.value, p.cfg.single())
	}
	r.name(c.Kind)
	return r
}

// post sends a POST. After an attempt without an answer, the object is looked up first, because a server may allow
// twins. Nothing else keeps a server from having two groups of one name, so groups are looked up each time. code is the
// status of the answer, or zero for an object that existed.
func (p *Provider) post(ctx context.Context, c *plan.Change, body resource) (made resource, code int, err error) {
	req := &request{op: opOf(c.Kind, "create"), method: http.MethodPost, path: p.path(c.Kind, ""), body: body}
	_, uncertain := p.uncertain.Load(c.Ref)
	find, tried := uncertain || c.Kind == directory.Group, uncertain
	err = p.caller(ctx, req, func(ctx context.Context) error {
		if find {
			list, err := p.findAnchor(ctx, c.Kind, c.ID)
			if err != nil {
				return err
			}
			if len(list) > 0 {
				made, code = list[0], 0
				if tried {
					p.recent.Add(made.id()) // An attempt without an answer created it.
				}
				return nil
			}
		}
		find, tried = true, true
		err := p.once(ctx, req, func(res *response) (err error) {
			code = res.status
			made, err = created(res)
			return err
		})
		if kind := fault.KindOf(err); err != nil && (kind == fault.Unavailable || kind == fault.Canceled) {
			p.uncertain.Store(c.Ref, true)
		}
		return err
	})
	if err == nil {
		p.uncertain.Delete(c.Ref)
	}
	return made, code, err
}

// created returns the resource in the answer to a POST. Of an answer without an id it has the one at the end of
// Location. Whatever host that names, the resource is read from the endpoint.
func created(res *response) (resource, error) {
	if len(bytes.TrimSpace(res.body)) > 0 {
		if made, err := decode(res.body); err != nil || made.id() != "" {
			return made, err
		}
	}
	id := lastSegment(res.header.Get("Location"))
	if id == "" {
		return nil, errors.New("it has neither an id nor a valid Location")
	}
	return resource{"id": id}, nil
}

// taken resolves a creation that the server refused because of a name. It succeeds where an earlier attempt created
// the object.
func (p *Provider) taken(ctx context.Context, c *plan.Change, err error) (outcome, error) {
	holders, findErr := p.findAnchor(ctx, c.Kind, c.ID)
	if findErr == nil && len(holders) == 0 && c.Kind == directory.User {
		holders, findErr = p.findUserName(ctx, c.Address)
	}
	if findErr != nil {
		return outcome{}, findErr
	}
	for _, h := range holders {
		if h.anchor() == string(c.ID) {
			return outcome{remoteID: h.id(), note: "already existed with its anchor"}, nil
		}
	}
	if len(holders) > 0 {
		h := holders[0]
		return outcome{}, fault.Errorf(fault.Conflict, "user %s (%s) has the userName %s", h.text(userNameAttr), h.id(),
			c.Address)
	}
	return outcome{}, hidden(c, err)
}

// hidden explains a refusal because of a name that no user seems to have. Servers that only mark users as deleted keep
// their names.
func hidden(c *plan.Change, err error) error {
	if c.Kind != directory.User {
		return fault.Errorf(fault.Conflict, "the server has another group with the displayName %s: rename or delete "+
			"it there, or rename the group in its source: %w", label(c), err)
	}
	return fault.Errorf(fault.Conflict, "the server says that another user has the userName %s, and shows none: a "+
		"deleted user may still have it; restore or remove that user on the server: %w", c.Address, err)
}

// verified checks that the server kept the anchor, without which the object cannot be found again. It returns the
// object, or nil where it was deleted again, and the fields that the server did not keep. A sample of the objects is
// read again.
func (p *Provider) verified(ctx context.Context, c *plan.Change, list []setting, made resource, code int) (now resource,
	lost []string, err error) {
	anchored, seen := made.anchor() == string(c.ID), false
	if !anchored || p.sample.due(c.Kind.String()+"create") {
		without := p.withoutMembers(c.Kind)
		if !anchored {
			without = "" // Members tell whether the object is new.
		}
		r, found, err := p.get(ctx, c.Kind, made.id(), without)
		switch {
		case err != nil && !remote.OfOneObject(err):
			return made, nil, err
		case err == nil && found:
			made, seen = r, true
		}
	}
	if made.anchor() == "" && seen && c.Kind == directory.Group {
		p.anchorless.Store(true) // An answer to POST alone proves nothing: some show only the id.
	}
	if !seen && len(made) == 1 {
		return made, nil, nil // The answer had no body, and the resource is not visible yet.
	}
	p.examples.learn(c.Kind, []resource{made})
	if made.anchor() != string(c.ID) {
		return p.unanchored(ctx, c, made, seen && code == http.StatusCreated)
	}
	for _, one := range list {
		if !one.empty() && len(made.values(one.slot, p.cfg.single())) == 0 {
			lost = append(lost, one.name)
		}
	}
	slices.Sort(lost)
	return made, lost, nil
}

// unanchored returns the error for an object that the server created without our anchor. Each further attempt would
// create another group, so a group that is certainly new is deleted again, and no more groups are created. A user is
// found again by its userName.
func (p *Provider) unanchored(ctx context.Context, c *plan.Change, made resource, certain bool) (now resource,
	lost []string, err error) {
	kept := fault.Errorf(fault.Refused, "%s %s was created, and the server did not keep its externalId, by which "+
		"Rollcall finds it again: delete it there", c.Kind, made.id())
	if c.Kind == directory.User || made.anchor() != "" {
		return made, nil, kept
	}
	members, _ := made.members()
	if !certain || len(members) > 0 || !p.groups.lacks(made.id()) || p.unprotected(c, made) != nil {
		return made, nil, kept
	}
	err = p.call(ctx, &request{op: opOf(c.Kind, "delete"), method: http.MethodDelete, path: p.path(c.Kind, made.id())},
		nil)
	if err != nil && fault.KindOf(err) != fault.NotFound {
		return made, nil, fault.Errorf(fault.Refused, "%w (%v)", kept, err)
	}
	p.recent.Drop(made.id())
	return nil, nil, fault.Errorf(fault.Refused, "the server did not keep the externalId of the new group %s, by "+
		"which Rollcall finds it again, so the group was deleted", made.id())
}

// listed has the ids of the groups in the newest full read. It is safe for concurrent use.
type listed struct {
	mu  sync.Mutex
	ids map[string]bool
}

func (l *listed) learn(groups []resource) {
	ids := make(map[string]bool, len(groups))
	for _, g := range groups {
		ids[g.id()] = true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ids = ids
}

// lacks reports whether there was a full read and the group was not in it.
func (l *listed) lacks(id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ids != nil && !l.ids[id]
}
