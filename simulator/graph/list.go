package graph

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

func (t *Tenant) listUsers(c *call) (*answer, *apiError) { return t.list(c, &t.users, userKind, false) }
func (t *Tenant) listGroups(c *call) (*answer, *apiError) {
	return t.list(c, &t.groups, groupKind, false)
}

func (t *Tenant) listDeletedUsers(c *call) (*answer, *apiError) {
	return t.list(c, &t.users, userKind, true)
}

func (t *Tenant) listDeletedGroups(c *call) (*answer, *apiError) {
	return t.list(c, &t.groups, groupKind, true)
}

func (t *Tenant) countUsers(c *call) (*answer, *apiError)  { return t.count(c, &t.users, userKind) }
func (t *Tenant) countGroups(c *call) (*answer, *apiError) { return t.count(c, &t.groups, groupKind) }

// query has the parameters of a list.
type query struct {
	kind    *kind
	deleted bool
	filter  *filter
	order   *property
	down    bool
	token   pageToken
	top     int
}

func (t *Tenant) readQuery(c *call, k *kind, deleted bool) (query, *apiError) {
	q := query{kind: k, deleted: deleted}
	var err *apiError
	if q.filter, err = parseFilter(c, k); err != nil {
		return q, err
	}
	if err := q.readOrder(c); err != nil {
		return q, err
	}
	if q.top, err = c.top(); err != nil {
		return q, err
	}
	q.token, err = t.position(c)
	return q, err
}

// readOrder reads $orderby. Together with $filter, or by deletedDateTime, it makes an advanced query.
func (q *query) readOrder(c *call) *apiError {
	value := c.query.Get("$orderby")
	if value == "" {
		return nil
	}
	name, direction, _ := strings.Cut(value, " ")
	q.order, q.down = q.kind.property(name), strings.TrimSpace(direction) == "desc"
	switch {
	case q.order == nil || !slices.Contains([]string{"displayName", byUPN, "deletedDateTime"}, q.order.name):
		return unsupported("Unsupported sort property '%s' for '%s'.", name, q.kind.title)
	case q.order.name == "deletedDateTime" && !c.advanced():
		return unsupported("Unsupported sort property '%s' for '%s'.", name, q.kind.title)
	case q.filter != nil && !c.advanced():
		return unsupported("Sorting not supported for current query.")
	}
	return nil
}

// hit is an object of a list with the state to show.
type hit struct {
	*object
	props map[string]any
}

// matches returns the state of an object that belongs to the result.
func (t *Tenant) matches(c *call, q query, o *object) (map[string]any, bool) {
	s, ok := t.seen(o, c.now)
	if !ok || s.deleted != q.deleted || q.filter != nil && !q.filter.match(s.props) {
		return nil, false
	}
	return s.props, true
}

// all returns everything that belongs to the result, in order.
func (t *Tenant) all(c *call, q query, from []*object) []hit {
	var hits []hit
	for _, o := range from {
		if props, ok := t.matches(c, q, o); ok {
			hits = append(hits, hit{o, props})
		}
	}
	if q.order != nil {
		slices.SortStableFunc(hits, func(a, b hit) int {
			n := compareValues(a.props[q.order.name], b.props[q.order.name])
			if q.down {
				return -n
			}
			return n
		})
	}
	return hits
}

func compareValues(a, b any) int {
	return cmp.Compare(string(appendValue(nil, &property{}, a)), string(appendValue(nil, &property{}, b)))
}

// candidates returns a superset of the objects in the result.
func (t *Tenant) candidates(q query, from *collection) []*object {
	if list, narrow := q.filter.narrow(t); narrow {
		slices.SortFunc(list, func(a, b *object) int { return cmp.Compare(a.ord, b.ord) })
		return slices.DeleteFunc(list,
			func(o *object) bool { return o.kind != q.kind || q.order == nil && o.ord <= q.token.After })
	}
	if q.order != nil {
		return from.list
	}
	return from.after(q.token.After)
}

// list returns a collection of one kind.
func (t *Tenant) list(c *call, from *collection, k *kind, deleted bool) (*answer, *apiError) {
	q, err := t.readQuery(c, k, deleted)
	if err != nil {
		return nil, err
	}
	s, err := selection(c, k)
	if err == nil {
		err = s.within(k)
	}
	var x *expansion
	if err == nil {
		x, err = expanded(c, false)
	}
	if err != nil {
		return nil, err
	}
	var hits []hit
	if q.order != nil {
		hits = t.all(c, q, t.candidates(q, from))
		hits = hits[min(q.token.Offset, len(hits)):]
	} else {
		for _, o := range t.candidates(q, from) {
			if props, ok := t.matches(c, q, o); ok {
				hits = append(hits, hit{o, props})
			}
			if len(hits) > q.top {
				break
			}
		}
	}
	p := newPage(contextURL(c, k.set, s, false))
	if c.advanced() {
		p.note("count", len(t.all(c, query{kind: k, deleted: deleted, filter: q.filter}, from.list)))
	}
	if len(hits) > q.top {
		hits = hits[:q.top]
		p.note("nextLink", t.nextLink(c, pageToken{Path: c.path, After: hits[q.top-1].ord, Offset: q.token.Offset + q.top}))
	}
	p.begin()
	for _, h := range hits {
		p.item()
		p.body = t.expand(appendObject(p.body, k, h.props, s, false), c, x, h.props)
	}
	return newAnswer(http.StatusOK, p.end()), nil
}

// count serves /$count, which is an advanced query.
func (t *Tenant) count(c *call, from *collection, k *kind) (*answer, *apiError) {
	if !c.eventual() {
		return nil, badRequest("$count is not currently supported.")
	}
	f, err := parseFilter(c, k)
	if err != nil {
		return nil, err
	}
	return countAnswer(len(t.all(c, query{kind: k, filter: f}, from.list))), nil
}

func countAnswer(n int) *answer {
	a := newAnswer(http.StatusOK, strconv.AppendInt(nil, int64(n), 10))
	a.header.Set("Content-Type", "text/plain")
	return a
}
