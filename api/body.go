package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"
)

// readObject reads a JSON object. An empty body is an empty object, whatever its media type, as in the contract's
// server. The error texts are those of the contract.
func readObject(r *request) (map[string]any, error) {
	data, err := io.ReadAll(r.Body)
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, badRequest(fmt.Sprintf("Request body exceeds %d bytes.", tooLarge.Limit))
	}
	if err != nil {
		return nil, badRequest("Request body could not be read.")
	}
	if len(data) == 0 {
		return map[string]any{}, nil
	}
	given := r.Header.Get("Content-Type")
	if media, _, err := mime.ParseMediaType(given); err != nil && media == "" || media != "application/json" {
		return nil, &problem{http.StatusUnsupportedMediaType,
			detail{Detail: `Unsupported media type "` + given + `" in request.`}}
	}
	v, err := parseJSON(data)
	if err != nil {
		return nil, badRequest("JSON parse error - " + err.Error())
	}
	object, isObject := v.(map[string]any)
	if !isObject {
		return nil, invalidField(nonField, "Invalid data. Expected a dictionary, but got %s.", typeName(v))
	}
	return object, nil
}

// parseJSON reads exactly one value and keeps the text of numbers.
func parseJSON(data []byte) (any, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("the body is not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var v any
	switch err := dec.Decode(&v); {
	case errors.Is(err, io.EOF):
		//nolint:staticcheck // This is a text of the contract's server.
		return nil, errors.New("Expecting value: line 1 column 1 (char 0)")
	case err != nil:
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("Extra data after the value") //nolint:staticcheck // the same
	}
	return v, nil
}

// typeName names the type of a JSON value as the contract's server does.
func typeName(v any) string {
	switch v := v.(type) {
	case nil:
		return "NoneType"
	case bool:
		return "bool"
	case string:
		return "str"
	case []any:
		return "list"
	case json.Number:
		if strings.ContainsAny(v.String(), ".eE") {
			return "float"
		}
		return "int"
	}
	return "dict"
}

// parseBool reads a flag in any spelling that the contract's server accepts.
func parseBool(v any) (on, known bool) {
	switch v := v.(type) {
	case bool:
		return v, true
	case json.Number:
		return v == "1", v == "0" || v == "1"
	case string:
		switch strings.ToLower(v) {
		case "t", "y", "yes", "true", "on", "1":
			return true, true
		case "f", "n", "no", "false", "off", "0":
			return false, true
		}
	}
	return false, false
}
