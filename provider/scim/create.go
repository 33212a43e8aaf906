package scim

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
)

// create creates a user or group with its anchor. An object with our anchor is the work of an earlier attempt.
func (p *Provider) create(ctx context.Context, c *plan.Change) (outcome, error) {
	if err := p.checkDomain(c); err != nil {
		return outcome{}, err
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
		out.note = fmt.Sprintf("the manager %s has no account yet; a later run sets it", missing)
	}
	made, existed, err := p.post(ctx, c, p.body(c, list))
	if err != nil {
		if status(err) == http.StatusConflict {
			return p.taken(ctx, c, err)
		}
		return outcome{}, err
	}
	if existed {
		return outcome{remoteID: made.id(), note: "already existed with its anchor"}, nil
	}
	p.recent.Add(made.id())
	if c.Kind == directory.User {
		p.names.learn(made)
	}
	out.remoteID = made.id()
	lost, err := p.created(ctx, c, list, made)
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
// twins. Nothing else keeps a server from having two groups of one name, so groups are looked up each time.
func (p *Provider) post(ctx context.Context, c *plan.Change, body resource) (made resource, existed bool, err error) {
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
				made, existed = list[0], true
				if tried {
					p.recent.Add(made.id()) // An attempt without an answer created it.
				}
				return nil
			}
		}
		find, tried = true, true
		err := p.once(ctx, req, func(res *response) (err error) {
			made, err = decode(res.body)
			if err == nil && made.id() == "" {
				err = fmt.Errorf("the resource has no id")
			}
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
	return made, existed, err
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
	return outcome{}, err
}

// created checks that the server kept the anchor, without which the object cannot be found again. It returns the
// fields that the server did not keep. A sample of the objects is read again.
func (p *Provider) created(ctx context.Context, c *plan.Change, list []setting, made resource) (lost []string,
	err error) {
	if made.anchor() != string(c.ID) || p.sample.due(c.Kind.String()+"create") {
		r, found, err := p.get(ctx, c.Kind, made.id(), p.withoutMembers(c.Kind))
		switch {
		case err != nil && !ofOneObject(err):
			return nil, err
		case err == nil && found:
			made = r
		}
	}
	if made.anchor() != string(c.ID) {
		return nil, fault.Errorf(fault.Refused, "%s %s was created, and the server did not keep its externalId, by "+
			"which Rollcall finds it again: delete it there", c.Kind, made.id())
	}
	for _, one := range list {
		if asText(one.value) != "" && made.get(one.slot, p.cfg.single()) == "" {
			lost = append(lost, one.name)
		}
	}
	slices.Sort(lost)
	return lost, nil
}
