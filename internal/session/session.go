// Package session signs people in to the pages of the API. A person signs in with an API token, or at an OpenID
// provider, and gets a session, which every page accepts.
//
// Redis stores the sessions, so that all replicas of the API have them. A session has the present rights of its token
// or group, and ends when these leave the tokens file.
package session

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"github.com/redis/go-redis/v9"

	"rollcall/audit"
	"rollcall/internal/tokens"
)

// Tokens recognises tokens, as tokens.File does.
type Tokens interface {
	Lookup(token string) (tokens.Identity, bool)
	// Recall returns the identity of the token with this tokens.Identity.Mark.
	Recall(mark string) (tokens.Identity, bool)
}

// Config configures a Desk. Redis and the paths are required.
type Config struct {
	Redis redis.UniversalClient
	// Tokens are the tokens that may sign in. Nil grants every right to every request, as in package api.
	Tokens Tokens
	// Home, SignIn and SignOut are the paths of the pages behind the desk and of the desk itself.
	Home, SignIn, SignOut string
	Log                   *slog.Logger // default: discard
	// People signs people in by OpenID Connect. Nil permits API tokens only.
	People *People
	// PeopleAt is the path below which Start and Callback are served.
	PeopleAt string
	// Signatures returns the signatures of data, the first of which is used for new sessions. Redis then cannot make or
	// change a session. Nil signs nothing.
	Signatures func(data string) ([]string, error)
	// Audit records sign-ins. Nil records nothing.
	Audit audit.Sink
	// Refused is called for each wrong token, before the response. It may wait. Nil does nothing.
	Refused func(*http.Request)
	// Client returns the address of a client for the audit log. The default is the address of the connection.
	Client func(*http.Request) string
	// Life is the lifetime of a session. The default is 12 h.
	Life time.Duration
	// Pause delays the response to a wrong token. The default is 1 s.
	Pause time.Duration
}

// Desk identifies requests and serves the form for signing in. It is safe for concurrent use.
type Desk struct {
	cfg     Config
	guesses chan struct{}
	// signIns counts the sessions that a token or a person begins within a minute.
	signIns *tokens.Counter
}

// mostSignIns bounds the sessions that one token or person begins within a minute, and so those that Redis holds.
const mostSignIns = 30

// New returns a Desk. It does not connect.
func New(cfg Config) *Desk {
	cfg.Log = cmp.Or(cfg.Log, slog.New(slog.DiscardHandler))
	if cfg.Refused == nil {
		cfg.Refused = func(*http.Request) {}
	}
	if cfg.Client == nil {
		cfg.Client = remote
	}
	cfg.Life = cmp.Or(max(cfg.Life, 0), 12*time.Hour)
	cfg.Pause = cmp.Or(max(cfg.Pause, 0), time.Second)
	return &Desk{cfg: cfg, guesses: make(chan struct{}, mostGuesses), signIns: tokens.NewCounter(time.Minute)}
}

// remote returns the address of the other end of the connection.
func remote(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// Open reports whether no tokens are configured, so that every request has every right and there are no sessions.
func (d *Desk) Open() bool { return d.cfg.Tokens == nil }

// cookieName is the cookie of a session. Its value is a random number that reveals nothing about the token.
const cookieName = "rollcall_session"

// anonymous is the identity of every request if no tokens are configured.
var anonymous = tokens.Identity{Name: "anonymous", Scopes: tokens.Scopes()}

// sessionKey is the Redis key with the mark of the session's token. It contains the hash of the session's id, so that
// read access to Redis does not give access to a session.
func sessionKey(id string) string {
	return "rollcall:{dashboard}:session:" + hashOf(id)
}

// Who returns the identity of a request by its bearer token (RFC 6750), or else by its session. An Authorization
// header of another scheme belongs to a proxy and is ignored.
func (d *Desk) Who(r *http.Request) (who tokens.Identity, known bool, err error) {
	if d.cfg.Tokens == nil {
		return anonymous, true, nil
	}
	if scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "bearer") {
		token = strings.TrimSpace(token)
		if who, known = d.cfg.Tokens.Lookup(token); !known && token != "" {
			d.cfg.Refused(r)
		}
		return who, known, nil
	}
	id := sessionID(r)
	if id == "" {
		return who, false, nil
	}
	text, err := d.cfg.Redis.Get(r.Context(), sessionKey(id)).Result()
	if errors.Is(err, redis.Nil) {
		return who, false, nil
	}
	if err != nil {
		return who, false, err
	}
	value, right, err := d.opened(id, text)
	if err != nil || !right {
		return who, false, err
	}
	if data, is := strings.CutPrefix(value, personPrefix); is {
		var p person
		if d.cfg.People == nil || json.Unmarshal([]byte(data), &p) != nil {
			return who, false, nil
		}
		who, known = d.cfg.People.rights(p)
		return who, known, nil
	}
	who, known = d.cfg.Tokens.Recall(value)
	return who, known, nil
}

