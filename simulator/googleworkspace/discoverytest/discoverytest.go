// Package discoverytest checks HTTP traffic of the Google Directory API against Google's own discovery document, so
// that neither our client nor a simulator drifts from the API.
//
// The document is part of the module google.golang.org/api, and `go list` finds it when a test runs. No copy exists,
// so an update of the module takes effect at once. Rules that the document states in prose only (a limit of
// maxResults, a read-only field) are read from the prose.
//
// A request is checked for an existing path and verb, and for a `fields` mask of existing fields. Its query parameters
// must be known, of the right type, and within limits and enums. Its body must have known fields of the right type, no
// read-only fields, and the fields that the document's annotations require. A response is checked for known fields,
// types (64-bit integers are strings), formats, enums and kinds. An error is checked for Google's form. Any violation
// fails the test with one line that names the rule and the place. Paths outside the Directory API, such as a token
// endpoint, pass unchecked.
package discoverytest

import (
	"net/http"
	"strings"
	"testing"

	"rollcall/simulator/wiretest"
)

// Wrap checks every request to next, and every answer of it.
func Wrap(t testing.TB, next http.Handler) http.Handler {
	t.Helper()
	return newChecker(t).check().Handler(next, true)
}

// WrapAnswers checks only the answers, for tests that send wrong requests on purpose.
func WrapAnswers(t testing.TB, next http.Handler) http.Handler {
	t.Helper()
	return newChecker(t).check().Handler(next, false)
}

// Transport checks every request through next and every answer to it; a nil next is http.DefaultTransport.
func Transport(t testing.TB, next http.RoundTripper) http.RoundTripper {
	t.Helper()
	return newChecker(t).check().Transport(next)
}

// check is the check of the Directory API.
func (c *checker) check() wiretest.Check {
	return wiretest.Check{
		Covers: func(path string) bool { return strings.HasPrefix(path, "/admin/directory/") },
		Begin:  func(r *http.Request, body []byte) wiretest.Exchange { return c.exchange(r, body) },
	}
}
