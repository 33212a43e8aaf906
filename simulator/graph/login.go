package graph

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"rollcall/simulator/fault"
)

// serveLogin serves the paths of the sign-in service.
func (t *Tenant) serveLogin(w http.ResponseWriter, r *http.Request) {
	ids := t.newRequestIDs(r.Header)
	host := baseURL(r)
	if r.URL.Path == "/common/discovery/instance" {
		t.serveInstance(w, r)
		return
	}
	name, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	var e *loginError
	switch {
	case rest != "v2.0/.well-known/openid-configuration" && rest != "oauth2/v2.0/token":
		http.NotFound(w, r)
		return
	case !t.isTenant(name):
		e = loginRefusal(http.StatusBadRequest, "invalid_request", 90002,
			"Tenant '%s' not found. Check to make sure you have the correct tenant ID and are signing into the correct "+
				"cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for "+
				"the tenant.", name)
	case rest == "v2.0/.well-known/openid-configuration":
		sendJSON(w, http.StatusOK, t.openidConfiguration(host, name))
		return
	default:
		e = t.serveToken(w, r, host+"/"+name)
	}
	if e != nil {
		sendJSON(w, e.status, e.body(ids, t.cfg.AuthNow()))
	}
}

func (t *Tenant) isTenant(name string) bool {
	d := t.domain(name)
	return strings.EqualFold(name, t.cfg.TenantID) || d != nil && d.verified
}

func sendJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store, no-cache")
	w.WriteHeader(status)
	_, _ = w.Write(marshal(value))
}

// serveInstance serves the document that makes this host an authority.
func (t *Tenant) serveInstance(w http.ResponseWriter, r *http.Request) {
	sendJSON(w, http.StatusOK, map[string]any{
		"tenant_discovery_endpoint": baseURL(r) + "/" + t.cfg.TenantID + "/v2.0/.well-known/openid-configuration",
		"api-version":               "1.1",
		"metadata": []any{map[string]any{
			"preferred_network": r.Host, "preferred_cache": r.Host, "aliases": []string{r.Host},
		}},
	})
}

func (t *Tenant) openidConfiguration(host, name string) map[string]any {
	tenant := host + "/" + name
	return map[string]any{
		"issuer":                                host + "/" + t.cfg.TenantID + "/v2.0",
		"authorization_endpoint":                tenant + "/oauth2/v2.0/authorize",
		"token_endpoint":                        tenant + "/oauth2/v2.0/token",
		"jwks_uri":                              tenant + "/discovery/v2.0/keys",
		"device_authorization_endpoint":         tenant + "/oauth2/v2.0/devicecode",
		"token_endpoint_auth_methods_supported": []string{"client_secret_post", "private_key_jwt", "client_secret_basic"},
		"response_types_supported":              []string{"code", "id_token", "code id_token", "id_token token"},
		"subject_types_supported":               []string{"pairwise"},
		"id_token_signing_alg_values_supported": []string{"RS256"},
		"scopes_supported":                      []string{"openid", "profile", "email", "offline_access"},
		"tenant_region_scope":                   "EU",
		"cloud_instance_name":                   "microsoftonline.com",
		"msgraph_host":                          strings.TrimPrefix(strings.TrimPrefix(host, "https://"), "http://"),
	}
}

// serveToken is the client credentials grant.
func (t *Tenant) serveToken(w http.ResponseWriter, r *http.Request, authority string) *loginError {
	if r.Method != http.MethodPost {
		return loginRefusal(http.StatusBadRequest, "invalid_request", 900561,
			"The endpoint only accepts POST requests. Received a %s request.", r.Method)
	}
	if f := t.faults.Next(fault.Call{Method: TokenMethod, Path: r.URL.Path}); f != nil {
		switch f.Effect {
		case Delay:
			t.cfg.Wait(r.Context(), f.Delay)
		case Refuse:
			return faultyLogin(w, f)
		default:
			panic(http.ErrAbortHandler)
		}
	}
	if err := r.ParseForm(); err != nil {
		return loginRefusal(http.StatusBadRequest, "invalid_request", 900144, "The request body is not a form.")
	}
	if e := t.checkClient(r, authority); e != nil {
		return e
	}
	if e := checkScope(r.PostForm.Get("scope"), r.Host); e != nil {
		return e
	}
	lifetime := int(t.cfg.TokenLifetime / time.Second)
	sendJSON(w, http.StatusOK, map[string]any{
		"token_type": "Bearer", "expires_in": lifetime, "ext_expires_in": lifetime, "access_token": t.IssueToken(),
	})
	return nil
}

func faultyLogin(w http.ResponseWriter, f *Fault) *loginError {
	e := refusalOf(f)
	if f.Code == "" {
		e.code = "temporarily_unavailable"
	}
	if f.RetryAfter > 0 {
		w.Header().Set("Retry-After", fmt.Sprint(f.RetryAfter.Seconds()))
	}
	return loginRefusal(e.status, e.code, 90033, "%s", e.message)
}

// graphHosts are the resources of Graph in Microsoft's clouds.
var graphHosts = []string{"graph.microsoft.com", "graph.microsoft.us", "dod-graph.microsoft.us",
	"microsoftgraph.chinacloudapi.cn"}

// checkScope requires "https://graph.microsoft.com/.default", or the same of this host.
func checkScope(scope, host string) *loginError {
	names := slices.DeleteFunc(strings.Fields(scope), func(name string) bool {
		return slices.Contains([]string{"openid", "offline_access", "profile"}, name) // MSAL adds them to every request
	})
	resource, found := strings.CutSuffix(strings.Join(names, " "), "/.default")
	if !found || len(names) != 1 {
		return loginRefusal(http.StatusBadRequest, "invalid_scope", 1002012,
			"The provided value for scope %s is not valid. Client credential flows must have a scope value with /.default "+
				"suffixed to the resource identifier (application ID URI).", scope)
	}
	u, err := url.Parse(resource)
	if err != nil || u.Host != host && !slices.Contains(graphHosts, u.Host) {
		return loginRefusal(http.StatusBadRequest, "invalid_resource", 500011,
			"The resource principal named %s was not found in the tenant. This can happen if the application has not been "+
				"installed by the administrator of the tenant or consented to by any user in the tenant. You might have sent "+
				"your authentication request to the wrong tenant.", resource)
	}
	return nil
}
