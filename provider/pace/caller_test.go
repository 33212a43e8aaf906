package pace_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rollcall/fault"
	"rollcall/provider/pace"
)

// script gives one answer for each call and repeats the last answer.
type script struct {
	mu      sync.Mutex
	answers []error
	calls   int
}

func (s *script) call(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	err := s.answers[0]
	if len(s.answers) > 1 {
		s.answers = s.answers[1:]
	}
	return err
}

func of(k fault.Kind, retryAfter time.Duration) error {
	return &fault.Error{Kind: k, Op: "users.insert", RetryAfter: retryAfter}
}

func TestCallRepeatsWhatMaySucceedLater(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		answers []error
		calls   int
		want    string
		least   time.Duration
	}{
		"at once": {[]error{nil}, 1, "ok", 0},
		"after a failure": {[]error{of(fault.Unavailable, 0), of(fault.Unavailable, 0), nil}, 3, "ok",
			750 * time.Millisecond},
		"after a refusal":          {[]error{of(fault.Throttled, 3*time.Second), nil}, 2, "ok", 3 * time.Second},
		"an entry that is wrong":   {[]error{of(fault.Invalid, 0)}, 1, "invalid", 0},
		"a conflict":               {[]error{of(fault.Conflict, 0)}, 1, "conflict", 0},
		"a target that denies":     {[]error{of(fault.Denied, 0)}, 1, "denied", 0},
		"an unclassified error":    {[]error{errors.New("boom")}, 1, "internal", 0},
		"a refusal for minutes":    {[]error{of(fault.Throttled, 5*time.Minute)}, 1, "throttled", 0},
		"unavailable, for minutes": {[]error{of(fault.Unavailable, 5*time.Minute)}, 1, "unavailable", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &script{answers: tc.answers}
				limiter := local(t, pace.Config{Rates: map[string]float64{pace.Calls: 40}})
				caller := pace.NewCaller(pace.CallerConfig{Limiter: limiter})
				began := time.Now()
				err := caller.Call(t.Context(), "users.insert", pace.One(pace.Calls), s.call)
				if got := (pace.Attempt{Err: err}).Outcome(); got != tc.want || s.calls != tc.calls {
					t.Errorf("Call() = %v after %d calls, want %s after %d", err, s.calls, tc.want, tc.calls)
				}
				if took := time.Since(began); took < tc.least || took > tc.least+3*time.Second {
					t.Errorf("Call() took %v, want about %v", took, tc.least)
				}
			})
		})
	}
}

func TestCallGivesUpInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: []error{of(fault.Unavailable, 0)}}
		var seen []pace.Attempt
		caller := pace.NewCaller(pace.CallerConfig{Observe: func(a pace.Attempt) { seen = append(seen, a) }})
		began := time.Now()
		err := caller.Call(t.Context(), "users.insert", nil, s.call)
		took := time.Since(began)
		if fault.KindOf(err) != fault.Unavailable || took > 30*time.Second || took < 10*time.Second {
			t.Errorf("Call() = %v after %v, want unavailable after 10 to 30 s", err, took)
		}
		if len(seen) != s.calls || seen[len(seen)-1].Number != s.calls || seen[0].Op != "users.insert" {
			t.Errorf("the observer saw %d attempts (%+v) of %d", len(seen), seen[len(seen)-1], s.calls)
		}
	})
}

func TestCallBoundsEachAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		caller := pace.NewCaller(pace.CallerConfig{Timeout: 2 * time.Second})
		err := caller.Call(t.Context(), "users.list", nil, func(ctx context.Context) error {
			if calls++; calls == 1 {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		})
		if err != nil || calls != 2 {
			t.Errorf("Call() = %v after %d calls, want nil after 2", err, calls)
		}
	})
}

func TestRefusalSlowsTheOthersDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := local(t, pace.Config{Rates: map[string]float64{pace.Calls: 40}})
		caller := pace.NewCaller(pace.CallerConfig{Limiter: l})
		s := &script{answers: []error{of(fault.Throttled, time.Minute)}}
		err := caller.Call(t.Context(), "users.insert", pace.One(pace.Calls), s.call)
		if fault.RetryAfter(err) != time.Minute {
			t.Errorf("Call() = %v, want the refusal", err)
		}
		other := &script{answers: []error{nil}}
		err = pace.NewCaller(pace.CallerConfig{Limiter: l}).
			Call(t.Context(), "users.insert", pace.One(pace.Calls), other.call)
		if fault.KindOf(err) != fault.Throttled || fault.RetryAfter(err) != time.Minute || other.calls != 0 {
			t.Errorf("another's Call() = %v (%v) after %d calls, want throttled (1m) without a call", err,
				fault.RetryAfter(err), other.calls)
		}
	})
}

