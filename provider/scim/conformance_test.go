package scim_test

import (
	"net/http"
	"testing"
	"time"

	"rollcall/directory"
	"rollcall/provider/providertest"
	"rollcall/provider/scim"
	simulator "rollcall/simulator/scim"
)

// TestConformance runs the suite in each way in which servers are read and written.
func TestConformance(t *testing.T) {
	t.Parallel()
	for name, setups := range map[string][]setup{
		"generic":  nil,
		"versions": {configured(func(c *scim.Config) { c.Members = "get" })},
		"put":      {behaving(simulator.Behaviours{NoPatch: true})},
		"cursors":  {behaving(simulator.Behaviours{CursorOnly: true, PageSize: 3})},
		"objects": {behaving(simulator.Behaviours{ObjectPatch: true}),
			configured(func(c *scim.Config) { c.Update = "object_patch" })},
		"no filters": {behaving(simulator.Behaviours{NoFilter: true})},
		"unpublished": {behaving(simulator.Behaviours{NoConfig: true, NoETag: true, PageSize: 3}),
			configured(func(c *scim.Config) { c.PageSize = 3 })},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			providertest.Run(t, func(t *testing.T) providertest.Harness {
				w := open(t, append(setups, configured(func(c *scim.Config) { c.Domains = []string{"example.com"} }))...)
				admin := adminOf{w.tenant}
				admin.AddUser(t, providertest.User{Address: "admin@example.com", Admin: true})
				return providertest.Harness{
					Provider: w.Provider, Admin: admin, Domain: "example.com",
					UserFields:  directory.Attributes{{Name: "displayName", Values: []string{"Liz Smith"}}},
					GroupFields: directory.Attributes{{Name: "displayName", Values: []string{"A group"}}},
					UserField:   badge, GroupField: note, Unnamed: true, Now: w.clock.Now, Advance: w.clock.Advance,
				}
			})
		})
	}
}

// adminOf is the simulated tenant's administrator.
type adminOf struct{ *simulator.Tenant }

func (a adminOf) AddUser(t *testing.T, u providertest.User) string {
	t.Helper()
	attrs := map[string]any{"userName": u.Address, "active": !u.Suspended}
	if u.Admin {
		attrs["roles"] = admins()
	}
	id, err := a.Tenant.AddUser(attrs)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func admins() []any { return []any{map[string]any{"value": "workspace_admin", "primary": true}} }

func (a adminOf) AddGroup(t *testing.T, name string) string {
	t.Helper()
	id, err := a.Tenant.AddGroup(map[string]any{"displayName": name})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func (a adminOf) set(t *testing.T, id string, attrs map[string]any) {
	t.Helper()
	if err := a.Set(id, attrs); err != nil {
		t.Fatal(err)
	}
}

func (a adminOf) SetSuspended(t *testing.T, id string, suspended bool) {
	t.Helper()
	a.set(t, id, map[string]any{"active": !suspended})
}

func (a adminOf) MakeAdmin(t *testing.T, id string) {
	t.Helper()
	a.set(t, id, map[string]any{"roles": admins()})
}

func (a adminOf) StripAnchor(t *testing.T, _ directory.Kind, id string) {
	t.Helper()
	a.set(t, id, map[string]any{"externalId": nil})
}

func (a adminOf) AddMember(t *testing.T, groupID, memberID string) {
	t.Helper()
	if err := a.Tenant.AddMember(groupID, memberID); err != nil {
		t.Fatal(err)
	}
}

func (a adminOf) Delete(t *testing.T, _ directory.Kind, id string) {
	t.Helper()
	if err := a.Remove(id); err != nil {
		t.Fatal(err)
	}
}

func (a adminOf) GiveAddress(t *testing.T, id, address string) {
	t.Helper()
	if err := a.Rename(id, address); err != nil {
		t.Fatal(err)
	}
}

func (a adminOf) Count(kind directory.Kind) int {
	if kind == directory.Group {
		return len(a.Groups())
	}
	return len(a.Users())
}

func (a adminOf) Suspended(id string) (suspended, exists bool) {
	u, ok := a.User(id)
	return !u.Active, ok
}

// writes are the methods that change something, as patterns.
var writes = []string{"*.create", "*.put", "*.patch", "*.delete"}

func (a adminOf) Break(f providertest.Failure) {
	fault := map[providertest.Failure]simulator.Fault{
		providertest.LoseAnswer: {Effect: simulator.LoseAnswer},
		providertest.Throttle: {Effect: simulator.Refuse, Status: http.StatusTooManyRequests,
			RetryAfter: 3 * time.Second},
		providertest.CutRead: {Effect: simulator.TruncateAnswer, Method: "users.list"},
		providertest.Crash:   {Effect: simulator.Refuse, Status: http.StatusInternalServerError},
	}[f]
	fault.Times = 1
	a.ClearFaults()
	if fault.Method != "" {
		a.Inject(fault)
		return
	}
	for _, fault.Method = range writes { // One of these matches the next write, and the next Break removes the others.
		a.Inject(fault)
	}
}

func (a adminOf) Refuse(text string) {
	refusal := simulator.Fault{Status: http.StatusForbidden, Message: "The operation is not permitted."}
	for _, refusal.Method = range writes {
		refusal.Key, refusal.Body = text, ""
		a.Inject(refusal)
		refusal.Key, refusal.Body = "", text
		a.Inject(refusal)
	}
}

// HideMembers hides the members where each group is read. Lists of groups have them otherwise.
func (a adminOf) HideMembers(groupID string) bool {
	a.Inject(simulator.Fault{Method: "groups.get", Key: groupID, Status: http.StatusForbidden})
	return false
}

func (a adminOf) RefuseLists() {
	for _, method := range []string{"users.list", "groups.list"} {
		a.Inject(simulator.Fault{Method: method, Status: http.StatusForbidden})
	}
}

func (a adminOf) Mend() { a.ClearFaults() }

var _ providertest.Admin = adminOf{}
