// Package csdltest checks HTTP traffic of Microsoft Graph against the published metadata (CSDL) and documentation, so
// that neither our client nor a simulator drifts from the API.
//
// The metadata of the relevant types and the documentation's own examples are in testdata, with their license. The
// metadata does not describe the methods with their parameters and results. They are in a table made from the
// reference pages, in operation.go.
//
// A request is checked for a documented path and verb, and for query options that the method has, with $select of
// existing properties and $top within limits. Its body must have existing properties of the right type, the
// properties required for a creation, and at most 20 references. A DELETE of a member without /$ref is a finding,
// because it deletes the user.
//
// A response is checked for its context, properties and their types, absolute links, the annotations of delta, and
// headers. An error is checked for Graph's form. Batches are checked as a whole and item by item. Any violation fails
// the test with one line that names the rule and the place. Other paths, such as the sign-in, pass unchecked.
package csdltest

import (
	"bytes"
	"compress/gzip"
	"io"
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

// version is the only one that is checked.
const version = "/v1.0/"

// check is the check of Graph.
func (c *checker) check() wiretest.Check {
	return wiretest.Check{
		Covers: func(path string) bool { return strings.HasPrefix(path, version) },
		Begin:  func(r *http.Request, body []byte) wiretest.Exchange { return c.exchange(r, body) },
	}
}

// unpack returns a body without its compression.
func unpack(h http.Header, body []byte) ([]byte, error) {
	if h.Get("Content-Encoding") != "gzip" {
		return body, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}
