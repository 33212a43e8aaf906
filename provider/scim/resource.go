package scim

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// resource is a user or group as JSON. Names are compared without letter case (RFC 7643, section 2.1).
type resource map[string]any

// key returns the name under which an object has an attribute. Of several spellings the first in byte order counts.
func key(object map[string]any, name string) string {
	if _, ok := object[name]; ok {
		return name
	}
	found := ""
	for k := range object {
		if strings.EqualFold(k, name) && (found == "" || k < found) {
			found = k
		}
	}
	return cmp.Or(found, name)
}

func (r resource) text(name string) string { return asText(r[key(r, name)]) }

func (r resource) id() string { return r.text("id") }

// anchor returns the externalId.
func (r resource) anchor() string { return r.text(externalIDAttr) }

// version returns meta.version, or "".
func (r resource) version() string {
	meta, _ := r[key(r, "meta")].(map[string]any)
	return asText(meta[key(meta, "version")])
}

// active reports whether a user is active. Without the attribute it is.
func (r resource) active() bool {
	active, has := truth(r[key(r, "active")])
	return active || !has
}

// truth reads a boolean, which some servers send as a text.
func truth(v any) (value, ok bool) {
	switch v := v.(type) {
	case bool:
		return v, true
	case string:
		b, err := strconv.ParseBool(strings.ToLower(strings.TrimSpace(v)))
		return b, err == nil
	}
	return false, false
}

// asText returns a simple value as text.
func asText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case json.Number:
		return v.String()
	}
	return ""
}

// object returns the object that has the attribute of a slot.
func (r resource) object(s slot) map[string]any {
	if s.urn == "" {
		return r
	}
	ext, _ := r[key(r, s.urn)].(map[string]any)
	return ext
}

// get returns the value of a slot, or "".
func (r resource) get(s slot, single bool) string {
	object := r.object(s)
	v := object[key(object, s.attr)]
	if list, ok := v.([]any); ok {
		if i := element(list, s, single); i >= 0 {
			v = list[i]
		} else {
			return ""
		}
	}
	if m, ok := v.(map[string]any); ok && s.user {
		return referred(m)
	} else if ok {
		return asText(m[key(m, cmp.Or(s.sub, "value"))])
	}
	return asText(v)
}

// element returns the index of the element that a slot is about, or -1. An element without a type counts as work where
// it is the only one.
func element(list []any, s slot, single bool) int {
	if single && len(list) > 0 {
		return 0
	}
	typeOf := func(el any) string {
		m, _ := el.(map[string]any)
		return asText(m[key(m, "type")])
	}
	i := slices.IndexFunc(list, func(el any) bool {
		return s.primary && primary(el) || !s.primary && strings.EqualFold(typeOf(el), s.typ)
	})
	if i < 0 && len(list) == 1 && s.typ == "work" && typeOf(list[0]) == "" {
		return 0
	}
	return i
}

// put sets the value of a slot in the resource, or removes it where the value is nil or empty.
func (r resource) put(s slot, value any, single bool) {
	object := r.object(s)
	if object == nil {
		if value == nil || value == "" {
			return
		}
		object = map[string]any{}
		r[key(r, s.urn)] = object
	}
	name := key(object, s.attr)
	next := changed(object[name], s, value, single)
	if next == nil {
		delete(object, name)
		return
	}
	object[name] = next
}

// null says that a slot has no value (RFC 7643, section 2.5), where the resource leaves it out.
func (r resource) null(s slot) {
	object, name := r.object(s), s.attr
	if inner, ok := object[key(object, name)].(map[string]any); ok && s.sub != "" && !s.inList() {
		object, name = inner, s.sub
	}
	if name = key(object, name); object != nil && object[name] == nil {
		object[name] = nil
	}
}

// changed returns an attribute with the value of a slot, or nil where nothing is left. It changes no argument.
func changed(have any, s slot, value any, single bool) any {
	if e, ok := value.(edit); ok && s.primary {
		return e.marked(have, s, single)
	} else if ok {
		return e.applied(have, s, single)
	}
	if value == "" {
		value = nil
	}
	switch {
	case s.inList():
		return changedList(have, s, value, single)
	case s.sub == "":
		return value
	}
	old, _ := have.(map[string]any)
	return changedObject(old, s.sub, value)
}

