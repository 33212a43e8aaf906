package googleworkspace_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"
	admin "google.golang.org/api/admin/directory/v1"

	"rollcall/internal/testclock"
	"rollcall/simulator/googleworkspace"
	"rollcall/simulator/googleworkspace/discoverytest"
)

// endpoint is a tenant with a token endpoint that a test calls directly.
type endpoint struct {
	tenant *googleworkspace.Tenant
	url    string
	email  string
}

func openEndpoint(t *testing.T, cfg googleworkspace.Config) endpoint {
	t.Helper()
	cfg.Key = sharedKey()
	tenant := googleworkspace.New(cfg)
	server := httptest.NewServer(discoverytest.Wrap(t, tenant.Handler()))
	t.Cleanup(server.Close)
	data, err := tenant.CredentialsJSON(server.URL + "/")
	noError(t, err)
	jwt, err := google.JWTConfigFromJSON(data)
	noError(t, err)
	if jwt.TokenURL != server.URL+"/token" {
		t.Errorf("token_uri = %s", jwt.TokenURL)
	}
	return endpoint{tenant: tenant, url: server.URL, email: jwt.Email}
}

// assertion is what a test puts into a signed token.
type assertion struct {
	header, claims map[string]any
	key            *rsa.PrivateKey
}

func (e endpoint) assertion() assertion {
	now := time.Now()
	return assertion{
		header: map[string]any{"alg": "RS256", "typ": "JWT"},
		claims: map[string]any{
			"iss": e.email, "sub": "admin@example.com", "aud": e.url + "/token", "iat": now.Unix(),
			"exp":   now.Add(time.Hour).Unix(),
			"scope": admin.AdminDirectoryUserScope + " " + admin.AdminDirectoryGroupScope,
		},
		key: sharedKey(),
	}
}

func (a assertion) sign(t *testing.T) string {
	t.Helper()
	var parts [2]string
	for i, v := range []any{a.header, a.claims} {
		data, err := json.Marshal(v)
		noError(t, err)
		parts[i] = base64.RawURLEncoding.EncodeToString(data)
	}
	text := parts[0] + "." + parts[1]
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(nil, a.key, crypto.SHA256, sum[:])
	noError(t, err)
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// post asks for a token and returns status and body.
func (e endpoint) post(t *testing.T, grant, token string) (int, map[string]any) {
	t.Helper()
	resp, err := http.PostForm(e.url+"/token", url.Values{"grant_type": {grant}, "assertion": {token}})
	noError(t, err)
	defer resp.Body.Close()
	var body map[string]any
	noError(t, json.NewDecoder(resp.Body).Decode(&body))
	return resp.StatusCode, body
}

const bearerGrant = "urn:ietf:params:oauth:grant-type:jwt-bearer"

func TestTokenIsGranted(t *testing.T) {
	t.Parallel()
	e := openEndpoint(t, googleworkspace.Config{})
	for name, change := range map[string]func(assertion){
		"as Go sends it":     func(assertion) {},
		"fixed audience":     func(a assertion) { a.claims["aud"] = "https://oauth2.googleapis.com/token" },
		"older name of sub":  func(a assertion) { a.claims["prn"] = a.claims["sub"]; delete(a.claims, "sub") },
		"clock ahead a bit":  func(a assertion) { a.claims["iat"] = time.Now().Add(time.Minute).Unix() },
		"subject upper case": func(a assertion) { a.claims["sub"] = "ADMIN@example.com" },
	} {
		a := e.assertion()
		change(a)
		status, body := e.post(t, bearerGrant, a.sign(t))
		if status != 200 || body["token_type"] != "Bearer" || body["expires_in"] != 3600.0 || body["access_token"] == "" {
			t.Errorf("%s: %d %v", name, status, body)
			continue
		}
		s := service(t, e.url, oauth2.StaticTokenSource(&oauth2.Token{AccessToken: body["access_token"].(string)}))
		_, err := s.Users.Get("admin@example.com").Do()
		noError(t, err)
	}
}

func TestTokenIsRefused(t *testing.T) {
	t.Parallel()
	e := openEndpoint(t, googleworkspace.Config{Scopes: []string{admin.AdminDirectoryUserScope,
		admin.AdminDirectoryGroupScope}})
	_, err := e.tenant.AddUser(googleworkspace.User{PrimaryEmail: "gone@example.com", GivenName: "G", FamilyName: "G",
		Suspended: true})
	noError(t, err)
	foreign, err := rsa.GenerateKey(rand.Reader, 2048)
	noError(t, err)
	const lived = "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable " +
		"timeframe. Check your iat and exp values in the JWT claim."
	set := func(name string, value any) func(*assertion) { return func(a *assertion) { a.claims[name] = value } }
	at := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	for name, tc := range map[string]struct {
		change            func(*assertion)
		status            int
		code, description string
	}{
		"other key":    {func(a *assertion) { a.key = foreign }, 400, "invalid_grant", "Invalid JWT Signature."},
		"other key id": {func(a *assertion) { a.header["kid"] = "x" }, 400, "invalid_grant", "Invalid JWT Signature."},
		"no algorithm": {func(a *assertion) { a.header["alg"] = "none" }, 400, "invalid_grant", "Invalid JWT Signature."},
		"other issuer": {set("iss", "x@y.iam.gserviceaccount.com"), 400, "invalid_grant",
			"Invalid grant: account not found"},
		"other audience": {set("aud", "http://elsewhere.example/token"), 400, "invalid_grant",
			"Invalid JWT: The audience is not this token endpoint."},
		"expired": {func(a *assertion) { a.claims["iat"], a.claims["exp"] = at(-2*time.Hour), at(-time.Hour) },
			400, "invalid_grant", lived},
		"lives too long": {set("exp", at(3*time.Hour)), 400, "invalid_grant", lived},
		"not yet": {func(a *assertion) { a.claims["iat"], a.claims["exp"] = at(time.Hour), at(2*time.Hour) }, 400,
			"invalid_grant", lived},
		"no such person":  {set("sub", "nobody@example.com"), 400, "invalid_grant", "Invalid email or User ID"},
		"suspended":       {set("sub", "gone@example.com"), 400, "invalid_grant", "Invalid email or User ID"},
		"no scope":        {set("scope", ""), 400, "invalid_scope", "Empty or missing scope not allowed."},
		"no scope at all": {set("scope", "users"), 400, "invalid_scope", "users is not a valid audience string."},
		"not delegated": {set("scope", admin.AdminDirectoryOrgunitScope), 401, "unauthorized_client",
			"Client is unauthorized to retrieve access tokens using this method, " +
				"or client not authorized for any of the scopes requested."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := e.assertion()
			tc.change(&a)
			status, body := e.post(t, bearerGrant, a.sign(t))
			if status != tc.status || body["error"] != tc.code || body["error_description"] != tc.description {
				t.Errorf("answer = %d %v, want %d %s %q", status, body, tc.status, tc.code, tc.description)
			}
		})
	}
	if status, body := e.post(t, "password", ""); status != 400 || body["error"] != "unsupported_grant_type" {
		t.Errorf("other grant: %d %v", status, body)
	}
	if status, body := e.post(t, bearerGrant, "a.b"); status != 400 ||
		body["error_description"] != "Invalid JWT: Failed to parse the assertion." {
		t.Errorf("no token: %d %v", status, body)
	}
}

