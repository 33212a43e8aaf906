package scim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/remote"
)

// refused returns the server's refusal in an error, or nil.
func refused(err error) *remote.Refusal {
	a, _ := errors.AsType[*remote.Refusal](err)
	return a
}

// status returns the status of a refusal, or zero.
func status(err error) int {
	if a := refused(err); a != nil {
		return a.Status
	}
	return 0
}

// judge returns the error of a response, with its kind.
func (p *Provider) judge(op string, res *response) error {
	if res.status >= 200 && res.status < 300 {
		return nil
	}
	a := &remote.Refusal{Status: res.status, Message: http.StatusText(res.status)}
	var body struct {
		ScimType string `json:"scimType"`
		Detail   string `json:"detail"`
		Message  string `json:"message"`
	}
	if json.Unmarshal(res.body, &body) == nil {
		a.Code = p.clean(body.ScimType)
		if detail := body.Detail + body.Message; detail != "" {
			a.Message = p.clean(detail)
		}
	}
	if to := res.header.Get("Location"); res.status >= 300 && res.status < 400 && to != "" {
		a.Message = p.clean("the server redirects to " + to +
			", which is not followed; endpoint may have to be changed")
	}
	e := fault.New(kindOf(op, a, res.header), op, a)
	if e.Kind == fault.NotFound && !res.fromSCIM() {
		e.Kind, a.Message = fault.Unavailable, a.Message+", in an answer that is not from the API"
	}
	if e.Kind.Retryable() {
		e.RetryAfter = retryAfter(res.header, p.now())
	}
	return e
}

// fromSCIM reports whether an answer has a body of SCIM (RFC 7644, section 3.12: servers "MUST return the errors in the
// body"). A 404 with another body may be a gateway's, and an error is never an absence.
func (r *response) fromSCIM() bool {
	var body struct{ Schemas []string }
	_ = json.Unmarshal(r.body, &body) // Other bodies have no schemas.
	return r.witnessed || slices.ContainsFunc(body.Schemas, func(urn string) bool {
		return strings.Contains(strings.ToLower(urn)+":", ":scim:")
	})
}

// isList reports whether an answer is a list of resources, if only in some server's form.
func (r *response) isList() bool {
	var body struct{ Resources, TotalResults json.RawMessage }
	return json.Unmarshal(r.body, &body) == nil && (body.Resources != nil || body.TotalResults != nil)
}

// absenceInDoubt reports whether an answer says that a resource does not exist, and not in SCIM's form. Some servers
// answer so without a body, or with the text of their web framework. A web page is never a server's answer.
func (r *response) absenceInDoubt(to *request) bool {
	return (r.status == http.StatusNotFound || r.status == http.StatusGone) && !r.fromSCIM() &&
		to.collection() != "" && !remote.WebPage(string(r.body))
}

// uniqueness is the scimType of a value that another resource has. Its status is 409 (RFC 7644, section 3.3), or 400.
const uniqueness = "uniqueness"

// clash reports whether a refusal says that another resource has a value.
func clash(err error) bool {
	a := refused(err)
	return a != nil && (a.Status == http.StatusConflict || a.Status == http.StatusBadRequest && a.Code == uniqueness)
}

// ofTarget are the requests with refusals that concern the target. Every other request concerns one object.
var ofTarget = []string{"config.get", "types.list", "schemas.list", "users.list", "groups.list", remote.TokenOp}

// kindOf classifies a refusal by its contents and the request.
func kindOf(op string, a *remote.Refusal, h http.Header) fault.Kind {
	target := slices.Contains(ofTarget, op)
	switch {
	case a.Status == http.StatusTooManyRequests, spent(h),
		a.Status == http.StatusServiceUnavailable && h.Get("Retry-After") != "":
		return fault.Throttled
	case a.Status == http.StatusUnauthorized, a.Status == http.StatusProxyAuthRequired:
		return fault.Denied
	case target && (a.Status == http.StatusForbidden || a.Status == http.StatusPaymentRequired ||
		a.Status == http.StatusNotFound || a.Status == http.StatusMethodNotAllowed ||
		a.Status == http.StatusNotAcceptable || a.Status == http.StatusNotImplemented):
		return fault.Denied
	case a.Status == http.StatusNotFound, a.Status == http.StatusGone:
		return fault.NotFound
	case a.Status == http.StatusConflict, a.Status == http.StatusPreconditionFailed,
		a.Status == http.StatusBadRequest && a.Code == uniqueness:
		return fault.Conflict
	case a.Status == http.StatusForbidden, a.Status == http.StatusPaymentRequired,
		a.Status == http.StatusMethodNotAllowed, a.Status == http.StatusNotImplemented,
		a.Status == http.StatusRequestEntityTooLarge:
		return fault.Refused
	case a.Status == http.StatusRequestTimeout, a.Status == http.StatusTooEarly, a.Status >= 500, a.Status < 400:
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

// trouble returns the error of a request without a response.
func (p *Provider) trouble(ctx context.Context, op string, err error) error {
	return remote.Trouble(ctx, op, err, p.auth.secrets()...)
}

// clean shortens a text of the server to one line without secrets.
func (p *Provider) clean(text string) string { return remote.Clean(text, p.auth.secrets()...) }

// detailed adds to the error of a change the field that the server refused, where it can be told.
func detailed(c *plan.Change, err error) error {
	a := refused(err)
	if err == nil || a == nil || a.Status != http.StatusBadRequest || c.Op.Membership() ||
		fault.KindOf(err) != fault.Invalid {
		return err
	}
	field, value := "", ""
	for _, f := range c.Fields {
		s, _ := parseSlot(f.Name)
		if len(c.Fields) == 1 || names(a.Message, s) {
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
