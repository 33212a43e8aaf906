package googleworkspace_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	admin "google.golang.org/api/admin/directory/v1"

	"rollcall/simulator/googleworkspace"
)

func TestMemberLifecycle(t *testing.T) {
	t.Parallel()
	_, s := open(t, googleworkspace.Config{})
	g := insertGroup(t, s, "team@example.com")
	u := insertUser(t, s, "liz@example.com")
	m, err := s.Members.Insert("team@example.com", &admin.Member{Email: "Liz@Example.com"}).Do()
	noError(t, err)
	if m.Id != u.Id || m.Email != "liz@example.com" || m.Role != "MEMBER" || m.Type != "USER" || m.Status != "ACTIVE" ||
		m.DeliverySettings != "ALL_MAIL" || m.Kind != "admin#directory#member" || m.Etag == "" {
		t.Errorf("member = %+v", m)
	}
	for _, again := range []*admin.Member{{Email: "liz@example.com"}, {Id: u.Id}} {
		_, err = s.Members.Insert(g.Id, again).Do()
		wantError(t, err, 409, "duplicate", "Member already exists.")
	}
	m, err = s.Members.Update(g.Id, u.Id, &admin.Member{Role: "MANAGER"}).Do()
	noError(t, err)
	if m.Role != "MANAGER" {
		t.Errorf("role = %s", m.Role)
	}
	m, err = s.Members.Patch(g.Id, u.Id, &admin.Member{DeliverySettings: "NONE"}).Do()
	noError(t, err)
	if m.Role != "MANAGER" || m.DeliverySettings != "NONE" {
		t.Errorf("member = %+v", m)
	}
	_, err = s.Members.Update(g.Id, u.Id, &admin.Member{Role: "BOSS"}).Do()
	wantError(t, err, 400, "invalid", "Invalid Input: role")

	noError(t, s.Members.Delete(g.Id, "liz@example.com").Do())
	err = s.Members.Delete(g.Id, "liz@example.com").Do()
	wantError(t, err, 404, "notFound", "Resource Not Found: memberKey")
	_, err = s.Members.Get(g.Id, u.Id).Do()
	wantError(t, err, 404, "notFound", "Resource Not Found: memberKey")
	err = s.Members.Delete(g.Id, "nobody@example.com").Do()
	wantError(t, err, 400, "required", "Missing required field: memberKey")
}

func TestMemberInsertKeys(t *testing.T) {
	t.Parallel()
	tenant, s := open(t, googleworkspace.Config{})
	g := insertGroup(t, s, "team@example.com")
	_, err := s.Members.Insert(g.Id, &admin.Member{Email: "nobody@example.com"}).Do()
	wantError(t, err, 404, "notFound", "Resource Not Found: memberKey")
	_, err = s.Members.Insert(g.Id, &admin.Member{}).Do()
	wantError(t, err, 400, "required", "Missing required field: memberKey")
	_, err = s.Members.Insert("none@example.com", &admin.Member{Email: "x@partner.example"}).Do()
	wantError(t, err, 404, "notFound", "Resource Not Found: groupKey")

	external := insertMember(t, s, g.Id, "Pat@Partner.example")
	if external.Type != "USER" || external.Email != "pat@partner.example" || external.Id == "" {
		t.Errorf("external member = %+v", external)
	}
	other := insertGroup(t, s, "other@example.com")
	if again := insertMember(t, s, other.Id, "pat@partner.example"); again.Id != external.Id {
		t.Errorf("the same person has the ids %s and %s", again.Id, external.Id)
	}
	_, err = s.Members.Insert(g.Id, &admin.Member{Email: "pat@partner.example"}).Do()
	wantError(t, err, 409, "duplicate", "Member already exists.")
	noError(t, s.Members.Delete(g.Id, external.Id).Do())
	if members := tenant.Members(other.Id); len(members) != 1 {
		t.Errorf("members of the other group = %v", members)
	}
}