func TestCallStopsWhenToldTo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("the lease is lost")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(cause) })
		s := &script{answers: []error{of(fault.Unavailable, 0)}}
		err := pace.NewCaller(pace.CallerConfig{}).Call(ctx, "users.insert", nil, s.call)
		if fault.KindOf(err) != fault.Canceled || !errors.Is(err, cause) {
			t.Errorf("Call() = %v, want canceled with the cause", err)
		}
		err = pace.NewCaller(pace.CallerConfig{}).Call(ctx, "users.insert", nil, func(ctx context.Context) error {
			return fault.New(fault.Unavailable, "users.insert", ctx.Err())
		})
		if fault.KindOf(err) != fault.Canceled {
			t.Errorf("Call() after the end = %v, want canceled", err)
		}
	})
}

// frozen is a limiter that simulates a process that is stopped for 40 seconds in its third wait.
type frozen struct {
	pace.Limiter
	waits int
}

func (f *frozen) Wait(ctx context.Context, cost pace.Cost) (time.Duration, error) {
	waited, err := f.Limiter.Wait(ctx, cost)
	if f.waits++; f.waits == 3 {
		time.Sleep(40 * time.Second) // in the time of the synctest bubble
	}
	return waited, err
}

// TestNoRequestBeginsAfterTheLeaseIsOver covers a process that is stopped while it waits for the quota. When it
// resumes, its lease has expired, and it sends no further request.
func TestNoRequestBeginsAfterTheLeaseIsOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		lost, until := errors.New("the lease is over"), time.Now().Add(10*time.Second)
		ctx := pace.WithFence(t.Context(), func(context.Context) error {
			if time.Now().Before(until) {
				return nil
			}
			return fault.New(fault.Canceled, "check", lost)
		})
		l := &frozen{Limiter: local(t, pace.Config{Rates: map[string]float64{pace.Calls: 40}})}
		caller := pace.NewCaller(pace.CallerConfig{Limiter: l})
		s := &script{answers: []error{nil}}
		var err error
		for range 5 {
			if err = caller.Call(ctx, "users.insert", pace.One(pace.Calls), s.call); err != nil {
				break
			}
		}
		if !errors.Is(err, lost) || s.calls != 2 {
			t.Errorf("Call() = %v after %d calls, want the lost lease after 2", err, s.calls)
		}
	})
}

// overdue is a context with a deadline that has passed before its timer fired.
type overdue struct{ context.Context }

func (overdue) Deadline() (time.Time, bool) { return time.Now().Add(-time.Second), true }

func TestNoRequestBeginsAfterItsDeadline(t *testing.T) {
	t.Parallel()
	s := &script{answers: []error{nil}}
	err := pace.NewCaller(pace.CallerConfig{}).Call(overdue{t.Context()}, "users.insert", nil, s.call)
	if fault.KindOf(err) != fault.Unavailable || s.calls != 0 {
		t.Errorf("Call() = %v after %d calls, want unavailable without a call", err, s.calls)
	}
}

// A call that ends after its run has lost the lease is reported as late. A call in time is not.
func TestALateCallIsReported(t *testing.T) {
	t.Parallel()
	lost := errors.New("the lease is lost")
	var holds error
	ctx := pace.WithFence(t.Context(), func(context.Context) error { return holds })
	var seen []error
	caller := pace.NewCaller(pace.CallerConfig{Observe: func(a pace.Attempt) { seen = append(seen, a.Late) }})
	for _, during := range []error{nil, lost} {
		if err := caller.Call(ctx, "users.insert", nil,
			func(context.Context) error { holds = during; return nil }); err != nil {
			t.Errorf("Call() = %v, want nil", err)
		}
	}
	if len(seen) != 2 || seen[0] != nil || !errors.Is(seen[1], lost) {
		t.Errorf("the calls were late because of %v, want only the second", seen)
	}
}
