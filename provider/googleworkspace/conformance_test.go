package googleworkspace_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"rollcall/directory"
	"rollcall/provider/googleworkspace"
	"rollcall/provider/providertest"
	simulator "rollcall/simulator/googleworkspace"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	providertest.Run(t, func(t *testing.T) providertest.Harness {
		w := open(t, mapUsers("organizations.title"))
		return providertest.Harness{
			Provider: w.Provider, Admin: adminOf{w.tenant}, Domain: "example.com",
			UserFields: directory.Attributes{
				{Name: "name.familyName", Values: []string{"Smith"}}, {Name: "name.givenName", Values: []string{"Liz"}},
			},
			GroupFields: directory.Attributes{{Name: "name", Values: []string{"A group"}}},
			UserField:   "organizations.title", GroupField: "description",
			Aliases: true, Now: w.clock.Now, Advance: w.clock.Advance,
		}
	})
}

// adminOf is the simulated tenant's administrator.
type adminOf struct{ *simulator.Tenant }

func (a adminOf) AddUser(t *testing.T, u providertest.User) string {
	t.Helper()
	made, err := a.Tenant.AddUser(simulator.User{
		PrimaryEmail: u.Address, GivenName: "Some", FamilyName: "Body", Aliases: u.Aliases, Suspended: u.Suspended,
		IsAdmin: u.Admin,
	})
	if err != nil {
		t.Fatal(err)
	}
	return made.ID
}

func (a adminOf) AddGroup(t *testing.T, address string) string {
	t.Helper()
	made, err := a.Tenant.AddGroup(simulator.Group{Email: address, Name: "Club"})
	if err != nil {
		t.Fatal(err)
	}
	return made.ID
}

func (a adminOf) SetSuspended(t *testing.T, id string, suspended bool) {
	t.Helper()
	if _, err := a.UpdateUser(id, map[string]any{"suspended": suspended}); err != nil {
		t.Fatal(err)
	}
}

func (a adminOf) MakeAdmin(t *testing.T, id string) {
	t.Helper()
	if err := a.SetAdmin(id, true); err != nil {
		t.Fatal(err)
	}
}

func (a adminOf) StripAnchor(t *testing.T, kind directory.Kind, id string) {
	t.Helper()
	update := func(id string, fields map[string]any) (err error) { _, err = a.UpdateUser(id, fields); return err }
	if kind == directory.Group {
		update = func(id string, fields map[string]any) (err error) { _, err = a.UpdateGroup(id, fields); return err }
	}
	if err := update(id, map[string]any{"externalIds": []any{}}); err != nil {
		t.Fatal(err)
	}
}

func (a adminOf) AddMember(t *testing.T, groupID, memberID string) {
	t.Helper()
	if _, err := a.Tenant.AddMember(groupID, simulator.Member{ID: memberID}); err != nil {
		t.Fatal(err)
	}
}

func (a adminOf) Delete(t *testing.T, kind directory.Kind, id string) {
	t.Helper()
	remove := a.DeleteUser
	if kind == directory.Group {
		remove = a.DeleteGroup
	}
	if err := remove(id); err != nil {
		t.Fatal(err)
	}
}

func (a adminOf) GiveAddress(t *testing.T, id, address string) {
	t.Helper()
	before, _ := a.User(id)
	if _, err := a.UpdateUser(id, map[string]any{"primaryEmail": address}); err != nil {
		t.Fatal(err)
	}
	if err := a.RemoveAlias(id, before.PrimaryEmail); err != nil {
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
	return u.Suspended, ok
}

func (a adminOf) Members(groupID string) []string {
	var ids []string
	for _, m := range a.Tenant.Members(groupID) {
		ids = append(ids, m.ID)
	}
	slices.Sort(ids)
	return ids
}

// writes are the methods that change something, as patterns.
var writes = []string{"directory.*.insert", "directory.*.update", "directory.*.patch", "directory.*.delete"}

func (a adminOf) Break(f providertest.Failure) {
	fault := map[providertest.Failure]simulator.Fault{
		providertest.LoseAnswer: {Effect: simulator.LoseAnswer},
		providertest.Throttle: {
			Effect: simulator.Refuse, Status: http.StatusForbidden, Code: "quotaExceeded", Message: "Quota exceeded",
			RetryAfter: 3 * time.Second,
		},
		providertest.CutRead: {Effect: simulator.TruncateAnswer},
		providertest.Crash:   {Effect: simulator.Refuse, Status: http.StatusInternalServerError, Code: "internalError"},
	}[f]
	fault.Times = 1
	a.ClearFaults()
	if f == providertest.CutRead {
		fault.Method = "directory.users.list"
		a.Inject(fault)
		return
	}
	for _, fault.Method = range writes { // One of these matches the next write, and the next Break removes the others.
		a.Inject(fault)
	}
}

func (a adminOf) Refuse(text string) {
	refusal := simulator.Fault{Status: http.StatusForbidden, Code: "forbidden",
		Message: "Not Authorized to access this resource/api"}
	for _, refusal.Method = range append([]string{"directory.users.undelete"}, writes...) {
		refusal.Key, refusal.Body = text, ""
		a.Inject(refusal)
		refusal.Key, refusal.Body = "", text
		a.Inject(refusal)
	}
}

func (a adminOf) HideMembers(groupID string) bool {
	a.Inject(simulator.Fault{
		Method: "directory.members.list", Key: groupID, Status: http.StatusForbidden, Code: "domainCannotUseApis",
		Message: "Domain cannot use apis.",
	})
	return true
}

func (a adminOf) RefuseLists() {
	for _, kind := range []string{"users", "groups", "domains"} {
		a.Inject(simulator.Fault{Method: "directory." + kind + ".list", Status: http.StatusForbidden, Code: "forbidden",
			Message: "Not Authorized to access this resource/api"})
	}
}

func (a adminOf) Mend() { a.ClearFaults() }

var _ providertest.Admin = adminOf{}

var _ googleworkspace.Caller = again{}
