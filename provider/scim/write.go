package scim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider/remote"
)

const patchMessage = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

// setting is a slot with its new value. A nil value removes it.
type setting struct {
	slot
	name  string
	value any
	// before is the value that the slot had, where known is set.
	before string
	known  bool
}

// empty reports whether the slot is to have no value.
func (s *setting) empty() bool {
	if e, ok := s.value.(edit); ok {
		return len(e.add) == 0
	}
	return asText(s.value) == ""
}

// set returns a setting of a slot that is no mapped field.
func set(s slot, value any) setting { return setting{slot: s, name: s.attr, value: value} }

// settings returns what the fields of a change set. missing names a manager without an account, whose field is left
// out.
func (p *Provider) settings(ctx context.Context, s *server, c *plan.Change) (out []setting, missing string, err error) {
	for _, f := range c.Fields {
		at, ok := parseSlot(f.Name)
		if !ok {
			return nil, "", fault.Errorf(fault.Invalid, "SCIM has no field %q", f.Name)
		}
		one := setting{slot: at, name: f.Name, known: c.Op == plan.Update}
		if len(f.Before) > 0 {
			one.before = f.Before[0]
		}
		value := after(f)
		switch {
		case f.Name == plan.AddressField:
			one.value = c.Address
		case at.edited():
			if one.value, err = p.editOf(c, f, at); err != nil {
				return nil, "", err
			}
		case value == "":
		case at.user:
			id, err := p.userID(ctx, value)
			if err != nil {
				return nil, "", err
			}
			if id == "" {
				missing = value
				continue
			}
			one.value = id
		default:
			if one.value, err = converted(value, s.typeOf(c.Kind, at)); err != nil {
				return nil, "", &fault.Error{Kind: fault.Invalid, Field: f.Name, Err: fmt.Errorf("%s: %w", f.Name, err)}
			}
		}
		out = append(out, one)
	}
	return out, missing, nil
}

// userID returns the id of the user with a name, or "".
func (p *Provider) userID(ctx context.Context, name string) (string, error) {
	if id := p.names.IDOf(name); id != "" {
		return id, nil
	}
	list, err := p.findUserName(ctx, name)
	if err != nil || len(list) == 0 {
		return "", err
	}
	p.names.Learn(list[0].id(), list[0].text(userNameAttr))
	return list[0].id(), nil
}

// converted returns a value in the type that the server publishes.
func converted(value, kind string) (any, error) {
	switch kind {
	case "boolean":
		if b, ok := truth(value); ok {
			return b, nil
		}
		return nil, fmt.Errorf("%q is neither true nor false, which the server's schema asks for", value)
	case "integer", "decimal":
		if n, err := strconv.ParseFloat(value, 64); err == nil {
			return n, nil
		}
		return nil, fmt.Errorf("%q is not a number, which the server's schema asks for", value)
	}
	return value, nil
}

// modify reads a resource and writes what prepare wants to set. A write that another one came before is repeated with
// the newer version.
func (p *Provider) modify(ctx context.Context, c *plan.Change, always bool,
	prepare func(*server, resource) ([]setting, error)) error {
	s, err := p.known(ctx)
	if err != nil {
		return err
	}
	without := ""
	if p.patches(s, c.Kind) {
		without = p.withoutMembers(c.Kind)
	}
	for range attempts {
		var current resource
		if current, err = p.current(ctx, c, without); err != nil {
			return err
		}
		var list []setting
		if list, err = prepare(s, current); err != nil || len(list) == 0 {
			return err
		}
		if err = current.describes(list, p.cfg.single()); err != nil {
			return err
		}
		for i := range list {
			list[i].before, list[i].known = current.get(list[i].slot, p.cfg.single()), true
		}
		err = p.write(ctx, s, c, current, list, always)
		if status(err) != http.StatusPreconditionFailed && !errors.Is(err, errOmitted) {
			return err
		}
	}
	return err
}

