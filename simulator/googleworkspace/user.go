package googleworkspace

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// undeleteWindow is how long a deleted user can be restored.
const undeleteWindow = 20 * 24 * time.Hour

// maxAliases is the limit of aliases of a user or group.
const maxAliases = 30

// userRec is a user, guarded by Tenant.mu. Values in fields are never changed in place, because rendered documents
// share them.
type userRec struct {
	record
	id          string
	email       string
	fields      map[string]any // the writable fields, as stored
	aliases     []string
	admin       bool
	reason      string // suspensionReason
	created     time.Time
	suspendedAt time.Time
}

func (u *userRec) suspended() bool { return boolean(u.fields, "suspended") }

func (u *userRec) name(part string) string {
	name, _ := u.fields["name"].(map[string]any)
	return str(name, part)
}

// userFields are the fields of the User resource.
var userFields = fieldsOf{
	"primaryEmail": text, "password": text, "hashFunction": text, "orgUnitPath": text, "recoveryEmail": text,
	"recoveryPhone": text,
	"suspended":     flag, "archived": flag, "changePasswordAtNextLogin": flag, "ipWhitelisted": flag,
	"includeInGlobalAddressList": flag, "isGuestUser": flag,
	"name": object, "customSchemas": object, "guestAccountInfo": whole, "gender": whole, "notes": whole,
	"addresses": array, "emails": array, "externalIds": array, "ims": array, "keywords": array, "languages": array,
	"locations":     array,
	"organizations": array, "phones": array, "posixAccounts": array, "relations": array, "sshPublicKeys": array,
	"websites":      array,
	"agreedToTerms": readOnly, "aliases": readOnly, "archivalTime": readOnly, "creationTime": readOnly,
	"customerId":   readOnly,
	"deletionTime": readOnly, "etag": readOnly, "id": readOnly, "isAdmin": readOnly, "isDelegatedAdmin": readOnly,
	"isEnforcedIn2Sv": readOnly, "isEnrolledIn2Sv": readOnly, "isMailboxSetup": readOnly, "kind": readOnly,
	"lastLoginTime":      readOnly,
	"nonEditableAliases": readOnly, "suspensionReason": readOnly, "suspensionTime": readOnly,
	"thumbnailPhotoEtag": readOnly,
	"thumbnailPhotoUrl":  readOnly,
}

// publishUser renders a user after a change and drops the orders in which its place may have changed.
func (t *Tenant) publishUser(u *userRec, now time.Time) {
	doc := maps.Clone(u.fields)
	given, family := u.name("givenName"), u.name("familyName")
	name := maps.Clone(u.fields["name"].(map[string]any))
	name["fullName"] = strings.TrimSpace(given + " " + family)
	doc["name"] = name
	for _, flag := range []string{"suspended", "archived", "changePasswordAtNextLogin", "ipWhitelisted"} {
		doc[flag] = boolean(u.fields, flag)
	}
	if _, set := doc["includeInGlobalAddressList"]; !set {
		doc["includeInGlobalAddressList"] = true
	}
	doc["kind"] = "admin#directory#user"
	doc["id"] = u.id
	doc["primaryEmail"] = u.email
	doc["customerId"] = t.cfg.CustomerID
	doc["creationTime"] = timestamp(u.created)
	doc["lastLoginTime"] = timestamp(time.Unix(0, 0)) // Google shows "never" like this
	doc["isAdmin"] = u.admin
	doc["isDelegatedAdmin"] = false
	doc["agreedToTerms"] = u.admin
	doc["isMailboxSetup"] = true
	doc["isEnrolledIn2Sv"] = false
	doc["isEnforcedIn2Sv"] = false
	if u.suspended() {
		doc["suspensionReason"] = u.reason
		doc["suspensionTime"] = timestamp(u.suspendedAt)
	}
	if len(u.aliases) > 0 {
		doc["aliases"] = anys(u.aliases)
	}
	if alias, ok := t.testAlias(u.email); ok {
		doc["nonEditableAliases"] = []any{alias}
	}
	if u.deleted() {
		doc["deletionTime"] = timestamp(u.deletedAt)
	}
	doc["emails"] = t.emails(u)
	u.publish(render(doc), now, t.cfg.Consistency.Read)
	clear(t.userOrder)
}

// emails lists the written addresses and those of the account, with the primary one first.
func (t *Tenant) emails(u *userRec) []any {
	list := []any{map[string]any{"address": u.email, "primary": true}}
	own := append([]string{u.email}, u.aliases...)
	for _, e := range elements(u.fields, "emails") {
		if !slices.Contains(own, strings.ToLower(str(e, "address"))) {
			list = append(list, e)
		}
	}
	if alias, ok := t.testAlias(u.email); ok {
		own = append(own, alias)
	}
	for _, a := range own[1:] {
		list = append(list, map[string]any{"address": a})
	}
	return list
}

func anys(values []string) []any {
	out := make([]any, len(values))
	for i, v := range values {
		out[i] = v
	}
	return out
}

// readUser finds a user for a read. Keys are the id, the primary address and the aliases.
func (t *Tenant) readUser(key string, now time.Time) (*userRec, *apiError) {
	u, err := t.userByKey(key)
	if err != nil {
		return nil, err
	}
	switch {
	case u == nil || now.Before(u.visibleFrom) || u.deleted() && now.Sub(u.deletedAt) > undeleteWindow:
		return nil, notFound("userKey")
	case !u.visible(now, t.cfg.Consistency.Read):
		return nil, conditionNotMet("User is deleted.")
	}
	return u, nil
}

// writeUser finds a user for a write. It refuses while an earlier write is not settled.
func (t *Tenant) writeUser(key string, now time.Time) (*userRec, *apiError) {
	u, err := t.userByKey(key)
	switch {
	case err != nil:
		return nil, err
	case u == nil || u.deleted() && now.Sub(u.deletedAt) > undeleteWindow:
		return nil, notFound("userKey")
	case u.deleted():
		return nil, conditionNotMet("User is deleted.")
	case now.Before(u.visibleFrom):
		return nil, conditionNotMet("User creation is not complete.")
	case now.Before(u.busyUntil):
		return nil, stillSettling()
	}
	return u, nil
}

func (t *Tenant) userByKey(key string) (*userRec, *apiError) {
	key = strings.ToLower(key)
	if !strings.Contains(key, "@") {
		return t.users[key], nil
	}
	if !t.ours(domainOf(key)) {
		return nil, forbidden()
	}
	if t.addresses[key].group != nil {
		return nil, wrongType("userKey")
	}
	return t.addresses[key].user, nil
}