// personPrefix begins the value of the session of a person. Any other value is the mark of a token.
const personPrefix = "person "

// closed returns the value of a session as Redis has it, with its end and a signature.
func (d *Desk) closed(id, value string) (string, error) {
	if d.cfg.Signatures == nil {
		return value, nil
	}
	value = strconv.FormatInt(time.Now().Add(d.cfg.Life).Unix(), 10) + " " + value
	all, err := d.cfg.Signatures(sessionKey(id) + " " + value)
	if err != nil || len(all) == 0 {
		return value, err
	}
	return all[0] + " " + value, nil
}

// opened returns the value of a session, and whether it is signed and has not ended.
func (d *Desk) opened(id, text string) (value string, right bool, err error) {
	if d.cfg.Signatures == nil {
		return text, true, nil
	}
	signature, signed, _ := strings.Cut(text, " ")
	all, err := d.cfg.Signatures(sessionKey(id) + " " + signed)
	if err != nil {
		return "", false, err
	}
	for _, s := range all {
		right = right || subtle.ConstantTimeCompare([]byte(s), []byte(signature)) == 1
	}
	ends, value, _ := strings.Cut(signed, " ")
	at, err := strconv.ParseInt(ends, 10, 64)
	return value, right && err == nil && time.Now().Unix() < at, nil
}

// sessionID returns the id of the session in the request's cookie, or "".
func sessionID(r *http.Request) string {
	c, err := r.Cookie(cookieName)
	if err != nil {
		return ""
	}
	return c.Value
}

// begin starts a session and replaces an earlier one of the same browser.
func (d *Desk) begin(w http.ResponseWriter, r *http.Request, value string) error {
	if err := d.end(r); err != nil {
		return err
	}
	id := rand.Text()
	text, err := d.closed(id, value)
	if err != nil {
		return err
	}
	if err := d.cfg.Redis.Set(r.Context(), sessionKey(id), text, d.cfg.Life).Err(); err != nil {
		return err
	}
	http.SetCookie(w, cookie(r, cookieName, id, int(d.cfg.Life.Seconds())))
	return nil
}

// end deletes the session of a request.
func (d *Desk) end(r *http.Request) error {
	if id := sessionID(r); id != "" {
		return d.cfg.Redis.Del(r.Context(), sessionKey(id)).Err()
	}
	return nil
}

// cookie returns a cookie for all pages. Browsers send it with a link from another site, so that a link in a message
// opens its page, but not with a form of another site. It is limited to TLS if the request came over TLS, which a
// proxy that terminates TLS reports.
func cookie(r *http.Request, name, value string, maxAge int) *http.Cookie {
	return &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: maxAge, HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https"),
	}
}

// Unavailable answers a request if its session could not be read.
func (d *Desk) Unavailable(w http.ResponseWriter, r *http.Request, err error) {
	d.cfg.Log.WarnContext(r.Context(), "session", "err", err)
	w.Header().Set("Retry-After", "5")
	http.Error(w, "Redis is unavailable. Try again later.", http.StatusServiceUnavailable)
}

// Record writes what happens to the audit log. It answers the request and returns false if the log does not take the
// record, because what is not recorded must not happen.
func (d *Desk) Record(w http.ResponseWriter, r *http.Request, event, by string, outcome audit.Outcome) bool {
	if err := d.record(r, event, by, outcome); err != nil {
		d.cfg.Log.ErrorContext(r.Context(), "the audit log takes no record", "err", err)
		http.Error(w, "The audit log takes no record, so nothing was done.", http.StatusServiceUnavailable)
		return false
	}
	return true
}

func (d *Desk) record(r *http.Request, event, by string, outcome audit.Outcome) error {
	d.cfg.Log.InfoContext(r.Context(), event, "method", r.Method, "path", r.URL.Path, "by", by, "outcome",
		string(outcome))
	_, err := d.cfg.Audit.Write(r.Context(), audit.Record{Event: event, Actor: by, From: d.cfg.Client(r),
		Outcome: outcome,
		Details: map[string]string{"method": r.Method, "path": r.URL.Path}}, false)
	return err
}

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
