package googleworkspace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"google.golang.org/api/googleapi"

	"rollcall/fault"
	"rollcall/provider"
	"rollcall/provider/remote"
)

// TestEveryStatusHasAKind covers all statuses. None may be Internal, and temporary ones must be retryable.
func TestEveryStatusHasAKind(t *testing.T) {
	t.Parallel()
	special := map[int]fault.Kind{
		401: fault.Denied, 402: fault.Denied, 403: fault.Refused, 407: fault.Denied, 404: fault.Unavailable,
		410: fault.Unavailable,
		409: fault.Conflict, 412: fault.Conflict, 408: fault.Unavailable, 425: fault.Unavailable, 429: fault.Throttled,
		499: fault.Unavailable,
	}
	for status := 300; status < 600; status++ {
		want, ok := special[status]
		switch {
		case ok:
		case status < 400 || status >= 500:
			want = fault.Unavailable
		default:
			want = fault.Invalid
		}
		err := classify(t.Context(), "users.get", &googleapi.Error{Code: status})
		if got := fault.KindOf(err); got != want {
			t.Errorf("status %d is %v, want %v", status, got, want)
		}
		if text := err.Error(); !strings.HasPrefix(text, fmt.Sprintf("users.get: %d", status)) {
			t.Errorf("status %d reads %q, want method and status", status, text)
		}
	}
}

func TestReasons(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		code            int
		reason, message string
		want            fault.Kind
	}{
		{400, "invalid", "Invalid Input: primary_user_email", fault.Invalid},
		{400, "required", "Missing required field: memberKey", fault.Invalid},
		{401, "authError", "Invalid Credentials", fault.Denied},
		{403, "userRateLimitExceeded", "User Rate Limit Exceeded", fault.Throttled},
		{403, "rateLimitExceeded", "Rate Limit Exceeded", fault.Throttled},
		{403, "quotaExceeded", "Quota exceeded", fault.Throttled},
		{403, "", "Request rate higher than configured.", fault.Throttled},
		{403, "forbidden", "Not Authorized to access this resource/api", fault.Refused},
		{403, "domainCannotUseApis", "Domain cannot use apis.", fault.Refused},
		{403, "notAuthorized", "Not Authorized", fault.Refused},
		{403, "accessNotConfigured", "Access Not Configured.", fault.Denied},
		{403, "insufficientPermissions", "Request had insufficient authentication scopes.", fault.Denied},
		{403, "dailyLimitExceeded", "Daily Limit Exceeded", fault.Throttled},
		{403, "limitExceeded", "Domain user limit reached", fault.Refused},
		{412, "limitExceeded", "Domain user limit reached.", fault.Refused},
		{412, "conditionNotMet", "User is deleted.", fault.NotFound},
		{400, "badRequest", "Type not supported: userKey", fault.NotFound},
		{400, "failedPrecondition", "Precondition check failed.", fault.Conflict},
		{404, "notFound", "Resource Not Found: userKey", fault.NotFound},
		{409, "duplicate", "Entity already exists.", fault.Conflict},
		{409, "aborted", "The operation was aborted.", fault.Unavailable},
		{412, "conditionNotMet", "User creation is not complete.", fault.Unavailable},
		{412, "conditionNotMet", "Cyclic memberships not allowed", fault.Conflict},
		{429, "rateLimitExceeded", "Rate Limit Exceeded", fault.Throttled},
		{500, "internalError", "Internal Error", fault.Unavailable},
		{503, "backendError", "Service unavailable", fault.Unavailable},
		{503, "", "Quota exceeded for the current request", fault.Throttled},
	} {
		g := &googleapi.Error{Code: tc.code, Message: tc.message}
		if tc.reason != "" {
			g.Errors = []googleapi.ErrorItem{{Reason: tc.reason, Message: tc.message}}
		}
		err := classify(t.Context(), "users.insert", fmt.Errorf("do: %w", g))
		if got := fault.KindOf(err); got != tc.want {
			t.Errorf("%d %s %q is %v, want %v", tc.code, tc.reason, tc.message, got, tc.want)
		}
		for _, want := range []string{"users.insert", tc.reason, tc.message} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q does not say %q", err, want)
			}
		}
		if _, leaked := errors.AsType[*googleapi.Error](err); leaked {
			t.Errorf("the vendor's error left the package: %#v", err)
		}
	}
}

// TestCommonErrorForm covers the errors of Google's newer APIs, which have no list of errors.
func TestCommonErrorForm(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		code           int
		status, reason string
		want           fault.Kind
	}{
		{403, "PERMISSION_DENIED", "RATE_LIMIT_EXCEEDED", fault.Throttled},
		{429, "RESOURCE_EXHAUSTED", "", fault.Throttled},
		{409, "ABORTED", "", fault.Unavailable},
		{409, "ALREADY_EXISTS", "", fault.Conflict},
		{403, "PERMISSION_DENIED", "SERVICE_DISABLED", fault.Denied},
		{403, "PERMISSION_DENIED", "", fault.Refused},
		{404, "NOT_FOUND", "", fault.NotFound},
		{400, "FAILED_PRECONDITION", "", fault.Conflict},
		{499, "CANCELLED", "", fault.Unavailable},
		{503, "UNAVAILABLE", "", fault.Unavailable},
	} {
		body := fmt.Sprintf(`{"error":{"code":%d,"message":"Not now.","status":%q,"details":[{"reason":%q}]}}`,
			tc.code, tc.status, tc.reason)
		err := googleapi.CheckResponse(&http.Response{StatusCode: tc.code, Body: io.NopCloser(strings.NewReader(body))})
		if got := fault.KindOf(classify(t.Context(), "users.insert", err)); got != tc.want {
			t.Errorf("%s is %v, want %v", body, got, tc.want)
		}
	}
}

