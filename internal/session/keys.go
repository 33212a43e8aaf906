package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
)

const (
	// keysTime is how long the keys of the provider are not fetched again.
	keysTime = 5 * time.Second
	// mostWaiting is the number of verifications that wait for the provider at once.
	mostWaiting = 64
)

// errBusy refuses a verification that would wait for the provider.
var errBusy = errors.New("too many verifications wait for the OpenID provider")

// keySet has the keys of the provider. A signature of an unknown key is a reason to fetch the keys again, but at most
// once in keysTime. A flood of wrong tokens therefore neither loads the provider nor delays tokens of known keys.
type keySet struct {
	client *http.Client
	url    string
	known  atomic.Pointer[oidc.StaticKeySet]
	// waiting limits the verifications that wait for the fetch of one of them.
	waiting chan struct{}

	mu      sync.Mutex
	fetched time.Time
	failure error
}

// VerifySignature implements oidc.KeySet.
func (k *keySet) VerifySignature(ctx context.Context, raw string) ([]byte, error) {
	known := k.known.Load()
	if known != nil {
		if payload, err := known.VerifySignature(ctx, raw); err == nil {
			return payload, nil
		}
	}
	fresh, err := k.fresh(ctx, known)
	if err != nil {
		return nil, err
	}
	return fresh.VerifySignature(ctx, raw)
}

// fresh returns newer keys than these.
func (k *keySet) fresh(ctx context.Context, old *oidc.StaticKeySet) (*oidc.StaticKeySet, error) {
	select {
	case k.waiting <- struct{}{}:
		defer func() { <-k.waiting }()
	default:
		return nil, errBusy
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if now := k.known.Load(); now != old {
		return now, nil
	}
	if time.Since(k.fetched) < keysTime {
		if k.failure != nil {
			return nil, k.failure
		}
		return nil, errors.New("the provider has no such key")
	}
	// The client may leave. Its token says nothing about the keys, and others wait for them.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), bearerWait)
	defer cancel()
	keys, err := k.fetch(ctx)
	if k.fetched, k.failure = time.Now(), err; err != nil {
		return nil, err
	}
	k.known.Store(keys)
	return keys, nil
}

// fetch asks the provider for its keys.
func (k *keySet) fetch(ctx context.Context) (*oidc.StaticKeySet, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url, nil)
	if err != nil {
		return nil, err
	}
	res, err := k.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the provider answered %s in place of its keys", res.Status)
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(&set); err != nil {
		return nil, fmt.Errorf("the keys of the provider: %w", err)
	}
	keys := &oidc.StaticKeySet{}
	for _, text := range set.Keys {
		var key jose.JSONWebKey // One of a kind that is not known is ignored (RFC 7517, section 5).
		if json.Unmarshal(text, &key) == nil && key.IsPublic() && key.Valid() && key.Use != "enc" {
			keys.PublicKeys = append(keys.PublicKeys, key.Key)
		}
	}
	return keys, nil
}

// asymmetric are the algorithms of signatures that are accepted. A provider may publish others, such as none.
var asymmetric = []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.PS256,
	oidc.PS384, oidc.PS512, oidc.EdDSA}

// verifier returns what verifies the ID tokens of a provider that was discovered.
func (p *People) verifier(found *oidc.Provider) (*oidc.IDTokenVerifier, error) {
	var published struct {
		URL        string   `json:"jwks_uri"`
		Algorithms []string `json:"id_token_signing_alg_values_supported"`
	}
	if err := found.Claims(&published); err != nil {
		return nil, err
	}
	algorithms := slices.DeleteFunc(published.Algorithms,
		func(name string) bool { return !slices.Contains(asymmetric, name) })
	keys := &keySet{client: p.client, url: published.URL, waiting: make(chan struct{}, mostWaiting)}
	return oidc.NewVerifier(p.cfg.Issuer, keys, &oidc.Config{ClientID: p.cfg.ClientID,
		SupportedSigningAlgs: algorithms}), nil
}
