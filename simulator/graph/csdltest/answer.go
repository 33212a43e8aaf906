package csdltest

import (
	"bytes"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// CheckAnswer implements wiretest.Exchange. Of a path that is not documented, only an error can be checked.
func (e *exchange) CheckAnswer(status int, header http.Header, packed []byte) {
	e.t.Helper()
	body, err := unpack(header, packed)
	if err != nil {
		e.report("the answer is not gzip: %v", err)
		return
	}
	if !e.item {
		for _, name := range []string{"Request-Id", "Client-Request-Id"} {
			if header.Get(name) == "" {
				e.report("the answer has no header %s", name)
			}
		}
	}
	if status >= http.StatusBadRequest {
		e.failure(status, body)
		return
	}
	if e.op == nil {
		return
	}
	if !slices.Contains(e.op.status, status) {
		e.report("status %d, want one of %v", status, e.op.status)
	}
	if e.op.response == none || status == http.StatusNoContent {
		if len(bytes.TrimSpace(body)) > 0 {
			e.report("the answer has a body, and the method answers none: %.80s", body)
		}
		return
	}
	kind, _, _ := mime.ParseMediaType(header.Get("Content-Type"))
	if e.op.response == number {
		if kind != "text/plain" || !regexp.MustCompile(`^\d+$`).Match(body) {
			e.report("the answer is %s %.80q, want a number as text/plain", kind, body)
		}
		return
	}
	if kind != "application/json" {
		e.report("the answer's Content-Type is %q, want application/json", header.Get("Content-Type"))
	}
	if value, ok := e.decode("the answer", body); ok {
		e.success(value)
	}
}

func (e *exchange) success(body map[string]any) {
	e.t.Helper()
	if e.op.response == batch {
		e.batchAnswer(body)
		return
	}
	e.context(body["@odata.context"])
	if e.op.response == entity {
		e.object(e.op.typ, body, e.op.typ == "directoryObject")
		return
	}
	if e.op.response == boolean {
		if _, ok := body["value"].(bool); !ok {
			e.report("value is %T, want a boolean", body["value"])
		}
		return
	}
	e.only("", body, "@odata.context", "@odata.count", "@odata.nextLink", "@odata.deltaLink", "value")
	e.links(body)
	items, ok := body["value"].([]any)
	if !ok {
		e.report("value is %T, want an array", body["value"])
	}
	if top := e.query.Get("$top"); top != "" && len(items) > atoi(top) {
		e.report("%d items for $top=%s", len(items), top)
	}
	for _, item := range items {
		o, ok := item.(map[string]any)
		if !ok {
			e.report("an item is %T, want an object", item)
			continue
		}
		if e.op.response == delta {
			e.tracked(o)
			continue
		}
		e.object(e.op.typ, o, e.op.response == mixed)
	}
}

func atoi(s string) int {
	n := 0
	for _, c := range s {
		n = n*10 + int(c-'0')
	}
	return n
}

// context checks "https://graph.microsoft.com/v1.0/$metadata#users(id,displayName)/$entity".
func (e *exchange) context(value any) {
	e.t.Helper()
	s, _ := value.(string)
	base, fragment, found := strings.Cut(s, "/v1.0/$metadata#")
	if u, err := url.Parse(base); !found || err != nil || u.Host == "" {
		e.report("@odata.context is %v", value)
		return
	}
	want := e.op.set
	if e.query.Get("$select") != "" || e.query.Has("$skiptoken") || e.query.Has("$deltatoken") {
		fragment = regexp.MustCompile(`\([^)]*\)`).ReplaceAllString(fragment, "")
	}
	if e.op.response == entity {
		want += "/$entity"
	}
	if fragment != want {
		e.report("@odata.context ends in #%s, want #%s", fragment, want)
	}
}

func (e *exchange) links(body map[string]any) {
	e.t.Helper()
	next, more := body["@odata.nextLink"]
	last, done := body["@odata.deltaLink"]
	if e.op.response == delta && more == done {
		e.report("want either a nextLink or a deltaLink")
	}
	if e.op.response != delta && done {
		e.report("a list has a deltaLink")
	}
	for option, link := range map[string]any{"$skiptoken": next, "$deltatoken": last} {
		if link == nil {
			continue
		}
		s, _ := link.(string)
		if u, err := url.Parse(s); err != nil || u.Host == "" || !u.Query().Has(option) {
			e.report("link %v is not absolute or has no %s", link, option)
		}
	}
}

// failure checks the form of an error: {"error":{"code","message","details","innerError"}}.
func (e *exchange) failure(status int, body []byte) {
	e.t.Helper()
	top, ok := e.decode("the error", body)
	if !ok {
		return
	}
	e.only("", top, "error")
	o, ok := top["error"].(map[string]any)
	if !ok {
		e.report("error is %T, want an object", top["error"])
		return
	}
	e.only("error.", o, "code", "message", "details", "innerError", "target")
	for _, name := range []string{"code", "message"} {
		if s, ok := o[name].(string); !ok || s == "" {
			e.report("status %d: error.%s is %v, want a text", status, name, o[name])
		}
	}
	inner, _ := o["innerError"].(map[string]any)
	for _, name := range []string{"date", "request-id", "client-request-id"} {
		if s, ok := inner[name].(string); !ok || s == "" {
			e.report("status %d: error.innerError.%s is %v, want a text", status, name, inner[name])
		}
	}
	details, _ := o["details"].([]any)
	for _, item := range details {
		d, _ := item.(map[string]any)
		e.only("error.details.", d, "code", "message", "target")
	}
}
