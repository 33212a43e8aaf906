package provider

import (
	"context"
	"time"

	"rollcall/fault"
)

type fenceKey struct{}

// WithFence returns a context under which Fenced also asks check: whether the lease of the run still holds.
func WithFence(ctx context.Context, check func(context.Context) error) context.Context {
	return context.WithValue(ctx, fenceKey{}, check)
}

// Fenced fails where no request may begin any more. It makes no call. An adapter asks it after its last wait before a
// request: for the quota, for a token. A process that was stopped may be woken in such a wait, when another worker has
// taken its run over and no timer has fired yet. So deadlines are compared with the clock.
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
