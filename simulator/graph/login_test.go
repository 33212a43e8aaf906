package graph_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"rollcall/simulator/graph"
)

// sharedKey is one key for all tests, because making a key takes a while.
var sharedKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// signIn posts a form to the token endpoint.
func (c *client) signIn(tenant string, form url.Values) reply {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), "POST", c.server.URL+"/"+tenant+"/oauth2/v2.0/token",
		strings.NewReader(form.Encode()))
	noError(c.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := c.server.Client().Do(r)
	noError(c.t, err)
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	noError(c.t, err)
	out := reply{Status: resp.StatusCode, Header: resp.Header, Raw: raw}
	noError(c.t, json.Unmarshal(raw, &out.Body))
	return out
}

func credentials(tenant *graph.Tenant) url.Values {
	return url.Values{
		"grant_type": {"client_credentials"}, "client_id": {tenant.ClientID()}, "client_secret": {tenant.ClientSecret()},
		"scope": {"https://graph.microsoft.com/.default"},
	}
}

func TestSignInWithSecret(t *testing.T) {
	t.Parallel()
	tenant, c := open(t, graph.Config{})
	for _, name := range []string{tenant.TenantID(), "example.com"} {
		r := c.signIn(name, credentials(tenant))
		if r.Status != 200 || r.Body["token_type"] != "Bearer" || r.Body["expires_in"] != 3600.0 {
			t.Fatalf("%s: %d %s", name, r.Status, r.Raw)
		}
		c.token = r.Body["access_token"].(string)
		c.want(200, "GET", "users", nil)
	}
}

func TestSignInIsRefused(t *testing.T) {
	t.Parallel()
	tenant, c := open(t, graph.Config{})
	for name, tc := range map[string]struct {
		tenant string
		change url.Values
		status int
		code   string
		number string
	}{
		"secret": {"", url.Values{"client_secret": {"wrong"}}, 401, "invalid_client",
			"AADSTS7000215: Invalid client secret provided."},
		"no secret": {"", url.Values{"client_secret": nil}, 401, "invalid_client", "AADSTS7000218: "},
		"app": {"", url.Values{"client_id": {"nobody"}}, 400, "unauthorized_client",
			"AADSTS700016: Application with identifier 'nobody' was not found"},
		"no app": {"", url.Values{"client_id": nil}, 400, "invalid_request", "AADSTS900144: "},
		"tenant": {"other.com", nil, 400, "invalid_request", "AADSTS90002: Tenant 'other.com' not found."},
		"scope": {"", url.Values{"scope": {"https://graph.microsoft.com/User.Read"}}, 400, "invalid_scope",
			"AADSTS1002012: "},
		"resource": {"", url.Values{"scope": {"https://vault.azure.net/.default"}}, 400, "invalid_resource",
			"AADSTS500011: "},
		"grant":    {"", url.Values{"grant_type": {"password"}}, 400, "unsupported_grant_type", "AADSTS70003: "},
		"no grant": {"", url.Values{"grant_type": nil}, 400, "invalid_request", "AADSTS900144: "},
		"bad jwt": {"", url.Values{"client_assertion": {"a.b"}, "client_assertion_type": {assertionType}}, 401,
			"invalid_client", "AADSTS50027: "},
		"kind of jwt": {"", url.Values{"client_assertion": {"a.b"}}, 400, "invalid_request", "AADSTS50027: "},
	} {
		form := credentials(tenant)
		maps.Copy(form, tc.change)
		where := tc.tenant
		if where == "" {
			where = tenant.TenantID()
		}
		r := c.signIn(where, form)
		text, _ := r.Body["error_description"].(string)
		if r.Status != tc.status || r.Body["error"] != tc.code || !strings.HasPrefix(text, tc.number) {
			t.Errorf("%s: %d %s, want %d %s %s", name, r.Status, r.Raw, tc.status, tc.code, tc.number)
		}
		if r.Body["correlation_id"] == nil || r.Body["trace_id"] == nil || r.Body["error_codes"] == nil {
			t.Errorf("%s: %s lacks what names the request", name, r.Raw)
		}
	}
}

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// certificate makes a self-signed certificate of the shared key.
func certificate(t *testing.T) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "rollcall"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, sharedKey().Public(), sharedKey())
	noError(t, err)
	cert, err := x509.ParseCertificate(der)
	noError(t, err)
	return cert
}

