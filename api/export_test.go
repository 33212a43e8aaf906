package api

import (
	"maps"
	"slices"
	"time"

	"rollcall/provider/all"
)

// Routes returns the methods of every path below the base path.
func Routes() map[string][]string {
	out := map[string][]string{}
	for _, rt := range (&API{families: families(all.Types())}).routes() {
		out[rt.path] = slices.Sorted(maps.Keys(rt.methods))
	}
	return out
}

// OwnDocument returns the document of all types.
func OwnDocument() []byte {
	doc, err := Document(all.Types())
	if err != nil {
		panic(err)
	}
	return doc
}

// FaultAnswer returns the status, body and headers that an error becomes.
func FaultAnswer(err error) (int, any, map[string]string) {
	a := faultAnswer(err)
	return a.status, a.body, a.header
}

// OpenEvents returns how many readers and how many streams of events there are.
func OpenEvents(a *API) (readers, streams int) { return a.events.hub.Readers(), len(a.events.slots) }

// SetEventTimes sets after how long a silent stream says something, and how long a client may take to read.
func SetEventTimes(a *API, heartbeat, writeTime time.Duration) {
	a.events.heartbeat, a.events.writeTime = heartbeat, writeTime
}

// RequestTime returns how long a request may take that waits for nothing else.
func RequestTime(a *API) time.Duration { return a.cfg.RequestTime }