func TestCyclicMembershipsAreRefused(t *testing.T) {
	t.Parallel()
	_, s := open(t, googleworkspace.Config{})
	for _, name := range []string{"a@example.com", "b@example.com", "c@example.com"} {
		insertGroup(t, s, name)
	}
	insertMember(t, s, "a@example.com", "b@example.com")
	m := insertMember(t, s, "b@example.com", "c@example.com")
	if m.Type != "GROUP" {
		t.Errorf("type = %s", m.Type)
	}
	for _, pair := range [][2]string{{"c@example.com", "a@example.com"}, {"b@example.com", "a@example.com"},
		{"a@example.com", "a@example.com"}} {
		_, err := s.Members.Insert(pair[0], &admin.Member{Email: pair[1]}).Do()
		wantError(t, err, 412, "conditionNotMet", "Cyclic memberships not allowed")
	}
	noError(t, s.Members.Delete("a@example.com", "b@example.com").Do())
	insertMember(t, s, "b@example.com", "a@example.com")
}

func TestNestedMembership(t *testing.T) {
	t.Parallel()
	_, s := open(t, googleworkspace.Config{})
	outer, inner := insertGroup(t, s, "outer@example.com"), insertGroup(t, s, "inner@example.com")
	liz, joe := insertUser(t, s, "liz@example.com"), insertUser(t, s, "joe@example.com")
	insertMember(t, s, outer.Id, inner.Email)
	insertMember(t, s, inner.Id, liz.Id)
	insertMember(t, s, inner.Id, "pat@partner.example")

	has := func(group, member string) bool {
		t.Helper()
		r, err := s.Members.HasMember(group, member).Do()
		noError(t, err)
		return r.IsMember
	}
	if !has(outer.Id, liz.Id) || has(outer.Id, "joe@example.com") || !has(outer.Id, "inner@example.com") {
		t.Error("hasMember does not follow nesting")
	}
	_, err := s.Members.HasMember(inner.Id, "pat@partner.example").Do()
	wantError(t, err, 400, "invalid", "Invalid Input: memberKey")

	emails := func(derived bool) []string {
		t.Helper()
		r, err := s.Members.List(outer.Id).IncludeDerivedMembership(derived).Do()
		noError(t, err)
		var list []string
		for _, m := range r.Members {
			list = append(list, m.Email)
		}
		slices.Sort(list)
		return list
	}
	if got := emails(false); !cmp.Equal(got, []string{"inner@example.com"}) {
		t.Errorf("direct members = %v", got)
	}
	if got := emails(true); !cmp.Equal(got, []string{"inner@example.com", "liz@example.com", "pat@partner.example"}) {
		t.Errorf("derived members = %v", got)
	}

	insertMember(t, s, outer.Id, joe.Id)
	groups, err := s.Groups.List().UserKey(liz.Id).Do()
	noError(t, err)
	if len(groups.Groups) != 1 || groups.Groups[0].Id != inner.Id {
		t.Errorf("groups of a user = %v, want the direct one", groups.Groups)
	}
	noError(t, s.Groups.Delete(inner.Id).Do())
	if got := emails(true); !cmp.Equal(got, []string{"joe@example.com"}) {
		t.Errorf("members after the inner group went = %v", got)
	}
}

func TestMembersListByRole(t *testing.T) {
	t.Parallel()
	_, s := open(t, googleworkspace.Config{})
	g := insertGroup(t, s, "team@example.com")
	for email, role := range map[string]string{"a@x.example": "OWNER", "b@x.example": "MANAGER", "c@x.example": "MEMBER"} {
		_, err := s.Members.Insert(g.Id, &admin.Member{Email: email, Role: role}).Do()
		noError(t, err)
	}
	r, err := s.Members.List(g.Id).Roles("OWNER,MANAGER").Do()
	noError(t, err)
	if len(r.Members) != 2 || r.Members[0].DeliverySettings != "" {
		t.Errorf("owners and managers = %+v", r.Members)
	}
	_, err = s.Members.List(g.Id).Roles("BOSS").Do()
	wantError(t, err, 400, "invalid", "Invalid Input: roles")
}
