package scim

import (
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"strings"
)

func equal(a, b map[string]any) bool { return reflect.DeepEqual(a, b) }

// create serves POST.
func (t *Tenant) create(c *call) (*answer, *apiError) {
	b := t.cfg.Behaviours
	k := c.route.kind
	if k == t.users && b.NoSeats {
		return nil, refusal(http.StatusForbidden, "", "The subscription has no seats left.")
	}
	attrs, err := t.resource(k, c.body)
	if err != nil {
		return nil, err
	}
	if k == t.groups && b.DropGroupIDs {
		delete(attrs, "externalId")
	}
	if r := t.named(k, attrs); r != nil && b.ReuseGroups {
		return t.shown(c, r, http.StatusCreated), nil
	}
	members := attrs["members"]
	delete(attrs, "members")
	if err := t.unique(k, attrs, nil); err != nil {
		return nil, err
	}
	if _, ok := attrs["active"]; k == t.users && !ok {
		attrs["active"] = true
	}
	e := t.newEdit(&record{kind: k, attrs: attrs})
	if members != nil && !b.IgnoreMembers {
		if err := e.addMembers(members); err != nil {
			return nil, err
		}
		if err := e.tooManyMembers(); err != nil {
			return nil, err
		}
	}
	r := t.add(k, attrs, false)
	for _, id := range e.join {
		t.join(r, id)
	}
	return t.shown(c, r, http.StatusCreated), nil
}

// named returns the first group with the displayName, or nil.
func (t *Tenant) named(k *kind, attrs map[string]any) *record {
	for _, r := range t.lists[k] {
		if k == t.groups && sameText(r.attrs["displayName"], attrs["displayName"]) {
			return r
		}
	}
	return nil
}

// unique refuses attributes that another resource has.
func (t *Tenant) unique(k *kind, attrs map[string]any, self *record) *apiError {
	b := t.cfg.Behaviours
	if name, ok := attrs["userName"].(string); ok && k == t.users && !b.Duplicates {
		same := 0
		if self != nil && strings.EqualFold(self.attrs["userName"].(string), name) {
			same = 1
		}
		if t.userNames[strings.ToLower(name)] > same {
			return t.taken("userName %s is taken.", name)
		}
	}
	if !b.UniqueExternalID && !b.UniqueGroups {
		return nil
	}
	for _, r := range t.lists[k] {
		switch {
		case r == self:
		case k == t.groups && b.UniqueGroups && sameText(r.attrs["displayName"], attrs["displayName"]):
			return t.taken("displayName is taken.")
		case b.UniqueExternalID && attrs["externalId"] != nil && r.attrs["externalId"] == attrs["externalId"]:
			return t.taken("externalId is taken.")
		}
	}
	return nil
}

// taken is the refusal of a value that another resource has (RFC 7644, section 3.3).
func (t *Tenant) taken(format string, args ...any) *apiError {
	status := http.StatusConflict
	if t.cfg.Behaviours.Uniqueness400 {
		status = http.StatusBadRequest
	}
	return refusal(status, "uniqueness", format, args...)
}

func sameText(a, b any) bool {
	x, _ := a.(string)
	y, _ := b.(string)
	return strings.EqualFold(x, y)
}

// replace serves PUT.
func (t *Tenant) replace(c *call) (*answer, *apiError) {
	b := t.cfg.Behaviours
	if b.NoPut {
		return nil, unsupported()
	}
	r, err := t.target(c)
	if err != nil {
		return nil, err
	}
	attrs, err := t.resource(r.kind, c.body)
	if err != nil {
		return nil, err
	}
	members := attrs["members"]
	delete(attrs, "members")
	switch {
	case members != nil && b.PutMembers501:
		return nil, unsupported()
	case members != nil && b.NoMemberReplace:
		return nil, invalid("", "The members of a group cannot be replaced.")
	}
	if err := t.unique(r.kind, attrs, r); err != nil {
		return nil, err
	}
	if _, ok := attrs["active"]; r.kind == t.users && !ok {
		attrs["active"] = true
	}
	e := t.newEdit(r)
	e.attrs = attrs
	if r.kind == t.groups && !b.IgnoreMembers && !b.HiddenMembers {
		e.clearMembers()
		if members != nil {
			if err := e.addMembers(members); err != nil {
				return nil, err
			}
		}
	}
	return t.finish(c, r, e)
}

// patch serves PATCH.
func (t *Tenant) patch(c *call) (*answer, *apiError) {
	if t.cfg.Behaviours.NoPatch {
		return nil, unsupported()
	}
	r, err := t.target(c)
	if err != nil {
		return nil, err
	}
	ops, err := readOperations(c.body, r.kind)
	if err != nil {
		return nil, err
	}
	if err := t.checkPatch(r, ops); err != nil {
		return nil, err
	}
	e := t.newEdit(r)
	for _, o := range ops {
		if err := e.apply(o); err != nil {
			return nil, err
		}
	}
	if err := t.required(r.kind, e.attrs); err != nil {
		return nil, err
	}
	if err := t.unique(r.kind, e.attrs, r); err != nil {
		return nil, err
	}
	return t.finish(c, r, e)
}

// finish stores an edit, unless the tenant only says so.
func (t *Tenant) finish(c *call, r *record, e *edit) (*answer, *apiError) {
	b := t.cfg.Behaviours
	if err := e.tooManyMembers(); err != nil {
		return nil, err
	}
	if b.SilentActive {
		e.attrs["active"] = r.attrs["active"]
	}
	if b.SilentPatch && c.route.method == http.MethodPatch {
		return &answer{status: http.StatusNoContent}, nil
	}
	if b.SilentForeign && r.foreign {
		shown := maps.Clone(e.attrs)
		return t.shown(c, &record{kind: r.kind, id: r.id, attrs: shown, members: r.members, version: r.version + 1,
			created: r.created, modified: r.modified}, http.StatusOK), nil
	}
	e.commit(equal)
	if c.route.method == http.MethodPatch && (r.kind == t.groups || b.EmptyPatch) {
		return &answer{status: http.StatusNoContent, etag: r.etag()}, nil
	}
	return t.shown(c, r, http.StatusOK), nil
}

// delete serves DELETE.
func (t *Tenant) delete(c *call) (*answer, *apiError) {
	r, err := t.target(c)
	if err != nil {
		return nil, err
	}
	t.remove(r)
	return &answer{status: http.StatusNoContent}, nil
}

// target returns the resource of a call if its precondition holds.
func (t *Tenant) target(c *call) (*record, *apiError) {
	r := t.byID[c.id]
	if r == nil || r.kind != c.route.kind {
		return nil, missing(c.id)
	}
	if want := c.header.Get("If-Match"); want != "" && want != "*" && !t.cfg.Behaviours.NoETag && want != r.etag() {
		return nil, refusal(http.StatusPreconditionFailed, "", "The resource has version %s.", r.etag())
	}
	return r, nil
}

// shown is the answer with a resource.
func (t *Tenant) shown(c *call, r *record, status int) *answer {
	a := &answer{status: status, body: t.render(r, c.base, newSelection(c.query.Get("attributes"),
		c.query.Get("excludedAttributes")))}
	if !t.cfg.Behaviours.NoETag {
		a.etag = r.etag()
	}
	if status == http.StatusCreated {
		a.location = c.base + "/" + r.kind.path + "/" + url.PathEscape(r.id)
	}
	return a
}
