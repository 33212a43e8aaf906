package graph

import (
	"encoding/json"
	"strconv"
	"time"
)

// Responses that may have thousands of objects are written directly, which is several times as fast as encoding/json.

// appendString appends a JSON string.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			data, _ := json.Marshal(s) // strings always have a JSON form
			return append(b, data...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

func appendValue(b []byte, p *property, value any) []byte {
	if p.is(hidden) {
		return append(b, "null"...)
	}
	switch v := value.(type) {
	case nil:
		if p.typ == texts || p.typ == complexN {
			return append(b, "[]"...)
		}
		if p.name == "onPremisesExtensionAttributes" {
			return appendExtensions(b, nil)
		}
		return append(b, "null"...)
	case string:
		return appendString(b, v)
	case bool:
		return strconv.AppendBool(b, v)
	case time.Time:
		return append(v.UTC().AppendFormat(append(b, '"'), "2006-01-02T15:04:05Z"), '"')
	case []string:
		b = append(b, '[')
		for i, s := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendString(b, s)
		}
		return append(b, ']')
	case map[string]any:
		if p.name == "onPremisesExtensionAttributes" {
			return appendExtensions(b, v)
		}
	}
	return append(b, marshal(value)...)
}

// appendExtensions writes all fifteen extension attributes, as Graph does.
func appendExtensions(b []byte, values map[string]any) []byte {
	b = append(b, '{')
	for i := 1; i <= 15; i++ {
		if i > 1 {
			b = append(b, ',')
		}
		name := "extensionAttribute" + strconv.Itoa(i)
		b = appendString(b, name)
		b = append(b, ':')
		if s, ok := values[name].(string); ok {
			b = appendString(b, s)
		} else {
			b = append(b, "null"...)
		}
	}
	return append(b, '}')
}

// appendProperties writes the fields of an object, without its braces.
func appendProperties(b []byte, list []*property, props map[string]any) []byte {
	for i, p := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = append(b, p.name...)
		b = append(b, '"', ':')
		b = appendValue(b, p, props[p.name])
	}
	return b
}

// appendObject writes an object. typed adds its @odata.type, which a collection of several kinds needs.
func appendObject(b []byte, k *kind, props map[string]any, s *selected, typed bool) []byte {
	b = append(b, '{')
	list := s.properties(k)
	if typed {
		b = appendType(b, k)
		if len(list) > 0 {
			b = append(b, ',')
		}
	}
	return append(appendProperties(b, list, props), '}')
}

func appendType(b []byte, k *kind) []byte {
	b = append(b, `"@odata.type":"#microsoft.graph.`...)
	b = append(b, k.name...)
	return append(b, '"')
}

// renderEntity writes one object as the whole response.
func renderEntity(c *call, k *kind, set string, props map[string]any, s *selected, typed bool) []byte {
	b := append([]byte(`{"@odata.context":`), marshal(contextURL(c, set, s, true))...)
	b = append(b, ',')
	return append(b, appendObject(nil, k, props, s, typed)[1:]...)
}

// page collects the response of a collection.
type page struct {
	body  []byte
	items int
}

// newPage begins a collection. The caller adds its annotations with note and then its items.
func newPage(context string) *page {
	return &page{body: append([]byte(`{"@odata.context":`), appendString(nil, context)...)}
}

func (p *page) note(name string, value any) {
	p.body = append(p.body, `,"@odata.`...)
	p.body = append(p.body, name...)
	p.body = append(p.body, '"', ':')
	p.body = append(p.body, marshal(value)...)
}

func (p *page) begin() { p.body = append(p.body, `,"value":[`...) }

// item begins the next item.
func (p *page) item() {
	if p.items++; p.items > 1 {
		p.body = append(p.body, ',')
	}
}

func (p *page) end() []byte { return append(p.body, "]}"...) }