// sign makes a JWT. MSAL uses PS256, and the documentation shows RS256.
func sign(t *testing.T, header, claims object) string {
	t.Helper()
	encode := func(v any) string {
		data, err := json.Marshal(v)
		noError(t, err)
		return base64.RawURLEncoding.EncodeToString(data)
	}
	signed := encode(header) + "." + encode(claims)
	sum := sha256.Sum256([]byte(signed))
	var signature []byte
	var err error
	if header["alg"] == "PS256" {
		signature, err = rsa.SignPSS(rand.Reader, sharedKey(), crypto.SHA256, sum[:], nil)
	} else {
		signature, err = rsa.SignPKCS1v15(nil, sharedKey(), crypto.SHA256, sum[:])
	}
	noError(t, err)
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func TestSignInWithCertificate(t *testing.T) {
	t.Parallel()
	cert := certificate(t)
	tenant, c := open(t, graph.Config{App: graph.App{Certificates: []*x509.Certificate{cert}}})
	sum1, sum256 := sha1.Sum(cert.Raw), sha256.Sum256(cert.Raw)
	now := time.Now().Unix()
	claims := func(change object) object {
		all := object{
			"iss": tenant.ClientID(), "sub": tenant.ClientID(),
			"aud": c.server.URL + "/" + tenant.TenantID() + "/oauth2/v2.0/token",
			"nbf": now, "exp": now + 600,
		}
		maps.Copy(all, change)
		return all
	}
	ps := object{"alg": "PS256", "typ": "JWT", "x5t#S256": base64.StdEncoding.EncodeToString(sum256[:])}
	rs := object{"alg": "RS256", "typ": "JWT", "x5t": base64.RawURLEncoding.EncodeToString(sum1[:])}
	for name, tc := range map[string]struct {
		header, claims object
		status         int
		number         string
	}{
		"PS256":   {ps, claims(nil), 200, ""},
		"RS256":   {rs, claims(nil), 200, ""},
		"unknown": {object{"alg": "RS256", "x5t": "AAAA"}, claims(nil), 401, "AADSTS700027"},
		"wrong alg": {object{"alg": "none", "x5t": rs["x5t"]}, claims(nil), 401,
			"AADSTS700027: Client assertion failed signature validation."},
		"expired":       {ps, claims(object{"exp": now - 600}), 401, "AADSTS700024"},
		"not yet":       {ps, claims(object{"nbf": now + 600}), 401, "AADSTS700024"},
		"other subject": {ps, claims(object{"sub": "x"}), 401, "AADSTS700021"},
		"audience":      {ps, claims(object{"aud": "https://elsewhere/"}), 401, "AADSTS700023"},
	} {
		form := credentials(tenant)
		form.Del("client_secret")
		form.Set("client_assertion_type", assertionType)
		form.Set("client_assertion", sign(t, tc.header, tc.claims))
		r := c.signIn(tenant.TenantID(), form)
		text, _ := r.Body["error_description"].(string)
		if r.Status != tc.status || !strings.HasPrefix(text, tc.number) {
			t.Errorf("%s: %d %s, want %d %s", name, r.Status, r.Raw, tc.status, tc.number)
		}
	}
}

func TestSignInWithFederatedToken(t *testing.T) {
	t.Parallel()
	trusted := graph.FederatedCredential{Issuer: "https://cluster", Subject: "system:serviceaccount:rollcall:worker",
		Key: sharedKey().Public()}
	tenant, c := open(t, graph.Config{App: graph.App{Federated: []graph.FederatedCredential{trusted}}})
	now := time.Now().Unix()
	for name, tc := range map[string]struct {
		issuer, subject, audience string
		status                    int
		number                    string
	}{
		"good": {trusted.Issuer, trusted.Subject, "api://AzureADTokenExchange", 200, ""},
		"issuer": {"https://other", trusted.Subject, "api://AzureADTokenExchange", 401,
			"AADSTS700211: No matching federated identity record found"},
		"subject":  {trusted.Issuer, "other", "api://AzureADTokenExchange", 401, "AADSTS700213: "},
		"audience": {trusted.Issuer, trusted.Subject, "other", 401, "AADSTS700212: "},
	} {
		form := credentials(tenant)
		form.Del("client_secret")
		form.Set("client_assertion_type", assertionType)
		form.Set("client_assertion", sign(t, object{"alg": "RS256"}, object{
			"iss": tc.issuer, "sub": tc.subject, "aud": []string{tc.audience}, "exp": now + 600,
		}))
		r := c.signIn(tenant.TenantID(), form)
		text, _ := r.Body["error_description"].(string)
		if r.Status != tc.status || !strings.HasPrefix(text, tc.number) {
			t.Errorf("%s: %d %s, want %d %s", name, r.Status, r.Raw, tc.status, tc.number)
		}
	}
}

func TestDiscovery(t *testing.T) {
	t.Parallel()
	authority, err := graph.NewAuthority()
	noError(t, err)
	tenant := graph.New(graph.Config{})
	server := authority.Start(tenant.Handler())
	t.Cleanup(server.Close)
	get := func(path string) object {
		t.Helper()
		r, err := server.Client().Get(server.URL + path)
		noError(t, err)
		defer func() { _ = r.Body.Close() }()
		var body object
		noError(t, json.NewDecoder(r.Body).Decode(&body))
		return body
	}
	base := server.URL + "/" + tenant.TenantID()
	doc := get("/" + tenant.TenantID() + "/v2.0/.well-known/openid-configuration")
	if doc["issuer"] != base+"/v2.0" || doc["token_endpoint"] != base+"/oauth2/v2.0/token" {
		t.Errorf("openid-configuration = %v", doc)
	}
	const discovery = "/v2.0/.well-known/openid-configuration"
	if doc := get("/common/discovery/instance?api-version=1.1"); doc["tenant_discovery_endpoint"] != base+discovery {
		t.Errorf("instance = %v", doc)
	}
	if doc := get("/other/v2.0/.well-known/openid-configuration"); doc["error"] != "invalid_request" {
		t.Errorf("of another tenant = %v", doc)
	}
}
