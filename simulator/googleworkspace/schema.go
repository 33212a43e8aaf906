package googleworkspace

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

const customSchemas = "customSchemas"

// Schema is a custom schema of users.
type Schema struct {
	Name   string
	Fields []SchemaField
}

// SchemaField is a field of a custom schema. Type is BOOL, DATE, DOUBLE, EMAIL, INT64, PHONE or STRING.
type SchemaField struct {
	Name, Type  string
	MultiValued bool
}

// AddSchema creates or replaces a custom schema as an administrator would.
func (t *Tenant) AddSchema(s Schema) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.schemas[s.Name] = s
}

func (t *Tenant) hasSchema(name string) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	_, ok := t.schemas[name]
	return ok
}

func (t *Tenant) schemasList(c *call) (any, *apiError) {
	if err := t.customer(c.vars["customerId"]); err != nil {
		return nil, err
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	var docs []map[string]any
	for _, name := range slices.Sorted(maps.Keys(t.schemas)) {
		docs = append(docs, t.schemas[name].doc(t))
	}
	return page("admin#directory#schemas", "schemas", docs, ""), nil
}

func (s Schema) doc(t *Tenant) map[string]any {
	var fields []any
	for _, f := range s.Fields {
		doc := map[string]any{"kind": "admin#directory#schema#fieldspec", "fieldName": f.Name, "fieldType": f.Type,
			"fieldId": t.numericID("field", s.Name+"."+f.Name)}
		if f.MultiValued {
			doc["multiValued"] = true
		}
		fields = append(fields, doc)
	}
	doc := map[string]any{"kind": "admin#directory#schema", "schemaName": s.Name, "fields": fields,
		"schemaId": t.numericID("schema", s.Name)}
	doc["etag"] = etag(encodeJSON(doc))
	return doc
}

// checkCustom checks the custom fields of a write against their schemas, and keeps whole numbers as strings. Null
// clears a field or a schema.
func (t *Tenant) checkCustom(body map[string]any) *apiError {
	wrong := invalid("Invalid Input: custom_schema")
	schemas, _ := body[customSchemas].(map[string]any)
	for name, value := range schemas {
		s, known := t.schemas[name]
		fields, ok := value.(map[string]any)
		if !known || !ok && value != nil {
			return wrong
		}
		for field, value := range fields {
			i := slices.IndexFunc(s.Fields, func(f SchemaField) bool { return f.Name == field })
			if i < 0 || value != nil && !s.Fields[i].takes(value) {
				return wrong
			}
		}
	}
	return nil
}

// takes reports whether the field takes the value.
func (f SchemaField) takes(value any) bool {
	if !f.MultiValued {
		return f.takesOne(value)
	}
	list, ok := value.([]any)
	types := []string{"custom", "home", "other", "work"}
	return ok && !slices.ContainsFunc(list, func(e any) bool {
		o, ok := e.(map[string]any)
		kind, given := o["type"]
		return !ok || !f.takesOne(o["value"]) || given && !slices.Contains(types, str(o, "type")) ||
			kind == "custom" && str(o, "customType") == ""
	})
}

func (f SchemaField) takesOne(value any) (ok bool) {
	text, isText := value.(string)
	number, isNumber := value.(json.Number)
	if isNumber {
		text = number.String()
	}
	var err error
	switch f.Type {
	case "BOOL":
		_, ok = value.(bool)
		return ok
	case "INT64":
		_, err = strconv.ParseInt(text, 10, 64)
	case "DOUBLE":
		_, err = strconv.ParseFloat(text, 64)
	case "DATE":
		_, err = time.Parse(time.DateOnly, text)
	}
	return err == nil && (isText || isNumber)
}

// keepCustom brings the custom fields into the form in which Google returns them. Schemas without a value are absent.
func (t *Tenant) keepCustom(fields map[string]any) {
	schemas, _ := fields[customSchemas].(map[string]any)
	for name, value := range schemas {
		values, _ := value.(map[string]any)
		for _, f := range t.schemas[name].Fields {
			if n, ok := values[f.Name].(json.Number); ok && f.Type == "INT64" {
				values[f.Name] = fmt.Sprint(n)
			}
		}
		if len(values) == 0 {
			delete(schemas, name)
		}
	}
	if len(schemas) == 0 {
		delete(fields, customSchemas)
	}
}
