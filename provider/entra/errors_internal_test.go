package entra

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"rollcall/fault"
	"rollcall/provider"
	"rollcall/provider/remote"
)

func refusalOf(status int, code, message string) *answer {
	body := fmt.Sprintf(`{"error":{"code":%q,"message":%q,"innerError":{"request-id":"x"}}}`, code, message)
	return &answer{status: status, header: http.Header{}, body: []byte(body)}
}

// TestJudge covers Graph's known answers, and every other status.
func TestJudge(t *testing.T) {
	t.Parallel()
	const bad = "Request_BadRequest"
	for _, tc := range []struct {
		status        int
		code, message string
		want          fault.Kind
	}{
		{429, "TooManyRequests", "Too many requests.", fault.Throttled},
		{429, "", "", fault.Throttled},
		{403, "Request_ThrottledTemporarily", "", fault.Throttled},
		{403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.", fault.Refused},
		{403, "Directory_QuotaExceeded", "The directory object quota limit for the Tenant has been exceeded.",
			fault.Refused},
		{401, "InvalidAuthenticationToken", "Access token has expired or is not yet valid.", fault.Denied},
		{404, "Request_ResourceNotFound",
			"Resource 'x' does not exist or one of its queried reference-property objects are not present.", fault.NotFound},
		{400, bad, "Invalid object identifier 'x'.", fault.NotFound},
		{400, bad, "Another object with the same value for property userPrincipalName already exists.", fault.Conflict},
		{400, "ObjectConflict", "Another object with the same value for property userPrincipalName exists.", fault.Conflict},
		{400, "Request_MultipleObjectsWithSameKeyValue", "", fault.Conflict},
		{400, bad, "The source resource object or one of the objects being referenced do not exist.",
			fault.Unavailable},
		{400, bad, "A value is required for property 'displayName' of resource 'User'.", fault.Invalid},
		{400, "Request_UnsupportedQuery", "", fault.Invalid},
		{409, "Directory_ConcurrencyViolation", "", fault.Unavailable},
		{409, "Conflict", "", fault.Conflict},
		{413, "Request_EntityTooLarge", "", fault.Invalid},
		{424, "", "", fault.Unavailable},
		{501, "NotImplemented", "This operation target is not yet supported.", fault.Invalid},
		{503, "Authorization_RequestDenied", "", fault.Unavailable},
	} {
		err := judge("users.update", refusalOf(tc.status, tc.code, tc.message))
		if got := fault.KindOf(err); got != tc.want {
			t.Errorf("%d %s %q is %v (%v), want %v", tc.status, tc.code, tc.message, got, err, tc.want)
		}
	}
	for status := 200; status < 600; status++ {
		err := judge("users.update", &answer{status: status, header: http.Header{}, body: []byte(`{"error":{}}`)})
		if ok := status < 300; ok != (err == nil) || err != nil && fault.KindOf(err) == fault.Internal {
			t.Errorf("%d is %v", status, err)
		}
		if retry := status < 400 || status >= 500 && status != 501 || status == 429 || status == 408 || status == 404 ||
			status == 410 || status == 423 || status == 424 || status == 425; status >= 300 &&
			fault.KindOf(err).Retryable() != retry {
			t.Errorf("%d is %v", status, fault.KindOf(err))
		}
	}
}

// TestGatewayAnswers checks that an answer that is not from Graph says nothing about an object. Only a refused sign-in
// at a proxy concerns the target.
func TestGatewayAnswers(t *testing.T) {
	t.Parallel()
	for status := 300; status < 600; status++ {
		err := judge("users.delete", &answer{status: status, header: http.Header{}, body: []byte("<html>Not here")})
		want := fault.Unavailable
		switch status {
		case 401, 407:
			want = fault.Denied
		case 429:
			want = fault.Throttled
		case 501:
			want = fault.Invalid
		}
		if got := fault.KindOf(err); got != want || notFound(err) || ofOne(err) || noMember(refused(err)) ||
			alreadyMember(refused(err)) || strings.Contains(err.Error(), "grant") {
			t.Errorf("a page with %d is %v, want %v: %v", status, got, want, err)
		}
	}
}

// TestOnlyGraphSaysThatAnObjectIsGone checks that a 404 without a code of Graph does not make an object gone.
func TestOnlyGraphSaysThatAnObjectIsGone(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]fault.Kind{
		`{"error":{"code":"Request_ResourceNotFound","message":"Resource 'x' does not exist"}}`: fault.NotFound,
		`{"error":{"code":"ResourceNotFound","message":"x"}}`:                                   fault.NotFound,
		`{"error":{"code":"UnknownError","message":""}}`:                                        fault.Unavailable,
		`{"error":{"code":"","message":"No HTTP resource was found"}}`:                          fault.Unavailable,
		`{"timestamp":"2026-03-01","status":404,"error":"Not Found"}`:                           fault.Unavailable,
		`{"message":"no Route matched with those values"}`:                                      fault.Unavailable,
		"": fault.Unavailable,
	} {
		err := judge("users.get", &answer{status: 404, header: http.Header{}, body: []byte(body)})
		if got := fault.KindOf(err); got != want || notFound(err) != (want == fault.NotFound) ||
			noMember(refused(err)) != (want == fault.NotFound) {
			t.Errorf("%q is %v, want %v", body, err, want)
		}
	}
}

