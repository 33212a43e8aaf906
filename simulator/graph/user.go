package graph

import (
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"
)

func (t *Tenant) createUser(c *call) (*answer, *apiError) {
	fields, err := userKind.check(c.body, true)
	if err != nil {
		return nil, err
	}
	o, err := t.makeUser(fields, c.now)
	if err != nil {
		return nil, err
	}
	return t.createdAnswer(c, o), nil
}

// makeUser checks and stores a new user.
func (t *Tenant) makeUser(fields map[string]any, now time.Time) (*object, *apiError) {
	if err := userKind.needs(fields, "accountEnabled", "displayName", "mailNickname", "passwordProfile",
		"userPrincipalName"); err != nil {
		return nil, err
	}
	if err := t.checkUser(fields); err != nil {
		return nil, err
	}
	if t.federated(textOf(fields, byUPN)) && fields[byImmutable] == nil {
		return nil, missingValue(byImmutable, userKind)
	}
	props := maps.Clone(fields)
	maps.DeleteFunc(props, func(_ string, value any) bool { return value == nil })
	setAddress(props, nil)
	if props["userType"] == nil {
		props["userType"] = "Member"
	}
	if name := t.unique.taken(nil, userKind, props); name != "" {
		return nil, conflict(name)
	}
	return t.add(userKind, "", props, now), nil
}

// createdAnswer shows a new object.
func (t *Tenant) createdAnswer(c *call, o *object) *answer {
	a := newAnswer(http.StatusCreated, renderEntity(c, o.kind, o.kind.set, o.now.props, nil, false))
	a.header.Set("Location", fmt.Sprintf(
		"https://graph.microsoft.com/v2/%s/directoryObjects/%s/Microsoft.DirectoryServices.%s",
		t.cfg.TenantID, o.id, o.kind.title))
	return a
}

// user returns the user that a key names by id or principal name.
func (t *Tenant) user(k key, now time.Time) (*object, *apiError) {
	o := t.byID[strings.ToLower(k.value)]
	if o == nil || k.name == byUPN {
		o = t.unique.find(byUPN, k.value)
	}
	if o == nil || o.kind != userKind || o.deleted() && t.hidesDeletion(o, now) || !t.settled(o, now) {
		return nil, notFound(k.value)
	}
	return o, nil
}

// hidesDeletion says whether reads have ceased to show an object that was deleted.
func (t *Tenant) hidesDeletion(o *object, now time.Time) bool {
	s, ok := t.seen(o, now)
	return !ok || s.deleted
}

// writableUser returns the user of a write, which sees the present.
func (t *Tenant) writableUser(c *call) (*object, *apiError) {
	o, err := t.user(c.vars["user"], c.now)
	if err != nil {
		return nil, err
	}
	if o.deleted() {
		return nil, notFound(c.vars["user"].value)
	}
	if flagOf(o.now.props, "onPremisesSyncEnabled") {
		return nil, mastered()
	}
	return o, nil
}

func (t *Tenant) updateUser(c *call) (*answer, *apiError) {
	o, err := t.writableUser(c)
	if err != nil {
		return nil, err
	}
	fields, err := userKind.check(c.body, false)
	if err != nil {
		return nil, err
	}
	if err := t.mayChange(c, o, fields); err != nil {
		return nil, err
	}
	if err := t.checkUser(fields); err != nil {
		return nil, err
	}
	if err := t.change(o, fields, c.now); err != nil {
		return nil, err
	}
	return noContent(), nil
}

// mayChange says whether the app's permissions allow these changes of a user.
func (t *Tenant) mayChange(c *call, o *object, fields map[string]any) *apiError {
	for name := range fields {
		if userKind.properties[name].is(sensitive) && o.isAdmin() && !t.cfg.App.Administrator {
			return denied()
		}
		allowed := writeUsers
		switch name {
		case "accountEnabled":
			allowed = append([]string{"User.EnableDisableAccount.All"}, writeUsers...)
		case "passwordProfile":
			allowed = []string{"User-PasswordProfile.ReadWrite.All"}
		}
		if !c.granted(allowed...) && !t.cfg.App.Administrator {
			return denied()
		}
	}
	return nil
}

// change replaces properties that have been checked, unless a value is another object's.
func (t *Tenant) change(o *object, fields map[string]any, now time.Time) *apiError {
	props := o.patched(fields)
	if o.kind == userKind {
		setAddress(props, o.now.props)
	}
	if name := t.unique.taken(o, o.kind, props); name != "" {
		return conflict(name)
	}
	var names []string
	for name := range o.kind.properties {
		if !reflect.DeepEqual(props[name], o.now.props[name]) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	t.unique.release(o, o.now.props, true)
	o.set(state{from: now, props: props}, t.lag.Read, now)
	t.unique.claim(o, props)
	t.record(o, change{at: now, what: updated, fields: names})
	return nil
}

// revokeSessions ends the sessions of a user, as far as the user shows it. The method has no request body.
func (t *Tenant) revokeSessions(c *call) (*answer, *apiError) {
	o, err := t.user(c.vars["user"], c.now)
	if err != nil {
		return nil, err
	}
	if o.deleted() {
		return nil, notFound(c.vars["user"].value)
	}
	since := c.now.UTC().Truncate(time.Second).Format(time.RFC3339)
	if err := t.change(o, map[string]any{"signInSessionsValidFromDateTime": since}, c.now); err != nil {
		return nil, err
	}
	return newAnswer(http.StatusOK, marshal(map[string]any{
		"@odata.context": c.base + "/$metadata#Edm.Boolean", "value": true})), nil
}

func (t *Tenant) deleteUser(c *call) (*answer, *apiError) {
	o, err := t.writableUser(c)
	if err != nil {
		return nil, err
	}
	if o.isAdmin() && !t.cfg.App.Administrator {
		return nil, denied()
	}
	t.remove(o, c.now)
	return noContent(), nil
}
