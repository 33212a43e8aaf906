package googleworkspace

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// maxDescription is the documented length of a group's description.
const maxDescription = 4096

// groupRec is a group, guarded by Tenant.mu.
type groupRec struct {
	record
	id       string
	email    string
	fields   map[string]any // name, description, externalIds
	aliases  []string
	byAdmin  bool
	members  map[string]*memberRec // by member id
	former   []*memberRec          // removed, and perhaps still shown
	sorted   *order[*memberRec]    // nil when stale
	people   int                   // members of type USER
	children map[string]struct{}   // member groups
}

// groupFields are the fields of the Group resource.
var groupFields = fieldsOf{
	"email": text, "name": text, "description": text, "externalIds": array,
	"adminCreated": readOnly, "aliases": readOnly, "directMembersCount": readOnly, "etag": readOnly, "id": readOnly,
	"kind":               readOnly,
	"nonEditableAliases": readOnly,
}

// publishGroup renders a group after a change to it or to its members.
func (t *Tenant) publishGroup(g *groupRec, now time.Time) {
	doc := maps.Clone(g.fields)
	for _, name := range []string{"name", "description"} {
		doc[name] = str(g.fields, name)
	}
	doc["kind"] = "admin#directory#group"
	doc["id"] = g.id
	doc["email"] = g.email
	doc["adminCreated"] = g.byAdmin
	doc["directMembersCount"] = strconv.Itoa(g.people)
	if len(g.aliases) > 0 {
		doc["aliases"] = anys(g.aliases)
	}
	if alias, ok := t.testAlias(g.email); ok {
		doc["nonEditableAliases"] = []any{alias}
	}
	g.publish(render(doc, "directMembersCount"), now, t.cfg.Consistency.Read)
}

func (t *Tenant) readGroup(key string, now time.Time) (*groupRec, *apiError) {
	g, err := t.groupByKey(key)
	if err != nil {
		return nil, err
	}
	if g == nil || !g.visible(now, t.cfg.Consistency.Read) {
		return nil, notFound("groupKey")
	}
	return g, nil
}

func (t *Tenant) writeGroup(key string, now time.Time) (*groupRec, *apiError) {
	g, err := t.groupByKey(key)
	switch {
	case err != nil:
		return nil, err
	case g == nil || g.deleted() || now.Before(g.visibleFrom):
		return nil, notFound("groupKey")
	case now.Before(g.busyUntil):
		return nil, stillSettling()
	}
	return g, nil
}

func (t *Tenant) groupByKey(key string) (*groupRec, *apiError) {
	key = strings.ToLower(key)
	if !strings.Contains(key, "@") {
		return t.groups[key], nil
	}
	if !t.ours(domainOf(key)) {
		return nil, forbidden()
	}
	return t.addresses[key].group, nil
}

func (t *Tenant) groupsInsert(c *call) (any, *apiError) {
	t.mu.Lock()
	defer t.mu.Unlock()
	g, err := t.createGroup(c.body, c.now, true)
	if err != nil {
		return nil, err
	}
	return g.newest(), nil
}

func (t *Tenant) createGroup(resource map[string]any, now time.Time, api bool) (*groupRec, *apiError) {
	body, err := groupFields.check("group", resource)
	if err != nil {
		return nil, err
	}
	if str(body, "email") == "" {
		return nil, required("email")
	}
	email, err := t.newAddress(str(body, "email"), "email")
	if err != nil {
		return nil, err
	}
	if err := t.checkGroup(body); err != nil {
		return nil, err
	}
	if _, taken := t.addresses[email]; taken {
		return nil, entityExists()
	}
	local, _, _ := strings.Cut(email, "@")
	g := &groupRec{
		id: t.newGroupID(), email: email, byAdmin: true, fields: map[string]any{"name": local},
		members: map[string]*memberRec{}, children: map[string]struct{}{},
	}
	if api {
		g.visibleFrom = now.Add(t.cfg.Consistency.Create)
	}
	setGroupFields(g, body)
	t.groups[g.id] = g
	t.addresses[email] = owner{group: g}
	t.groupOrder = nil
	t.publishGroup(g, now)
	return g, nil
}

// checkGroup applies the common rules of insert and update.
func (t *Tenant) checkGroup(body map[string]any) *apiError {
	if utf8.RuneCountInString(str(body, "description")) > maxDescription {
		return invalid("Invalid Input: description")
	}
	list, _ := body["externalIds"].([]any)
	for _, e := range list {
		o, ok := e.(map[string]any)
		if !ok {
			return invalid("Invalid Input: externalIds")
		}
		for name := range o {
			if name != "id" && name != "namespace" {
				return invalid("Invalid JSON payload received. Unknown name %q at 'group.external_ids': Cannot find field.", name)
			}
		}
		allowed := t.cfg.GroupNamespaces
		if str(o, "id") == "" || !slices.Contains(allowed, "*") && !slices.Contains(allowed, str(o, "namespace")) {
			return invalid("Invalid Input: externalIds: namespace %q", str(o, "namespace"))
		}
	}
	return nil
}

func setGroupFields(g *groupRec, body map[string]any) {
	fields := maps.Clone(g.fields)
	for name, value := range body {
		switch s, isText := value.(string); {
		case name == "email":
		case value == nil || isEmpty(value):
			delete(fields, name)
		case isText:
			fields[name] = strings.TrimSpace(s)
		default:
			fields[name] = value
		}
	}
	g.fields = fields
}

// groupsUpdate serves PUT and PATCH. Both leave absent fields unchanged.
func (t *Tenant) groupsUpdate(c *call) (any, *apiError) {
	t.mu.Lock()
	defer t.mu.Unlock()
	g, err := t.writeGroup(c.vars["groupKey"], c.now)
	if err != nil {
		return nil, err
	}
	if err := t.updateGroup(g, c.body, c.now); err != nil {
		return nil, err
	}
	return g.newest(), nil
}

func (t *Tenant) updateGroup(g *groupRec, resource map[string]any, now time.Time) *apiError {
	body, err := groupFields.check("group", resource)
	if err != nil {
		return err
	}
	if err := t.checkGroup(body); err != nil {
		return err
	}
	if _, given := body["email"]; given {
		if err := t.renameGroup(g, str(body, "email"), now); err != nil {
			return err
		}
	}
	setGroupFields(g, body)
	t.publishGroup(g, now)
	return nil
}

// renameGroup gives a group another address. The old one stays as an alias.
func (t *Tenant) renameGroup(g *groupRec, address string, now time.Time) *apiError {
	email, err := t.newAddress(address, "email")
	if err != nil || email == g.email {
		return err
	}
	if o, taken := t.addresses[email]; taken && o.group != g {
		return entityExists()
	}
	g.aliases = append(without(g.aliases, email), g.email)
	g.email = email
	t.addresses[email] = owner{group: g}
	t.groupOrder = nil
	g.busyUntil = now.Add(t.cfg.Consistency.Rename)
	return nil
}
