package scim

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// apiError is an error in the form of RFC 7644, section 3.12.
type apiError struct {
	status     int
	scimType   string
	detail     string
	retryAfter time.Duration
	header     http.Header
}

func refusal(status int, scimType, format string, args ...any) *apiError {
	return &apiError{status: status, scimType: scimType, detail: fmt.Sprintf(format, args...)}
}

// invalid is an error with status 400.
func invalid(scimType, format string, args ...any) *apiError {
	return refusal(http.StatusBadRequest, scimType, format, args...)
}

func missing(id string) *apiError {
	return refusal(http.StatusNotFound, "", "Resource %s not found.", id)
}

func unsupported() *apiError {
	return refusal(http.StatusNotImplemented, "", "The service provider does not support the operation.")
}

// Error implements error, for callers of the administrator's methods.
func (e *apiError) Error() string { return strconv.Itoa(e.status) + " " + e.scimType + ": " + e.detail }

// body returns the error as a resource.
func (e *apiError) body() map[string]any {
	out := map[string]any{"schemas": []any{errorMessage}, "status": strconv.Itoa(e.status), "detail": e.detail}
	if e.scimType != "" {
		out["scimType"] = e.scimType
	}
	return out
}
