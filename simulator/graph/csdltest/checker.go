package csdltest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// checker reports what differs from the documentation.
type checker struct {
	t   testing.TB
	doc document
}

func newChecker(t testing.TB) *checker {
	t.Helper()
	doc, err := load()
	if err != nil {
		t.Fatalf("csdltest: %v", err)
	}
	return &checker{t: t, doc: doc}
}

// exchange is one request and its response, either of its own or as an item of a batch.
type exchange struct {
	*checker
	op     *operation
	name   string
	verb   string
	path   string
	query  url.Values
	header http.Header
	body   []byte
	item   bool
	items  map[string]*exchange // of a batch, by lower-case id
	steps  int                  // of a batch, with those that share an id
	chosen []string             // by $select
}

func (c *checker) exchange(r *http.Request, body []byte) *exchange {
	raw, err := unpack(r.Header, body)
	if err != nil {
		raw = nil
	}
	return c.newExchange(r.Method, strings.TrimPrefix(r.URL.EscapedPath(), version), r.URL.Query(), r.Header, raw)
}

func (c *checker) newExchange(verb, path string, query url.Values, header http.Header, body []byte) *exchange {
	e := &exchange{checker: c, op: find(verb, path), verb: verb, path: path, query: query, header: header, body: body}
	if e.op == nil {
		e.name = verb + " " + path
		return e
	}
	e.name = e.op.name
	for name := range strings.SplitSeq(query.Get("$select"), ",") {
		if name = strings.TrimSpace(name); name != "" {
			e.chosen = append(e.chosen, name)
		}
	}
	if e.op.response == batch {
		e.readItems()
	}
	return e
}

// report fails the test.
func (e *exchange) report(format string, args ...any) {
	e.t.Helper()
	name := e.name
	if e.item {
		name = "batch item " + name
	}
	e.t.Errorf("graph: %s: %s", name, fmt.Sprintf(format, args...))
}

// decode reads a body that has to be one JSON object.
func (e *exchange) decode(what string, body []byte) (map[string]any, bool) {
	e.t.Helper()
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var value map[string]any
	if err := dec.Decode(&value); err != nil || value == nil {
		e.report("%s is no JSON object: %.80q", what, body)
		return nil, false
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		e.report("%s has more than one JSON value: %.80q", what, body)
		return nil, false
	}
	return value, true
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
