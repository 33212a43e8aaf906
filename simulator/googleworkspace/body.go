package googleworkspace

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
)

// maxBody is far above any request of this API.
const maxBody = 4 << 20

// readBody decodes a request's JSON object. An absent body counts as an empty object.
func readBody(raw []byte) (map[string]any, *apiError) {
	body, err := decodeObject(bytes.NewReader(raw))
	if errors.Is(err, io.EOF) {
		return map[string]any{}, nil
	}
	if err != nil || body == nil {
		return nil, parseError()
	}
	return body, nil
}

// decodeObject reads one JSON object and refuses trailing data. Numbers keep their spelling.
func decodeObject(r io.Reader) (map[string]any, error) {
	dec := json.NewDecoder(r)
	dec.UseNumber()
	var body map[string]any
	if err := dec.Decode(&body); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one JSON value")
	}
	return body, nil
}

// kind is the type of a field of a resource.
type kind uint8

const (
	readOnly kind = iota // ignored in a request, whatever it holds
	text
	flag
	object // merged
	whole  // an object that is replaced as a whole
	array  // replaced as a whole
)

// fieldsOf are the fields of one resource.
type fieldsOf map[string]kind

// check refuses unknown fields and values of the wrong type, and drops read-only fields.
func (f fieldsOf) check(resource string, body map[string]any) (map[string]any, *apiError) {
	writable := make(map[string]any, len(body))
	for _, name := range slices.Sorted(maps.Keys(body)) {
		value := body[name]
		kind, known := f[name]
		if !known {
			return nil, invalid("Invalid JSON payload received. Unknown name %q at '%s': Cannot find field.", name, resource)
		}
		if kind == readOnly {
			continue
		}
		if value != nil && !kind.holds(value) {
			return nil, invalid("Invalid value at '%s.%s'", resource, name)
		}
		writable[name] = value
	}
	return writable, nil
}

func (k kind) holds(value any) bool {
	switch value.(type) {
	case string:
		return k == text
	case bool:
		return k == flag
	case map[string]any:
		return k == object || k == whole
	case []any:
		return k == array
	}
	return false
}

// str returns a string field. Absent and null are empty.
func str(doc map[string]any, name string) string {
	s, _ := doc[name].(string)
	return s
}

func boolean(doc map[string]any, name string) bool {
	b, _ := doc[name].(bool)
	return b
}

// elements returns the objects of an array field.
func elements(doc map[string]any, name string) []map[string]any {
	list, _ := doc[name].([]any)
	objects := make([]map[string]any, 0, len(list))
	for _, e := range list {
		if o, ok := e.(map[string]any); ok {
			objects = append(objects, o)
		}
	}
	return objects
}