func changedObject(old map[string]any, sub string, value any) any {
	next := make(map[string]any, len(old)+1)
	maps.Copy(next, old)
	if value == nil {
		delete(next, key(next, sub))
	} else {
		next[key(next, sub)] = value
	}
	if len(next) == 0 {
		return nil
	}
	return next
}

// changedList changes our element of a list and keeps all others as they are.
func changedList(have any, s slot, value any, single bool) any {
	list := elements(have)
	next := slices.Clone(list)
	i := element(list, s, single)
	if i < 0 && value == nil {
		return have
	}
	if i < 0 {
		el := map[string]any{}
		if s.typ != "" {
			el["type"] = s.typ
		}
		if (single || s.primary || s.typ == "work") && !slices.ContainsFunc(list, primary) {
			el["primary"] = true
		}
		next, i = append(next, el), len(next)
	}
	old, _ := next[i].(map[string]any)
	el := changedObject(old, s.sub, value)
	if m, ok := el.(map[string]any); !ok || !valued(m) {
		next = slices.Delete(next, i, i+1)
	} else {
		next[i] = el
	}
	if len(next) == 0 {
		return nil
	}
	return next
}

func primary(el any) bool {
	m, _ := el.(map[string]any)
	yes, _ := truth(m[key(m, "primary")])
	return yes
}

// valued reports whether an element has more than what describes it.
func valued(m map[string]any) bool {
	for k := range m {
		if !slices.ContainsFunc([]string{"type", "primary", "display", "$ref"}, func(s string) bool {
			return strings.EqualFold(s, k)
		}) {
			return true
		}
	}
	return false
}

// members returns the ids of a group's members, sorted. listed is false where the resource does not show them.
func (r resource) members() (ids []string, listed bool) {
	list, listed := r[key(r, "members")].([]any)
	for _, el := range list {
		if id := referred(el); id != "" {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), listed
}

// copied returns a copy of the resource that may be changed.
func (r resource) copied() (resource, error) {
	raw, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	return decode(raw)
}

func decode(raw []byte) (resource, error) {
	var r resource
	if err := unmarshal(raw, &r); err != nil {
		return nil, err
	}
	if r == nil {
		return nil, errors.New("the answer is empty")
	}
	return r, nil
}

// unmarshal keeps numbers as they are written, because a PUT sends them back, and some ids are numbers.
func unmarshal(raw []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("the answer goes on after its end")
	}
	return nil
}

// integer is a number that some servers send as a text.
type integer int

// UnmarshalJSON implements json.Unmarshaler.
func (n *integer) UnmarshalJSON(raw []byte) error {
	text := strings.TrimSpace(strings.Trim(string(raw), `"`))
	if text == "null" {
		return nil
	}
	v, err := strconv.ParseFloat(text, 64)
	*n = integer(v)
	return err
}

// flag is a boolean that some servers send as a text.
type flag bool

// UnmarshalJSON implements json.Unmarshaler.
func (f *flag) UnmarshalJSON(raw []byte) error {
	text := strings.ToLower(strings.Trim(string(raw), `"`))
	if text == "null" {
		return nil
	}
	v, err := strconv.ParseBool(text)
	*f = flag(v)
	return err
}

// referred returns the id of the resource that a complex value refers to. Some servers show only $ref, which ends with
// the id.
func referred(v any) string {
	m, _ := v.(map[string]any)
	if id := asText(m[key(m, "value")]); id != "" {
		return id
	}
	return lastSegment(asText(m[key(m, "$ref")]))
}

// lastSegment returns the id at the end of the address of a resource, or "".
func lastSegment(address string) string {
	at, err := url.Parse(address)
	if err != nil {
		return ""
	}
	path := strings.TrimRight(at.EscapedPath(), "/")
	id, err := url.PathUnescape(path[strings.LastIndex(path, "/")+1:])
	if err != nil {
		return ""
	}
	return id
}
