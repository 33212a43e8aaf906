package googleworkspace

import (
	"fmt"
	"net/http"
	"time"
)

// apiError is a response in Google's error form {"error":{"code","message","errors":[…]}}.
type apiError struct {
	code       int
	reason     string
	message    string
	retryAfter time.Duration
	allow      string
}

// Error implements error.
func (e *apiError) Error() string {
	return fmt.Sprintf("%d %s: %s", e.code, e.reason, e.message)
}

// body returns the JSON document of the response.
func (e *apiError) body() map[string]any {
	return map[string]any{"error": map[string]any{
		"code":    e.code,
		"message": e.message,
		"errors":  []any{map[string]any{"message": e.message, "domain": "global", "reason": e.reason}},
	}}
}

func invalid(format string, args ...any) *apiError {
	return &apiError{code: http.StatusBadRequest, reason: "invalid", message: fmt.Sprintf(format, args...)}
}

func required(field string) *apiError {
	return &apiError{code: http.StatusBadRequest, reason: "required", message: "Missing required field: " + field}
}

func badRequest() *apiError {
	return &apiError{code: http.StatusBadRequest, reason: "badRequest", message: "Bad Request"}
}

// wrongType is the error for a key that names an object of another kind.
func wrongType(key string) *apiError {
	return &apiError{code: http.StatusBadRequest, reason: "badRequest", message: "Type not supported: " + key}
}

func parseError() *apiError {
	return &apiError{code: http.StatusBadRequest, reason: "parseError", message: "Parse Error"}
}

func notFound(what string) *apiError {
	return &apiError{code: http.StatusNotFound, reason: "notFound", message: "Resource Not Found: " + what}
}

func domainNotFound() *apiError {
	return &apiError{code: http.StatusNotFound, reason: "notFound", message: "Domain not found."}
}

func unknownPath() *apiError {
	return &apiError{code: http.StatusNotFound, reason: "notFound", message: "Not Found"}
}

func wrongMethod(allow string) *apiError {
	return &apiError{code: http.StatusMethodNotAllowed, reason: "httpMethodNotAllowed",
		message: "HTTP method not allowed.", allow: allow}
}

func notImplemented() *apiError {
	return &apiError{code: http.StatusNotImplemented, reason: "notImplemented", message: "Not Implemented"}
}

func forbidden() *apiError {
	return &apiError{code: http.StatusForbidden, reason: "forbidden",
		message: "Not Authorized to access this resource/api"}
}

func insufficientPermissions() *apiError {
	return &apiError{code: http.StatusForbidden, reason: "insufficientPermissions",
		message: "Request had insufficient authentication scopes."}
}

func loginRequired() *apiError {
	return &apiError{code: http.StatusUnauthorized, reason: "required", message: "Login Required."}
}

func invalidCredentials() *apiError {
	return &apiError{code: http.StatusUnauthorized, reason: "authError", message: "Invalid Credentials"}
}

func duplicate(message string) *apiError {
	return &apiError{code: http.StatusConflict, reason: "duplicate", message: message}
}

func entityExists() *apiError { return duplicate("Entity already exists.") }

func stillSettling() *apiError {
	return &apiError{code: http.StatusConflict, reason: "conflict", message: "Conflict"}
}

func conditionNotMet(message string) *apiError {
	return &apiError{code: http.StatusPreconditionFailed, reason: "conditionNotMet", message: message}
}