// current reads the resource of a change.
func (p *Provider) current(ctx context.Context, c *plan.Change, without string) (resource, error) {
	r, found, err := p.get(ctx, c.Kind, c.RemoteID, without)
	if err == nil && !found {
		return nil, p.gone(c)
	}
	return r, err
}

// errOmitted reports a server on which a PUT keeps what it leaves out.
var errOmitted = errors.New("the server keeps what a PUT leaves out")

// write changes a resource with PATCH, or with PUT of the whole resource.
func (p *Provider) write(ctx context.Context, s *server, c *plan.Change, current resource, list []setting,
	always bool) error {
	req := &request{op: opOf(c.Kind, "patch"), method: http.MethodPatch, path: p.path(c.Kind, c.RemoteID),
		version: current.version()}
	if s.etag {
		req.ifMatch = req.version
	}
	nulls := true // A PATCH names what it removes.
	if p.patches(s, c.Kind) {
		req.body = map[string]any{"schemas": []string{patchMessage}, "Operations": p.operations(current, list)}
	} else {
		nulls = p.nulls.Load()
		whole, err := p.whole(c.Kind, current, list, nulls)
		if err != nil {
			return err
		}
		req.op, req.method, req.body = opOf(c.Kind, "put"), http.MethodPut, whole
	}
	var shown resource
	err := p.call(ctx, req, func(res *response) error {
		shown, _ = decode(res.body) // An answer without a body, such as 204, is a success as well.
		return nil
	})
	if err != nil {
		return p.settling(c, err)
	}
	kept, err := p.confirm(ctx, c, list, shown, always)
	if err != nil || len(kept) == 0 {
		return err
	}
	var names []string
	emptied := !nulls
	for _, one := range kept {
		names, emptied = append(names, one.name), emptied && one.empty()
	}
	if emptied { // This write left the values out, whatever others have learned since.
		p.nulls.Store(true)
		return errOmitted
	}
	return fault.Errorf(fault.Refused, "the server answered that it changed %s %s, and did not change %s", c.Kind,
		c.RemoteID, strings.Join(names, ", "))
}

// operations returns the operations of a PATCH. A list is replaced as a whole, with the elements of others as they
// are. An empty list or text is removed.
func (p *Provider) operations(current resource, list []setting) []any {
	if p.cfg.Update == byObject {
		return []any{map[string]any{"op": "replace", "value": p.asObject(current, list)}}
	}
	var out []any
	arrays := map[string]any{}
	for _, one := range list {
		path := one.attr
		if one.urn != "" {
			path = one.urn + ":" + path
		}
		value := one.value
		switch {
		case one.inList():
			object := current.object(one.slot)
			have, begun := arrays[path]
			if !begun {
				have = object[key(object, one.attr)]
			}
			arrays[path] = changed(have, one.slot, value, p.cfg.single())
			continue
		case one.user && value != nil:
			value = map[string]any{one.sub: value}
		case one.sub != "" && !one.user:
			path += "." + one.sub
		}
		out = append(out, operation(path, value))
	}
	for _, path := range slices.Sorted(maps.Keys(arrays)) {
		out = append(out, operation(path, arrays[path]))
	}
	return out
}

func operation(path string, value any) map[string]any {
	if value == nil {
		return map[string]any{"op": "remove", "path": path}
	}
	return map[string]any{"op": "replace", "path": path, "value": value}
}

// asObject returns the attributes of a PATCH without paths. Null removes an attribute (RFC 7643, section 2.5).
func (p *Provider) asObject(current resource, list []setting) map[string]any {
	next := resource{}
	for _, one := range list {
		from, to := current.object(one.slot), map[string]any(next)
		if one.urn != "" {
			if to, _ = next[one.urn].(map[string]any); to == nil {
				to = map[string]any{}
				next[one.urn] = to
			}
		}
		if one.sub != "" && !one.inList() {
			inner, _ := to[one.attr].(map[string]any)
			if inner == nil {
				inner = map[string]any{}
			}
			inner[one.sub] = one.value
			to[one.attr] = inner
			continue
		}
		have, begun := to[one.attr]
		if !begun {
			have = from[key(from, one.attr)]
		}
		to[one.attr] = changed(have, one.slot, one.value, p.cfg.single())
	}
	return next
}

