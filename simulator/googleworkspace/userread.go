package googleworkspace

import (
	"maps"
	"slices"
	"strings"
)

func (t *Tenant) usersGet(c *call) (any, *apiError) {
	show, err := t.projection(c)
	if err != nil {
		return nil, err
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	u, err := t.readUser(c.vars["userKey"], c.now)
	if err != nil {
		return nil, err
	}
	return show(u.shown(c.now)), nil
}

func (t *Tenant) usersList(c *call) (any, *apiError) {
	size, err := pageSize(c, 100, 500, true)
	if err != nil {
		return nil, err
	}
	show, err := t.projection(c)
	if err != nil {
		return nil, err
	}
	if err := enum(c, "orderBy", "email", "familyName", "givenName"); err != nil {
		return nil, err
	}
	if err := enum(c, "sortOrder", "ASCENDING", "DESCENDING"); err != nil {
		return nil, err
	}
	match, err := parseQuery(c.param("query"), userQuery)
	if err != nil {
		return nil, err
	}
	after, err := t.after(c)
	if err != nil {
		return nil, err
	}
	domain, err := t.listScope(c)
	if err != nil {
		return nil, err
	}
	keep := t.listed(c, domain, match)

	t.mu.Lock()
	t.purge(c.now)
	backward := c.param("orderBy") != "" && c.param("sortOrder") == "DESCENDING"
	found, next := t.usersBy(c.param("orderBy")).collect(after, backward, size, keep)
	docs := make([]*rendered, len(found))
	for i, u := range found {
		docs[i] = u.shown(c.now)
	}
	t.mu.Unlock()

	if next != "" {
		next = t.nextToken(c, next)
	}
	for i, doc := range docs {
		docs[i] = show(doc)
	}
	return page("admin#directory#users", "users", docs, next), nil
}

// listScope reads customer and domain. It returns the domain of the listing, or "".
func (t *Tenant) listScope(c *call) (string, *apiError) {
	customer, domain := c.param("customer"), strings.ToLower(c.param("domain"))
	switch {
	case customer == "" && domain == "":
		return "", badRequest()
	case customer != "":
		if err := t.customer(customer); err != nil {
			return "", err
		}
	}
	if domain != "" && !t.ours(domain) {
		if t.otherCustomer(domain) {
			return "", forbidden()
		}
		return "", domainNotFound()
	}
	return domain, nil
}

// listed returns the filter of a listing.
func (t *Tenant) listed(c *call, domain string, match func(map[string]any) bool) func(*userRec) bool {
	showDeleted := c.param("showDeleted") == "true"
	return func(u *userRec) bool {
		if showDeleted && !u.deleted() || !showDeleted && !u.visible(c.now, t.cfg.Consistency.Read) {
			return false
		}
		doc := u.shown(c.now).doc
		return (domain == "" || domainOf(str(doc, "primaryEmail")) == domain) && match(doc)
	}
}

// usersBy returns the order of all users, including deleted ones. It is rebuilt after a write made it stale.
func (t *Tenant) usersBy(orderBy string) order[*userRec] {
	if o, fresh := t.userOrder[orderBy]; fresh {
		return o
	}
	key := func(u *userRec) string { return u.email + "\x00" + u.id }
	if orderBy == "familyName" || orderBy == "givenName" {
		key = func(u *userRec) string { return strings.ToLower(u.name(orderBy)) + "\x00" + u.email + "\x00" + u.id }
	}
	o := sorted(slices.Collect(maps.Values(t.users)), key)
	t.userOrder[orderBy] = o
	return o
}

// publicFields are the fields of the domain_public view.
var publicFields = mask{"kind": nil, "id": nil, "etag": nil, "primaryEmail": nil, "name": nil, "emails": nil,
	"thumbnailPhotoUrl": nil}

// projection reads projection, customFieldMask and viewType.
func (t *Tenant) projection(c *call) (func(*rendered) *rendered, *apiError) {
	if err := enum(c, "projection", "basic", "custom", "full"); err != nil {
		return nil, err
	}
	if err := enum(c, "viewType", "admin_view", "domain_public"); err != nil {
		return nil, err
	}
	schemas := strings.Split(c.param("customFieldMask"), ",")
	if c.param("projection") == "custom" && slices.ContainsFunc(schemas, func(s string) bool { return !t.hasSchema(s) }) {
		return nil, invalid("Invalid Input: custom_field_mask")
	}
	return func(r *rendered) *rendered {
		if c.param("viewType") == "domain_public" {
			doc := publicFields.object(r.doc)
			return &rendered{doc: doc, json: encodeJSON(doc), etag: r.etag}
		}
		custom, has := r.doc["customSchemas"].(map[string]any)
		if !has || c.param("projection") == "full" {
			return r
		}
		doc := maps.Clone(r.doc)
		delete(doc, "customSchemas")
		if c.param("projection") == "custom" {
			kept := maps.Clone(custom)
			maps.DeleteFunc(kept, func(name string, _ any) bool { return !slices.Contains(schemas, name) })
			doc["customSchemas"] = kept
		}
		return &rendered{doc: doc, json: encodeJSON(doc), etag: r.etag}
	}, nil
}

// User returns the newest version of the user with the id, primary address or alias, even if the API does not show it
// yet.
func (t *Tenant) User(key string) (User, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	u, err := t.userByKey(key)
	if err != nil || u == nil || u.deleted() {
		return User{}, false
	}
	return snapshotUser(u), true
}

// Users returns all users that are not deleted, by address.
func (t *Tenant) Users() []User { return t.snapshotUsers(false) }

// DeletedUsers returns the users that can still be undeleted, by address.
func (t *Tenant) DeletedUsers() []User { return t.snapshotUsers(true) }

func (t *Tenant) snapshotUsers(deleted bool) []User {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.purge(t.cfg.Now())
	var out []User
	for _, u := range t.usersBy("").items {
		if u.deleted() == deleted {
			out = append(out, snapshotUser(u))
		}
	}
	return out
}

func snapshotUser(u *userRec) User {
	s := User{
		ID: u.id, PrimaryEmail: u.email, GivenName: u.name("givenName"), FamilyName: u.name("familyName"),
		OrgUnitPath: str(u.fields, "orgUnitPath"), Suspended: u.suspended(), SuspensionReason: u.reason,
		Archived: boolean(u.fields, "archived"), IsAdmin: u.admin, Aliases: slices.Clone(u.aliases), Deleted: u.deletedAt,
		Resource: u.newest().doc,
	}
	for _, e := range elements(u.fields, "externalIds") {
		s.ExternalIDs = append(s.ExternalIDs, ExternalID{Type: str(e, "type"), CustomType: str(e, "customType"),
			Value: str(e, "value")})
	}
	return s
}
