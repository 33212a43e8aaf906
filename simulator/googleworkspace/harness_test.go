package googleworkspace_test

import (
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"
	admin "google.golang.org/api/admin/directory/v1"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/option"

	"rollcall/simulator/googleworkspace"
	"rollcall/simulator/googleworkspace/discoverytest"
)

// sharedKey spares each test the making of its own key.
var sharedKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

var allScopes = []string{
	admin.AdminDirectoryUserScope, admin.AdminDirectoryGroupScope, admin.AdminDirectoryGroupMemberScope,
	admin.AdminDirectoryOrgunitScope, admin.AdminDirectoryDomainReadonlyScope, admin.AdminDirectoryUserSecurityScope,
}

// open serves a tenant and returns Google's own client for it, signed in by a service account key. All
// traffic is checked against Google's discovery document.
func open(t *testing.T, cfg googleworkspace.Config) (*googleworkspace.Tenant, *admin.Service) {
	t.Helper()
	return openWith(t, cfg, discoverytest.Wrap)
}

// openWrong is open for tests that send requests which no client should.
func openWrong(t *testing.T, cfg googleworkspace.Config) (*googleworkspace.Tenant, *admin.Service) {
	t.Helper()
	return openWith(t, cfg, discoverytest.WrapAnswers)
}

func openWith(
	t *testing.T, cfg googleworkspace.Config, wrap func(testing.TB, http.Handler) http.Handler,
) (*googleworkspace.Tenant, *admin.Service) {
	t.Helper()
	cfg.Key = sharedKey()
	tenant := googleworkspace.New(cfg)
	server := httptest.NewServer(wrap(t, tenant.Handler()))
	t.Cleanup(server.Close)
	credentials, err := tenant.CredentialsJSON(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	jwt, err := google.JWTConfigFromJSON(credentials, allScopes...)
	if err != nil {
		t.Fatal(err)
	}
	jwt.Subject = "admin@example.com"
	return tenant, service(t, server.URL, jwt.TokenSource(t.Context()))
}

func service(t *testing.T, url string, tokens oauth2.TokenSource) *admin.Service {
	t.Helper()
	s, err := admin.NewService(t.Context(), option.WithEndpoint(url),
		option.WithHTTPClient(oauth2.NewClient(t.Context(), tokens)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// newUser is the smallest user that the API takes.
func newUser(email string) *admin.User {
	return &admin.User{
		PrimaryEmail: email, Password: "correct horse battery", Name: &admin.UserName{GivenName: "Liz", FamilyName: "Smith"},
	}
}

func insertUser(t *testing.T, s *admin.Service, email string) *admin.User {
	t.Helper()
	u, err := s.Users.Insert(newUser(email)).Do()
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func insertGroup(t *testing.T, s *admin.Service, email string) *admin.Group {
	t.Helper()
	g, err := s.Groups.Insert(&admin.Group{Email: email}).Do()
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func insertMember(t *testing.T, s *admin.Service, group, email string) *admin.Member {
	t.Helper()
	m, err := s.Members.Insert(group, &admin.Member{Email: email}).Do()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// wantError checks an answer's status, reason and message.
func wantError(t *testing.T, err error, code int, reason, message string) {
	t.Helper()
	var apiErr *googleapi.Error
	if !errors.As(err, &apiErr) {
		t.Fatalf("error = %v, want %d %s", err, code, reason)
	}
	if len(apiErr.Errors) != 1 {
		t.Fatalf("error = %v, want one entry in errors", apiErr)
	}
	if apiErr.Code != code || apiErr.Errors[0].Reason != reason || apiErr.Message != message ||
		apiErr.Errors[0].Message != message {
		t.Errorf("error = %d %s %q, want %d %s %q", apiErr.Code, apiErr.Errors[0].Reason, apiErr.Message, code, reason,
			message)
	}
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
