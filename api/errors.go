package api

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"rollcall/fault"
	"rollcall/internal/redisfault"
	"rollcall/internal/secret"
	"rollcall/status"
)

// statusClientClosed is the status in the log for a client that closed the connection. It is never sent.
const statusClientClosed = 499

// detail is the body of every error that does not concern a field.
type detail struct {
	Detail string `json:"detail"`
}

// problem is an error with its response.
type problem struct {
	status int
	body   any
}

// Error implements error.
func (p *problem) Error() string { return fmt.Sprintf("%d %v", p.status, p.body) }

func badRequest(text string) *problem { return &problem{http.StatusBadRequest, detail{Detail: text}} }

func conflict(text string) *problem { return &problem{http.StatusConflict, detail{Detail: text}} }

// invalid maps the names of fields to their errors. It is the body of a 400.
type invalid map[string][]string

// Error implements error.
func (v invalid) Error() string { return fmt.Sprintf("invalid: %v", map[string][]string(v)) }

// nonField is the key for errors that concern the whole request.
const nonField = "non_field_errors"

func (v invalid) add(field, format string, args ...any) {
	v[field] = append(v[field], fmt.Sprintf(format, args...))
}

// orNil returns v as an error, or nil if v is empty.
func (v invalid) orNil() error {
	if len(v) == 0 {
		return nil
	}
	return v
}

func invalidField(field, format string, args ...any) error {
	return invalid{field: {fmt.Sprintf(format, args...)}}
}

func notFound() answer {
	return answer{status: http.StatusNotFound, body: detail{Detail: "Not found."}}
}

// errorAnswer returns the response to an error, and whether the client caused it.
func (a *API) errorAnswer(err error) (out answer, known bool) {
	if live, ok := errors.AsType[*status.LiveError](err); ok {
		err = a.refuseLive(live.Run, "A run is live: wait for its end, or cancel it.")
	}
	if p, ok := errors.AsType[*problem](err); ok {
		out = answer{status: p.status, body: p.body}
		if p.status == http.StatusServiceUnavailable || p.status == http.StatusTooManyRequests {
			out = retryLater(out, 0)
		}
		return out, true
	}
	if p, ok := errors.AsType[ConfigProblems](err); ok {
		err = p.fields()
	}
	if v, ok := errors.AsType[invalid](err); ok {
		return answer{status: http.StatusBadRequest, body: v}, true
	}
	return faultAnswer(err), false
}

// failure converts an error to a response. It logs details that the operator needs and the client must not see.
func (a *API) failure(r *http.Request, err error) answer {
	out, known := a.errorAnswer(err)
	if known {
		return out
	}
	ctx := r.Context()
	switch kind := fault.KindOf(err); {
	case ctx.Err() != nil && kind == fault.Canceled:
		out.status = statusClientClosed
	case out.status == http.StatusInternalServerError:
		a.cfg.Log.ErrorContext(ctx, "request failed", "request_id", requestID(r), "err", secret.Scrub(err.Error()))
	case out.status > http.StatusInternalServerError:
		a.cfg.Log.WarnContext(ctx, "request failed", "request_id", requestID(r), "kind", kind.String(), "err",
			secret.Scrub(err.Error()))
	}
	return out
}

// faultAnswer converts an error by its kind. The text of an error is sent only if it concerns the request. Texts of a
// remote side or of Redis may contain the names of hosts and accounts.
func faultAnswer(err error) answer {
	plain := func(code int, text string) answer { return answer{status: code, body: detail{Detail: text}} }
	switch fault.KindOf(err) {
	case fault.Invalid:
		return answer{status: http.StatusBadRequest, body: invalid{nonField: {err.Error()}}}
	case fault.NotFound:
		return notFound()
	case fault.Conflict, fault.Unsafe:
		return plain(http.StatusConflict, err.Error())
	case fault.Denied:
		return plain(http.StatusBadGateway, "A system behind this service refused its credentials.")
	case fault.Refused:
		return plain(http.StatusBadGateway, "A system behind this service refused this one object.")
	case fault.Throttled:
		return retryLater(plain(http.StatusServiceUnavailable, "A quota is spent. Try again later."), fault.RetryAfter(err))
	case fault.Unavailable:
		return retryLater(plain(http.StatusServiceUnavailable, unavailable(err)+" Try again later."), fault.RetryAfter(err))
	case fault.Canceled:
		return retryLater(plain(http.StatusServiceUnavailable, "The service is stopping. Try again."), 0)
	case fault.Internal:
	}
	return internalError
}

