package googleworkspace

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"rollcall/fault"
	"rollcall/provider"
)

// callAs makes a call with errors that have a special meaning in its context. reclassify gets the classified error
// before the Caller does.
func (p *Provider) callAs(
	ctx context.Context, op string, reclassify func(error) error, fn func(context.Context) error,
) error {
	attempts := 0
	err := p.call(ctx, op, func(ctx context.Context) error {
		answer := classify(ctx, op, fn(ctx), p.secrets()...)
		if answer == nil {
			return nil
		}
		attempts++
		return leave(ctx, attempts, reclassify(answer))
	})
	e, ok := errors.AsType[*fault.Error](err)
	if ok && e.Kind == fault.Unavailable && fault.KindOf(e.Err) == fault.NotFound {
		return fault.New(fault.NotFound, "", e.Err) // The repetitions did not help.
	}
	return err
}

// patience is how often a request is repeated after a 404. A new object becomes visible everywhere after some
// seconds. Until then no worker can distinguish it from a deleted object.
const patience = 3

// settleWithin is how long Google needs at most for most changes. It is longer than a Caller repeats.
const settleWithin = time.Minute

// leave makes the Caller leave a write to a later attempt when the object still settles after a few attempts. A
// patient caller makes no later attempt.
func leave(ctx context.Context, attempts int, err error) error {
	e, ok := errors.AsType[*fault.Error](err)
	if !ok || e.Kind != fault.Unavailable || fault.KindOf(e.Err) == fault.NotFound {
		return err
	}
	if status, _ := code(err); status == http.StatusPreconditionFailed { // "User creation is not complete"
		e = fault.New(fault.Unavailable, "", provider.Settling(err))
	}
	if attempts >= patience && provider.IsSettling(e) && !provider.IsPatient(ctx) {
		e.RetryAfter = settleWithin
	}
	return e
}

// settling returns a function that makes temporary errors Unavailable. These are a 404, unless gone is set, which
// makes 404 an answer, and a 409 to a write without an address. Such a 409 can follow a recent change of the address.
// A 404 stays Unavailable where this process created one of the objects moments ago.
func (p *Provider) settling(takesAddress, gone bool, ids ...string) func(error) error {
	patient := retryMissing()
	return func(err error) error {
		status, _ := code(err)
		switch {
		case status == http.StatusNotFound && !gone && slices.ContainsFunc(ids, p.recent.Has):
			// The text alone hides the 404 from callAs, which would report it as final.
			return fault.New(fault.Unavailable, "", provider.Settling(
				errors.New("created moments ago and not yet visible everywhere: "+err.Error())))
		case status == http.StatusNotFound && !gone:
			return patient(err)
		case status == http.StatusConflict && !takesAddress:
			return fault.New(fault.Unavailable, "", provider.Settling(
				fmt.Errorf("an earlier change is still settling: %w", err)))
		}
		return err
	}
}

// retryMissing returns a function that makes the first NotFound errors Unavailable.
func retryMissing() func(error) error {
	left := patience
	return func(err error) error {
		if fault.KindOf(err) != fault.NotFound || left == 0 {
			return err
		}
		left--
		return fault.Errorf(fault.Unavailable, "not found, or not yet visible everywhere: %w", err)
	}
}
