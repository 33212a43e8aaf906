package entra

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"rollcall/fault"
	"rollcall/provider"
)

// answer is what Graph said to one request, of its own or in a batch.
type answer struct {
	status int
	header http.Header
	body   json.RawMessage
}

func (a *answer) ok() bool { return a.status >= 200 && a.status < 300 }

// requestID is Graph's name for the request, for its support. A refusal names the request itself, also within a batch.
func (a *answer) requestID() string {
	var body struct {
		Error struct {
			InnerError struct {
				RequestID string `json:"request-id"`
			}
		}
	}
	if !a.ok() && json.Unmarshal(a.body, &body) == nil && body.Error.InnerError.RequestID != "" {
		return body.Error.InnerError.RequestID
	}
	return a.header.Get("Request-Id")
}

// refusal is an answer that is no success.
type refusal struct {
	status  int
	code    string
	message string
	// targets are the properties whose value another object has.
	targets []string
}

func (r *refusal) Error() string {
	text := strconv.Itoa(r.status)
	if r.code != "" {
		text += " " + r.code
	}
	return text + ": " + r.message
}

// refused returns the refusal in an error, or nil.
func refused(err error) *refusal {
	r, _ := errors.AsType[*refusal](err)
	return r
}

// notFound reports whether Graph answered that there is no such thing, whatever the kind of the error became.
func notFound(err error) bool {
	r := refused(err)
	return r != nil && (r.status == http.StatusNotFound || invalidID(r))
}

// judge says what a caller should do about an answer; nil for a success.
func judge(op string, a *answer) error {
	if a.ok() {
		return nil
	}
	r := parseRefusal(a)
	e := fault.New(kindOf(r), op, r)
	if e.Kind == fault.Denied {
		e.Err = fmt.Errorf("%w: %s", r, advice(op, r))
	}
	if e.Kind.Retryable() {
		e.RetryAfter = provider.RetryAfter(a.header.Get("Retry-After"), time.Now())
	}
	return e
}

func parseRefusal(a *answer) *refusal {
	var body struct {
		Error struct {
			Code    string
			Message string
			Details []struct{ Code, Target string }
		}
	}
	_ = json.Unmarshal(a.body, &body)
	r := &refusal{status: a.status, code: clean(body.Error.Code), message: clean(body.Error.Message)}
	if r.message == "" {
		r.message = http.StatusText(a.status)
	}
	for _, d := range body.Error.Details {
		if d.Code == "ObjectConflict" || d.Code == "ConflictingObjects" {
			r.targets = append(r.targets, d.Target)
		}
	}
	return r
}

// codes are those of Graph's codes that say more than the status does.
var codes = map[string]fault.Kind{
	"Authorization_RequestDenied": fault.Denied, "Authorization_IdentityNotFound": fault.Denied, "InvalidAuthenticationToken": fault.Denied,
	"Directory_QuotaExceeded":          fault.Denied,
	"Directory_ConcurrencyViolation":   fault.Unavailable,
	"Request_ThrottledTemporarily":     fault.Throttled,
	"TooManyRequests":                  fault.Throttled,
	"Request_ResourceNotFound":         fault.NotFound,
	"Directory_ObjectNotFound":         fault.NotFound,
	"Directory_ReplicaUnavailable":     fault.Unavailable,
	"Directory_BindingRedirection":     fault.Unavailable,
	"Service_InternalServerError":      fault.Unavailable,
	"Authentication_ExpiredToken":      fault.Unavailable,
	"Request_InvalidReplicaSessionKey": fault.Unavailable,

	"Request_MultipleObjectsWithSameKeyValue": fault.Conflict,
}

func kindOf(r *refusal) fault.Kind {
	if k, ok := codes[r.code]; ok && r.status < 500 {
		return k
	}
	switch {
	case r.status == http.StatusTooManyRequests:
		return fault.Throttled
	case r.status == http.StatusUnauthorized, r.status == http.StatusPaymentRequired, r.status == http.StatusForbidden, r.status == http.StatusProxyAuthRequired:
		return fault.Denied
	case r.status == http.StatusNotFound, r.status == http.StatusGone, invalidID(r):
		return fault.NotFound
	case r.status == http.StatusConflict, r.status == http.StatusPreconditionFailed, duplicate(r):
		return fault.Conflict
	case unreplicated(r):
		return fault.Unavailable
	case r.status == http.StatusRequestTimeout, r.status == http.StatusTooEarly, r.status == http.StatusLocked, r.status == http.StatusFailedDependency:
		return fault.Unavailable
	case r.status == http.StatusNotImplemented:
		return fault.Invalid
	case r.status >= 500, r.status < 400:
		return fault.Unavailable // Below 400 is a redirect, which something on the way made up.
	}
	return fault.Invalid
}