// TestGatewayAnswers checks that an answer that is not from the API says nothing about an object. Google's own
// texts without JSON keep their meaning.
func TestGatewayAnswers(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		code int
		body string
		want fault.Kind
	}{
		{403, "<html><title>Blocked by policy</title></html>", fault.Unavailable},
		{404, "\n<!DOCTYPE html><html>Error 404 (Not Found)!!1", fault.Unavailable},
		{410, "<HTML>", fault.Unavailable},
		{409, "<?xml version=\"1.0\"?><error/>", fault.Unavailable},
		{404, "404 page not found", fault.Unavailable},
		{404, "", fault.Unavailable},
		{404, `{"error":{"code":404}}`, fault.Unavailable},
		{404, `{"timestamp":"2026-03-01","status":404,"error":"Not Found","path":"/admin"}`, fault.Unavailable},
		{404, `{"error":{"code":404,"message":"no route","errors":[{"reason":"no_route"}]}}`, fault.Unavailable},
		{404, `{"error":{"code":404,"message":"Resource Not Found: userKey"}}`, fault.NotFound},
		{403, "Request rate higher than configured.", fault.Throttled},
		{401, "<html>", fault.Denied},
	} {
		err := googleapi.CheckResponse(&http.Response{StatusCode: tc.code, Body: io.NopCloser(strings.NewReader(tc.body))})
		if got := fault.KindOf(classify(t.Context(), "users.get", err)); got != tc.want {
			t.Errorf("%d %q is %v, want %v", tc.code, tc.body, got, tc.want)
		}
	}
}

// TestSelectionsNameEachFieldOnce checks that no server has to join selections of one field, such as
// name(givenName),name(familyName).
func TestSelectionsNameEachFieldOnce(t *testing.T) {
	t.Parallel()
	var all []string
	for _, f := range userSpec {
		all = append(all, f.Name)
	}
	seen := map[string]bool{}
	for path := range strings.SplitSeq(string(selection(all)), ",") {
		name, _, _ := strings.Cut(path, "(")
		if seen[name] {
			t.Errorf("the selection names %s twice", name)
		}
		seen[name] = true
	}
	if !seen["name"] || !seen["phones"] {
		t.Errorf("the selection names only %v", seen)
	}
}

func TestNetworkErrors(t *testing.T) {
	t.Parallel()
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tc := range []struct {
		name string
		ctx  context.Context
		err  error
		want fault.Kind
	}{
		{"connection lost", t.Context(), &url.Error{Op: "Get", URL: "https://x/?pageToken=y", Err: io.ErrUnexpectedEOF},
			fault.Unavailable},
		{"half an answer", t.Context(), errors.New("unexpected end of JSON input"), fault.Unavailable},
		{"our time limit", t.Context(), context.DeadlineExceeded, fault.Unavailable},
		{"told to stop", canceled, context.Canceled, fault.Canceled},
		{"told to stop, and it shows as a lost connection", canceled, io.ErrUnexpectedEOF, fault.Canceled},
		{"the token's error", t.Context(), &url.Error{Op: "Get", Err: fault.Errorf(fault.Denied, "no")}, fault.Denied},
	} {
		if got := fault.KindOf(classify(tc.ctx, "users.list", tc.err)); got != tc.want {
			t.Errorf("%s is %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"": 0, "3": 3 * time.Second, " 3 ": 3 * time.Second, "0.5": 500 * time.Millisecond, "-1": 0, "soon": 0,
		"1e300": 0, "NaN": 0,
		"Mon, 02 Mar 2026 08:01:00 GMT": time.Minute, "Mon, 02 Mar 2026 07:00:00 GMT": 0,
	} {
		if got := provider.RetryAfter(header, now); got != want {
			t.Errorf("provider.RetryAfter(%q) = %v, want %v", header, got, want)
		}
	}
	err := classify(t.Context(), "x", &googleapi.Error{Code: 429, Header: http.Header{"Retry-After": {"7"}}})
	if got := fault.RetryAfter(err); got != 7*time.Second {
		t.Errorf("RetryAfter = %v, want 7s", got)
	}
}

func TestTextsAreCutAndClean(t *testing.T) {
	t.Parallel()
	got := remote.Clean("a\nb  Authorization: Bearer ya29.secret_x assertion=eyJhbGciOiJI.eyJpc3Mi.sig ya29.other-1 " +
		strings.Repeat("x", 1000))
	if strings.ContainsAny(got, "\n") || len([]rune(got)) > 310 {
		t.Errorf("Clean() = %q, want one short line", got)
	}
	for _, secret := range []string{"secret_x", "eyJ", "other-1"} {
		if strings.Contains(got, secret) {
			t.Errorf("Clean() = %q has %q in it", got, secret)
		}
	}
}
