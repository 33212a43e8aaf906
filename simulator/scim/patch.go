package scim

import (
	"maps"
	"reflect"
	"slices"
	"strings"
)

// operation is one operation of a PATCH (RFC 7644, section 3.5.2).
type operation struct {
	op    string
	path  *target // nil where the operation has no path
	value any
}

// target is a parsed path of a PATCH.
type target struct {
	urn    string
	attr   string
	filter *filter
	sub    string
}

func parseTarget(s string, k *kind) (*target, bool) {
	if ext := k.extension(s); ext != nil {
		return &target{urn: ext.id}, true
	}
	p := &parser{s}
	urn, path := p.attribute()
	if len(path) == 0 {
		return nil, false
	}
	out := &target{urn: urn, attr: path[0]}
	if len(path) > 1 {
		out.sub = path[1]
		return out, p.rest == ""
	}
	if p.char("[") {
		if out.filter = p.or(); out.filter == nil || !p.char("]") {
			return nil, false
		}
		if rest, ok := strings.CutPrefix(p.rest, "."); ok {
			out.sub, p.rest = rest, ""
		}
	}
	return out, p.rest == ""
}

func readOperations(body map[string]any, k *kind) ([]operation, *apiError) {
	schemas, _ := body["schemas"].([]any)
	list, _ := body["Operations"].([]any)
	if !slices.Contains(schemas, any(patchMessage)) || len(list) == 0 {
		return nil, invalid("invalidSyntax", "The body is not a PatchOp with operations.")
	}
	var out []operation
	for _, el := range list {
		m, _ := el.(map[string]any)
		o := operation{value: m["value"]}
		o.op, _ = m["op"].(string)
		o.op = strings.ToLower(o.op)
		_, has := m["value"]
		switch {
		case o.op != "add" && o.op != "replace" && o.op != "remove":
			return nil, invalid("invalidSyntax", "The operation %q is not supported.", o.op)
		case o.op != "remove" && !has:
			return nil, invalid("invalidValue", "The operation %s has no value.", o.op)
		}
		if path, ok := m["path"].(string); ok {
			if o.path, ok = parseTarget(path, k); !ok {
				return nil, invalid("invalidPath", "The path %q is not valid.", path)
			}
		} else if o.op == "remove" {
			return nil, invalid("noTarget", "A removal needs a path.")
		}
		out = append(out, o)
	}
	return out, nil
}

// edit is a PATCH or PUT in progress. It changes a copy of the resource.
type edit struct {
	t     *Tenant
	r     *record
	attrs map[string]any
	// members is nil while the members are not changed. added and removed count changes.
	join, leave    []string
	replaced       bool
	joins, removes map[string]bool
}

func (t *Tenant) newEdit(r *record) *edit {
	return &edit{t: t, r: r, attrs: clone(r.attrs).(map[string]any), joins: map[string]bool{}, removes: map[string]bool{}}
}

func (e *edit) apply(o operation) *apiError {
	if o.path == nil {
		m, ok := o.value.(map[string]any)
		if !ok {
			return invalid("invalidValue", "The value of an operation without a path must be an object.")
		}
		return e.merge(o.op, m)
	}
	if e.r.kind == e.t.groups && o.path.urn == "" && strings.EqualFold(o.path.attr, "members") {
		return e.patchMembers(o)
	}
	object, defs := e.attrs, e.r.kind.core.attributes
	if urn := o.path.urn; urn != "" && !strings.EqualFold(urn, e.r.kind.core.id) {
		ext := e.r.kind.extension(urn)
		if ext == nil {
			return invalid("invalidPath", "The schema %s is not supported.", urn)
		}
		inner, _ := e.attrs[ext.id].(map[string]any)
		inner, defs = maps.Clone(inner), ext.attributes
		if inner == nil {
			inner = map[string]any{}
		}
		object = inner
		defer func() {
			if e.attrs[ext.id] = inner; len(inner) == 0 {
				delete(e.attrs, ext.id)
			}
		}()
	}
	if o.path.attr == "" { // the whole extension
		return e.wholeExtension(o, object, defs)
	}
	return e.attribute(o, object, defs)
}

// merge applies an operation without a path.
func (e *edit) merge(op string, m map[string]any) *apiError {
	for _, name := range slices.Sorted(maps.Keys(m)) {
		path, ok := parseTarget(name, e.r.kind)
		if !ok || path.filter != nil {
			return invalid("invalidPath", "%q is not an attribute.", name)
		}
		if err := e.apply(operation{op, path, m[name]}); err != nil {
			return err
		}
	}
	return nil
}

