package graph

import (
	"crypto/subtle"
	"net/http"
	"strings"
)

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// checkClient checks the grant type and the client.
func (t *Tenant) checkClient(r *http.Request, authority string) *loginError {
	form := r.PostForm
	switch grant := form.Get("grant_type"); grant {
	case "client_credentials":
	case "":
		return missingParameter("grant_type")
	default:
		return loginRefusal(http.StatusBadRequest, "unsupported_grant_type", 70003,
			"The app requested an unsupported grant type '%s'.", grant)
	}
	id, secret := form.Get("client_id"), form.Get("client_secret")
	if name, password, ok := r.BasicAuth(); ok && id == "" {
		id, secret = name, password
	}
	if id == "" {
		return missingParameter("client_id")
	}
	if !strings.EqualFold(id, t.cfg.App.ClientID) {
		return loginRefusal(http.StatusBadRequest, "unauthorized_client", 700016,
			"Application with identifier '%s' was not found in the directory '%s'. This can happen if the application has "+
				"not been installed by the administrator of the tenant or consented to by any user in the tenant. You may "+
				"have sent your authentication request to the wrong tenant.", id, t.cfg.DisplayName)
	}
	if assertion := form.Get("client_assertion"); assertion != "" {
		if kind := form.Get("client_assertion_type"); kind != assertionType {
			return loginRefusal(http.StatusBadRequest, "invalid_request", 50027, "client_assertion_type must be '%s'.",
				assertionType)
		}
		return t.checkAssertion(assertion, authority)
	}
	switch {
	case secret == "":
		return loginRefusal(http.StatusUnauthorized, "invalid_client", 7000218,
			"The request body must contain the following parameter: 'client_assertion' or 'client_secret'.")
	case subtle.ConstantTimeCompare([]byte(secret), []byte(t.cfg.App.Secret)) != 1:
		return loginRefusal(http.StatusUnauthorized, "invalid_client", 7000215,
			"Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not "+
				"the client secret ID, for a secret added to app '%s'.", id)
	}
	return nil
}

func missingParameter(name string) *loginError {
	return loginRefusal(http.StatusBadRequest, "invalid_request", 900144,
		"The request body must contain the following parameter: '%s'.", name)
}
