package session

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"rollcall/internal/tokens"
)

// PeopleConfig configures sign-in by OpenID Connect. Everything but Secret and Transport is required.
type PeopleConfig struct {
	Issuer, ClientID string
	// Secret returns the client's secret. Nil is a public client, which PKCE protects.
	Secret func() (string, error)
	// RedirectURL is the address of CallbackPath, as browsers reach it.
	RedirectURL string
	// Claim is the claim with the groups of a person. The values of "email" count only if they are verified.
	Claim  string
	Scopes []string
	// Rights returns the rights of a person with these values of the claim; false for none.
	Rights func(values []string) (tokens.Identity, bool)
	// Transport makes the requests to the provider; http.DefaultTransport by default.
	Transport http.RoundTripper
}

// People signs people in at an OpenID provider. It is safe for concurrent use.
type People struct {
	cfg    PeopleConfig
	client *http.Client

	// provider is nil until it has answered once. asking is full while it is asked, and guards failure and failed, the
	// last error and its time.
	provider atomic.Pointer[discovered]
	asking   chan struct{}
	failure  error
	failed   time.Time

	mu sync.Mutex
	// verified are the ID tokens that were presented as bearer tokens, by their hash.
	verified map[[sha256.Size]byte]verified
	// waiting limits the verifications that wait for the discovery of the provider.
	waiting chan struct{}
}

// discovered is a provider that has answered.
type discovered struct {
	*oidc.Provider
	tokens *oidc.IDTokenVerifier
}

type verified struct {
	person
	ends time.Time
}

// person is what an ID token says.
type person struct {
	Name   string   `json:"name"`
	Values []string `json:"values"`
}

const (
	// providerTime is the time limit of one request to the provider, and maxAnswer the largest answer, in bytes.
	providerTime = 10 * time.Second
	maxAnswer    = 1 << 20
	// discoveryTime is the time limit of discovery, and failureTime how long the provider is not asked after a failure.
	discoveryTime = 5 * time.Second
	failureTime   = 5 * time.Second
	// bearerWait is the time limit of a verification of a bearer token, discovery included.
	bearerWait = 5 * time.Second
	// bearerTime is how long an ID token is accepted as a bearer token before it is verified again.
	bearerTime = time.Minute
	// mostVerified is the number of such tokens that are remembered.
	mostVerified = 10_000
	// maxValues and maxText bound the values of the claim, and the length of each text, in characters.
	maxValues = 1000
	maxText   = 200
)