func (e *edit) wholeExtension(o operation, object map[string]any, defs []attribute) *apiError {
	if o.op == "remove" {
		clear(object)
		return nil
	}
	m, ok := o.value.(map[string]any)
	if !ok {
		return invalid("invalidValue", "%s is an object.", o.path.urn)
	}
	admitted, err := e.t.admitted(m, defs, o.path.urn+":")
	maps.Copy(object, admitted)
	unassign(object, m)
	return err
}

// unassign removes the attributes that a value has as null (RFC 7643, section 2.5).
func unassign(object, value map[string]any) {
	for name, v := range value {
		if v != nil {
			continue
		}
		for have := range object {
			if strings.EqualFold(have, name) {
				delete(object, have)
			}
		}
	}
}

func (e *edit) attribute(o operation, object map[string]any, defs []attribute) *apiError {
	def := find(defs, o.path.attr)
	switch {
	case def == nil:
		return invalid("invalidPath", "%s is not an attribute of the schema.", o.path.attr)
	case def.readOnly && e.t.cfg.Behaviours.RefuseReadOnly, def.readOnly && o.path.sub == "":
		return invalid("mutability", "%s is read-only.", def.name)
	case o.path.filter != nil:
		return e.elements(o, object, def)
	case o.path.sub != "" && def.many:
		return e.elements(o, object, def)
	case o.path.sub != "":
		inner, _ := object[def.name].(map[string]any)
		if inner = maps.Clone(inner); inner == nil {
			inner = map[string]any{}
		}
		err := e.attribute(operation{o.op, &target{attr: o.path.sub}, o.value}, inner, def.sub)
		if object[def.name] = inner; len(inner) == 0 {
			delete(object, def.name)
		}
		return err
	}
	if o.op == "remove" || o.value == nil {
		if def.required {
			return invalid("invalidValue", "%s is required.", def.name)
		}
		delete(object, def.name)
		return nil
	}
	return e.assign(o, object, def)
}

// assign sets a whole attribute, or adds to a multi-valued one.
func (e *edit) assign(o operation, object map[string]any, def *attribute) *apiError {
	value := o.value
	if _, list := value.([]any); def.many && !list {
		value = []any{value}
	}
	if o.op == "add" && def.many {
		have, _ := object[def.name].([]any)
		all := slices.Clone(have)
		for _, v := range value.([]any) {
			if !slices.ContainsFunc(all, func(h any) bool { return reflect.DeepEqual(h, v) }) {
				all = append(all, v)
			}
		}
		value = all
	}
	v, err := e.t.value(value, def, "")
	if err != nil {
		return err
	}
	if sent, ok := value.(map[string]any); ok && !def.many { // Sub-attributes that are not named stay.
		all := map[string]any{}
		if have, ok := object[def.name].(map[string]any); ok {
			maps.Copy(all, have)
		}
		inner, _ := v.(map[string]any)
		maps.Copy(all, inner)
		unassign(all, sent)
		if v = all; len(all) == 0 {
			v = nil
		}
	}
	if object[def.name] = v; v == nil {
		delete(object, def.name)
	}
	return nil
}

// elements changes the elements of a multi-valued attribute that a filter selects, or all of them.
func (e *edit) elements(o operation, object map[string]any, def *attribute) *apiError {
	list, _ := object[def.name].([]any)
	var out []any
	found := false
	for _, el := range list {
		m, _ := el.(map[string]any)
		if m == nil || o.path.filter != nil && !o.path.filter.matches(m, def.sub, nil) {
			out = append(out, el)
			continue
		}
		found = true
		m = maps.Clone(m)
		switch {
		case o.path.sub != "":
			if err := e.attribute(operation{o.op, &target{attr: o.path.sub}, o.value}, m, def.sub); err != nil {
				return err
			}
		case o.op == "remove":
			continue
		default:
			v, err := e.t.single(o.value, def, "")
			if err != nil {
				return err
			}
			m, _ = v.(map[string]any)
		}
		if len(m) > 0 {
			out = append(out, m)
		}
	}
	if !found && o.op != "remove" {
		return invalid("noTarget", "The path addresses no value of %s.", def.name)
	}
	if object[def.name] = out; len(out) == 0 {
		delete(object, def.name)
	}
	return nil
}
