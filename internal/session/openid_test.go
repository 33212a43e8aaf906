package session_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// opKey signs the ID tokens of every test.
var opKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// op is an OpenID provider that signs in everyone at once.
type op struct {
	*httptest.Server
	// claims change those of the next ID token.
	claims map[string]any
	// sign replaces the key; nil is the right one.
	sign *rsa.PrivateKey
	// forget leaves the ID token out, and redirect sends the code elsewhere.
	forget, redirect bool
	// hang leaves requests for the keys without an answer. keysAsked counts them.
	hang      atomic.Bool
	keysAsked atomic.Int64
	mu        sync.Mutex
	asked     url.Values
	used      bool
}

func b64(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

// token returns an ID token with the claims of a person, changed by others.
func (o *op) token(nonce string) string {
	claims := map[string]any{"iss": o.URL, "aud": "rollcall", "sub": "u-1", "email": "ada@example.com", "nonce": nonce,
		"email_verified": true, "groups": []string{"staff", "identity admins"}, "iat": time.Now().Unix(),
		"exp": time.Now().Add(time.Hour).Unix()}
	maps.Copy(claims, o.claims)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	body, _ := json.Marshal(claims)
	text := b64([]byte(`{"alg":"RS256","kid":"k1"}`)) + "." + b64(body)
	sum := sha256.Sum256([]byte(text))
	key := o.sign
	if key == nil {
		key = opKey()
	}
	sig, _ := rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
	return text + "." + b64(sig)
}

func newOP(t *testing.T) *op {
	t.Helper()
	o := &op{}
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, v any) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v)
	}
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"issuer": o.URL, "authorization_endpoint": o.URL + "/authorize",
			"token_endpoint": o.URL + "/token", "jwks_uri": o.URL + "/keys",
			"id_token_signing_alg_values_supported": []string{"RS256"}})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, r *http.Request) {
		if o.keysAsked.Add(1); o.hang.Load() {
			<-r.Context().Done()
			return
		}
		unknown := map[string]any{"kty": "EC", "crv": "secp256k1", "kid": "k0", "x": "AQAB", "y": "AQAB"}
		answer(w, map[string]any{"keys": []any{unknown, map[string]any{"kty": "RSA", "kid": "k1", "alg": "RS256",
			"use": "sig", "n": b64(opKey().N.Bytes()), "e": "AQAB"}}})
	})
	mux.HandleFunc("GET /authorize", func(w http.ResponseWriter, r *http.Request) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.asked, o.used = r.URL.Query(), false
		to := o.asked.Get("redirect_uri") + "?" + url.Values{"code": {"c1"}, "state": {o.asked.Get("state")}}.Encode()
		http.Redirect(w, r, to, http.StatusFound)
	})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		o.mu.Lock()
		defer o.mu.Unlock()
		sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
		if o.redirect {
			http.Redirect(w, r, o.URL+"/stolen", http.StatusTemporaryRedirect)
			return
		}
		if o.used || r.PostFormValue("code") != "c1" || b64(sum[:]) != o.asked.Get("code_challenge") ||
			o.asked.Get("code_challenge_method") != "S256" {
			w.WriteHeader(http.StatusBadRequest)
			answer(w, map[string]string{"error": "invalid_grant"})
			return
		}
		o.used = true
		out := map[string]any{"access_token": "a", "token_type": "Bearer"}
		if !o.forget {
			out["id_token"] = o.token(o.asked.Get("nonce"))
		}
		answer(w, out)
	})
	mux.HandleFunc("/stolen", func(http.ResponseWriter, *http.Request) {
		t.Error("a redirect was followed with the code")
	})
	o.Server = httptest.NewServer(mux)
	t.Cleanup(o.Close)
	return o
}
