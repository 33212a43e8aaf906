package googleworkspace

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"hash/fnv"
	"maps"
	"slices"
	"time"
)

// rendered is a resource in the form of a response. It is immutable, so that readers need no lock.
type rendered struct {
	doc  map[string]any
	json []byte
	etag string
}

// render gives a document its etag, which is a hash over everything but the fields named volatile.
func render(doc map[string]any, volatile ...string) *rendered {
	kept := map[string]any{}
	for _, name := range volatile {
		if v, ok := doc[name]; ok {
			kept[name] = v
			delete(doc, name)
		}
	}
	r := &rendered{doc: doc, etag: etag(encodeJSON(doc))}
	maps.Copy(doc, kept)
	doc["etag"] = r.etag
	r.json = encodeJSON(doc)
	return r
}

// MarshalJSON implements json.Marshaler.
func (r *rendered) MarshalJSON() ([]byte, error) { return r.json, nil }

// writeJSON writes a response. Rendered documents are copied unchanged, because the encoder would validate each of
// them again. That would be most of the work of a long list.
func writeJSON(b *bytes.Buffer, value any) {
	switch v := value.(type) {
	case *rendered:
		b.Write(v.json)
	case []*rendered:
		b.WriteByte('[')
		for i, r := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			b.Write(r.json)
		}
		b.WriteByte(']')
	case map[string]any:
		b.WriteByte('{')
		for i, name := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				b.WriteByte(',')
			}
			b.Write(encodeJSON(name))
			b.WriteByte(':')
			writeJSON(b, v[name])
		}
		b.WriteByte('}')
	default:
		b.Write(encodeJSON(v))
	}
}

func encodeJSON(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic("googleworkspace: " + err.Error()) // only JSON values are ever stored
	}
	return data
}

// etag returns a quoted string, as in HTTP. Google quotes it inside the JSON, too.
func etag(parts ...[]byte) string {
	h := fnv.New128a()
	for _, p := range parts {
		_, _ = h.Write(p)
		_, _ = h.Write([]byte{0})
	}
	return `"` + base64.RawURLEncoding.EncodeToString(h.Sum(nil)) + `"`
}

// etagOf returns the etag of a result, or "".
func etagOf(value any) string {
	switch v := value.(type) {
	case *rendered:
		return v.etag
	case map[string]any:
		s, _ := v["etag"].(string)
		return s
	}
	return ""
}

// page makes the result of a list. An empty list has no field for its items, as at Google.
func page[T any](kind, items string, values []T, next string) map[string]any {
	tags := make([][]byte, len(values))
	for i, v := range values {
		tags[i] = []byte(etagOf(v))
	}
	answer := map[string]any{"kind": kind, "etag": etag(tags...)}
	if len(values) > 0 {
		answer[items] = values
	}
	if next != "" {
		answer["nextPageToken"] = next
	}
	return answer
}

// timestamp formats a time as Google does.
func timestamp(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000Z") }
