package discoverytest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"sync"
	"testing"
)

// checker reports what differs from the document.
type checker struct {
	t   testing.TB
	doc *document

	mu    sync.Mutex
	shown map[string]bool // fields of elements that the document does not know and an answer had
}

// foreign says whether a field of an element may pass although the document does not know it. It calls such elements
// "any", so an answer may show more than we know of. A client that replaces the array has to send it back. What no
// answer has shown is the client's own mistake.
func (c *checker) foreign(path string, answer bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if answer {
		c.shown[path] = true
	}
	return c.shown[path]
}

func newChecker(t testing.TB) *checker {
	t.Helper()
	doc, err := load()
	if err != nil {
		t.Fatalf("discoverytest: %v", err)
	}
	return &checker{t: t, doc: doc, shown: map[string]bool{}}
}

// site is where a finding was made: "directory.users.insert request".
type site struct {
	c    *checker
	name string
}

func (s site) report(format string, args ...any) {
	s.c.t.Helper()
	s.c.t.Errorf("discovery: "+s.name+": "+format, args...)
}

// exchange is one request and its answer.
type exchange struct {
	*checker
	r    *http.Request
	body []byte
	m    *method // nil where no method was matched
	vars map[string]string
}

func (c *checker) exchange(r *http.Request, body []byte) *exchange {
	m, vars := c.doc.match(r)
	return &exchange{c, r, body, m, vars}
}

// CheckRequest implements wiretest.Exchange.
func (e *exchange) CheckRequest() {
	c, r, m, body := e.checker, e.r, e.m, e.body
	c.t.Helper()
	if m == nil {
		site{c, "request"}.report("the Directory API has no %s %s", r.Method, r.URL.Path)
		return
	}
	at := site{c, m.ID + " request"}
	at.query(m, e.vars, r.URL.Query())
	switch {
	case m.Request == nil && len(body) > 0:
		at.report("has a body, and the method takes none")
	case m.Request != nil:
		if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
			at.report("Content-Type is %q, want application/json", r.Header.Get("Content-Type"))
		}
		if value, ok := at.decode(body); ok {
			at.value(m.Request.Ref, m.Request, value, m.ID)
		}
	}
}

// CheckAnswer implements wiretest.Exchange.
func (e *exchange) CheckAnswer(status int, header http.Header, body []byte) {
	c, m := e.checker, e.m
	c.t.Helper()
	at := site{c, "answer"}
	if m != nil {
		at.name = m.ID + " answer"
	}
	switch {
	case status >= 400:
		at.failure(status, body)
	case status == http.StatusNotModified || m == nil:
	case status < 200 || status > 299:
		at.report("status %d", status)
	case m.Response == nil:
		if len(bytes.TrimSpace(body)) > 0 {
			at.report("has a body, and the method answers none: %.80s", body)
		}
	default:
		if kind, _, _ := mime.ParseMediaType(header.Get("Content-Type")); kind != "application/json" {
			at.report("Content-Type is %q, want application/json", header.Get("Content-Type"))
		}
		if value, ok := at.decode(body); ok {
			at.value(m.Response.Ref, m.Response, value, "")
		}
	}
}

// decode reads a body that has to be one JSON object.
func (s site) decode(body []byte) (any, bool) {
	s.c.t.Helper()
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var value map[string]any
	if err := dec.Decode(&value); err != nil {
		s.report("body is no JSON object: %v: %.80q", err, body)
		return nil, false
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		s.report("body has more than one JSON value: %.80q", body)
		return nil, false
	}
	return value, value != nil
}

// failure checks the form of an error:
// {"error":{"code","message","errors":[{"message","domain","reason"}]}}.
func (s site) failure(status int, body []byte) {
	s.c.t.Helper()
	value, ok := s.decode(body)
	if !ok {
		return
	}
	top := value.(map[string]any)
	s.only("", top, "error")
	e, ok := top["error"].(map[string]any)
	if !ok {
		s.report("error is %T, want an object", top["error"])
		return
	}
	s.only("error.", e, "code", "message", "errors", "status", "details")
	if n, ok := e["code"].(json.Number); !ok || n.String() != jsonNumber(status) {
		s.report("error.code is %v, want %d", e["code"], status)
	}
	if m, ok := e["message"].(string); !ok || m == "" {
		s.report("error.message is %v, want a text", e["message"])
	}
	list, _ := e["errors"].([]any)
	if len(list) == 0 {
		s.report("error.errors is %v, want at least one", e["errors"])
	}
	for _, item := range list {
		o, _ := item.(map[string]any)
		s.only("error.errors.", o, "message", "domain", "reason", "location", "locationType")
		for _, name := range []string{"message", "domain", "reason"} {
			if text, ok := o[name].(string); !ok || text == "" {
				s.report("error.errors.%s is %v, want a text", name, o[name])
			}
		}
	}
}

func jsonNumber(n int) string {
	data, _ := json.Marshal(n) // an int always has a JSON form
	return string(data)
}

// only reports the fields of an object that are not among the known ones.
func (s site) only(prefix string, o map[string]any, known ...string) {
	s.c.t.Helper()
	for _, name := range slices.Sorted(maps.Keys(o)) {
		if !slices.Contains(known, name) {
			s.report("unknown field %s%s", prefix, name)
		}
	}
}
