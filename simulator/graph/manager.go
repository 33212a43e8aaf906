package graph

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// managed is the relationship of a user to its manager. It is kept beside the properties, so that reads show it with
// the same delay, and it is none of them.
const managed = "manager"

// managerOf returns the manager that a read of these properties shows, or nil. A deleted manager is not shown.
func (t *Tenant) managerOf(c *call, props map[string]any) *object {
	m, _ := props[managed].(*object)
	if m == nil {
		return nil
	}
	if s, ok := t.seen(m, c.now); !ok || s.deleted {
		return nil
	}
	return m
}

func (t *Tenant) getManager(c *call) (*answer, *apiError) {
	o, err := t.user(c.vars["user"], c.now)
	if err != nil {
		return nil, err
	}
	s, err := selection(c, userKind)
	if err != nil {
		return nil, err
	}
	shown, ok := t.seen(o, c.now)
	m := t.managerOf(c, shown.props)
	if !ok || m == nil {
		return nil, notFound(managed)
	}
	props, _ := t.seen(m, c.now)
	return newAnswer(http.StatusOK, renderEntity(c, userKind, "directoryObjects", props.props, s, true)), nil
}

// setManager is PUT manager/$ref. Another manager is replaced.
func (t *Tenant) setManager(c *call) (*answer, *apiError) {
	o, err := t.writableUser(c)
	if err != nil {
		return nil, err
	}
	ref, ok := c.body["@odata.id"]
	if !ok {
		return nil, badRequest("A value is required for property '@odata.id'.")
	}
	m, err := t.referenced(ref, c.now)
	if err != nil {
		return nil, err
	}
	if m.kind != userKind {
		return nil, badRequest("Invalid object type specified for reference 'manager'.")
	}
	t.manage(c.now, o, m)
	return noContent(), nil
}

// removeManager is DELETE manager/$ref.
func (t *Tenant) removeManager(c *call) (*answer, *apiError) {
	o, err := t.writableUser(c)
	if err != nil {
		return nil, err
	}
	if m, _ := o.now.props[managed].(*object); m == nil || m.deleted() {
		return nil, notFound(managed)
	}
	t.manage(c.now, o, nil)
	return noContent(), nil
}

// SetManager changes the manager of a user without HTTP. Each is named by id or principal name; an empty manager is
// none.
func (t *Tenant) SetManager(user, manager string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	o, err := t.local(user)
	if err != nil {
		return err
	}
	var m *object
	if manager != "" {
		if m, err = t.local(manager); err != nil {
			return err
		}
	}
	t.manage(t.cfg.Now(), o, m)
	return nil
}

// Manager returns the principal name of the manager of a user, or "".
func (t *Tenant) Manager(user string) (string, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	o, err := t.local(user)
	if err != nil {
		return "", err
	}
	if m, _ := o.now.props[managed].(*object); m != nil && !m.deleted() {
		return textOf(m.now.props, byUPN), nil
	}
	return "", nil
}

// manage changes the manager of a user. Nil is none.
func (t *Tenant) manage(now time.Time, o, manager *object) {
	former, _ := o.now.props[managed].(*object)
	if former == manager {
		return
	}
	fields := map[string]any{managed: manager}
	if manager == nil {
		fields[managed] = nil
	}
	o.set(state{from: now, props: o.patched(fields)}, t.lag.Read, now)
	t.record(o, change{at: now, what: updated, fields: []string{managed}, member: former})
}

// expansion is the content of $expand, which shows the manager with some properties.
type expansion struct{ properties *selected }

// expanded reads $expand=manager. $levels is for a single user and needs ConsistencyLevel: eventual, as documented.
// Only one level is served.
func expanded(c *call, single bool) (*expansion, *apiError) {
	value := c.query.Get("$expand")
	if value == "" {
		return nil, nil
	}
	name, options, has := strings.Cut(value, "(")
	if name != managed || has != strings.HasSuffix(options, ")") {
		return nil, malformed("Parsing OData Select and Expand failed: '%s' cannot be expanded.", value)
	}
	x := &expansion{}
	levels, chosen := "", ""
	for option := range strings.SplitSeq(strings.TrimSuffix(options, ")"), ";") {
		switch name, value, _ := strings.Cut(option, "="); name {
		case "":
		case "$levels":
			levels = value
		case "$select":
			chosen = value
		default:
			return nil, malformed("Parsing OData Select and Expand failed: unknown option '%s'.", option)
		}
	}
	switch {
	case levels != "" && (!single || !c.eventual()):
		return nil, unsupported("The $levels option of 'manager' is supported for a single user, with the header " +
			"ConsistencyLevel: eventual.")
	case levels != "" && levels != "1":
		return nil, notServed()
	case chosen == "":
		return x, nil
	case levels == "":
		return nil, malformed("Parsing OData Select and Expand failed: $select of 'manager' needs $levels.")
	}
	x.properties = &selected{}
	for name := range strings.SplitSeq(chosen, ",") {
		p := userKind.property(strings.TrimSpace(name))
		if p == nil {
			return nil, malformed("Parsing OData Select and Expand failed: Could not find a property named '%s' on type "+
				"'microsoft.graph.user'.", name)
		}
		x.properties.names = append(x.properties.names, p.name)
	}
	return x, nil
}

// expand adds the manager to an object that was just written.
func (t *Tenant) expand(b []byte, c *call, x *expansion, props map[string]any) []byte {
	if x == nil {
		return b
	}
	m := t.managerOf(c, props)
	if m == nil {
		return b
	}
	shown, _ := t.seen(m, c.now)
	b = append(b[:len(b)-1], `,"manager":`...)
	return append(appendObject(b, userKind, shown.props, x.properties, true), '}')
}

// manager writes the manager of a user as a change, and the former one as removed.
func (p *deltaPage) manager(props map[string]any, former []*object) {
	now := p.t.managerOf(p.c, props)
	former = slices.DeleteFunc(former, func(o *object) bool { return o == nil || o == now })
	if now == nil && len(former) == 0 {
		return
	}
	p.value = append(p.value, `,"manager@delta":[`...)
	if now != nil {
		former = append(former, now)
	}
	for i, o := range former {
		if i > 0 {
			p.value = append(p.value, ',')
		}
		p.reference(o, o != now)
	}
	p.value = append(p.value, ']')
}
