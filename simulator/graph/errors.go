package graph

import (
	"fmt"
	"net/http"
	"time"
)

// apiError is a refusal in Graph's form. The response adds the request ids.
type apiError struct {
	status     int
	code       string
	message    string
	details    []detail
	retryAfter time.Duration
	header     http.Header
}

// detail is an entry of error.details.
type detail struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Target  string `json:"target"`
}

func refusal(status int, code, format string, args ...any) *apiError {
	return &apiError{status: status, code: code, message: fmt.Sprintf(format, args...)}
}

// badRequest is a refusal by the directory itself.
func badRequest(format string, args ...any) *apiError {
	return refusal(http.StatusBadRequest, "Request_BadRequest", format, args...)
}

// malformed is a refusal by the layer in front of the directory.
func malformed(format string, args ...any) *apiError {
	return refusal(http.StatusBadRequest, "BadRequest", format, args...)
}

func unsupported(format string, args ...any) *apiError {
	return refusal(http.StatusBadRequest, "Request_UnsupportedQuery", format, args...)
}

// on adds an entry to error.details.
func (e *apiError) on(target, code string) *apiError {
	e.details = append(e.details, detail{Code: code, Message: e.message, Target: target})
	return e
}

func invalidValue(name string, k *kind) *apiError {
	return badRequest("Invalid value specified for property '%s' of resource '%s'.", name, k.title).on(name,
		"InvalidValue")
}

func missingValue(name string, k *kind) *apiError {
	return badRequest("A value is required for property '%s' of resource '%s'.", name, k.title).on(name, "MissingValue")
}

func readOnlyProperty(name string) *apiError {
	return badRequest("Property '%s' is read-only and cannot be set.", name)
}

func conflict(name string) *apiError {
	return badRequest("Another object with the same value for property %s already exists.", name).on(name,
		"ObjectConflict")
}

func notFound(id string) *apiError {
	return refusal(http.StatusNotFound, "Request_ResourceNotFound",
		"Resource '%s' does not exist or one of its queried reference-property objects are not present.", id)
}

// unsettled is the error for a reference to an object that has not reached every replica.
func unsettled() *apiError {
	return badRequest("The source resource object or one of the objects being referenced do not exist.")
}

func denied() *apiError {
	return refusal(http.StatusForbidden, "Authorization_RequestDenied",
		"Insufficient privileges to complete the operation.")
}

func mastered() *apiError {
	return badRequest("Unable to update the specified properties for on-premises mastered Directory Sync objects or " +
		"objects currently undergoing migration.")
}

func notServed() *apiError {
	return refusal(http.StatusNotImplemented, "NotImplemented", "This operation target is not yet supported.")
}

func unauthenticated(message string) *apiError {
	e := refusal(http.StatusUnauthorized, "InvalidAuthenticationToken", "%s", message)
	e.header = http.Header{"Www-Authenticate": {`Bearer realm="", ` +
		`authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", ` +
		`client_id="00000003-0000-0000-c000-000000000000"`}}
	return e
}

// body renders the error of a request.
func (e *apiError) body(ids requestIDs, now time.Time) any {
	inner := map[string]string{
		"date": now.UTC().Format("2006-01-02T15:04:05"), "request-id": ids.request, "client-request-id": ids.client,
	}
	type errorObject struct {
		Code       string            `json:"code"`
		Message    string            `json:"message"`
		Details    []detail          `json:"details,omitempty"`
		InnerError map[string]string `json:"innerError"`
	}
	return map[string]any{"error": errorObject{e.code, e.message, e.details, inner}}
}
