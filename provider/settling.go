package provider

import (
	"context"
	"errors"
)

// Settling marks the error of a write that the tenant refuses while an earlier write of the same object settles. Such
// an answer is Unavailable and not a silence of the tenant.
func Settling(err error) error { return settling{err} }

// IsSettling reports whether an error is marked by Settling.
func IsSettling(err error) bool {
	_, ok := errors.AsType[settling](err)
	return ok
}

type settling struct{ error }

func (s settling) Unwrap() error { return s.error }

type patientKey struct{}

// Patient returns a context for writes that are repeated as long as the caller allows while an object settles. The
// engine tries all other writes again at the end of the run, so that one object does not hold up the others.
func Patient(ctx context.Context) context.Context { return context.WithValue(ctx, patientKey{}, true) }

// IsPatient reports whether Patient made the context.
func IsPatient(ctx context.Context) bool { return ctx.Value(patientKey{}) != nil }
