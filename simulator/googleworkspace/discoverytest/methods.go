package discoverytest

import (
	"maps"
	"slices"
	"testing"
)

// Method is what the discovery document says of one method.
type Method struct {
	HTTPMethod, Path string
	// Scopes are those of which any one allows the call.
	Scopes []string
	// Query names the method's own query parameters, sorted.
	Query []string
}

// Methods returns all methods of the Directory API by id, "directory.users.list".
func Methods(t testing.TB) map[string]Method {
	t.Helper()
	doc := newChecker(t).doc
	methods := make(map[string]Method, len(doc.methods))
	for _, m := range doc.methods {
		var query []string
		for _, name := range slices.Sorted(maps.Keys(m.Parameters)) {
			if m.Parameters[name].Location == "query" {
				query = append(query, name)
			}
		}
		methods[m.ID] = Method{HTTPMethod: m.HTTPMethod, Path: m.Path, Scopes: slices.Clone(m.Scopes), Query: query}
	}
	return methods
}
