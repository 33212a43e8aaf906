package scim_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// letter is a server that was written from RFC 7643, RFC 7644 and RFC 9865 alone, with what they allow and few servers
// do. It has no part of the simulator.
type letter struct {
	// spell writes the names of attributes, which have no letter case (RFC 7643, section 2.1). Nil keeps them.
	spell func(string) string
	// sparse leaves out what has no value or its default (RFC 7643, section 2.5): the type of an address, active, and the
	// Resources of an empty list. It also leaves out the value beside a $ref, and the id beside a Location.
	sparse bool
	// put has PUT in place of PATCH, and asks for If-Match.
	put bool
	// cursors has RFC 9865 without indexes and totals.
	cursors bool
	// alone shows members only in the answer about one group.
	alone bool
	quirks

	mu   sync.Mutex
	last int
	all  []*entity
}

// entity is a user or a group. The names of its attributes are in lower case.
type entity struct {
	kind, id string
	version  int
	attrs    map[string]any
	members  []string
}

func (l *letter) start(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(l)
	t.Cleanup(server.Close)
	return server.URL + "/v2"
}

// ServeHTTP implements http.Handler.
func (l *letter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.sweep()
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/v2/"), "/")
	kind := parts[0]
	status, code := l.objects(r, kind)
	switch {
	case r.Header.Get("Authorization") != "Bearer token":
		l.refuse(w, http.StatusUnauthorized, "")
	case status > 0:
		l.refuse(w, status, code)
	case kind == "ServiceProviderConfig":
		l.answer(w, http.StatusOK, map[string]any{"patch": supported(!l.put), "filter": supported(true),
			"etag": supported(true), "pagination": map[string]any{"cursor": l.cursors, "index": !l.cursors}})
	case kind != "Users" && kind != "Groups":
		l.refuse(w, http.StatusNotFound, "")
	case len(parts) == 2:
		l.one(w, r, kind, parts[1])
	case r.Method == http.MethodPost:
		l.create(w, r, kind)
	default:
		l.list(w, r, kind)
	}
}

func supported(yes bool) map[string]any { return map[string]any{"supported": yes} }

func (l *letter) refuse(w http.ResponseWriter, status int, code string) {
	if l.bare {
		w.WriteHeader(status)
		return
	}
	l.answer(w, status, map[string]any{"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:Error"},
		"status": strconv.Itoa(status), "scimType": code})
}

func (l *letter) answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/scim+json; charset=utf-8")
	w.WriteHeader(status)
	if l.spell != nil {
		body = named(body, l.spell)
	}
	if l.texts {
		body = asTexts(body)
	}
	_ = json.NewEncoder(w).Encode(body)
}

// named returns a value with all names of attributes, and URNs, in another spelling.
func named(v any, spell func(string) string) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, inner := range v {
			out[spell(name)] = named(inner, spell)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = named(v[i], spell)
		}
		return out
	}
	return v
}

// weak is the version of an entity, which is a weak one (RFC 7644, section 3.14).
func weak(e *entity) string { return fmt.Sprintf(`W/"%d"`, e.version) }

func (l *letter) shown(e *entity, members bool) map[string]any {
	out := map[string]any{"id": e.id, "meta": map[string]any{"version": weak(e), "resourceType": e.kind[:len(e.kind)-1],
		"created": "2026-02-28T23:59:60.125+05:30", "location": "../" + e.kind + "/" + e.id},
		"internal": map[string]any{"deep": []any{1, nil, map[string]any{"a": "b"}}}}
	urns := []any{}
	for name, v := range e.attrs {
		if strings.HasPrefix(name, "urn:") {
			urns = append(urns, name)
		}
		if many, ok := v.([]any); ok && l.sparse && len(many) == 1 {
			if m, ok := many[0].(map[string]any); ok {
				v = []any{map[string]any{"value": m["value"]}}
			}
		}
		if l.canonical && name == "phonenumbers" {
			v = canonized(v)
		}
		if name != "active" || v != true || !l.sparse {
			out[name] = v
		}
	}
	out["schemas"] = append(urns, "urn:ietf:params:scim:schemas:core:2.0:"+e.kind[:len(e.kind)-1])
	if n, err := strconv.Atoi(e.id); l.numbers && err == nil {
		out["id"] = n
	}
	if l.memberless && e.kind == "Groups" {
		out["members"] = []any{}
	} else if shown := l.visible(e); members && len(shown) > 0 {
		list := []any{}
		for _, id := range shown {
			m := map[string]any{"$ref": "../Users/" + id, "value": id}
			if l.sparse {
				delete(m, "value")
			}
			list = append(list, m)
		}
		out["members"] = list
	}
	return out
}

