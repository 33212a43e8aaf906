package csdltest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
)

// object checks an entity. In a mixed collection it says itself what type it has.
func (e *exchange) object(typ string, o map[string]any, typed bool) {
	e.t.Helper()
	if typed {
		name, _ := o["@odata.type"].(string)
		typ = strings.TrimPrefix(name, "#microsoft.graph.")
		if e.doc[typ] == nil {
			e.report("@odata.type is %q", name)
			return
		}
	}
	if id, present := o["id"]; present {
		if s, ok := id.(string); !ok || s == "" {
			e.report("id is %v", id)
		}
	}
	for _, name := range sorted(o) {
		if strings.Contains(name, "@") {
			if !slices.Contains([]string{"@odata.context", "@odata.type", "@odata.id", "@odata.editLink", "@removed",
				"members@delta", "manager@delta"}, name) {
				e.report("unknown annotation %s", name)
			}
			continue
		}
		if _, related := e.doc[typ].navigation[name]; related && strings.HasPrefix(e.query.Get("$expand"), name) {
			if one, _ := o[name].(map[string]any); one["id"] == nil {
				e.report("the expanded %s is %v, want an object with an id", name, o[name])
			}
			continue
		}
		if len(e.chosen) > 0 && !e.selects(name) {
			e.report("property %s was not selected", name)
		}
		e.property(typ, "", name, o[name])
	}
	for _, name := range e.chosen {
		_, known := e.doc[typ].properties[name]
		if _, present := o[name]; known && !present && o["@removed"] == nil {
			e.report("selected property %s is missing", name)
		}
	}
	if profile, present := o["passwordProfile"]; present && profile != nil {
		e.report("a password is shown")
	}
}

func (e *exchange) selects(name string) bool {
	return e.op.response == delta && name == "id" ||
		slices.ContainsFunc(e.chosen, func(s string) bool { return strings.EqualFold(s, name) })
}

// tracked checks an item of delta.
func (e *exchange) tracked(o map[string]any) {
	e.t.Helper()
	e.object(e.op.typ, o, false)
	if id, _ := o["id"].(string); id == "" {
		e.report("an item without id")
	}
	e.removal(o, "changed", "deleted")
	e.relation(o, "members@delta", "group")
	e.relation(o, "manager@delta", "user")
}

// relation checks the changes of a relationship, which objects of one type have.
func (e *exchange) relation(o map[string]any, name, of string) {
	e.t.Helper()
	changes, present := o[name]
	if !present {
		return
	}
	list, ok := changes.([]any)
	if !ok || e.op.typ != of || len(list) == 0 {
		e.report("%s of a %s is %v", name, e.op.typ, changes)
	}
	for _, item := range list {
		m, _ := item.(map[string]any)
		e.only(name+".", m, "@odata.type", "id", "@removed")
		typ, _ := m["@odata.type"].(string)
		if id, _ := m["id"].(string); id == "" || e.doc[strings.TrimPrefix(typ, "#microsoft.graph.")] == nil {
			e.report("%s: an item is %v", name, m)
		}
		e.removal(m, "deleted")
	}
}

func (e *exchange) removal(o map[string]any, reasons ...string) {
	e.t.Helper()
	value, present := o["@removed"]
	if !present {
		return
	}
	removed, _ := value.(map[string]any)
	if reason, _ := removed["reason"].(string); !slices.Contains(reasons, reason) {
		e.report("@removed is %v, want a reason of %v", value, reasons)
	}
}

// property checks one property of a type.
func (e *exchange) property(typ, prefix, name string, value any) {
	e.t.Helper()
	p, known := e.doc[typ].properties[name]
	if !known {
		e.report("%s has no property %s%s", typ, prefix, name)
		return
	}
	item, collection := element(p.Type)
	if !collection {
		if value == nil && p.Nullable == "false" {
			e.report("%s%s is null", prefix, name)
		}
		e.value(item, prefix+name, value)
		return
	}
	list, ok := value.([]any)
	if !ok && (value != nil || p.Nullable == "false") {
		e.report("%s%s is %T, want an array", prefix, name, value)
	}
	for _, v := range list {
		e.value(item, prefix+name, v)
	}
}

func (e *exchange) value(typ, name string, value any) {
	e.t.Helper()
	if value == nil {
		return
	}
	var ok bool
	switch typ {
	case "Edm.String", "Edm.Guid":
		_, ok = value.(string)
	case "Edm.Boolean":
		_, ok = value.(bool)
	case "Edm.Int32":
		n, isNumber := value.(json.Number)
		_, err := n.Int64()
		ok = isNumber && err == nil
	case "Edm.DateTimeOffset":
		s, _ := value.(string)
		_, err := time.Parse(time.RFC3339, s)
		ok = err == nil
	default:
		e.structure(strings.TrimPrefix(typ, "graph."), name, value)
		return
	}
	if !ok {
		e.report("%s is %v, want %s", name, value, typ)
	}
}

// structure checks a value of a complex type, of an enumeration where the metadata has none of that name.
func (e *exchange) structure(typ, name string, value any) {
	e.t.Helper()
	if e.doc[typ] == nil {
		return
	}
	o, ok := value.(map[string]any)
	if !ok {
		e.report("%s is %T, want an object", name, value)
		return
	}
	for _, field := range sorted(o) {
		if !strings.Contains(field, "@") {
			e.property(typ, name+".", field, o[field])
		}
	}
}

// batchAnswer checks the responses of a batch, each as the answer to the request with its id.
func (e *exchange) batchAnswer(body map[string]any) {
	e.t.Helper()
	e.only("", body, "responses", "@odata.nextLink")
	responses, _ := body["responses"].([]any)
	if len(responses) != len(e.items) {
		e.report("%d responses to %d requests", len(responses), len(e.items))
	}
	for _, item := range responses {
		o, _ := item.(map[string]any)
		e.only("responses.", o, "id", "status", "headers", "body")
		id, _ := o["id"].(string)
		request := e.items[strings.ToLower(id)]
		if request == nil {
			e.report("a response to %q, which is no request", id)
			continue
		}
		n, _ := o["status"].(json.Number)
		status, err := n.Int64()
		if err != nil {
			e.report("the status of %s is %v", id, o["status"])
		}
		header := http.Header{}
		values, _ := o["headers"].(map[string]any)
		for name, value := range values {
			s, ok := value.(string)
			if !ok {
				e.report("header %s of %s is %T, want a text", name, id, value)
			}
			header.Set(name, s)
		}
		data, _ := json.Marshal(o["body"]) // what was decoded can be encoded
		if o["body"] == nil {
			data = nil
		}
		request.CheckAnswer(int(status), header, data)
	}
}
