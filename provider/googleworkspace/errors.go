package googleworkspace

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"google.golang.org/api/googleapi"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/remote"
)

// classify returns the error of the method op with its kind. The texts are Google's, shortened and without secrets.
// The vendor's error does not leave the package. ctx is the caller's, because our own deadline is not a cancellation
// by the caller.
func classify(ctx context.Context, op string, err error, secrets ...string) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*fault.Error](err); ok {
		return e // It is from the token source, or one of ours.
	}
	if g, ok := errors.AsType[*googleapi.Error](err); ok {
		return fromAnswer(op, g, secrets)
	}
	// All other errors come from the network, such as a refused or lost connection, a truncated answer, or one that
	// is not JSON.
	return remote.Trouble(ctx, op, err, secrets...)
}

func fromAnswer(op string, g *googleapi.Error, secrets []string) error {
	a := &remote.Refusal{Status: g.Code, Code: remote.Clean(reasonOf(g), secrets...),
		Message: remote.Clean(g.Message, secrets...)}
	if len(g.Errors) > 0 && a.Message == "" {
		a.Message = remote.Clean(g.Errors[0].Message, secrets...)
	}
	a.Message = cmp.Or(a.Message, http.StatusText(g.Code))
	e := fault.New(kindOf(op, a, g.Body), op, a)
	if remote.WebPage(g.Body) || e.Kind == fault.Unavailable && a.Status == http.StatusNotFound {
		a.Message += ", in an answer that is not from the API"
	}
	if e.Kind.Retryable() {
		e.RetryAfter = provider.RetryAfter(g.Header.Get("Retry-After"), time.Now())
	}
	return e
}

// reasonOf returns the reason of an answer. The common form of Google's newer APIs has no list of errors. Its reason is
// in the details (google.rpc.ErrorInfo), or only the canonical status says more than the code.
func reasonOf(g *googleapi.Error) string {
	if len(g.Errors) > 0 && g.Errors[0].Reason != "" {
		return g.Errors[0].Reason
	}
	var body struct {
		Error struct {
			Status  string `json:"status"`
			Details []struct {
				Reason string `json:"reason"`
			} `json:"details"`
		} `json:"error"`
	}
	_ = json.Unmarshal([]byte(g.Body), &body)
	for _, d := range body.Error.Details {
		if d.Reason != "" {
			return d.Reason
		}
	}
	return body.Error.Status
}

// listings are the methods with refusals that concern the target. Every other method concerns one object.
var listings = []string{"users.list", "groups.list", "domains.list", "orgunits.list"}

// reasons maps the reasons of Google that are more specific than the status.
var reasons = map[string]fault.Kind{
	"userRateLimitExceeded": fault.Throttled, "rateLimitExceeded": fault.Throttled, "quotaExceeded": fault.Throttled,
	"servingLimitExceeded": fault.Throttled, "concurrentLimitExceeded": fault.Throttled,
	"dailyLimitExceeded":  fault.Throttled,
	"accessNotConfigured": fault.Denied, "insufficientPermissions": fault.Denied, "authError": fault.Denied,
	"limitExceeded": fault.Refused, "aborted": fault.Unavailable, "backendError": fault.Unavailable,
	"RATE_LIMIT_EXCEEDED": fault.Throttled, "RESOURCE_EXHAUSTED": fault.Throttled, "ABORTED": fault.Unavailable,
	"SERVICE_DISABLED": fault.Denied, "ACCESS_TOKEN_SCOPE_INSUFFICIENT": fault.Denied,
	"failedPrecondition": fault.Conflict, "FAILED_PRECONDITION": fault.Conflict, // 400, and no fault of a value
}

// texts are parts of messages that are more specific than the reason, or that come without one.
var texts = []struct {
	text string
	kind fault.Kind
}{
	{"Request rate higher than configured", fault.Throttled},
	{"Quota exceeded for the current request", fault.Throttled},
	{"User creation is not complete", fault.Unavailable},
	{userDeleted, fault.NotFound},
	{"Type not supported: userKey", fault.NotFound},  // a key of a group
	{"Type not supported: groupKey", fault.NotFound}, // a key of a user
}

// canceled is the status of the canonical code CANCELLED.
const canceled = 499

// userDeleted is Google's answer (412) to a key of a deleted user.
const userDeleted = "User is deleted"

