package dashboard

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"

	"github.com/redis/go-redis/v9"

	"rollcall/internal/tokens"
)

// cookieName is the cookie of a session. Its value is a random number that reveals nothing about the token.
const cookieName = "rollcall_dashboard"

// anonymous is the identity of every request if no tokens are configured.
var anonymous = tokens.Identity{Name: "anonymous", Scopes: tokens.Scopes()}

// sessionKey is the Redis key with the mark of the session's token. It contains the hash of the session's id, so that
// read access to Redis does not give access to a session.
func sessionKey(id string) string {
	hash := sha256.Sum256([]byte(id))
	return "rollcall:{dashboard}:session:" + hex.EncodeToString(hash[:])
}

// who returns the identity of a request by its bearer token (RFC 6750), or else by its session. An Authorization
// header of another scheme belongs to a proxy and is ignored.
func (d *Dashboard) who(r *http.Request) (who tokens.Identity, known bool, err error) {
	if d.cfg.Tokens == nil {
		return anonymous, true, nil
	}
	if scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "bearer") {
		who, known = d.cfg.Tokens.Lookup(strings.TrimSpace(token))
		return who, known, nil
	}
	id := sessionID(r)
	if id == "" {
		return who, false, nil
	}
	mark, err := d.cfg.Redis.Get(r.Context(), sessionKey(id)).Result()
	if errors.Is(err, redis.Nil) {
		return who, false, nil
	}
	if err != nil {
		return who, false, err
	}
	who, known = d.cfg.Tokens.Recall(mark)
	return who, known, nil
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
func (d *Dashboard) begin(w http.ResponseWriter, r *http.Request, who tokens.Identity) error {
	if err := d.end(r); err != nil {
		return err
	}
	id := rand.Text()
	if err := d.cfg.Redis.Set(r.Context(), sessionKey(id), who.Mark(), d.cfg.Life).Err(); err != nil {
		return err
	}
	http.SetCookie(w, cookie(r, id, int(d.cfg.Life.Seconds())))
	return nil
}

// end deletes the session of a request.
func (d *Dashboard) end(r *http.Request) error {
	if id := sessionID(r); id != "" {
		return d.cfg.Redis.Del(r.Context(), sessionKey(id)).Err()
	}
	return nil
}

// cookie returns a cookie for the dashboard's paths. It is limited to TLS if the request came over TLS, which a proxy
// that terminates TLS reports.
func cookie(r *http.Request, value string, maxAge int) *http.Cookie {
	return &http.Cookie{
		Name: cookieName, Value: value, Path: Root, MaxAge: maxAge, HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https"),
	}
}