func TestDenialsSayWhatToGrant(t *testing.T) {
	t.Parallel()
	for op, want := range map[string]string{
		"users.update": "User.ReadWrite.All", "members.add": "Group.ReadWrite.All",
		"directoryRoles.list": "Directory.Read.All", "domains.list": "Domain.Read.All",
		"batch": "Domain.Read.All",
	} {
		err := judge(op, refusalOf(403, "Authorization_RequestDenied",
			"Insufficient privileges to complete the operation."))
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q does not say %s", op, err, want)
		}
	}
}

func TestDuplicatesAreToldApart(t *testing.T) {
	t.Parallel()
	body := `{"error":{"code":"Request_BadRequest","message":"Another object with the same value already exists.",` +
		`"details":[{"code":"ObjectConflict","target":"userPrincipalName"}]}}`
	r := refused(judge("users.create", &answer{status: 400, body: []byte(body)}))
	if !r.concerns("userPrincipalName") || r.concerns("onPremisesImmutableId") {
		t.Errorf("targets = %q", r.targets)
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"": 0, "3": 3 * time.Second, "2.128": 2128 * time.Millisecond, " 7 ": 7 * time.Second, "-1": 0, "soon": 0, "1e9": 0,
		"Mon, 02 Mar 2026 08:00:30 GMT": 30 * time.Second, "Mon, 02 Mar 2026 07:00:00 GMT": 0,
	} {
		if got := provider.RetryAfter(header, now); got != want {
			t.Errorf("provider.RetryAfter(%q) = %v, want %v", header, got, want)
		}
	}
}

func TestClean(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{"Bearer abc.def", "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln",
		"client_secret=hunter2", `client_assertion: xyz`} {
		if got := remote.Clean("it said: " + secret + " and went"); strings.Contains(got, secret) ||
			!strings.Contains(got, "<redacted>") {
			t.Errorf("remote.Clean(%q) = %q", secret, got)
		}
	}
	if got := remote.Clean(strings.Repeat("ü", 400)); len([]rune(got)) != 301 {
		t.Errorf("a long text has %d characters", len([]rune(got)))
	}
}

func TestCost(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		item          *item
		units, writes float64
	}{
		{get("x", "/users?$top=999"), 2, 0},
		{get("x", "/users/1?$select=id"), 1, 0},
		{get("x", "/groups/1/members?$select=id"), 2, 0},
		{get("x", "/groups/1"), 1, 0},
		{&item{method: http.MethodPatch, url: "/groups/1"}, 1, 1},
		{&item{method: http.MethodDelete, url: "/groups/1/members/2/$ref"}, 1, 1},
	} {
		if units, writes := tc.item.cost(); units != tc.units || writes != tc.writes {
			t.Errorf("%s %s costs %v units and %v writes, want %v and %v", tc.item.method, tc.item.url, units, writes,
				tc.units, tc.writes)
		}
	}
}
