package googleworkspace_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	admin "google.golang.org/api/admin/directory/v1"
	"google.golang.org/api/googleapi"

	"rollcall/internal/testclock"
	"rollcall/simulator/googleworkspace"
)

// seedUsers makes user00@, user01@, … besides the administrator.
func seedUsers(t *testing.T, tenant *googleworkspace.Tenant, n int) {
	t.Helper()
	for i := range n {
		_, err := tenant.AddUser(googleworkspace.User{
			PrimaryEmail: fmt.Sprintf("user%02d@example.com", i), GivenName: fmt.Sprintf("G%02d", n-i), FamilyName: "Same",
		})
		noError(t, err)
	}
}

func emailsOf(users []*admin.User) []string {
	var list []string
	for _, u := range users {
		list = append(list, u.PrimaryEmail)
	}
	return list
}

func TestUsersListPages(t *testing.T) {
	t.Parallel()
	tenant, s := open(t, googleworkspace.Config{})
	seedUsers(t, tenant, 24)
	var sizes []int
	var all []string
	err := s.Users.List().Customer("my_customer").MaxResults(10).OrderBy("email").Pages(t.Context(),
		func(p *admin.Users) error {
			sizes = append(sizes, len(p.Users))
			all = append(all, emailsOf(p.Users)...)
			return nil
		})
	noError(t, err)
	if !gocmp.Equal(sizes, []int{10, 10, 5}) || !slices.IsSorted(all) || len(slices.Compact(all)) != 25 {
		t.Errorf("pages of %v with %v", sizes, all)
	}
	standard, err := s.Users.List().Customer("C0rollca1").Do()
	noError(t, err)
	if len(standard.Users) != 25 || standard.NextPageToken != "" || standard.Kind != "admin#directory#users" ||
		standard.Etag == "" {
		t.Errorf("one page = %d users, next %q", len(standard.Users), standard.NextPageToken)
	}
}

func TestPageSizes(t *testing.T) {
	t.Parallel()
	tenant, s := openWrong(t, googleworkspace.Config{})
	seedUsers(t, tenant, 501)
	_, err := tenant.AddGroup(googleworkspace.Group{Email: "all@example.com"})
	noError(t, err)
	for i := range 201 {
		_, err := tenant.AddGroup(googleworkspace.Group{Email: fmt.Sprintf("g%03d@example.com", i)})
		noError(t, err)
		_, err = tenant.AddMember("all@example.com", googleworkspace.Member{Email: fmt.Sprintf("user%02d@example.com", i)})
		noError(t, err)
	}
	for _, size := range []int64{0, 1, 500} {
		want := cmp.Or(size, 100)
		users := s.Users.List().Customer("my_customer")
		groups, members := s.Groups.List().Customer("my_customer"), s.Members.List("all@example.com")
		if size > 0 {
			users, groups, members = users.MaxResults(size), groups.MaxResults(size), members.MaxResults(size)
		}
		u, err := users.Do()
		noError(t, err)
		g, err := groups.Do()
		noError(t, err)
		m, err := members.Do()
		noError(t, err)
		if len(u.Users) != int(want) || u.NextPageToken == "" {
			t.Errorf("maxResults %d: %d users", size, len(u.Users))
		}
		want = min(cmp.Or(size, 200), 200)
		if len(g.Groups) != int(want) || len(m.Members) != int(want) || g.NextPageToken == "" || m.NextPageToken == "" {
			t.Errorf("maxResults %d: %d groups, %d members", size, len(g.Groups), len(m.Members))
		}
	}
}

// TestPagesSurviveChanges checks that each object that exists throughout is listed once, while others come and go.
func TestPagesSurviveChanges(t *testing.T) {
	t.Parallel()
	tenant, s := open(t, googleworkspace.Config{})
	seedUsers(t, tenant, 9)
	first, err := s.Users.List().Customer("my_customer").MaxResults(5).Do()
	noError(t, err)
	noError(t, tenant.DeleteUser("user01@example.com"))
	_, err = tenant.AddUser(googleworkspace.User{PrimaryEmail: "aaa@example.com", GivenName: "A", FamilyName: "A"})
	noError(t, err)
	second, err := s.Users.List().Customer("my_customer").MaxResults(5).PageToken(first.NextPageToken).Do()
	noError(t, err)
	want := []string{"user04@example.com", "user05@example.com", "user06@example.com", "user07@example.com",
		"user08@example.com"}
	if diff := gocmp.Diff(want, emailsOf(second.Users)); diff != "" {
		t.Errorf("second page (-want +got):\n%s", diff)
	}
}

func TestUsersListOrder(t *testing.T) {
	t.Parallel()
	tenant, s := open(t, googleworkspace.Config{})
	seedUsers(t, tenant, 3)
	var got []string
	list := s.Users.List().Domain("example.com").OrderBy("givenName").SortOrder("DESCENDING").MaxResults(2)
	err := list.Pages(t.Context(), func(p *admin.Users) error {
		for _, u := range p.Users {
			got = append(got, u.Name.GivenName)
		}
		return nil
	})
	noError(t, err)
	if !gocmp.Equal(got, []string{"G03", "G02", "G01", "Ada"}) {
		t.Errorf("given names, descending = %v", got)
	}
}

