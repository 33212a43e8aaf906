package fault_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"rollcall/fault"
)

func TestKindOf(t *testing.T) {
	t.Parallel()
	cause := errors.New("boom")
	for _, tc := range []struct {
		err  error
		want fault.Kind
	}{
		{cause, fault.Internal},
		{fault.New(fault.Conflict, "users.insert", cause), fault.Conflict},
		{fmt.Errorf("apply: %w", fault.Errorf(fault.Denied, "no: %w", cause)), fault.Denied},
		{fmt.Errorf("apply: %w", context.Canceled), fault.Canceled},
		{context.DeadlineExceeded, fault.Unavailable},
		{fault.New(fault.Throttled, "x", context.Canceled), fault.Throttled},
	} {
		if got := fault.KindOf(tc.err); got != tc.want {
			t.Errorf("KindOf(%v) = %v, want %v", tc.err, got, tc.want)
		}
	}
}

func TestErrorKeepsCauseAndRetryAfter(t *testing.T) {
	t.Parallel()
	cause := errors.New("slow down")
	err := fmt.Errorf("apply: %w", &fault.Error{Kind: fault.Throttled, Op: "users.insert", RetryAfter: 3 * time.Second,
		Err: cause})
	if !errors.Is(err, cause) {
		t.Errorf("errors.Is(%v, cause) = false, want true", err)
	}
	if got := fault.RetryAfter(err); got != 3*time.Second {
		t.Errorf("RetryAfter() = %v, want 3s", got)
	}
	if got, want := err.Error(), "apply: users.insert: slow down"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
}

func TestEveryKindHasAName(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, k := range fault.Kinds() {
		if name := k.String(); name == "" || seen[name] {
			t.Errorf("kind %d: name %q is empty or taken", k, name)
		} else {
			seen[name] = true
		}
	}
}
