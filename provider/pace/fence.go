package pace

import (
	"context"
	"time"

	"rollcall/fault"
)

type fenceKey struct{}

// WithFence returns a context under which Fenced also calls check, which reports whether the lease of the run still
// holds.
func WithFence(ctx context.Context, check func(context.Context) error) context.Context {
	return context.WithValue(ctx, fenceKey{}, check)
}

// Fenced returns an error if no further request may begin. It makes no request itself. Adapters call it after the
// last wait before a request, such as the wait for the quota or a token. A stopped process may resume in such a wait,
// after another worker has taken over its run and before any timer has fired. So deadlines are compared with the
// clock.
func Fenced(ctx context.Context) error {
	if ctx.Err() != nil {
		return fault.New(fault.KindOf(ctx.Err()), "", context.Cause(ctx))
	}
	if until, ok := ctx.Deadline(); ok && !time.Now().Before(until) {
		return fault.New(fault.Unavailable, "", context.DeadlineExceeded)
	}
	if check, ok := ctx.Value(fenceKey{}).(func(context.Context) error); ok {
		return check(ctx)
	}
	return nil
}
