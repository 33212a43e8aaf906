// Package fault names the kinds of error that Rollcall distinguishes.
//
// A kind tells the caller what to do about an error. Adapters classify the responses of their remote side. The code
// above them reads the kind and never the text. Three exhaustive switches depend on it, in the engine (reconcile),
// the job handlers (jobs) and the HTTP API (api).
//
// Adapters choose the kind of a refusal by what was refused:
//
//	the token, the credentials, a listing      Denied; the target is affected and the run ends
//	one object, by right, policy or quota      Refused; that object fails and the rest continues
//	a value that the remote side never takes   Invalid, with Field; that object fails until the value changes
//	a name that is taken, a precondition       Conflict; that object fails
//	a rate or a number of calls                Throttled; its lane waits
//
// A 403 for one user or group is therefore Refused, whatever its text. The same is true of a tenant without room
// (licences, object quota) and of a write that gets 401 again after the token was renewed.
package fault

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Kind says what the caller should do about an error.
type Kind uint8

// The kinds. The zero value is Internal, so an unclassified error counts as a bug.
const (
	// Internal is a bug or an unclassified error. The run fails.
	Internal Kind = iota
	// Invalid means that the entry, the request or the configuration is wrong. It holds one entry.
	Invalid
	// NotFound means that the object is gone. The entry is planned again by the next run.
	NotFound
	// Conflict means that something else has the name, or that a match is ambiguous. It holds one entry.
	Conflict
	// Denied means that the target refused our credentials, or our right to list it. It stops the target until the
	// credentials or rights change.
	Denied
	// Throttled means that a rate is exceeded or a quota of calls spent; RetryAfter may say for how long.
	Throttled
	// Unavailable means a network error, a timeout or a failure of the remote side. The call is retried.
	Unavailable
	// Unsafe means that a guard tripped. Nothing is broken; a decision is needed.
	Unsafe
	// Canceled means that the process was told to stop. The run is handed back.
	Canceled
	// Refused means that the target refused a call about one object, by right, policy or quota. It fails that object.
	Refused
)

var names = [...]string{
	Internal: "internal", Invalid: "invalid", NotFound: "not_found", Conflict: "conflict", Denied: "denied",
	Throttled: "throttled", Unavailable: "unavailable", Unsafe: "unsafe", Canceled: "canceled", Refused: "refused",
}

// Kinds returns every kind, for tests that walk them all and for metrics that start at zero.
func Kinds() []Kind {
	kinds := make([]Kind, len(names))
	for i := range names {
		kinds[i] = Kind(i)
	}
	return kinds
}

// String returns the kind as it appears in logs, metrics and JSON.
func (k Kind) String() string {
	if int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Error is an error with a kind.
type Error struct {
	Kind Kind
	// Op is the attempted operation in the adapter's terms, such as "users.insert" or "search".
	Op string
	// RetryAfter is how long the remote side asked us to wait. Zero means that it did not say.
	RetryAfter time.Duration
	// Field is the mapped field with the rejected value, if the remote side names it.
	Field string
	Err   error
}

// Error implements error.
func (e *Error) Error() string {
	switch {
	case e.Err == nil && e.Op == "":
		return e.Kind.String()
	case e.Err == nil:
		return e.Op + ": " + e.Kind.String()
	case e.Op == "":
		return e.Err.Error()
	}
	return e.Op + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// New returns an error of kind k that wraps err.
func New(k Kind, op string, err error) *Error { return &Error{Kind: k, Op: op, Err: err} }

// Errorf returns an error of kind k with a formatted text; %w wraps.
func Errorf(k Kind, format string, args ...any) *Error {
	return &Error{Kind: k, Err: fmt.Errorf(format, args...)}
}

// KindOf returns the kind of err. It is that of the first Error in the chain, Canceled for a cancelled context,
// Unavailable for an exceeded deadline, and Internal otherwise. The result for a nil error has no meaning.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	switch {
	case errors.Is(err, context.Canceled):
		return Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return Unavailable
	}
	return Internal
}

// RetryAfter returns how long the remote side asked us to wait, or zero.
func RetryAfter(err error) time.Duration {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.RetryAfter
	}
	return 0
}

// RejectedField returns the mapped field with the rejected value, or "".
func RejectedField(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Field
	}
	return ""
}

// Retryable reports whether the same call may succeed a little later.
func (k Kind) Retryable() bool { return k == Throttled || k == Unavailable }