func TestAccessTokenIsChecked(t *testing.T) {
	t.Parallel()
	clock := testclock.New()
	e := openEndpoint(t, googleworkspace.Config{AuthNow: clock.Now})
	get := func(token string) error {
		s := service(t, e.url, oauth2.StaticTokenSource(&oauth2.Token{AccessToken: token}))
		_, err := s.Users.Get("admin@example.com").Do()
		return err
	}
	token := e.tenant.IssueToken()
	noError(t, get(token))
	wantError(t, get("ya29.unknown"), 401, "authError", "Invalid Credentials")
	wantError(t, get(e.tenant.IssueToken(admin.AdminDirectoryGroupScope)), 403, "insufficientPermissions",
		"Request had insufficient authentication scopes.")
	noError(t, get(e.tenant.IssueToken(admin.AdminDirectoryUserReadonlyScope)))

	clock.Advance(time.Hour)
	wantError(t, get(token), 401, "authError", "Invalid Credentials")
	token = e.tenant.IssueToken()
	noError(t, e.tenant.SetAdmin("admin@example.com", false))
	wantError(t, get(token), 403, "forbidden", "Not Authorized to access this resource/api")
	e.tenant.RevokeTokens()
	wantError(t, get(token), 401, "authError", "Invalid Credentials")

	resp, err := http.Get(e.url + "/admin/directory/v1/users/1")
	noError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	noError(t, err)
	if resp.StatusCode != 401 || !strings.Contains(string(body), `"reason":"required"`) ||
		resp.Header.Get("WWW-Authenticate") == "" {
		t.Errorf("without a token: %d %s", resp.StatusCode, body)
	}
}

// TestServiceAccountAlone checks that a token without a user is granted but permits nothing here.
func TestServiceAccountAlone(t *testing.T) {
	t.Parallel()
	e := openEndpoint(t, googleworkspace.Config{})
	a := e.assertion()
	delete(a.claims, "sub")
	status, body := e.post(t, bearerGrant, a.sign(t))
	if status != 200 {
		t.Fatalf("%d %v", status, body)
	}
	s := service(t, e.url, oauth2.StaticTokenSource(&oauth2.Token{AccessToken: body["access_token"].(string)}))
	_, err := s.Users.Get("admin@example.com").Do()
	wantError(t, err, 403, "forbidden", "Not Authorized to access this resource/api")
}

func TestTokenFaults(t *testing.T) {
	t.Parallel()
	e := openEndpoint(t, googleworkspace.Config{Faults: []googleworkspace.Fault{
		{}, // every method of the Directory API, and not the token endpoint
		{Method: googleworkspace.TokenMethod, Times: 1, Status: 500, Code: "internal_failure", Message: "Backend Error"},
		{Method: googleworkspace.TokenMethod, Nth: 2, Effect: googleworkspace.Drop},
	}})
	token := e.assertion().sign(t)
	if status, body := e.post(t, bearerGrant, token); status != 500 || body["error"] != "internal_failure" ||
		body["error_description"] != "Backend Error" {
		t.Errorf("answer = %d %v", status, body)
	}
	resp, err := http.PostForm(e.url+"/token", url.Values{"grant_type": {bearerGrant}, "assertion": {token}})
	if err == nil {
		_ = resp.Body.Close()
		t.Errorf("answer = %d, want a broken connection", resp.StatusCode)
	}
}
