package api

import (
	_ "embed"
	"encoding/json"
)

// document is embedded, so that a binary serves the document of its own version.
//
//go:embed openapi.json
var document []byte

// Document returns the OpenAPI document of the API. It holds the contract's paths unchanged, and ours.
func Document() []byte { return append([]byte(nil), document...) }

// schema answers with the document. It is no secret: nobody needs a token for it.
func (a *API) schema(*request) (answer, error) { return ok(json.RawMessage(document)), nil }
