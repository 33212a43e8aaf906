package googleworkspace_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/api/googleapi"

	"rollcall/internal/testclock"
	"rollcall/simulator/googleworkspace"
)

func TestQuota(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		refusal         googleworkspace.Refusal
		code            int
		reason, message string
	}{
		"user":        {googleworkspace.UserRateLimitExceeded, 403, "userRateLimitExceeded", "User Rate Limit Exceeded"},
		"concurrency": {googleworkspace.QuotaExceeded, 403, "quotaExceeded", "Quota exceeded for the current request"},
		"account":     {googleworkspace.RateLimitExceeded, 429, "rateLimitExceeded", "Rate Limit Exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock := testclock.New()
			tenant, s := open(t, googleworkspace.Config{
				Now:   clock.Now,
				Quota: googleworkspace.Quota{QueriesPerSecond: 2, Refusal: tc.refusal, RetryAfter: 1500 * time.Millisecond},
			})
			get := func() error { _, err := s.Users.Get("admin@example.com").Do(); return err }
			noError(t, get())
			noError(t, get())
			err := get()
			wantError(t, err, tc.code, tc.reason, tc.message)
			var apiErr *googleapi.Error
			if errors.As(err, &apiErr) && apiErr.Header.Get("Retry-After") != "2" {
				t.Errorf("Retry-After = %q", apiErr.Header.Get("Retry-After"))
			}
			clock.Advance(500 * time.Millisecond)
			noError(t, get())
			wantError(t, get(), tc.code, tc.reason, tc.message)
			want := map[string]googleworkspace.Count{"directory.users.get": {Granted: 3, Refused: 2}}
			if diff := cmp.Diff(want, tenant.Calls().ByMethod); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUserInsertQuota(t *testing.T) {
	t.Parallel()
	clock := testclock.New()
	tenant, s := open(t, googleworkspace.Config{Now: clock.Now, Quota: googleworkspace.Quota{UserInsertsPerSecond: 1}})
	insertUser(t, s, "a@example.com")
	_, err := s.Users.Insert(newUser("b@example.com")).Do()
	wantError(t, err, 403, "quotaExceeded", "Quota exceeded for the current request")
	_, err = s.Users.Get("a@example.com").Do()
	noError(t, err)
	clock.Advance(time.Second)
	insertUser(t, s, "b@example.com")
	tenant.SetQuota(googleworkspace.Quota{})
	insertUser(t, s, "c@example.com")
}
