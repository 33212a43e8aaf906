package api

import (
	"maps"
	"slices"
)

// Routes returns the methods of every path below the base path.
func Routes() map[string][]string {
	out := map[string][]string{}
	for _, rt := range (&API{}).routes() {
		out[rt.path] = slices.Sorted(maps.Keys(rt.methods))
	}
	return out
}

// FaultAnswer returns the status, body and headers that an error becomes.
func FaultAnswer(err error) (int, any, map[string]string) {
	a := faultAnswer(err)
	return a.status, a.body, a.header
}