// unavailable names the unavailable system. Redis is named, because every response depends on it.
func unavailable(err error) string {
	switch why := redisfault.Refusal(err); {
	case why != "":
		return "Redis refuses to serve this service: " + why + "."
	case redisfault.Is(err):
		return "Redis does not answer this service."
	}
	return "A system behind this service is unavailable."
}

// internalError has no details, because an unexpected error may contain any text.
var internalError = answer{status: http.StatusInternalServerError, body: detail{Detail: "Internal server error."}}

// retryLater adds the Retry-After header (RFC 9110, section 10.2.3) in whole seconds, rounded up.
func retryLater(a answer, after time.Duration) answer {
	const least = 5 * time.Second
	seconds := (max(after, least) + time.Second - 1) / time.Second
	a.header = map[string]string{"Retry-After": strconv.FormatInt(int64(seconds), 10)}
	return a
}

// rpcRoot is the common prefix of the sessions API. Its paths have no final slash and no base path, and its errors
// are google.rpc.Status.
const rpcRoot = "/organization-manager/"

// rpcStatus is the body of every error below rpcRoot.
type rpcStatus struct {
	Code    int    `json:"code"` // of google.rpc.Code
	Message string `json:"message"`
	Details []any  `json:"details"`
}

// rpcCodes maps an HTTP status to its google.rpc.Code.
var rpcCodes = map[int]int{
	http.StatusBadRequest:          3,  // INVALID_ARGUMENT
	http.StatusUnauthorized:        16, // UNAUTHENTICATED
	http.StatusForbidden:           7,  // PERMISSION_DENIED
	http.StatusNotFound:            5,  // NOT_FOUND
	http.StatusMethodNotAllowed:    12, // UNIMPLEMENTED
	http.StatusConflict:            10, // ABORTED
	http.StatusServiceUnavailable:  14, // UNAVAILABLE
	http.StatusBadGateway:          14,
	http.StatusInternalServerError: 13, // INTERNAL
	statusClientClosed:             1,  // CANCELLED
}

// rpcAnswer converts an error response to google.rpc.Status. Missing credentials get 401 here.
func rpcAnswer(out answer, err error) answer {
	if out.status < http.StatusBadRequest {
		return out
	}
	if p, ok := errors.AsType[*problem](err); ok && (p == errNoCredentials || p == errUnsupported ||
		p == errInvalidToken) {
		out.status = http.StatusUnauthorized
		out.header = map[string]string{"WWW-Authenticate": "Bearer"} // RFC 9110, section 11.6.1
	}
	code, known := rpcCodes[out.status]
	if !known {
		code = 2 // UNKNOWN
	}
	out.body = rpcStatus{Code: code, Message: rpcMessage(out.body), Details: []any{}}
	return out
}

// rpcMessage formats the body of an error as one line.
func rpcMessage(body any) string {
	switch body := body.(type) {
	case detail:
		return body.Detail
	case refused:
		return body.Detail
	case invalid:
		lines := make([]string, 0, len(body))
		for _, field := range slices.Sorted(maps.Keys(body)) {
			lines = append(lines, field+": "+strings.Join(body[field], " "))
		}
		return strings.Join(lines, " ")
	}
	return ""
}

// dispatchRPC routes a path below rpcRoot.
func (a *API) dispatchRPC(w http.ResponseWriter, r *http.Request) {
	rt := route{rpc: true}
	id, one := strings.CutPrefix(r.URL.EscapedPath(), sessionsPath+"/")
	switch {
	case r.URL.EscapedPath() == sessionsPath:
		rt.methods = get(ScopeRead, a.sessions)
	case one && id != "" && !strings.Contains(id, "/"):
		r.SetPathValue(sessionParam, r.URL.Path[len(sessionsPath)+1:])
		rt.methods = get(ScopeRead, a.session)
	default:
		a.write(w, r, rpcAnswer(notFound(), nil))
		return
	}
	a.serveRoute(w, r, rt)
}