// readOnly are the attributes that a client must not send.
var readOnly = []string{"id", "meta", "groups"}

// whole returns the resource of a PUT. With nulls it has a null for each value that is removed.
func (p *Provider) whole(kind directory.Kind, current resource, list []setting, nulls bool) (resource, error) {
	if kind == directory.Group {
		if err := p.showsMembers(current); err != nil {
			return nil, err
		}
	}
	next, err := current.copied()
	if err != nil {
		return nil, fault.New(fault.Internal, "", err)
	}
	for _, one := range list {
		next.put(one.slot, one.value, p.cfg.single())
		if one.empty() && nulls {
			next.null(one.slot)
		}
	}
	for _, name := range readOnly {
		delete(next, key(next, name))
	}
	next.name(kind)
	return next, nil
}

// showsMembers returns an error for a group whose members the server may hide. A PUT of it would remove them. RFC 7643
// leaves out an attribute without values. So a group is empty where the server shows the members of other groups, or
// where the group is new and got none.
func (p *Provider) showsMembers(group resource) error {
	members, listed := group.members()
	if len(members) > 0 {
		p.sample.shows()
	}
	id := group.id()
	fresh := p.recent.Has(id) && !p.sample.joined(id)
	if p.cfg.Members != byUser && (listed || p.sample.shown() || fresh) {
		return nil
	}
	return fault.Errorf(fault.Refused, "group %s is changed by PUT, and the server does not show its members, which a "+
		"PUT would remove: use PATCH if the server has it (update and member_update: patch); if the group is empty, "+
		"add a first member there", id)
}

// name sets the schemas of a resource.
func (r resource) name(kind directory.Kind) {
	urns := []string{userSchema}
	if kind == directory.Group {
		urns[0] = groupSchema
	}
	for _, name := range slices.Sorted(maps.Keys(r)) {
		if strings.HasPrefix(strings.ToLower(name), "urn:") {
			urns = append(urns, name)
		}
	}
	r[key(r, "schemas")] = urns
}

// references returns members by their ids.
func references(ids []string) []any {
	out := make([]any, 0, len(ids))
	for _, id := range ids {
		out = append(out, map[string]any{"value": id})
	}
	return out
}

// confirm makes sure that the server did what it answered, and returns what it did not. shown is the resource in the
// answer. A sample of the resources is read again, and where always is set, each one.
func (p *Provider) confirm(ctx context.Context, c *plan.Change, list []setting, shown resource, always bool) ([]setting,
	error) {
	// An answer may show the resource as it was before, so that alone it proves nothing.
	if p.sample.due(c.Kind.String()+c.Op.String()) || always || len(p.kept(list, shown)) > 0 {
		r, found, err := p.get(ctx, c.Kind, c.RemoteID, p.withoutMembers(c.Kind))
		switch {
		case err != nil && !remote.OfOneObject(err):
			return nil, err
		case err == nil && found:
			shown = r
		}
	}
	return p.kept(list, shown), nil
}

// kept returns the slots that a resource shows as they were before.
func (p *Provider) kept(list []setting, shown resource) (out []setting) {
	for _, one := range list {
		if shown.id() != "" && unchanged(one, shown, p.cfg.single()) {
			out = append(out, one)
		}
	}
	return out
}

// unchanged reports whether a slot has its old value in place of the new one. A server may store another form of the
// new value.
func unchanged(one setting, shown resource, single bool) bool {
	if e, ok := one.value.(edit); ok {
		return e.missed(shown.values(one.slot, single))
	}
	now, want := shown.get(one.slot, single), asText(one.value)
	same := func(a, b string) bool { return strings.EqualFold(strings.TrimSpace(a), strings.TrimSpace(b)) }
	return one.known && !same(one.before, want) && !same(now, want) && same(now, one.before)
}

// size returns the length of a body, for messages about too large ones.
func size(body any) int {
	raw, _ := json.Marshal(body)
	return len(raw)
}
