package googleworkspace

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/simulator/googleworkspace/discoverytest"
)

// TestRoutesAreTheDocumentedOnes compares the table of methods with Google's discovery document.
func TestRoutesAreTheDocumentedOnes(t *testing.T) {
	t.Parallel()
	documented := discoverytest.Methods(t)
	for _, r := range routes() {
		want, ok := documented[r.id]
		if !ok {
			t.Errorf("%s is no method of the API", r.id)
			continue
		}
		got := discoverytest.Method{
			HTTPMethod: r.verb, Path: strings.TrimPrefix(apiPrefix, "/") + strings.Join(r.segments, "/"),
			Scopes: slices.Sorted(slices.Values(r.scopes)), Query: r.params,
		}
		want.Scopes = slices.Sorted(slices.Values(want.Scopes))
		if r.id == "directory.users.watch" { // not served: its parameters are of no interest
			want.Query = nil
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-document +table):\n%s", r.id, diff)
		}
	}
}
