package graph

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// call is one Graph request in progress, either an HTTP request or an item of a batch.
type call struct {
	ctx    context.Context
	method string
	path   string // without the version
	query  url.Values
	header http.Header
	raw    []byte // the body
	base   string // "https://host/v1.0"
	token  *accessToken
	ids    requestIDs
	now    time.Time
	item   bool // of a batch

	route *route
	vars  map[string]key
	body  map[string]any
}

// requestIDs are the ids of a request in headers and errors.
type requestIDs struct{ request, client string }

func (t *Tenant) newRequestIDs(h http.Header) requestIDs {
	id := uuidOf("request", t.cfg.Seed, t.requests.Add(1))
	client := h.Get("Client-Request-Id")
	if client == "" {
		client = id
	}
	return requestIDs{request: id, client: client}
}

// advanced reports whether the request asks for the capabilities of the separate query index.
func (c *call) advanced() bool { return c.eventual() && c.query.Get("$count") == "true" }

func (c *call) eventual() bool {
	return strings.EqualFold(c.header.Get("ConsistencyLevel"), "eventual")
}

// prefers reports whether the Prefer header has a preference.
func (c *call) prefers(preference string) bool {
	for _, line := range c.header.Values("Prefer") {
		for p := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(p), preference) {
				return true
			}
		}
	}
	return false
}

// granted reports whether the app has one of the permissions.
func (c *call) granted(anyOf ...string) bool { return c.token.hasAny(anyOf) }

// answer is the response to a call.
type answer struct {
	status int
	header http.Header
	body   []byte // JSON, unless the header says something else
}

const jsonType = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"

func newAnswer(status int, body []byte) *answer {
	a := &answer{status: status, header: http.Header{}, body: body}
	if len(body) > 0 {
		a.header.Set("Content-Type", jsonType)
		a.header.Set("Odata-Version", "4.0")
	}
	return a
}

func noContent() *answer { return newAnswer(http.StatusNoContent, nil) }

// marshal encodes values that are not on the hot path.
func marshal(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic("graph: " + err.Error()) // only values of our own making come here
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}

// refuse makes the response for an error.
func refuse(c *call, e *apiError) *answer {
	a := newAnswer(e.status, marshal(e.body(c.ids, c.now)))
	a.header.Set("Content-Type", "application/json")
	maps.Copy(a.header, e.header)
	if e.retryAfter > 0 {
		a.header.Set("Retry-After", strconv.FormatFloat(e.retryAfter.Seconds(), 'f', -1, 64))
	}
	return a
}