// duplicate reports whether another object has the value: Graph says so with 400.
func duplicate(r *refusal) bool {
	return r.status == http.StatusBadRequest && (len(r.targets) > 0 ||
		strings.Contains(r.message, "already exists") || strings.Contains(r.message, "conflicting object"))
}

// concerns reports whether a duplicate is about the property.
func (r *refusal) concerns(property string) bool {
	return slices.Contains(r.targets, property) || strings.Contains(r.message, property)
}

// unreplicated is what a reference to an object gets that has not reached every replica, or that does not exist.
func unreplicated(r *refusal) bool {
	return r.status == http.StatusBadRequest && strings.Contains(r.message, "objects being referenced do not exist")
}

// alreadyMember is what adding somebody who is a member gets.
func alreadyMember(r *refusal) bool {
	return r != nil && r.status == http.StatusBadRequest && strings.Contains(r.message, "references already exist")
}

// noMember is what removing somebody who is no member gets.
func noMember(r *refusal) bool {
	return r != nil && (r.status == http.StatusNotFound || r.status == http.StatusBadRequest && strings.Contains(r.message, "references do not exist"))
}

func invalidID(r *refusal) bool {
	return r.status == http.StatusBadRequest && strings.Contains(r.message, "Invalid object identifier")
}

// advice says what to do about a denial.
func advice(op string, r *refusal) string {
	if r.status == http.StatusUnauthorized {
		return "check tenant_id, endpoint and authority: Graph does not take the access token"
	}
	if r.code == "Directory_QuotaExceeded" {
		return "the tenant, or the app, has as many objects as it may have"
	}
	kind, _, _ := strings.Cut(op, ".")
	permission := map[string]string{
		"users": "User.ReadWrite.All", "groups": "Group.ReadWrite.All", "members": "Group.ReadWrite.All", "deletedItems": "User.ReadWrite.All",
		"directoryRoles": "Directory.Read.All", "domains": "Domain.Read.All", "organization": "Organization.Read.All",
	}[kind]
	if permission == "" {
		permission = strings.Join(Permissions, ", ")
	}
	return "grant the app the application permission " + permission + ", with an administrator's consent"
}

// trouble classifies what happened on the way to an answer. ctx is that of the caller: a deadline of ours is not the
// caller's cancellation.
func trouble(ctx context.Context, op string, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*fault.Error](err); ok {
		return e
	}
	if ctx.Err() != nil {
		return fault.New(fault.KindOf(ctx.Err()), op, ctx.Err())
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fault.New(fault.Unavailable, op, errors.New("no answer in time"))
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	return fault.New(fault.Unavailable, op, errors.New(clean(err.Error())))
}

// secrets are what must not stand in a text, whoever echoed it.
var secrets = regexp.MustCompile(`(?i)bearer\s+\S+|eyJ[\w\-]{8,}\.[\w.\-]+|client_(secret|assertion)"?\s*[=:]\s*\S+`)

// clean cuts a text to one line without secrets.
func clean(text string) string {
	const most = 300
	text = strings.Join(strings.Fields(secrets.ReplaceAllString(text, "<redacted>")), " ")
	if r := []rune(text); len(r) > most {
		text = string(r[:most]) + "…"
	}
	return text
}

// without returns the error with a secret of its own taken out of its text.
func without(secret string, err error) error {
	e, ok := errors.AsType[*fault.Error](err)
	if !ok || secret == "" || !strings.Contains(e.Error(), secret) {
		return err
	}
	clean := func(s string) string { return strings.ReplaceAll(s, secret, "<redacted>") }
	out := &fault.Error{Kind: e.Kind, Op: e.Op, RetryAfter: e.RetryAfter, Err: errors.New(clean(e.Err.Error()))}
	if r := refused(err); r != nil {
		out.Err = &refusal{r.status, r.code, clean(r.message), r.targets}
	}
	return out
}