var filter = regexp.MustCompile(`^([\w.]+) eq "(.*)"$`)

func (l *letter) list(w http.ResponseWriter, r *http.Request, kind string) {
	q := r.URL.Query()
	asked := filter.FindStringSubmatch(q.Get("filter"))
	found := l.synthetic(kind, asked != nil)
	for _, e := range l.all {
		if e.kind != kind || asked != nil && !l.matches(e, asked[1], asked[2]) || len(found) > 0 && l.sample {
			continue
		}
		found = append(found, l.shown(e, !l.alone && q.Get("excludedAttributes") == ""))
	}
	out := map[string]any{"schemas": []any{"urn:ietf:params:scim:api:messages:2.0:ListResponse"}}
	const most = 7
	from, _ := strconv.Atoi(q.Get("cursor"))
	if !l.cursors {
		from, _ = strconv.Atoi(q.Get("startIndex"))
		from--
		out["totalResults"], out["startIndex"] = len(found), from+1
		if l.countless {
			delete(out, "totalResults")
		}
	}
	from = min(max(from, 0), len(found))
	to := min(from+most, len(found))
	if out["Resources"] = found[from:to]; l.sparse && from == to {
		delete(out, "Resources")
	}
	if l.cursors && to < len(found) {
		out["nextCursor"] = strconv.Itoa(to)
	}
	l.answer(w, http.StatusOK, out)
}

func (l *letter) create(w http.ResponseWriter, r *http.Request, kind string) {
	e := &entity{kind: kind}
	if !l.read(w, r, e) {
		return
	}
	l.last++
	e.id = strconv.Itoa(l.last)
	l.all = append(l.all, e)
	w.Header().Set("Location", "/v2/"+kind+"/"+e.id)
	if body := l.shown(e, true); l.sparse {
		delete(body, "id")
		l.answer(w, http.StatusCreated, map[string]any{"userName": body["username"]})
	} else {
		l.answer(w, http.StatusCreated, body)
	}
}

// read takes the attributes of a body. What the body leaves out has no value (RFC 7644, section 3.5.1).
func (l *letter) read(w http.ResponseWriter, r *http.Request, e *entity) bool {
	var body map[string]any
	if json.NewDecoder(r.Body).Decode(&body) != nil {
		l.refuse(w, http.StatusBadRequest, "invalidSyntax")
		return false
	}
	next, _ := named(body, strings.ToLower).(map[string]any)
	if status, code := l.resists(e, next); status > 0 {
		l.refuse(w, status, code)
		return false
	}
	if l.keeps && e.version > 0 {
		kept := maps.Clone(e.attrs)
		maps.Copy(kept, next)
		next = kept
		maps.DeleteFunc(next, func(_ string, v any) bool { return v == nil })
	}
	e.members = nil
	e.join(next["members"])
	for _, name := range []string{"members", "id", "meta", "schemas", "internal"} {
		delete(next, name)
	}
	if e.kind == "Users" && next["active"] == nil {
		next["active"] = true
	}
	e.attrs = next
	e.version++
	return true
}

func (l *letter) taken(e *entity, next map[string]any) bool {
	name := map[string]string{"Users": "username"}[e.kind]
	if l.unique && e.kind == "Groups" {
		name = "displayname"
	}
	return slices.ContainsFunc(l.all, func(other *entity) bool {
		return name != "" && other != e && other.kind == e.kind &&
			strings.EqualFold(fmt.Sprint(other.attrs[name]), fmt.Sprint(next[name]))
	})
}

// join adds members. Each has a value or a $ref.
func (e *entity) join(list any) {
	many, _ := list.([]any)
	for _, el := range many {
		m, _ := el.(map[string]any)
		id, _ := m["value"].(string)
		if ref, _ := m["$ref"].(string); id == "" {
			id = ref[strings.LastIndex(ref, "/")+1:]
		}
		if !slices.Contains(e.members, id) {
			e.members = append(e.members, id)
		}
	}
}

