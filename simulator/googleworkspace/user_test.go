package googleworkspace_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admin "google.golang.org/api/admin/directory/v1"
	"google.golang.org/api/googleapi"

	"rollcall/internal/testclock"
	"rollcall/simulator/googleworkspace"
)

func TestUserInsertAndGet(t *testing.T) {
	t.Parallel()
	_, s := openWrong(t, googleworkspace.Config{Now: testclock.New().Now, OrgUnits: []string{"/corp/sales"}})
	u := newUser("Liz@Example.com")
	u.OrgUnitPath = "/Corp/Sales"
	u.ExternalIds = []*admin.UserExternalId{{Type: "custom", CustomType: "x", Value: "42"}}
	u.Organizations = []*admin.UserOrganization{{Title: "SWE", Primary: true}}
	u.IsAdmin = true // ignored: "the edit is ignored by the API service"
	got, err := s.Users.Insert(u).Do()
	noError(t, err)
	if got.PrimaryEmail != "liz@example.com" || got.OrgUnitPath != "/corp/sales" || got.IsAdmin || got.Password != "" ||
		got.Name.FullName != "Liz Smith" || got.Kind != "admin#directory#user" || got.Etag == "" ||
		got.CustomerId != "C0rollca1" ||
		got.CreationTime != "2026-11-04T09:00:00.000Z" || got.LastLoginTime != "1970-01-01T00:00:00.000Z" ||
		len(got.Id) != 21 {
		t.Errorf("insert answered %+v", got)
	}
	organizations := []any{map[string]any{"title": "SWE", "primary": true, "customType": ""}}
	if diff := cmp.Diff(organizations, got.Organizations); diff != "" {
		t.Errorf("organizations (-want +got):\n%s", diff)
	}
	for _, key := range []string{got.Id, "liz@example.com", "LIZ@example.COM"} {
		again, err := s.Users.Get(key).Do()
		noError(t, err)
		got.ServerResponse, again.ServerResponse = googleapi.ServerResponse{}, googleapi.ServerResponse{}
		if diff := cmp.Diff(got, again); diff != "" {
			t.Errorf("get %s (-insert +get):\n%s", key, diff)
		}
	}
	_, err = s.Users.Get(got.Id).IfNoneMatch(got.Etag).Do()
	if !googleapi.IsNotModified(err) {
		t.Errorf("get with the same etag = %v, want 304", err)
	}
}

func TestUserInsertRefuses(t *testing.T) {
	t.Parallel()
	_, s := openWrong(t, googleworkspace.Config{OtherDomains: []string{"other.example"},
		UnverifiedDomains: []string{"soon.example"}})
	insertGroup(t, s, "team@example.com")
	taken := insertUser(t, s, "taken@example.com")
	_, err := s.Users.Aliases.Insert(taken.Id, &admin.Alias{Alias: "nick@example.com"}).Do()
	noError(t, err)
	for name, tc := range map[string]struct {
		change          func(*admin.User)
		code            int
		reason, message string
	}{
		"no address": {func(u *admin.User) { u.PrimaryEmail = "" }, 400, "invalid",
			"Invalid Input: primary_user_email"},
		"bad address": {func(u *admin.User) { u.PrimaryEmail = "a+b@example.com" }, 400, "invalid",
			"Invalid Input: primary_user_email"},
		"no password":    {func(u *admin.User) { u.Password = "" }, 400, "invalid", "Invalid Password"},
		"short password": {func(u *admin.User) { u.Password = "1234567" }, 400, "invalid", "Invalid Password"},
		"long password": {func(u *admin.User) { u.Password = strings.Repeat("x", 101) }, 400, "invalid",
			"Invalid Password"},
		"bad hash": {func(u *admin.User) { u.HashFunction = "SHA-256" }, 400, "invalid",
			"Invalid Input: hash_function"},
		"hash of no hash": {func(u *admin.User) { u.HashFunction = "SHA-1" }, 400, "invalid", "Invalid Password"},
		"no name":         {func(u *admin.User) { u.Name = nil }, 400, "invalid", "Invalid Given/Family Name: FamilyName"},
		"no given name": {func(u *admin.User) { u.Name.GivenName = "" }, 400, "invalid",
			"Invalid Given/Family Name: GivenName"},
		"long family name": {func(u *admin.User) { u.Name.FamilyName = strings.Repeat("é", 61) }, 400, "invalid",
			"Invalid Given/Family Name: FamilyName"},
		"no such unit": {func(u *admin.User) { u.OrgUnitPath = "/none" }, 400, "invalid", "Invalid Input: INVALID_OU_ID"},
		"custom type": {func(u *admin.User) { u.ExternalIds = []*admin.UserExternalId{{Type: "custom", Value: "1"}} },
			400, "invalid", "Invalid Input: externalIds: customType"},
		"phones above 1 KB": {func(u *admin.User) { u.Phones = []*admin.UserPhone{{Value: strings.Repeat("1", 1024)}} },
			400, "invalid", "Invalid Input: phones"},
		"no such domain": {func(u *admin.User) { u.PrimaryEmail = "liz@nowhere.example" }, 404, "notFound",
			"Domain not found."},
		"another's domain": {func(u *admin.User) { u.PrimaryEmail = "liz@other.example" }, 403, "forbidden",
			"Not Authorized to access this resource/api"},
		"unverified domain": {func(u *admin.User) { u.PrimaryEmail = "liz@soon.example" }, 403, "forbidden",
			"Not Authorized to access this resource/api"},
		"a user's address": {func(u *admin.User) { u.PrimaryEmail = "Taken@example.com" }, 409, "duplicate",
			"Entity already exists."},
		"a user's alias": {func(u *admin.User) { u.PrimaryEmail = "nick@example.com" }, 409, "duplicate",
			"Entity already exists."},
		"a group's address": {func(u *admin.User) { u.PrimaryEmail = "team@example.com" }, 409, "duplicate",
			"Entity already exists."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := newUser("liz@example.com")
			tc.change(u)
			_, err := s.Users.Insert(u).Do()
			wantError(t, err, tc.code, tc.reason, tc.message)
		})
	}
}

