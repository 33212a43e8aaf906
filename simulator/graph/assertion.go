package graph

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha1" // x5t is a SHA-1 thumbprint by definition
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"time"
)

// jwt is a signed token that has been parsed but not checked.
type jwt struct {
	header struct {
		Alg    string `json:"alg"`
		X5t    string `json:"x5t"`
		X5t256 string `json:"x5t#S256"`
	}
	claims struct {
		Issuer    string          `json:"iss"`
		Subject   string          `json:"sub"`
		Audience  json.RawMessage `json:"aud"`
		Expires   float64         `json:"exp"`
		NotBefore float64         `json:"nbf"`
	}
	signed    string
	signature []byte
}

func parseJWT(token string) (*jwt, bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, false
	}
	j := &jwt{signed: parts[0] + "." + parts[1]}
	head, err1 := base64.RawURLEncoding.DecodeString(parts[0])
	claims, err2 := base64.RawURLEncoding.DecodeString(parts[1])
	signature, err3 := base64.RawURLEncoding.DecodeString(parts[2])
	j.signature = signature
	ok := err1 == nil && err2 == nil && err3 == nil && json.Unmarshal(head, &j.header) == nil &&
		json.Unmarshal(claims, &j.claims) == nil
	return j, ok
}

// meantFor reports whether the token's audience, a string or a list, has one of the values.
func (j *jwt) meantFor(values ...string) bool {
	var one string
	var list []string
	if json.Unmarshal(j.claims.Audience, &one) == nil {
		list = []string{one}
	} else if json.Unmarshal(j.claims.Audience, &list) != nil {
		return false
	}
	return slices.ContainsFunc(list, func(s string) bool { return slices.Contains(values, s) })
}

func (j *jwt) current(now time.Time) bool {
	at := float64(now.Unix())
	const skew = 300 // seconds; the service forgives five minutes
	return j.claims.Expires > at-skew && j.claims.NotBefore < at+skew
}

// verify checks the signature.
func (j *jwt) verify(key crypto.PublicKey) bool {
	sum := sha256.Sum256([]byte(j.signed))
	switch k := key.(type) {
	case *rsa.PublicKey:
		if j.header.Alg == "PS256" {
			return rsa.VerifyPSS(k, crypto.SHA256, sum[:], j.signature, nil) == nil
		}
		return j.header.Alg == "RS256" && rsa.VerifyPKCS1v15(k, crypto.SHA256, sum[:], j.signature) == nil
	case *ecdsa.PublicKey:
		if j.header.Alg != "ES256" || len(j.signature) != 64 {
			return false
		}
		return ecdsa.Verify(k, sum[:], new(big.Int).SetBytes(j.signature[:32]), new(big.Int).SetBytes(j.signature[32:]))
	case ed25519.PublicKey:
		return j.header.Alg == "EdDSA" && ed25519.Verify(k, []byte(j.signed), j.signature)
	}
	return false
}

// checkAssertion checks a client assertion. It is either signed with a certificate of the app, or a token of an
// issuer that is trusted as a federated credential.
func (t *Tenant) checkAssertion(assertion, authority string) *loginError {
	j, ok := parseJWT(assertion)
	if !ok {
		return loginRefusal(http.StatusUnauthorized, "invalid_client", 50027, "JWT token is invalid or malformed.")
	}
	if !j.current(t.cfg.AuthNow()) {
		return loginRefusal(http.StatusUnauthorized, "invalid_client", 700024,
			"Client assertion is not within its valid time range.")
	}
	if j.claims.Issuer != t.cfg.App.ClientID {
		return t.checkFederated(j)
	}
	cert := j.certificate(t.cfg.App.Certificates)
	switch {
	case cert == nil:
		return loginRefusal(http.StatusUnauthorized, "invalid_client", 700027,
			"The certificate with identifier used to sign the client assertion is not registered on application. [Reason - "+
				"The key was not found.]")
	case j.claims.Subject != t.cfg.App.ClientID:
		return loginRefusal(http.StatusUnauthorized, "invalid_client", 700021,
			"Client assertion application identifier doesn't match 'client_id' parameter.")
	case !j.meantFor(authority+"/oauth2/v2.0/token", authority+"/v2.0", authority):
		return loginRefusal(http.StatusUnauthorized, "invalid_client", 700023,
			"Client assertion audience claim does not match Realm issuer.")
	case !j.verify(cert.PublicKey):
		return loginRefusal(http.StatusUnauthorized, "invalid_client", 700027,
			"Client assertion failed signature validation.")
	}
	return nil
}

// certificate returns the registered certificate that the token's thumbprint names.
func (j *jwt) certificate(registered []*x509.Certificate) *x509.Certificate {
	for _, cert := range registered {
		sum1, sum256 := sha1.Sum(cert.Raw), sha256.Sum256(cert.Raw)
		if sameThumbprint(j.header.X5t256, sum256[:]) || j.header.X5t256 == "" && sameThumbprint(j.header.X5t, sum1[:]) {
			return cert
		}
	}
	return nil
}

// sameThumbprint compares in both alphabets of base64. RFC 7515 requires the URL alphabet, but MSAL for Go writes the
// other one.
func sameThumbprint(text string, sum []byte) bool {
	text = strings.TrimRight(text, "=")
	return text == base64.RawURLEncoding.EncodeToString(sum) || text == base64.RawStdEncoding.EncodeToString(sum)
}

func (t *Tenant) checkFederated(j *jwt) *loginError {
	number, what := 700211, "issuer '"+j.claims.Issuer+"'"
	for _, f := range t.cfg.App.Federated {
		if f.Issuer != j.claims.Issuer {
			continue
		}
		audience := f.Audience
		setDefault(&audience, "api://AzureADTokenExchange")
		switch {
		case f.Subject != j.claims.Subject:
			number, what = 700213, "subject '"+j.claims.Subject+"'"
		case !j.meantFor(audience):
			number, what = 700212, "audience"
		case f.Key != nil && !j.verify(f.Key):
			return loginRefusal(http.StatusUnauthorized, "invalid_client", 700027,
				"Client assertion failed signature validation.")
		default:
			return nil
		}
	}
	return loginRefusal(http.StatusUnauthorized, "invalid_client", number,
		"No matching federated identity record found for presented assertion %s.", what)
}
