package googleworkspace_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	admin "google.golang.org/api/admin/directory/v1"

	"rollcall/internal/testclock"
	"rollcall/simulator/googleworkspace"
)

func TestUserDeleteAndUndelete(t *testing.T) {
	t.Parallel()
	clock := testclock.New()
	tenant, s := open(t, googleworkspace.Config{Now: clock.Now, OrgUnits: []string{"/back"}})
	u := insertUser(t, s, "liz@example.com")
	g := insertGroup(t, s, "team@example.com")
	insertMember(t, s, g.Id, u.Id)

	noError(t, s.Users.Delete("liz@example.com").Do())
	_, err := s.Users.Get(u.Id).Do()
	wantError(t, err, 412, "conditionNotMet", "User is deleted.")
	_, err = s.Users.Get("team@example.com").Do()
	wantError(t, err, 400, "badRequest", "Type not supported: userKey")
	if members := tenant.Members(g.Id); len(members) != 0 {
		t.Errorf("members = %v, want the deleted user gone", members)
	}
	deleted, err := s.Users.List().Customer("my_customer").ShowDeleted("true").Do()
	noError(t, err)
	if len(deleted.Users) != 1 || deleted.Users[0].Id != u.Id ||
		deleted.Users[0].DeletionTime != "2026-11-04T09:00:00.000Z" {
		t.Errorf("deleted users = %+v", deleted.Users)
	}

	err = s.Users.Undelete("liz@example.com", &admin.UserUndelete{OrgUnitPath: "/"}).Do()
	wantError(t, err, 404, "notFound", "Resource Not Found: userKey")
	again := insertUser(t, s, "liz@example.com") // the address is free again
	if again.Id == u.Id {
		t.Error("a new user has the id of a deleted one")
	}
	err = s.Users.Undelete(u.Id, &admin.UserUndelete{OrgUnitPath: "/"}).Do()
	wantError(t, err, 409, "duplicate", "Entity already exists.")
	noError(t, s.Users.Delete(again.Id).Do())

	clock.Advance(19 * 24 * time.Hour)
	noError(t, s.Users.Undelete(u.Id, &admin.UserUndelete{OrgUnitPath: "/back"}).Do())
	back, err := s.Users.Get(u.Id).Do()
	noError(t, err)
	if back.PrimaryEmail != "liz@example.com" || back.OrgUnitPath != "/back" || back.DeletionTime != "" {
		t.Errorf("undeleted user = %+v", back)
	}

	noError(t, s.Users.Delete(u.Id).Do())
	clock.Advance(21 * 24 * time.Hour)
	err = s.Users.Undelete(u.Id, &admin.UserUndelete{OrgUnitPath: "/"}).Do()
	wantError(t, err, 404, "notFound", "Resource Not Found: userKey")
	_, err = s.Users.Get(u.Id).Do()
	wantError(t, err, 404, "notFound", "Resource Not Found: userKey")
	if left := tenant.DeletedUsers(); len(left) != 0 {
		t.Errorf("deleted users after 21 days = %v", left)
	}
}

func TestUserAliases(t *testing.T) {
	t.Parallel()
	_, s := open(t, googleworkspace.Config{Domains: []string{"example.com", "example.org"}})
	u := insertUser(t, s, "liz@example.com")
	alias, err := s.Users.Aliases.Insert(u.Id, &admin.Alias{Alias: "Lizzy@example.org"}).Do()
	noError(t, err)
	if alias.Alias != "lizzy@example.org" || alias.PrimaryEmail != "liz@example.com" || alias.Id != u.Id {
		t.Errorf("alias = %+v", alias)
	}
	_, err = s.Users.Aliases.Insert(u.Id, &admin.Alias{Alias: "lizzy@example.org"}).Do()
	wantError(t, err, 409, "duplicate", "Entity already exists.")
	list, err := s.Users.Aliases.List("lizzy@example.org").Do()
	noError(t, err)
	if len(list.Aliases) != 1 {
		t.Errorf("aliases = %v", list.Aliases)
	}
	u, err = s.Users.Get(u.Id).Do()
	noError(t, err)
	emails := []any{
		map[string]any{"address": "liz@example.com", "primary": true},
		map[string]any{"address": "lizzy@example.org"},
		map[string]any{"address": "liz@example.com.test-google-a.com"},
	}
	if diff := cmp.Diff(emails, u.Emails); diff != "" {
		t.Errorf("emails (-want +got):\n%s", diff)
	}
	noError(t, s.Users.Aliases.Delete(u.Id, "lizzy@example.org").Do())
	err = s.Users.Aliases.Delete(u.Id, "lizzy@example.org").Do()
	wantError(t, err, 404, "notFound", "Resource Not Found: alias")

	for i := range 30 {
		_, err = s.Users.Aliases.Insert(u.Id, &admin.Alias{Alias: string(rune('a'+i%26)) + string(rune('a'+i/26)) +
			"@example.org"}).Do()
		noError(t, err)
	}
	_, err = s.Users.Aliases.Insert(u.Id, &admin.Alias{Alias: "one-more@example.org"}).Do()
	wantError(t, err, 412, "conditionNotMet", "Alias limit exceeded.")
}