func TestUserInsertTakesHashedPasswords(t *testing.T) {
	t.Parallel()
	_, s := open(t, googleworkspace.Config{})
	for function, password := range map[string]string{
		"MD5": strings.Repeat("0a", 16), "SHA-1": strings.Repeat("0a", 20), "crypt": "$6$salt$hash.hash.hash",
	} {
		u := newUser(strings.ToLower(function) + "@example.com")
		u.HashFunction, u.Password = function, password
		_, err := s.Users.Insert(u).Do()
		noError(t, err)
	}
}

func TestUserUpdate(t *testing.T) {
	t.Parallel()
	_, s := open(t, googleworkspace.Config{Schemas: customSchemas})
	u := newUser("liz@example.com")
	u.Phones = []*admin.UserPhone{{Type: "work", Value: "1"}, {Type: "home", Value: "2"}}
	u.RecoveryEmail = "liz@home.example"
	u, err := s.Users.Insert(u).Do()
	noError(t, err)

	u, err = s.Users.Update(u.Id, &admin.User{
		Name:   &admin.UserName{GivenName: " Elizabeth "},
		Phones: []*admin.UserPhone{{Type: "work", Value: "3"}},
	}).Do()
	noError(t, err)
	if u.Name.FullName != "Elizabeth Smith" || u.RecoveryEmail != "liz@home.example" {
		t.Errorf("what was not sent changed: %+v", u)
	}
	if diff := cmp.Diff([]any{map[string]any{"type": "work", "value": "3"}}, u.Phones); diff != "" {
		t.Errorf("phones were not replaced whole (-want +got):\n%s", diff)
	}

	patched, err := s.Users.Patch(u.Id, &admin.User{NullFields: []string{"Phones"}}).Do()
	noError(t, err)
	if patched.Phones == nil {
		t.Error("patch cleared a repeated field, want it to be unable to")
	}
	cleared, err := s.Users.Update(u.Id, &admin.User{NullFields: []string{"Phones", "RecoveryEmail"}}).Do()
	noError(t, err)
	if cleared.Phones != nil || cleared.RecoveryEmail != "" {
		t.Errorf("null did not clear: %+v", cleared)
	}
	if cleared.Etag == u.Etag {
		t.Error("etag is the same after a change")
	}
	same, err := s.Users.Update(u.Id, &admin.User{RecoveryEmail: "", NullFields: []string{"RecoveryEmail"}}).Do()
	noError(t, err)
	if same.Etag != cleared.Etag {
		t.Error("etag moved without a change")
	}
	for _, u := range []*admin.User{
		{CustomSchemas: map[string]googleapi.RawMessage{"hr": []byte(`{"cost":"7"}`)}},
		{NullFields: []string{"CustomSchemas"}},
	} {
		same, err = s.Users.Update(cleared.Id, u).Do()
		noError(t, err)
	}
	if same.CustomSchemas != nil || same.Etag != cleared.Etag {
		t.Errorf("null did not clear customSchemas: %+v", same.CustomSchemas)
	}
	_, err = s.Users.Update("nobody@example.com", &admin.User{}).Do()
	wantError(t, err, http.StatusNotFound, "notFound", "Resource Not Found: userKey")
}

func TestUserSuspend(t *testing.T) {
	t.Parallel()
	tenant, s := open(t, googleworkspace.Config{})
	u := insertUser(t, s, "liz@example.com")
	g := insertGroup(t, s, "team@example.com")
	insertMember(t, s, g.Id, u.PrimaryEmail)
	u, err := s.Users.Update(u.Id, &admin.User{Suspended: true}).Do()
	noError(t, err)
	if !u.Suspended || u.SuspensionReason != "ADMIN" {
		t.Errorf("suspended = %v for %q", u.Suspended, u.SuspensionReason)
	}
	m, err := s.Members.Get(g.Id, u.Id).Do()
	noError(t, err)
	if m.Status != "SUSPENDED" {
		t.Errorf("membership of a suspended user is %q", m.Status)
	}
	u, err = s.Users.Update(u.Id, &admin.User{Suspended: false, ForceSendFields: []string{"Suspended"}}).Do()
	noError(t, err)
	if u.Suspended || u.SuspensionReason != "" {
		t.Errorf("restored user is suspended = %v for %q", u.Suspended, u.SuspensionReason)
	}
	if members := tenant.Members(g.Id); len(members) != 1 {
		t.Errorf("members = %v, want the user still", members)
	}
}

