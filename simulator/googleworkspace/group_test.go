package googleworkspace_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admin "google.golang.org/api/admin/directory/v1"

	"rollcall/simulator/googleworkspace"
)

func TestGroupLifecycle(t *testing.T) {
	t.Parallel()
	tenant, s := open(t, googleworkspace.Config{})
	ids := []*admin.ExternalId{{Namespace: "system/external", Id: "rollcall:1"}}
	g, err := s.Groups.Insert(&admin.Group{Email: "Sales@example.com", Name: " Sales ", Description: "d",
		ExternalIds: ids}).Do()
	noError(t, err)
	if g.Email != "sales@example.com" || g.Name != "Sales" || g.DirectMembersCount != 0 || !g.AdminCreated ||
		len(g.Id) != 15 ||
		g.Kind != "admin#directory#group" || g.Etag == "" || !cmp.Equal(g.ExternalIds, ids) {
		t.Errorf("group = %+v", g)
	}
	_, err = s.Groups.Insert(&admin.Group{Email: "sales@example.com"}).Do()
	wantError(t, err, 409, "duplicate", "Entity already exists.")
	_, err = s.Users.Insert(newUser("sales@example.com")).Do()
	wantError(t, err, 409, "duplicate", "Entity already exists.")

	renamed, err := s.Groups.Update(g.Id, &admin.Group{Email: "revenue@example.com", Description: "",
		ForceSendFields: []string{"Description"}}).Do()
	noError(t, err)
	if renamed.Id != g.Id || renamed.Name != "Sales" || renamed.Description != "" ||
		!cmp.Equal(renamed.Aliases, []string{"sales@example.com"}) {
		t.Errorf("renamed group = %+v", renamed)
	}
	cleared, err := s.Groups.Patch("sales@example.com", &admin.Group{NullFields: []string{"ExternalIds"}}).Do()
	noError(t, err)
	if cleared.ExternalIds != nil || cleared.Etag == renamed.Etag {
		t.Errorf("cleared group = %+v", cleared)
	}
	unnamed, err := s.Groups.Insert(&admin.Group{Email: "other@example.com"}).Do()
	noError(t, err)
	if unnamed.Name != "other" {
		t.Errorf("name of a group made without one = %q", unnamed.Name)
	}

	noError(t, s.Groups.Delete(g.Id).Do())
	_, err = s.Groups.Get("revenue@example.com").Do()
	wantError(t, err, 404, "notFound", "Resource Not Found: groupKey")
	_, err = s.Groups.Get("x@elsewhere.example").Do()
	wantError(t, err, 403, "forbidden", "Not Authorized to access this resource/api")
	if groups := tenant.Groups(); len(groups) != 1 {
		t.Errorf("groups = %v", groups)
	}
}

func TestGroupInsertRefuses(t *testing.T) {
	t.Parallel()
	_, s := openWrong(t, googleworkspace.Config{})
	for name, tc := range map[string]struct {
		group           *admin.Group
		code            int
		reason, message string
	}{
		"no address":     {&admin.Group{Name: "x"}, 400, "required", "Missing required field: email"},
		"bad address":    {&admin.Group{Email: "a b@example.com"}, 400, "invalid", "Invalid Input: email"},
		"foreign domain": {&admin.Group{Email: "x@nowhere.example"}, 404, "notFound", "Domain not found."},
		"long description": {&admin.Group{Email: "x@example.com", Description: strings.Repeat("x", 4097)}, 400, "invalid",
			"Invalid Input: description"},
		"other namespace": {&admin.Group{Email: "x@example.com",
			ExternalIds: []*admin.ExternalId{{Namespace: "mine", Id: "1"}}},
			400, "invalid", `Invalid Input: externalIds: namespace "mine"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := s.Groups.Insert(tc.group).Do()
			wantError(t, err, tc.code, tc.reason, tc.message)
		})
	}
}

func TestGroupNamespacesCanBeWidened(t *testing.T) {
	t.Parallel()
	tenant, s := open(t, googleworkspace.Config{GroupNamespaces: []string{"*"}})
	g, err := s.Groups.Insert(&admin.Group{Email: "x@example.com",
		ExternalIds: []*admin.ExternalId{{Namespace: "mine", Id: "1"}}}).Do()
	noError(t, err)
	got, _ := tenant.Group(g.Id)
	if !cmp.Equal(got.ExternalIDs, []googleworkspace.GroupExternalID{{Namespace: "mine", ID: "1"}}) {
		t.Errorf("externalIds = %v", got.ExternalIDs)
	}
}

func TestGroupAliases(t *testing.T) {
	t.Parallel()
	_, s := open(t, googleworkspace.Config{})
	g := insertGroup(t, s, "sales@example.com")
	insertUser(t, s, "liz@example.com")
	_, err := s.Groups.Aliases.Insert(g.Id, &admin.Alias{Alias: "liz@example.com"}).Do()
	wantError(t, err, 409, "duplicate", "Entity already exists.")
	_, err = s.Groups.Aliases.Insert(g.Id, &admin.Alias{Alias: "shop@example.com"}).Do()
	noError(t, err)
	list, err := s.Groups.Aliases.List("shop@example.com").Do()
	noError(t, err)
	if len(list.Aliases) != 1 {
		t.Errorf("aliases = %v", list.Aliases)
	}
	noError(t, s.Groups.Aliases.Delete("sales@example.com", "shop@example.com").Do())
	insertUser(t, s, "shop@example.com")
}

func TestGroupEtagDoesNotMoveWithMembers(t *testing.T) {
	t.Parallel()
	_, s := open(t, googleworkspace.Config{})
	g := insertGroup(t, s, "sales@example.com")
	inner := insertGroup(t, s, "inner@example.com")
	insertUser(t, s, "liz@example.com")
	for _, member := range []string{"liz@example.com", "someone@partner.example", inner.Email} {
		insertMember(t, s, g.Id, member)
	}
	after, err := s.Groups.Get(g.Id).Do()
	noError(t, err)
	if after.DirectMembersCount != 2 || after.Etag != g.Etag {
		t.Errorf("count = %d, want 2 users and not the group; etag %s, want %s", after.DirectMembersCount, after.Etag, g.Etag)
	}
}
