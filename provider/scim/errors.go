package scim

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
	"rollcall/plan"
	"rollcall/provider"
)

// answer is a refusal by the server.
type answer struct {
	status   int
	scimType string
	detail   string
}

// Error implements error.
func (a *answer) Error() string {
	text := strconv.Itoa(a.status)
	if a.scimType != "" {
		text += " " + a.scimType
	}
	return text + ": " + a.detail
}

// refused returns the server's refusal in an error, or nil.
func refused(err error) *answer {
	a, _ := errors.AsType[*answer](err)
	return a
}

// status returns the status of a refusal, or zero.
func status(err error) int {
	if a := refused(err); a != nil {
		return a.status
	}
	return 0
}

// judge returns the error of a response, with its kind.
func (p *Provider) judge(op string, res *response) error {
	if res.status >= 200 && res.status < 300 {
		return nil
	}
	a := &answer{status: res.status, detail: http.StatusText(res.status)}
	var body struct {
		ScimType string `json:"scimType"`
		Detail   string `json:"detail"`
		Message  string `json:"message"`
	}
	if json.Unmarshal(res.body, &body) == nil {
		a.scimType = p.clean(body.ScimType)
		if detail := body.Detail + body.Message; detail != "" {
			a.detail = p.clean(detail)
		}
	}
	e := fault.New(kindOf(op, a, res.header), op, a)
	if e.Kind.Retryable() {
		e.RetryAfter = retryAfter(res.header, p.now())
	}
	return e
}

// ofTarget are the requests with refusals that concern the target. Every other request concerns one object.
var ofTarget = []string{"config.get", "types.list", "schemas.list", "users.list", "groups.list", tokenOp}

// kindOf classifies a refusal by its contents and the request.
func kindOf(op string, a *answer, h http.Header) fault.Kind {
	target := slices.Contains(ofTarget, op)
	switch {
	case a.status == http.StatusTooManyRequests, spent(h),
		a.status == http.StatusServiceUnavailable && h.Get("Retry-After") != "":
		return fault.Throttled
	case a.status == http.StatusUnauthorized, a.status == http.StatusProxyAuthRequired:
		return fault.Denied
	case target && (a.status == http.StatusForbidden || a.status == http.StatusPaymentRequired ||
		a.status == http.StatusNotFound || a.status == http.StatusMethodNotAllowed ||
		a.status == http.StatusNotAcceptable || a.status == http.StatusNotImplemented):
		return fault.Denied
	case a.status == http.StatusNotFound, a.status == http.StatusGone:
		return fault.NotFound
	case a.status == http.StatusConflict, a.status == http.StatusPreconditionFailed:
		return fault.Conflict
	case a.status == http.StatusForbidden, a.status == http.StatusPaymentRequired,
		a.status == http.StatusMethodNotAllowed, a.status == http.StatusNotImplemented,
		a.status == http.StatusRequestEntityTooLarge:
		return fault.Refused
	case a.status == http.StatusRequestTimeout, a.status == http.StatusTooEarly, a.status >= 500, a.status < 400:
		return fault.Unavailable // A status below 400 is a redirect, which comes from a proxy.
	}
	return fault.Invalid
}

// spent reports whether a refusal says that no calls are left, as some servers do with a 403.
func spent(h http.Header) bool { return h.Get("X-Ratelimit-Remaining") == "0" }

// retryAfter returns how long the server asks to wait.
func retryAfter(h http.Header, now time.Time) time.Duration {
	if d := provider.RetryAfter(h.Get("Retry-After"), now); d > 0 {
		return d
	}
	if reset, err := strconv.ParseInt(h.Get("X-Ratelimit-Reset"), 10, 64); err == nil && spent(h) {
		return max(0, time.Unix(reset, 0).Sub(now))
	}
	return 0
}

// trouble returns the error of a request without a response. ctx is the caller's, because our own deadline is not a
// cancellation by the caller.
func (p *Provider) trouble(ctx context.Context, op string, err error) error {
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
	return fault.New(fault.Unavailable, op, errors.New(p.clean(err.Error())))
}

// ofOneObject reports whether an error concerns only the requested object.
func ofOneObject(err error) bool {
	switch fault.KindOf(err) {
	case fault.Invalid, fault.Conflict, fault.NotFound, fault.Refused:
		return true
	default:
		return false
	}
}

var secrets = regexp.MustCompile(`(?i)(bearer|basic)\s+\S+|eyJ[\w\-]{8,}\.[\w.\-]+`)

// clean shortens a text of the server to one line without secrets.
func (p *Provider) clean(text string) string {
	const most = 300
	for _, s := range p.auth.secrets() {
		text = strings.ReplaceAll(text, s, "<redacted>")
	}
	text = strings.Join(strings.Fields(secrets.ReplaceAllString(text, "<redacted>")), " ")
	if r := []rune(text); len(r) > most {
		text = string(r[:most]) + "…"
	}
	return text
}

// detailed adds to the error of a change the field that the server refused, where it can be told.
func detailed(c *plan.Change, err error) error {
	a := refused(err)
	if err == nil || a == nil || a.status != http.StatusBadRequest || c.Op.Membership() ||
		fault.KindOf(err) != fault.Invalid {
		return err
	}
	field, value := "", ""
	for _, f := range c.Fields {
		s, _ := parseSlot(f.Name)
		if len(c.Fields) == 1 || names(a.detail, s) {
			field, value = f.Name, after(f)
			break
		}
	}
	if field == "" {
		return err
	}
	return &fault.Error{Kind: fault.Invalid, Field: field,
		Err: fmt.Errorf("%s: the server refuses the value %q: %w", field, value, err)}
}

// names reports whether a text names the attribute of a slot.
func names(text string, s slot) bool {
	name := s.sub
	if name == "" || name == "value" {
		name = s.attr
	}
	return strings.Contains(strings.ToLower(text), strings.ToLower(name))
}

// after returns the new value of a field, or "" to clear it.
func after(f plan.FieldChange) string {
	if len(f.After) == 0 {
		return ""
	}
	return strings.TrimSpace(f.After[0])
}
