package graph

import (
	"fmt"
	"time"
)

// loginError is a refusal by the sign-in service.
type loginError struct {
	status  int
	code    string // of OAuth
	number  int    // AADSTS
	message string
}

func loginRefusal(status int, code string, number int, format string, args ...any) *loginError {
	return &loginError{status, code, number, fmt.Sprintf(format, args...)}
}

func (e *loginError) body(ids requestIDs, now time.Time) map[string]any {
	at := now.UTC().Format("2006-01-02 15:04:05Z")
	return map[string]any{
		"error": e.code,
		"error_description": fmt.Sprintf("AADSTS%d: %s Trace ID: %s Correlation ID: %s Timestamp: %s",
			e.number, e.message, ids.request, ids.client, at),
		"error_codes":    []int{e.number},
		"timestamp":      at,
		"trace_id":       ids.request,
		"correlation_id": ids.client,
		"error_uri":      fmt.Sprintf("https://login.microsoftonline.com/error?code=%d", e.number),
	}
}
