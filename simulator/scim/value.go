package scim

import (
	"maps"
	"slices"
	"strings"
)

// admitted checks an object of a request against definitions and returns it under canonical names. Read-only
// attributes are left out. Null and an empty list mean that the attribute has no value.
func (t *Tenant) admitted(in map[string]any, defs []attribute, where string) (map[string]any, *apiError) {
	out := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(in)) {
		def := find(defs, name)
		switch {
		case def == nil:
			return nil, invalid("invalidSyntax", "%s%s is not an attribute of the schema.", where, name)
		case def.readOnly && t.cfg.Behaviours.RefuseReadOnly:
			return nil, invalid("mutability", "%s%s is read-only.", where, name)
		case def.readOnly || in[name] == nil:
			continue
		}
		v, err := t.value(in[name], def, where)
		if err != nil {
			return nil, err
		}
		if v != nil {
			out[def.name] = v
		}
	}
	return out, nil
}

// value checks one value, which is a list where the attribute is multi-valued.
func (t *Tenant) value(in any, def *attribute, where string) (any, *apiError) {
	if !def.many {
		return t.single(in, def, where)
	}
	list, ok := in.([]any)
	if !ok {
		return nil, invalid("invalidValue", "%s%s is multi-valued; send a list.", where, def.name)
	}
	if len(list) == 0 && t.cfg.Behaviours.RefuseEmpty {
		return nil, invalid("invalidValue", "%s%s must not be empty.", where, def.name)
	}
	var out []any
	primaries := 0
	for _, el := range list {
		v, err := t.single(el, def, where)
		if err != nil {
			return nil, err
		}
		if m, ok := v.(map[string]any); ok && m["primary"] == true {
			primaries++
		}
		out = append(out, v)
	}
	switch {
	case primaries > 1:
		return nil, invalid("invalidValue", "%s%s has several primary values.", where, def.name)
	case t.cfg.Behaviours.SingleValues && len(out) > 1 && def.name != "schemas" && def.name != "members":
		return nil, invalid("invalidValue", "%s%s must have one value.", where, def.name)
	case len(out) == 0:
		return nil, nil
	}
	return out, nil
}

func (t *Tenant) single(in any, def *attribute, where string) (any, *apiError) {
	wrong := invalid("invalidValue", "%s%s is not of type %s.", where, def.name, def.kind)
	switch def.kind {
	case "boolean":
		if _, ok := in.(bool); !ok {
			return nil, wrong
		}
		return in, nil
	case "complex":
		m, ok := in.(map[string]any)
		if !ok {
			return nil, wrong
		}
		if _, ref := m["$ref"]; ref && def.name == "members" && t.cfg.Behaviours.RefuseRef {
			return nil, invalid("invalidValue", "$ref is not supported.")
		}
		out, err := t.admitted(m, def.sub, where+def.name+".")
		if err != nil || len(out) == 0 {
			return nil, err
		}
		return out, nil
	}
	if s, ok := in.(string); !ok || s == "" && def.required {
		return nil, wrong
	}
	return in, nil
}

// resource checks the body of a POST or PUT.
func (t *Tenant) resource(k *kind, in map[string]any) (map[string]any, *apiError) {
	core := map[string]any{}
	out := map[string]any{}
	used := []string{k.core.id}
	for name, v := range in {
		ext := k.extension(name)
		if ext == nil {
			core[name] = v
			continue
		}
		m, ok := v.(map[string]any)
		if !ok {
			return nil, invalid("invalidSyntax", "%s is not an object.", name)
		}
		admitted, err := t.admitted(m, ext.attributes, ext.id+":")
		if err != nil {
			return nil, err
		}
		used = append(used, ext.id)
		if len(admitted) > 0 {
			out[ext.id] = admitted
		}
	}
	admitted, err := t.admitted(core, k.core.attributes, "")
	if err != nil {
		return nil, err
	}
	maps.Copy(out, admitted)
	if err := checkSchemas(out["schemas"], k, used); err != nil {
		return nil, err
	}
	delete(out, "schemas")
	return out, t.required(k, out)
}

// required checks the attributes that a resource needs.
func (t *Tenant) required(k *kind, attrs map[string]any) *apiError {
	for _, def := range k.core.attributes {
		if def.required && def.name != "schemas" && attrs[def.name] == nil {
			return invalid("invalidValue", "%s is required.", def.name)
		}
	}
	if t.cfg.Behaviours.NeedExternalID && attrs["externalId"] == nil {
		return invalid("invalidValue", "externalId is required.")
	}
	return nil
}

// checkSchemas checks that the schemas of a body name the resource type and every extension in use.
func checkSchemas(v any, k *kind, used []string) *apiError {
	list, _ := v.([]any)
	for _, urn := range list {
		name, _ := urn.(string)
		if !strings.EqualFold(name, k.core.id) && k.extension(name) == nil {
			return invalid("invalidSyntax", "the schema %s is not supported.", name)
		}
	}
	for _, urn := range used {
		named := func(v any) bool { s, _ := v.(string); return strings.EqualFold(s, urn) }
		if !slices.ContainsFunc(list, named) {
			return invalid("invalidSyntax", "schemas does not contain %s.", urn)
		}
	}
	return nil
}

// clone copies a value of JSON.
func clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, el := range v {
			out[name] = clone(el)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, el := range v {
			out[i] = clone(el)
		}
		return out
	}
	return v
}