func TestListParametersAreChecked(t *testing.T) {
	t.Parallel()
	clock := testclock.New()
	tenant, s := openWrong(t, googleworkspace.Config{Now: clock.Now, OtherDomains: []string{"other.example"}})
	seedUsers(t, tenant, 3)
	list := func() *admin.UsersListCall { return s.Users.List().Customer("my_customer") }
	page, err := list().MaxResults(2).Do()
	noError(t, err)
	param := googleapi.QueryParameter
	for name, tc := range map[string]struct {
		do              func() error
		code            int
		reason, message string
	}{
		"no scope": {func() error { _, err := s.Users.List().Do(); return err }, 400, "badRequest", "Bad Request"},
		"customer": {func() error { _, err := s.Users.List().Customer("C1").Do(); return err }, 400, "invalid",
			"Invalid Input: INVALID_CUSTOMER_ID"},
		"domain": {func() error { _, err := s.Users.List().Domain("x.example").Do(); return err }, 404, "notFound",
			"Domain not found."},
		"their's": {func() error { _, err := s.Users.List().Domain("other.example").Do(); return err }, 403,
			"forbidden", "Not Authorized to access this resource/api"},
		"maxResults": {func() error { _, err := list().MaxResults(501).Do(); return err }, 400, "invalid",
			"Invalid value '501'. Values must be within the range: [1, 500]"},
		"zero": {func() error { _, err := list().MaxResults(0).Do(); return err }, 400, "invalid",
			"Invalid value '0'. Values must be within the range: [1, 500]"},
		"orderBy": {func() error { _, err := list().OrderBy("id").Do(); return err }, 400, "invalid",
			`Invalid value at 'orderBy', "id"`},
		"projection": {func() error { _, err := list().Projection("all").Do(); return err }, 400, "invalid",
			`Invalid value at 'projection', "all"`},
		"token": {func() error { _, err := list().PageToken("x").Do(); return err }, 400, "invalid",
			"Invalid Input: pageToken"},
		"its query": {func() error { _, err := list().Query("a").PageToken(page.NextPageToken).Do(); return err }, 400,
			"invalid", "Invalid Input: pageToken"},
		"query": {func() error { _, err := list().Query("shoeSize=43").Do(); return err }, 400, "invalid",
			"Invalid Input: query"},
		"operator": {func() error { _, err := list().Query("isAdmin:true").Do(); return err }, 400, "invalid",
			"Invalid Input: query"},
		"open quote": {func() error { _, err := list().Query("name='Liz").Do(); return err }, 400, "invalid",
			"Invalid Input: query"},
		"fields": {func() error { _, err := list().Do(param("fields", "users(id")); return err }, 400, "invalid",
			"Invalid field selection users(id"},
		"unknown": {func() error { _, err := list().Do(param("limit", "3")); return err }, 400, "invalid",
			`Invalid JSON payload received. Unknown name "limit": Cannot bind query parameter.`},
		"both scopes": {func() error { _, err := s.Groups.List().Customer("my_customer").UserKey("x").Do(); return err },
			400, "badRequest", "Bad Request"},
		"member": {func() error { _, err := s.Groups.List().UserKey("nobody@example.com").Do(); return err }, 404,
			"notFound", "Resource Not Found: userKey"},
	} {
		t.Run(name, func(t *testing.T) {
			wantError(t, tc.do(), tc.code, tc.reason, tc.message)
		})
	}
	clock.Advance(73 * time.Hour) // "The page token is only valid for three days."
	_, err = list().PageToken(page.NextPageToken).Do()
	wantError(t, err, 400, "invalid", "Invalid Input: pageToken")
}

func TestUsersQuery(t *testing.T) {
	t.Parallel()
	tenant, s := open(t, googleworkspace.Config{OrgUnits: []string{"/corp/sales"}})
	for _, u := range []googleworkspace.User{
		{PrimaryEmail: "liz@example.com", GivenName: "Liz", FamilyName: "O'Neil Smith",
			Aliases: []string{"boss@example.com"}, OrgUnitPath: "/corp/sales"},
		{PrimaryEmail: "joe@example.com", GivenName: "Joe", FamilyName: "Smith", Suspended: true,
			ExternalIDs: []googleworkspace.ExternalID{{Type: "custom", CustomType: "x", Value: "42"}}},
	} {
		_, err := tenant.AddUser(u)
		noError(t, err)
	}
	for query, want := range map[string][]string{
		"email:liz*":                        {"liz@example.com"},
		"email=BOSS@example.com":            {"liz@example.com"},
		"externalId=42":                     {"joe@example.com"},
		"familyName:smith":                  {"joe@example.com", "liz@example.com"},
		`familyName='O\'Neil Smith'`:        {"liz@example.com"},
		"familyName:smith isSuspended=true": {"joe@example.com"},
		"isAdmin=true":                      {"admin@example.com"},
		"orgUnitPath=/corp":                 {"liz@example.com"},
		"orgUnitPath='/corp/sales'":         {"liz@example.com"},
		"joe":                               {"joe@example.com"},
		"name='Joe Smith'":                  {"joe@example.com"},
		"email=nobody@example.com":          nil,
	} {
		r, err := s.Users.List().Customer("my_customer").Query(query).OrderBy("email").Do()
		noError(t, err)
		if diff := gocmp.Diff(want, emailsOf(r.Users)); diff != "" {
			t.Errorf("query %s (-want +got):\n%s", query, diff)
		}
	}
}

