package graph

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"mime"
	"net/http"
)

const maxBody = 4 << 20

// readRaw reads the body of a request, which may be compressed.
func readRaw(r *http.Request) ([]byte, *apiError) {
	if r.Body == nil {
		return nil, nil
	}
	var body io.Reader = r.Body
	switch encoding := r.Header.Get("Content-Encoding"); encoding {
	case "", "identity":
	case "gzip":
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			return nil, malformed("Unable to read the compressed request body.")
		}
		body = z
	default:
		return nil, refusal(http.StatusUnsupportedMediaType, "UnsupportedMediaType", "Unsupported content encoding '%s'.",
			encoding)
	}
	raw, err := io.ReadAll(io.LimitReader(body, maxBody+1))
	switch {
	case err != nil:
		return nil, malformed("Unable to read the request body.")
	case len(raw) > maxBody:
		return nil, refusal(http.StatusRequestEntityTooLarge, "Request_EntityTooLarge", "The request entity is too large.")
	}
	return raw, nil
}

// decode reads the JSON object in the body of a call. If mayBeEmpty is set, an empty body is an object without
// properties.
func (c *call) decode(mayBeEmpty bool) *apiError {
	if len(bytes.TrimSpace(c.raw)) == 0 {
		if !mayBeEmpty {
			return malformed("Empty Payload. JSON content expected.")
		}
		return nil
	}
	if kind, _, _ := mime.ParseMediaType(c.header.Get("Content-Type")); kind != "application/json" {
		return malformed("Write requests (excluding DELETE) must contain the Content-Type header declaration.")
	}
	dec := json.NewDecoder(bytes.NewReader(c.raw))
	dec.UseNumber()
	if err := dec.Decode(&c.body); err != nil || c.body == nil {
		return malformed("Unable to read JSON request payload. Please ensure Content-Type header is set and payload is " +
			"of valid JSON format.")
	}
	return nil
}
