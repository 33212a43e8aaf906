package api

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
)

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