// full matches Google's messages about an account without room for another object, such as "Domain user limit
// reached".
var full = regexp.MustCompile(`(?i)\blimit (was |has been )?(reached|exceeded)|` +
	`enough (available )?licen[sc]es|insufficient licen[sc]es`)

// noRoom reports whether the account, or a group, has no room for another object according to the answer.
func noRoom(err error) bool {
	a, ok := errors.AsType[*remote.Refusal](err)
	return ok && a.Status < 500 && fault.KindOf(err) == fault.Refused &&
		(a.Code == "limitExceeded" || full.MatchString(a.Message))
}

// absence matches the reasons with which Google says that an object does not exist. An answer without one of them comes
// from a gateway. An error is never an absence.
var absence = regexp.MustCompile(`(?i)^(resource_?)?not_?found$`)

// kindOf classifies an answer only by its contents and the method. Earlier requests of this process and the time do
// not matter.
func kindOf(op string, a *remote.Refusal, body string) fault.Kind {
	for _, t := range texts {
		if strings.Contains(a.Message, t.text) || strings.Contains(body, t.text) {
			return t.kind
		}
	}
	if k, ok := reasons[a.Code]; ok && a.Status != http.StatusNotFound && a.Status < 500 {
		return k
	}
	switch {
	case a.Status == http.StatusTooManyRequests:
		return fault.Throttled
	case a.Status == http.StatusUnauthorized, a.Status == http.StatusPaymentRequired,
		a.Status == http.StatusProxyAuthRequired:
		return fault.Denied
	case remote.WebPage(body):
		return fault.Unavailable
	case a.Status == http.StatusForbidden && slices.Contains(listings, op):
		return fault.Denied
	case a.Status == http.StatusForbidden, full.MatchString(a.Message):
		return fault.Refused
	case a.Status == http.StatusNotFound && (absence.MatchString(a.Code) ||
		strings.HasPrefix(a.Message, "Resource Not Found: ")), a.Status == http.StatusGone && a.Code != "":
		return fault.NotFound
	case a.Status == http.StatusConflict, a.Status == http.StatusPreconditionFailed:
		return fault.Conflict
	case a.Status == http.StatusRequestTimeout, a.Status == http.StatusTooEarly, a.Status == canceled, a.Status >= 500,
		a.Status < 400, a.Status == http.StatusNotFound, a.Status == http.StatusGone:
		return fault.Unavailable // A status below 400 is a redirect, which comes from a proxy.
	}
	return fault.Invalid
}

// without returns the error with a secret removed from its text.
func without(secret string, err error) error {
	e, ok := errors.AsType[*fault.Error](err)
	if !ok || secret == "" || !strings.Contains(e.Error(), secret) {
		return err
	}
	text := strings.ReplaceAll(e.Err.Error(), secret, "<redacted>")
	return &fault.Error{Kind: e.Kind, Op: e.Op, RetryAfter: e.RetryAfter, Field: e.Field, Err: errors.New(text)}
}

// invalidUnit is Google's term for the path of an organizational unit that does not exist.
const invalidUnit = "INVALID_OU_ID"

// rejected maps the terms in Google's refusals of values to fields.
var rejected = []struct{ term, field string }{
	{invalidUnit, orgUnitField}, {"FamilyName", "name.familyName"}, {"GivenName", "name.givenName"},
	{"display_name", "name.displayName"},
	{"primary_user_email", plan.AddressField}, {"recovery_email", "recoveryEmail"}, {"recovery_phone", "recoveryPhone"},
}

// detailed adds to the error of a change the details that Google omits. These are the refused field and value, or the
// kind of object that the account has no room for.
func detailed(c *plan.Change, err error) error {
	if err == nil {
		return nil
	}
	kind := fault.KindOf(err)
	if noRoom(err) {
		return fault.Errorf(kind, "the tenant has no room for another %s: %w", roomFor(c), err)
	}
	status, _ := code(err)
	if kind != fault.Invalid || status != http.StatusBadRequest || c.Op.Membership() || len(c.Fields) == 0 &&
		c.Op != plan.Create {
		return err
	}
	for _, r := range rejected {
		if value, sent := sentValue(c, r.field); sent && strings.Contains(err.Error(), r.term) {
			return refusedValue(r.field, value, err)
		}
	}
	if len(c.Fields) == 1 {
		value, _ := sentValue(c, c.Fields[0].Name)
		return refusedValue(c.Fields[0].Name, value, err)
	}
	return fault.Errorf(kind, "Google refuses one of the values of %s: %w", strings.Join(names(c.Fields), ", "), err)
}

