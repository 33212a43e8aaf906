package entra_test

import (
	"net/http"
	"testing"
	"time"

	"rollcall/directory"
	"rollcall/provider/pace"
	"rollcall/provider/providertest"
	"rollcall/provider/remote"
	"rollcall/simulator/graph"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	for name, uncached := range map[string]bool{"cached": false, "uncached": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			providertest.Run(t, func(t *testing.T) providertest.Harness {
				s := mapUsers("jobTitle")
				s.uncached = uncached
				w := open(t, s)
				admin := adminOf{w.tenant}
				boss := admin.AddUser(t, providertest.User{Address: "admin@example.com"})
				admin.MakeAdmin(t, boss)
				return providertest.Harness{
					Provider: w.Provider, Admin: admin, Domain: "example.com",
					UserFields:  directory.Attributes{{Name: "displayName", Values: []string{"Liz Smith"}}},
					GroupFields: directory.Attributes{{Name: "displayName", Values: []string{"A group"}}},
					UserField:   "jobTitle", GroupField: "description",
					Unnamed: true, Now: w.clock.Now, Advance: w.clock.Advance,
				}
			})
		})
	}
}

// adminOf is the simulated tenant's administrator.
type adminOf struct{ *graph.Tenant }

func (a adminOf) AddUser(t *testing.T, u providertest.User) string {
	t.Helper()
	made, err := a.Tenant.AddUser(graph.User{UserPrincipalName: u.Address, Disabled: u.Suspended})
	if err != nil {
		t.Fatal(err)
	}
	if u.Admin {
		a.MakeAdmin(t, made.ID)
	}
	return made.ID
}

func (a adminOf) AddGroup(t *testing.T, name string) string {
	t.Helper()
	made, err := a.Tenant.AddGroup(graph.Group{DisplayName: name})
	if err != nil {
		t.Fatal(err)
	}
	return made.ID
}

func (a adminOf) SetSuspended(t *testing.T, id string, suspended bool) {
	t.Helper()
	a.set(t, id, map[string]any{"accountEnabled": !suspended})
}

func (a adminOf) set(t *testing.T, id string, properties map[string]any) {
	t.Helper()
	if err := a.Set(id, properties); err != nil {
		t.Fatal(err)
	}
}

func (a adminOf) MakeAdmin(t *testing.T, id string) {
	t.Helper()
	if err := a.SetAdmin(id, graph.UserAdministrator); err != nil {
		t.Fatal(err)
	}
}

func (a adminOf) StripAnchor(t *testing.T, kind directory.Kind, id string) {
	t.Helper()
	name := "onPremisesImmutableId"
	if kind == directory.Group {
		name = "uniqueName"
	}
	a.set(t, id, map[string]any{name: nil})
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
	a.set(t, id, map[string]any{"userPrincipalName": address})
}

func (a adminOf) Count(kind directory.Kind) int {
	if kind == directory.Group {
		return len(a.Groups())
	}
	return len(a.Users())
}

func (a adminOf) Suspended(id string) (suspended, exists bool) {
	u, ok := a.User(id)
	return u.Disabled, ok
}

func (a adminOf) Members(groupID string) []string { return a.Tenant.Members(groupID) }

// writes are the methods that change something, as patterns.
var writes = []string{"*.create", "*.update", "*.delete", "members.add", "members.remove", "deletedItems.restore"}

func (a adminOf) Break(f providertest.Failure) {
	fault := map[providertest.Failure]graph.Fault{
		providertest.LoseAnswer: {Effect: graph.LoseAnswer},
		providertest.Throttle: {Effect: graph.Refuse, Status: http.StatusTooManyRequests,
			RetryAfter: 3 * time.Second},
		providertest.CutRead: {Effect: graph.TruncateAnswer},
		providertest.Crash:   {Effect: graph.Refuse, Status: http.StatusInternalServerError},
	}[f]
	fault.Times = 1
	a.ClearFaults()
	if f == providertest.CutRead {
		fault.Method = "users.delta"
		a.Inject(fault)
		return
	}
	for _, fault.Method = range writes { // One of these matches the next write, and the next Break removes the others.
		a.Inject(fault)
	}
}

func (a adminOf) Refuse(text string) {
	refusal := graph.Fault{
		Status: http.StatusForbidden, Code: "Authorization_RequestDenied",
		Message: "Insufficient privileges to complete the operation.",
	}
	for _, refusal.Method = range writes {
		refusal.Key, refusal.Body = text, ""
		a.Inject(refusal)
		refusal.Key, refusal.Body = "", text
		a.Inject(refusal)
	}
}

// HideMembers hides nothing, because a full read gets members from the delta query.
func (a adminOf) HideMembers(string) bool { return false }

func (a adminOf) RefuseLists() {
	for _, method := range []string{"users.delta", "users.list", "groups.delta", "groups.list", "domains.list"} {
		a.Inject(graph.Fault{Method: method, Status: http.StatusForbidden, Code: "Authorization_RequestDenied",
			Message: "Insufficient privileges to complete the operation."})
	}
}

func (a adminOf) Mend() { a.ClearFaults() }

var _ providertest.Admin = adminOf{}

var _ remote.Caller = (*pace.Caller)(nil)