func TestUserRenameKeepsIDAndAlias(t *testing.T) {
	t.Parallel()
	_, s := open(t, googleworkspace.Config{})
	u := insertUser(t, s, "liz@example.com")
	g := insertGroup(t, s, "team@example.com")
	insertMember(t, s, g.Id, "liz@example.com")
	renamed, err := s.Users.Update(u.Id, &admin.User{PrimaryEmail: "Elizabeth@example.com"}).Do()
	noError(t, err)
	if renamed.Id != u.Id || renamed.PrimaryEmail != "elizabeth@example.com" ||
		!cmp.Equal(renamed.Aliases, []string{"liz@example.com"}) {
		t.Errorf("renamed user = %s %s with aliases %v", renamed.Id, renamed.PrimaryEmail, renamed.Aliases)
	}
	byAlias, err := s.Users.Get("liz@example.com").Do()
	noError(t, err)
	if byAlias.Id != u.Id {
		t.Errorf("old address leads to %s, want %s", byAlias.Id, u.Id)
	}
	m, err := s.Members.Get(g.Id, "liz@example.com").Do()
	noError(t, err)
	if m.Email != "elizabeth@example.com" {
		t.Errorf("member's address = %s, want the new one", m.Email)
	}
	_, err = s.Users.Insert(newUser("liz@example.com")).Do()
	wantError(t, err, http.StatusConflict, "duplicate", "Entity already exists.")

	back, err := s.Users.Update(u.Id, &admin.User{PrimaryEmail: "liz@example.com"}).Do()
	noError(t, err)
	if !cmp.Equal(back.Aliases, []string{"elizabeth@example.com"}) {
		t.Errorf("aliases after the way back = %v", back.Aliases)
	}
}

var customSchemas = []googleworkspace.Schema{
	{Name: "hr", Fields: []googleworkspace.SchemaField{{Name: "cost", Type: "STRING"}, {Name: "level", Type: "INT64"},
		{Name: "remote", Type: "BOOL"}, {Name: "projects", Type: "STRING", MultiValued: true}}},
	{Name: "it", Fields: []googleworkspace.SchemaField{{Name: "host", Type: "STRING"}}},
}

// Custom fields that a write does not name stay as they are, and null clears a field or a schema. Unknown fields and
// values of another type are refused (developers.google.com/workspace/admin/directory/v1/guides/manage-schemas).
func TestCustomFields(t *testing.T) {
	t.Parallel()
	_, s := open(t, googleworkspace.Config{Schemas: customSchemas})
	u := newUser("liz@example.com")
	u.CustomSchemas = map[string]googleapi.RawMessage{"hr": []byte(`{"cost":"7","level":8}`), "it": []byte(`{"host":"x"}`)}
	u, err := s.Users.Insert(u).Do()
	noError(t, err)
	const after = `{"level":"8","projects":[{"type":"work","value":"b"}],"remote":true}`
	for _, step := range []struct{ schema, body, hr, it string }{
		{"hr", `{"remote":true}`, `{"cost":"7","level":"8","remote":true}`, `{"host":"x"}`},
		{"hr", `{"cost":null,"projects":[{"value":"a"}]}`, `{"level":"8","projects":[{"value":"a"}],"remote":true}`,
			`{"host":"x"}`},
		{"hr", `{"projects":[{"value":"b","type":"work"}]}`, after, `{"host":"x"}`},
		{"it", `{"host":null}`, after, ``},
		{"hr", `null`, ``, ``},
	} {
		_, err := s.Users.Update(u.Id, &admin.User{CustomSchemas: map[string]googleapi.RawMessage{
			step.schema: []byte(step.body)}}).Do()
		noError(t, err)
		got, err := s.Users.Get(u.Id).Projection("full").Do()
		noError(t, err)
		if hr, it := string(got.CustomSchemas["hr"]), string(got.CustomSchemas["it"]); hr != step.hr || it != step.it {
			t.Errorf("after %s: hr = %s, it = %s", step.body, hr, it)
		}
	}
	for _, body := range []string{`{"unknown":"x"}`, `{"level":"high"}`, `{"remote":"yes"}`, `{"projects":"a"}`,
		`{"projects":[{"value":"a","type":"custom"}]}`, `{"cost":["a"]}`} {
		_, err := s.Users.Update(u.Id, &admin.User{CustomSchemas: map[string]googleapi.RawMessage{"hr": []byte(body)}}).Do()
		wantError(t, err, http.StatusBadRequest, "invalid", "Invalid Input: custom_schema")
	}
	_, err = s.Users.Get(u.Id).Projection("custom").CustomFieldMask("hr,none").Do()
	wantError(t, err, http.StatusBadRequest, "invalid", "Invalid Input: custom_field_mask")
}
