package scim

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// render returns a resource as the service shows it. base is the address of the service. The result shares values
// with the store, which never changes a value in place.
func (t *Tenant) render(r *record, base string, q *selection) map[string]any {
	b := t.cfg.Behaviours
	location := base + "/" + r.kind.path + "/" + r.id
	out := map[string]any{"id": r.id, "schemas": schemasOf(r)}
	for name, v := range r.attrs {
		if def := find(r.kind.core.attributes, name); def != nil && def.never {
			continue
		}
		out[name] = v
	}
	if b.TextBooleans {
		if active, ok := out["active"].(bool); ok {
			out["active"] = map[bool]string{true: "True", false: "False"}[active]
		}
	}
	meta := map[string]any{"resourceType": r.kind.name, "location": location,
		"created": r.created.UTC().Format(time.RFC3339Nano), "lastModified": r.modified.UTC().Format(time.RFC3339Nano)}
	if !b.NoETag {
		meta["version"] = r.etag()
	}
	if !b.NoMeta {
		out["meta"] = meta
	}
	switch {
	case r.kind == t.groups && b.OmittedMembers:
	case r.kind == t.groups && !b.HiddenMembers && q.wants("members"):
		if list := t.renderMembers(r, base); len(list) > 0 {
			out["members"] = list
		}
	case r.kind == t.groups && b.HiddenMembers:
		out["members"] = []any{}
	case r.kind == t.users && !b.HiddenMembers && !b.NoGroups:
		if list := t.renderGroups(r, base); len(list) > 0 {
			out["groups"] = list
		}
	}
	q.reduce(out)
	return out
}

// etag is the version of a resource, as a weak validator.
func (r *record) etag() string { return fmt.Sprintf(`W/"%d"`, r.version) }

func schemasOf(r *record) []any {
	out := []any{r.kind.core.id}
	for i := range r.kind.extensions {
		if id := r.kind.extensions[i].id; r.attrs[id] != nil {
			out = append(out, id)
		}
	}
	return out
}

func (t *Tenant) renderMembers(r *record, base string) []any {
	out := make([]any, 0, len(r.members))
	for _, id := range r.memberIDs() {
		kind := r.members[id].kind
		out = append(out, map[string]any{"value": id, "type": kind, "$ref": base + "/" + kind + "s/" + id})
	}
	return out
}

func (t *Tenant) renderGroups(r *record, base string) []any {
	var out []any
	for _, id := range slices.Sorted(maps.Keys(t.memberOf[r.id])) {
		g := t.byID[id]
		if g == nil {
			continue
		}
		out = append(out, map[string]any{"value": id, "$ref": base + "/Groups/" + id, "display": g.attrs["displayName"],
			"type": "direct"})
	}
	return out
}

// selection is what attributes and excludedAttributes ask for (RFC 7644, section 3.9).
type selection struct{ only, without []string }

// always are the attributes that are always returned.
var always = []string{"id", "schemas"}

func newSelection(only, without string) *selection {
	return &selection{split(only), split(without)}
}

func split(s string) []string {
	var out []string
	for name := range strings.SplitSeq(s, ",") {
		if name = strings.TrimSpace(name); name != "" {
			out = append(out, name)
		}
	}
	return out
}

// wants reports whether an attribute is returned.
func (q *selection) wants(name string) bool {
	if q == nil {
		return true
	}
	same := func(s string) bool {
		top, _, _ := strings.Cut(s, ".")
		return strings.EqualFold(s, name) || strings.EqualFold(top, name) && len(q.only) > 0 ||
			len(q.only) > 0 && len(s) > len(name) && strings.EqualFold(s[:len(name)+1], name+":")
	}
	switch {
	case slices.Contains(always, name):
		return true
	case len(q.only) > 0:
		return slices.ContainsFunc(q.only, same)
	}
	return !slices.ContainsFunc(q.without, same)
}

// reduce removes the attributes that are not wanted.
func (q *selection) reduce(out map[string]any) {
	for name := range out {
		if !q.wants(name) {
			delete(out, name)
		}
	}
}
