package scim

import (
	"encoding/base64"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

const defaultPage = 100

// get serves GET of one resource.
func (t *Tenant) get(c *call) (*answer, *apiError) {
	r := t.byID[c.id]
	if r == nil || r.kind != c.route.kind {
		return nil, missing(c.id)
	}
	return t.shown(c, r, http.StatusOK), nil
}

// list serves GET of a collection.
func (t *Tenant) list(c *call) (*answer, *apiError) {
	b := t.cfg.Behaviours
	found, err := t.filtered(c)
	if err != nil {
		return nil, err
	}
	size := b.PageSize
	setDefault(&size, defaultPage)
	if n, err := strconv.Atoi(c.query.Get("count")); c.query.Has("count") {
		if err != nil {
			return nil, invalid("invalidValue", "count is not a number.")
		}
		size = min(size, max(0, n))
	}
	body := map[string]any{"schemas": []any{listMessage}}
	var page []*record
	switch {
	case c.query.Has("cursor"):
		page, err = t.cursorPage(c, found, size, body)
	case b.CursorOnly && c.query.Has("startIndex"):
		return nil, invalid("", "startIndex is not supported.")
	default:
		page, err = t.indexPage(c, found, size, body)
	}
	if err != nil {
		return nil, err
	}
	body["itemsPerPage"] = len(page)
	q := newSelection(c.query.Get("attributes"), c.query.Get("excludedAttributes"))
	resources := make([]any, 0, len(page))
	for _, r := range page {
		resources = append(resources, t.render(r, c.base, q))
	}
	if len(resources) > 0 {
		body["Resources"] = resources
	}
	return &answer{status: http.StatusOK, body: body, list: true}, nil
}

func (t *Tenant) indexPage(c *call, found []*record, size int, body map[string]any) ([]*record, *apiError) {
	b := t.cfg.Behaviours
	start := 1
	if c.query.Has("startIndex") {
		n, err := strconv.Atoi(c.query.Get("startIndex"))
		if err != nil {
			return nil, invalid("invalidValue", "startIndex is not a number.")
		}
		start = max(1, n)
	}
	body["startIndex"] = start
	from := start - 1
	if b.RepeatedPage {
		from = 0
	}
	total := len(found)
	if b.ShortList && total > 0 {
		found = found[:total-1]
	}
	if b.MovingTotal {
		total += start
	}
	if !b.NoTotal {
		body["totalResults"] = total
	}
	if b.StrictIndex && from > 0 && from >= len(found) {
		return nil, invalid("invalidValue", "startIndex is beyond the last resource.")
	}
	from = min(from, len(found))
	return found[from:min(from+size, len(found))], nil
}

// cursorPage reads the page of a cursor (RFC 9865). A cursor names the last resource before the page.
func (t *Tenant) cursorPage(c *call, found []*record, size int, body map[string]any) ([]*record, *apiError) {
	if !t.cfg.Behaviours.CursorOnly {
		body["totalResults"] = len(found)
	}
	from := 0
	if cursor := c.query.Get("cursor"); cursor != "" {
		raw, err := base64.RawURLEncoding.DecodeString(cursor)
		seq, err2 := strconv.ParseUint(string(raw), 10, 64)
		if err != nil || err2 != nil {
			return nil, invalid("invalidCursor", "The cursor is not valid.")
		}
		from, _ = slices.BinarySearchFunc(found, seq+1, func(r *record, seq uint64) int {
			return int(r.seq) - int(seq)
		})
	}
	page := found[from:min(from+size, len(found))]
	if from+size < len(found) && size > 0 {
		last := strconv.FormatUint(page[len(page)-1].seq, 10)
		body["nextCursor"] = base64.RawURLEncoding.EncodeToString([]byte(last))
	}
	return page, nil
}

// filtered returns the resources of a collection that match the filter of the call.
func (t *Tenant) filtered(c *call) ([]*record, *apiError) {
	b := t.cfg.Behaviours
	all := t.lists[c.route.kind]
	expression := c.query.Get("filter")
	switch {
	case expression == "" || b.IgnoreFilter:
		return all, nil
	case b.NoFilter:
		return nil, refusal(http.StatusForbidden, "", "Filters are not supported.")
	case b.RefuseFilter:
		return nil, invalid("invalidFilter", "The filter is not supported.")
	}
	f, ok := parseFilter(expression)
	if !ok {
		return nil, invalid("invalidFilter", "The filter is not valid.")
	}
	names, simple := f.names()
	for _, name := range names {
		allowed := func(a string) bool { return strings.EqualFold(a, name) }
		if b.Filters != nil && (!simple || !slices.ContainsFunc(b.Filters, allowed)) {
			return nil, invalid("invalidFilter", "A filter of %s is not supported.", name)
		}
	}
	if id, ok := f.equals("groups.value"); ok && c.route.kind == t.users {
		return slices.DeleteFunc(slices.Clone(all), func(r *record) bool {
			_, in := t.memberOf[r.id][id]
			return !in
		}), nil
	}
	if id, ok := f.equals("members.value"); ok && c.route.kind == t.groups {
		return slices.DeleteFunc(slices.Clone(all), func(r *record) bool { _, has := r.members[id]; return !has }), nil
	}
	var out []*record
	for _, r := range all {
		object := map[string]any{"id": r.id, "meta": map[string]any{"version": r.etag()}}
		maps.Copy(object, r.attrs)
		if f.matches(object, r.kind.core.attributes, r.kind) {
			out = append(out, r)
		}
	}
	return out, nil
}