func (l *letter) one(w http.ResponseWriter, r *http.Request, kind, id string) {
	at := slices.IndexFunc(l.all, func(e *entity) bool { return e.kind == kind && e.id == id })
	if at < 0 {
		l.refuse(w, http.StatusNotFound, "")
		return
	}
	e := l.all[at]
	match := r.Header.Get("If-Match")
	switch {
	case match != "" && match != weak(e):
		l.refuse(w, http.StatusPreconditionFailed, "")
	case l.matched && match == "" && r.Method != http.MethodGet:
		l.refuse(w, http.StatusPreconditionRequired, "")
	case r.Method == http.MethodGet:
		w.Header().Set("ETag", weak(e))
		l.answer(w, http.StatusOK, l.shown(e, r.URL.Query().Get("excludedAttributes") == ""))
	case r.Method == http.MethodDelete && kind == "Users" && l.deletion > 0:
		if l.deletion == http.StatusNoContent {
			e.attrs["active"], e.version = false, e.version+1
		}
		w.WriteHeader(l.deletion)
	case r.Method == http.MethodDelete:
		l.all = slices.Delete(l.all, at, at+1)
		w.WriteHeader(http.StatusNoContent)
	case r.Method == http.MethodPut && l.put && match == "" && !l.keeps:
		l.refuse(w, http.StatusPreconditionRequired, "")
	case r.Method == http.MethodPut && l.put && (kind == "Users" || !l.patchGroups):
		if l.read(w, r, e) {
			l.answer(w, http.StatusOK, l.shown(e, true))
		}
	case r.Method == http.MethodPatch && (!l.put || kind == "Groups" && l.patchGroups):
		l.patch(w, r, e)
	default:
		l.refuse(w, http.StatusNotImplemented, "")
	}
}

var memberPath = regexp.MustCompile(`^members\[value eq "(.*)"\]$`)

// patch carries out all operations or none.
func (l *letter) patch(w http.ResponseWriter, r *http.Request, e *entity) {
	var body struct {
		Schemas    []string
		Operations []struct {
			Op, Path string
			Value    any
		}
	}
	if json.NewDecoder(r.Body).Decode(&body) != nil || len(body.Operations) == 0 || body.Schemas[0] != patchOp {
		l.refuse(w, http.StatusBadRequest, "invalidSyntax")
		return
	}
	next := entity{kind: e.kind, attrs: maps.Clone(e.attrs), members: slices.Clone(e.members)}
	changes := 0
	for _, o := range body.Operations {
		o.Value = named(o.Value, strings.ToLower)
		if m := memberPath.FindStringSubmatch(o.Path); m != nil && o.Op == "remove" {
			next.members = slices.DeleteFunc(next.members, func(id string) bool { return id == m[1] })
			changes++
		} else if o.Path == "members" && o.Op == "add" {
			next.join(o.Value)
			many, _ := o.Value.([]any)
			changes += len(many)
		} else if o.Path == "" || o.Op == "add" || strings.ContainsAny(o.Path, "[") {
			l.refuse(w, http.StatusBadRequest, "invalidPath")
			return
		} else {
			set(next.attrs, o.Path, o.Value)
		}
	}
	if l.few > 0 && changes > l.few {
		l.refuse(w, http.StatusBadRequest, "")
		return
	}
	if status, code := l.resists(e, next.attrs); status > 0 {
		l.refuse(w, status, code)
		return
	}
	e.attrs, e.members, e.version = next.attrs, next.members, e.version+1
	if l.answers {
		l.answer(w, http.StatusOK, l.shown(e, true))
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// set replaces the attribute at a path, or removes it where the value is nil. It changes no inner map.
func set(attrs map[string]any, path string, value any) {
	outer, inner := strings.ToLower(path), ""
	if i := strings.LastIndex(outer, ":"); i >= 0 {
		outer, inner = outer[:i], outer[i+1:]
	} else if i := strings.Index(outer, "."); i >= 0 {
		outer, inner = outer[:i], outer[i+1:]
	}
	if inner != "" {
		object := map[string]any{}
		if old, ok := attrs[outer].(map[string]any); ok {
			object = maps.Clone(old)
		}
		maps.DeleteFunc(object, func(name string, _ any) bool { return strings.EqualFold(name, inner) })
		if value != nil {
			object[inner] = value
		}
		value = object
	}
	if attrs[outer] = value; value == nil {
		delete(attrs, outer)
	}
}