func refusedValue(field, value string, err error) error {
	text := fmt.Sprintf("%s: Google refuses the value %q", field, value)
	if strings.Contains(err.Error(), invalidUnit) {
		text = fmt.Sprintf("orgUnitPath: the tenant has no organizational unit %q", value)
	}
	return &fault.Error{Kind: fault.Invalid, Field: field, Err: fmt.Errorf("%s: %w", text, err)}
}

// sentValue returns the value that a change sends for a field.
func sentValue(c *plan.Change, field string) (string, bool) {
	for _, f := range c.Fields {
		if f.Name == field && field != plan.AddressField {
			return after(f), true
		}
	}
	address := remote.NewAddress(c)
	if c.Op == plan.Create {
		address = c.Address
	}
	return address, field == plan.AddressField && address != ""
}

// roomFor names the kind of object that a change would have added.
func roomFor(c *plan.Change) string {
	switch {
	case c.Op.Membership():
		return "member of group " + c.Label
	case c.Op == plan.Create && c.Kind == directory.Group:
		return "group"
	}
	return "user, or no license for one"
}

// callAs makes a call with errors that have a special meaning in its context. reclassify gets the classified error
// before the Caller does.
func (p *Provider) callAs(
	ctx context.Context, op string, reclassify func(error) error, fn func(context.Context) error,
) error {
	attempts := 0
	err := p.call(ctx, op, func(ctx context.Context) error {
		answer := classify(ctx, op, fn(ctx), p.secrets()...)
		if answer == nil {
			return nil
		}
		attempts++
		return leave(ctx, attempts, reclassify(answer))
	})
	e, ok := errors.AsType[*fault.Error](err)
	if ok && e.Kind == fault.Unavailable && fault.KindOf(e.Err) == fault.NotFound {
		return fault.New(fault.NotFound, "", e.Err) // The repetitions did not help.
	}
	return err
}

// patience is how often a request is repeated after a 404. A new object becomes visible everywhere after some
// seconds. Until then no worker can distinguish it from a deleted object.
const patience = 3

// settleWithin is how long Google needs at most for most changes. It is longer than a Caller repeats.
const settleWithin = time.Minute

// leave makes the Caller leave a write to a later attempt when the object still settles after a few attempts. A
// patient caller makes no later attempt.
func leave(ctx context.Context, attempts int, err error) error {
	e, ok := errors.AsType[*fault.Error](err)
	if !ok || e.Kind != fault.Unavailable || fault.KindOf(e.Err) == fault.NotFound {
		return err
	}
	if status, _ := code(err); status == http.StatusPreconditionFailed { // "User creation is not complete"
		e = fault.New(fault.Unavailable, "", provider.Settling(err))
	}
	if attempts >= patience && provider.IsSettling(e) && !provider.IsPatient(ctx) {
		e.RetryAfter = settleWithin
	}
	return e
}

// settling returns a function that makes temporary errors Unavailable. These are a 404, unless gone is set, which
// makes 404 an answer, and a 409 to a write without an address. Such a 409 can follow a recent change of the address.
// A 404 stays Unavailable where this process created one of the objects moments ago.
func (p *Provider) settling(takesAddress, gone bool, ids ...string) func(error) error {
	patient := retryMissing()
	return func(err error) error {
		status, _ := code(err)
		absent := status == http.StatusNotFound && fault.KindOf(err) == fault.NotFound
		switch {
		case absent && !gone && slices.ContainsFunc(ids, p.recent.Has):
			// The text alone hides the 404 from callAs, which would report it as final.
			return fault.New(fault.Unavailable, "", provider.Settling(
				errors.New("created moments ago and not yet visible everywhere: "+err.Error())))
		case absent && !gone:
			return patient(err)
		case status == http.StatusConflict && !takesAddress:
			return fault.New(fault.Unavailable, "", provider.Settling(
				fmt.Errorf("an earlier change is still settling: %w", err)))
		}
		return err
	}
}

// retryMissing returns a function that makes the first NotFound errors Unavailable.
func retryMissing() func(error) error {
	left := patience
	return func(err error) error {
		if fault.KindOf(err) != fault.NotFound || left == 0 {
			return err
		}
		left--
		return fault.Errorf(fault.Unavailable, "not found, or not yet visible everywhere: %w", err)
	}
}