// NewPeople returns a People. It makes no request.
func NewPeople(cfg PeopleConfig) *People {
	if cfg.Transport == nil {
		cfg.Transport = http.DefaultTransport
	}
	return &People{cfg: cfg, verified: map[[sha256.Size]byte]verified{}, waiting: make(chan struct{}, mostWaiting),
		asking: make(chan struct{}, 1),
		client: &http.Client{Transport: limited{cfg.Transport}, Timeout: providerTime,
			// A redirect could send the code and the secret to another host.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// limited bounds the size of answers.
type limited struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (l limited) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := l.RoundTripper.RoundTrip(r)
	if err == nil {
		res.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(res.Body, maxAnswer), res.Body}
	}
	return res, err
}

// discover returns the provider. One request at a time asks it, until it has answered once.
func (p *People) discover(ctx context.Context) (*discovered, error) {
	if found := p.provider.Load(); found != nil {
		return found, nil
	}
	within, cancel := context.WithTimeout(ctx, discoveryTime)
	defer cancel()
	select {
	case p.asking <- struct{}{}:
		defer func() { <-p.asking }()
	case <-within.Done():
		return nil, fmt.Errorf("OpenID provider %s: %w", p.cfg.Issuer, within.Err())
	}
	if found := p.provider.Load(); found != nil {
		return found, nil
	}
	if time.Since(p.failed) < failureTime {
		return nil, p.failure
	}
	answer, err := oidc.NewProvider(oidc.ClientContext(within, p.client), p.cfg.Issuer)
	found := &discovered{Provider: answer}
	if err == nil {
		found.tokens, err = p.verifier(answer)
	}
	if err != nil {
		err = fmt.Errorf("OpenID provider %s: %w", p.cfg.Issuer, err)
		if !errors.Is(ctx.Err(), context.Canceled) { // A client that has gone says nothing about the provider.
			p.failure, p.failed = err, time.Now()
		}
		return nil, err
	}
	p.provider.Store(found)
	return found, nil
}

func (p *People) oauth(found *discovered) (*oauth2.Config, error) {
	c := &oauth2.Config{ClientID: p.cfg.ClientID, Endpoint: found.Endpoint(), RedirectURL: p.cfg.RedirectURL,
		Scopes: p.cfg.Scopes}
	if p.cfg.Secret == nil {
		c.Endpoint.AuthStyle = oauth2.AuthStyleInParams
		return c, nil
	}
	var err error
	c.ClientSecret, err = p.cfg.Secret()
	return c, err
}

// begin returns the address of the provider's page for an attempt.
func (p *People) begin(ctx context.Context, a attempt) (string, error) {
	found, err := p.discover(ctx)
	if err != nil {
		return "", err
	}
	c, err := p.oauth(found)
	if err != nil {
		return "", err
	}
	return c.AuthCodeURL(a.State, oidc.Nonce(a.Nonce), oauth2.S256ChallengeOption(a.Verifier)), nil
}

// redeem returns the person that the provider authenticated in an attempt.
func (p *People) redeem(ctx context.Context, a attempt, code string) (person, error) {
	found, err := p.discover(ctx)
	if err != nil {
		return person{}, err
	}
	c, err := p.oauth(found)
	if err != nil {
		return person{}, err
	}
	answer, err := c.Exchange(oidc.ClientContext(ctx, p.client), code, oauth2.VerifierOption(a.Verifier))
	if err != nil {
		return person{}, fmt.Errorf("exchange the code: %w", withoutBody(err))
	}
	raw, is := answer.Extra("id_token").(string)
	if !is {
		return person{}, errors.New("the provider sent no ID token")
	}
	who, nonce, _, err := p.verify(ctx, found, raw)
	if err != nil {
		return person{}, err
	}
	if subtle.ConstantTimeCompare([]byte(nonce), []byte(a.Nonce)) != 1 {
		return person{}, errors.New("the ID token belongs to another sign-in")
	}
	return who, nil
}

// withoutBody returns the code of the provider's error, because its text may contain anything.
func withoutBody(err error) error {
	if e, is := errors.AsType[*oauth2.RetrieveError](err); is {
		return fmt.Errorf("the provider answered %d %.40q", e.Response.StatusCode, e.ErrorCode)
	}
	return err
}

// verify returns what an ID token says, if its signature, issuer, audience and times are right.
func (p *People) verify(ctx context.Context, found *discovered, raw string) (who person, nonce string,
	ends time.Time, err error) {
	token, err := found.tokens.Verify(ctx, raw)
	if err != nil {
		return person{}, "", time.Time{}, fmt.Errorf("the ID token is refused: %w", err)
	}
	var claims map[string]json.RawMessage
	if err := token.Claims(&claims); err != nil {
		return person{}, "", time.Time{}, fmt.Errorf("the ID token is refused: %w", err)
	}
	who, err = personOf(token.Subject, claims, p.cfg.Claim)
	return who, token.Nonce, token.Expiry, err
}

// personOf reads the claims of a verified ID token.
func personOf(subject string, claims map[string]json.RawMessage, claim string) (person, error) {
	text := func(name string) (s string) {
		if json.Unmarshal(claims[name], &s) != nil {
			return ""
		}
		return s
	}
	name := cmp.Or(text("email"), text("preferred_username"))
	who := person{Name: visible(subject)}
	if name != "" && name != subject {
		who.Name = visible(name) + " (" + who.Name + ")"
	}
	if who.Name == "" {
		return person{}, errors.New("the ID token names no person")
	}
	var proved bool
	if claim == "email" && (json.Unmarshal(claims["email_verified"], &proved) != nil || !proved) {
		return who, nil
	}
	var one string
	if json.Unmarshal(claims[claim], &one) == nil {
		who.Values = []string{one}
	} else if err := json.Unmarshal(claims[claim], &who.Values); err != nil && claims[claim] != nil {
		return person{}, fmt.Errorf("the claim %s is neither a text nor a list of texts", claim)
	}
	if len(who.Values) > maxValues {
		return person{}, fmt.Errorf("the claim %s has %d values, want at most %d", claim, len(who.Values), maxValues)
	}
	return who, nil
}

// visible returns a text without control and format characters, of limited length.
func visible(s string) string {
	out := []rune(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == unicode.ReplacementChar {
			return -1
		}
		return r
	}, s))
	return string(out[:min(len(out), maxText)])
}

// rights returns the present rights of a person.
func (p *People) rights(who person) (tokens.Identity, bool) {
	id, known := p.cfg.Rights(who.Values)
	id.Name = who.Name
	return id, known
}

// Bearer returns the identity of a person by an ID token that was presented as a bearer token.
func (p *People) Bearer(ctx context.Context, raw string) (tokens.Identity, bool) {
	hash, now := sha256.Sum256([]byte(raw)), time.Now()
	p.mu.Lock()
	known, is := p.verified[hash]
	p.mu.Unlock()
	if is && now.Before(known.ends) {
		return p.rights(known.person)
	}
	if p.provider.Load() == nil {
		select {
		case p.waiting <- struct{}{}:
			defer func() { <-p.waiting }()
		default:
			return tokens.Identity{}, false
		}
	}
	ctx, cancel := context.WithTimeout(ctx, bearerWait)
	defer cancel()
	found, err := p.discover(ctx)
	if err != nil {
		return tokens.Identity{}, false
	}
	who, _, ends, err := p.verify(ctx, found, raw)
	if err != nil {
		return tokens.Identity{}, false
	}
	if again := now.Add(bearerTime); ends.After(again) {
		ends = again
	}
	p.mu.Lock()
	if len(p.verified) >= mostVerified {
		clear(p.verified)
	}
	p.verified[hash] = verified{who, ends}
	p.mu.Unlock()
	return p.rights(who)
}

// IsIDToken reports whether a bearer token has the form of an ID token. An API token has no dot.
func IsIDToken(token string) bool { return strings.Count(token, ".") == 2 }
