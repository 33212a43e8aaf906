package api

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// rpcRoot is what the paths of the sessions API begin with. They follow another style than all others: no slash at the
// end, no base path, and errors as google.rpc.Status.
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

// rpcAnswer puts an error, and the answer that was made of it, into the form of google.rpc.Status. Who did not say who he
// is gets 401 here.
func rpcAnswer(out answer, err error) answer {
	if out.status < http.StatusBadRequest {
		return out
	}
	if p, ok := errors.AsType[*problem](err); ok && (p == errNoCredentials || p == errUnsupported || p == errInvalidToken) {
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

// rpcMessage makes one line of the body of an error.
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

// dispatchRPC finds what a path below rpcRoot is about.
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