func TestGroupsListAndQuery(t *testing.T) {
	t.Parallel()
	tenant, s := open(t, googleworkspace.Config{Domains: []string{"example.com", "example.org"}})
	for _, email := range []string{"b@example.com", "a@example.com", "c@example.org"} {
		_, err := tenant.AddGroup(googleworkspace.Group{Email: email, Name: "The " + email})
		noError(t, err)
	}
	_, err := tenant.AddMember("a@example.com", googleworkspace.Member{Email: "admin@example.com"})
	noError(t, err)
	list := func(call *admin.GroupsListCall) []string {
		t.Helper()
		var got []string
		err := call.MaxResults(2).Pages(context.Background(), func(p *admin.Groups) error {
			for _, g := range p.Groups {
				got = append(got, g.Email)
			}
			return nil
		})
		noError(t, err)
		return got
	}
	all := func() *admin.GroupsListCall { return s.Groups.List().Customer("my_customer") }
	for name, tc := range map[string]struct {
		call *admin.GroupsListCall
		want []string
	}{
		"all": {all(), []string{"a@example.com", "b@example.com", "c@example.org"}},
		"descending": {all().OrderBy("email").SortOrder("DESCENDING"),
			[]string{"c@example.org", "b@example.com", "a@example.com"}},
		"domain":    {s.Groups.List().Domain("example.org"), []string{"c@example.org"}},
		"member":    {s.Groups.List().UserKey("admin@example.com"), []string{"a@example.com"}},
		"memberKey": {all().Query("memberKey=admin@example.com"), []string{"a@example.com"}},
		"email":     {all().Query("email:b*"), []string{"b@example.com"}},
		"name":      {all().Query("name='the c@example.org'"), []string{"c@example.org"}},
	} {
		if diff := gocmp.Diff(tc.want, list(tc.call)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestFields(t *testing.T) {
	t.Parallel()
	tenant, s := open(t, googleworkspace.Config{})
	seedUsers(t, tenant, 3)
	r, err := s.Users.List().Customer("my_customer").MaxResults(2).
		Fields("nextPageToken,users(id,primaryEmail,name/givenName)").Do()
	noError(t, err)
	if r.Kind != "" || r.NextPageToken == "" || len(r.Users) != 2 {
		t.Fatalf("list = %+v", r)
	}
	if u := r.Users[0]; u.Id == "" || u.PrimaryEmail == "" || u.Name.GivenName == "" || u.Name.FamilyName != "" ||
		u.Etag != "" {
		t.Errorf("user = %+v", u)
	}
	u, err := s.Users.Get("admin@example.com").Fields("id", "emails/address").Do()
	noError(t, err)
	if u.Id == "" || u.PrimaryEmail != "" || !gocmp.Equal(u.Emails.([]any)[0],
		any(map[string]any{"address": "admin@example.com"})) {
		t.Errorf("user = %+v", u)
	}
}

func TestProjection(t *testing.T) {
	t.Parallel()
	_, s := open(t, googleworkspace.Config{Schemas: customSchemas})
	u := newUser("liz@example.com")
	u.CustomSchemas = map[string]googleapi.RawMessage{"hr": []byte(`{"cost":"7"}`), "it": []byte(`{"host":"x"}`)}
	u, err := s.Users.Insert(u).Do()
	noError(t, err)
	names := func(call *admin.UsersGetCall) []string {
		t.Helper()
		u, err := call.Do()
		noError(t, err)
		var list []string
		for name := range u.CustomSchemas {
			list = append(list, name)
		}
		slices.Sort(list)
		return list
	}
	if got := names(s.Users.Get(u.Id)); got != nil {
		t.Errorf("basic shows %v", got)
	}
	if got := names(s.Users.Get(u.Id).Projection("custom").CustomFieldMask("hr")); !gocmp.Equal(got, []string{"hr"}) {
		t.Errorf("custom shows %v", got)
	}
	if got := names(s.Users.Get(u.Id).Projection("full")); !gocmp.Equal(got, []string{"hr", "it"}) {
		t.Errorf("full shows %v", got)
	}
	public, err := s.Users.Get(u.Id).ViewType("domain_public").Do()
	noError(t, err)
	if public.PrimaryEmail != u.PrimaryEmail || public.OrgUnitPath != "" {
		t.Errorf("public view = %+v", public)
	}
}
