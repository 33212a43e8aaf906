package googleworkspace_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	admin "google.golang.org/api/admin/directory/v1"

	"rollcall/simulator/googleworkspace"
)

func TestSeedAndSnapshot(t *testing.T) {
	t.Parallel()
	tenant, s := open(t, googleworkspace.Config{})
	seeded, err := tenant.AddUser(googleworkspace.User{
		PrimaryEmail: "Foreign@example.com", GivenName: "Fo", FamilyName: "Reign", Suspended: true, SuspensionReason: "ABUSE",
		Aliases:     []string{"f@example.com"},
		ExternalIDs: []googleworkspace.ExternalID{{Type: "organization", Value: "7"}},
		Resource:    map[string]any{"phones": []map[string]string{{"type": "work", "value": "1"}}},
	})
	noError(t, err)
	u, err := s.Users.Get("f@example.com").Do()
	noError(t, err)
	if u.Id != seeded.ID || u.SuspensionReason != "ABUSE" ||
		!cmp.Equal(u.Phones, any([]any{map[string]any{"type": "work", "value": "1"}})) {
		t.Errorf("user over the API = %+v", u)
	}
	_, err = tenant.UpdateUser(seeded.ID, map[string]any{"suspended": false,
		"name": map[string]string{"givenName": "Fore"}})
	noError(t, err)
	noError(t, tenant.SetAdmin(seeded.ID, true))
	got, ok := tenant.User("foreign@example.com")
	if !ok || got.Suspended || got.SuspensionReason != "" || got.GivenName != "Fore" || !got.IsAdmin ||
		!cmp.Equal(got.Aliases, []string{"f@example.com"}) || !cmp.Equal(got.ExternalIDs, seeded.ExternalIDs) {
		t.Errorf("snapshot = %+v", got)
	}
	if users := tenant.Users(); len(users) != 2 || users[1].ID != seeded.ID ||
		users[0].PrimaryEmail != "admin@example.com" {
		t.Errorf("users = %v", users)
	}

	g, err := tenant.AddGroup(googleworkspace.Group{
		Email: "team@example.com", Description: "d", Aliases: []string{"t@example.com"},
		ExternalIDs: []googleworkspace.GroupExternalID{{Namespace: "system/external", ID: "1"}},
	})
	noError(t, err)
	for _, m := range []googleworkspace.Member{{ID: seeded.ID, Role: "OWNER"}, {Email: "a@partner.example"}} {
		_, err := tenant.AddMember(g.ID, m)
		noError(t, err)
	}
	_, err = tenant.UpdateGroup("t@example.com", map[string]any{"name": "Team"})
	noError(t, err)
	got2, ok := tenant.Group("team@example.com")
	if !ok || got2.Name != "Team" || got2.Description != "d" || !cmp.Equal(got2.ExternalIDs, g.ExternalIDs) {
		t.Errorf("group = %+v", got2)
	}
	noError(t, tenant.RemoveMember(g.ID, "a@partner.example"))
	want := []googleworkspace.Member{{ID: seeded.ID, Email: "foreign@example.com", Role: "OWNER", Type: "USER"}}
	if diff := cmp.Diff(want, tenant.Members(g.ID)); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
	noError(t, tenant.DeleteUser(seeded.ID))
	noError(t, tenant.DeleteGroup(g.ID))
	if len(tenant.Groups()) != 0 || len(tenant.DeletedUsers()) != 1 || len(tenant.Members(g.ID)) != 0 {
		t.Errorf("left: %v, %v", tenant.Groups(), tenant.DeletedUsers())
	}
	if calls := tenant.Calls(); calls.Reads != 1 || calls.Writes != 0 {
		t.Errorf("an administrator's doings were counted: %+v", calls)
	}
	tenant.AddOrgUnit("/new/unit")
	_, err = s.Orgunits.Get("my_customer", "new/unit").Do()
	noError(t, err)
}

func TestSeedErrors(t *testing.T) {
	t.Parallel()
	tenant := googleworkspace.New(googleworkspace.Config{})
	_, noDomain := tenant.AddUser(googleworkspace.User{PrimaryEmail: "x@nowhere.example", GivenName: "x", FamilyName: "x"})
	_, noUser := tenant.UpdateUser("x", nil)
	_, noGroup := tenant.UpdateGroup("x", nil)
	_, noMember := tenant.AddMember("x", googleworkspace.Member{Email: "x"})
	for _, err := range []error{
		noDomain, noUser, noGroup, noMember, tenant.SetAdmin("x", true), tenant.DeleteUser("x"), tenant.DeleteGroup("x"),
		tenant.RemoveMember("x", "y"),
	} {
		if err == nil {
			t.Error("no error")
		}
	}
	if _, ok := tenant.User("x"); ok {
		t.Error("user x is there")
	}
}

func TestIDsRepeatWithTheSeed(t *testing.T) {
	t.Parallel()
	id := func(seed uint64) string {
		u, _ := googleworkspace.New(googleworkspace.Config{Seed: seed}).User("admin@example.com")
		return u.ID
	}
	first, again, other := id(1), id(1), id(2)
	if first != again || first == other {
		t.Errorf("ids = %s, %s, %s", first, again, other)
	}
}

// TestConcurrentUse is for the race detector.
func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	tenant, s := open(t, googleworkspace.Config{})
	g := insertGroup(t, s, "team@example.com")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			email := fmt.Sprintf("u%d@example.com", i)
			if _, err := s.Users.Insert(newUser(email)).Do(); err != nil {
				t.Error(err)
			}
			if _, err := s.Members.Insert(g.Id, &admin.Member{Email: email}).Do(); err != nil {
				t.Error(err)
			}
			if _, err := s.Users.List().Customer("my_customer").Do(); err != nil {
				t.Error(err)
			}
			if _, err := s.Members.List(g.Id).Do(); err != nil {
				t.Error(err)
			}
			_, _, _ = tenant.Users(), tenant.Groups(), tenant.Calls()
		})
	}
	wg.Wait()
	if members := tenant.Members(g.Id); len(members) != 8 {
		t.Errorf("%d members, want 8", len(members))
	}
}
