package googleworkspace

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"google.golang.org/api/googleapi"

	"rollcall/fault"
	"rollcall/provider"
)

// classify says what a caller should do about what Google, or the way to it, answered. The texts are Google's, cut and
// without secrets; the vendor's error does not leave the package. ctx is that of the caller: a deadline of ours is not
// the caller's cancellation.
func classify(ctx context.Context, op string, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*fault.Error](err); ok {
		return e // The token source's, or one of ours.
	}
	if g, ok := errors.AsType[*googleapi.Error](err); ok {
		return fromAnswer(op, g)
	}
	if ctx.Err() != nil {
		return fault.New(fault.KindOf(ctx.Err()), op, ctx.Err())
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fault.New(fault.Unavailable, op, errors.New("no answer in time"))
	}
	// What is left happened on the way: a refused or lost connection, an answer that broke off or that is no JSON.
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	return fault.New(fault.Unavailable, op, errors.New(clean(err.Error())))
}

// answer is a refusal of Google's.
type answer struct {
	code    int
	reason  string
	message string
}

func (a *answer) Error() string {
	text := strconv.Itoa(a.code)
	if a.reason != "" {
		text += " " + a.reason
	}
	return text + ": " + a.message
}

func fromAnswer(op string, g *googleapi.Error) error {
	a := &answer{code: g.Code, message: clean(g.Message)}
	if len(g.Errors) > 0 {
		a.reason = g.Errors[0].Reason
		if a.message == "" {
			a.message = clean(g.Errors[0].Message)
		}
	}
	if a.message == "" {
		a.message = http.StatusText(g.Code)
	}
	e := fault.New(kindOf(a, g.Body), op, a)
	if e.Kind.Retryable() {
		e.RetryAfter = provider.RetryAfter(g.Header.Get("Retry-After"), time.Now())
	}
	return e
}

// reasons are those of Google's reasons that say more than the status does.
var reasons = map[string]fault.Kind{
	"userRateLimitExceeded": fault.Throttled, "rateLimitExceeded": fault.Throttled, "quotaExceeded": fault.Throttled,
	"servingLimitExceeded": fault.Throttled, "concurrentLimitExceeded": fault.Throttled,
	"forbidden": fault.Denied, "domainCannotUseApis": fault.Denied, "accessNotConfigured": fault.Denied,
	"insufficientPermissions": fault.Denied, "dailyLimitExceeded": fault.Denied, "authError": fault.Denied,
	"limitExceeded": fault.Invalid, "aborted": fault.Unavailable, "backendError": fault.Unavailable,
}

// texts are plain answers that come without a reason, by the text that tells them.
var texts = []struct {
	text string
	kind fault.Kind
}{
	{"Request rate higher than configured", fault.Throttled},
	{"Quota exceeded for the current request", fault.Throttled},
	{"User creation is not complete", fault.Unavailable},
	{"Cyclic memberships not allowed", fault.Conflict},
}

func kindOf(a *answer, body string) fault.Kind {
	for _, t := range texts {
		if strings.Contains(a.message, t.text) || strings.Contains(body, t.text) {
			return t.kind
		}
	}
	if k, ok := reasons[a.reason]; ok && a.code != http.StatusNotFound && a.code < 500 {
		return k
	}
	switch {
	case a.code == http.StatusTooManyRequests:
		return fault.Throttled
	case a.code == http.StatusUnauthorized, a.code == http.StatusPaymentRequired, a.code == http.StatusForbidden, a.code == http.StatusProxyAuthRequired:
		return fault.Denied
	case a.code == http.StatusNotFound, a.code == http.StatusGone:
		return fault.NotFound
	case a.code == http.StatusConflict, a.code == http.StatusPreconditionFailed:
		return fault.Conflict
	case a.code == http.StatusRequestTimeout, a.code == http.StatusTooEarly, a.code >= 500, a.code < 400:
		return fault.Unavailable // Below 400 is a redirect, which something on the way made up.
	}
	return fault.Invalid
}

// secrets are what must not stand in a text, whoever echoed it.
var secrets = regexp.MustCompile(`(?i)bearer\s+\S+|ya29\.[\w.\-]+|eyJ[\w\-]{8,}\.[\w.\-]+|assertion=\S+`)

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
	text := strings.ReplaceAll(e.Err.Error(), secret, "<redacted>")
	return &fault.Error{Kind: e.Kind, Op: e.Op, RetryAfter: e.RetryAfter, Err: errors.New(text)}
}
