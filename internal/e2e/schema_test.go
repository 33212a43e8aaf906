package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// contract is contract A as its generated clients know it.
var contract = sync.OnceValues(func() (*openapi3.T, error) {
	data, err := os.ReadFile("../../api/testdata/contract-a.json")
	if err != nil {
		return nil, err
	}
	return openapi3.NewLoader().LoadFromData(data)
})

// checkContract checks an answer against the contract where the contract has the path. Generated clients refuse an
// answer for one unknown value of an enum or one missing key.
func checkContract(t testing.TB, method, path string, resp *http.Response, data []byte) {
	t.Helper()
	path, _, _ = strings.Cut(path, "?")
	where := fmt.Sprintf("%s %s = %d", method, path, resp.StatusCode)
	var body any
	if err := json.Unmarshal(data, &body); err != nil || resp.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%s: no JSON: %s: %s", where, resp.Header.Get("Content-Type"), data)
		return
	}
	doc, err := contract()
	if err != nil {
		t.Fatal(err)
	}
	schema := answerSchema(doc, method, path, resp.StatusCode)
	if schema == nil {
		return
	}
	if err := schema.VisitJSON(body, openapi3.VisitAsResponse(), openapi3.MultiErrors(),
		openapi3.EnableFormatValidation()); err != nil {
		t.Errorf("%s: %v\n%s", where, err, data)
	}
	for _, name := range unknown(schema, body, "") {
		t.Errorf("%s: %s is not in the contract\n%s", where, name, data)
	}
}

// someProvider is the beginning of a provider's path.
var someProvider = regexp.MustCompile(`^/providers/[a-z_]+/`)

// answerSchema returns what the contract says of an answer, nil where it says nothing. The paths of every type of
// provider are those of Google's.
func answerSchema(doc *openapi3.T, method, path string, code int) *openapi3.Schema {
	path = someProvider.ReplaceAllString(path, "/providers/google_workspace/")
	for pattern, item := range doc.Paths.Map() {
		same := slices.EqualFunc(strings.Split(pattern, "/"), strings.Split(path, "/"), func(p, s string) bool {
			return p == s || strings.HasPrefix(p, "{")
		})
		if !same || item.GetOperation(method) == nil {
			continue
		}
		if answer := item.GetOperation(method).Responses.Status(code); answer != nil {
			if body := answer.Value.Content.Get("application/json"); body != nil {
				return body.Schema.Value
			}
		}
	}
	return nil
}

// unknown returns the fields of a value that the schema does not have. Two are those of the contract's newer form.
func unknown(schema *openapi3.Schema, v any, at string) (out []string) {
	switch v := v.(type) {
	case map[string]any:
		for name, item := range v {
			sub := schema.Properties[name]
			free := schema.AdditionalProperties.Schema != nil || schema.AdditionalProperties.Has != nil &&
				*schema.AdditionalProperties.Has
			newer := at == "" && (name == "last_successful_sync" || name == "last_sync_status")
			switch {
			case sub != nil:
				out = append(out, unknown(sub.Value, item, at+"."+name)...)
			case !free && !newer && len(schema.Properties) > 0:
				out = append(out, at+"."+name)
			}
		}
	case []any:
		for _, item := range v {
			out = append(out, unknown(schema.Items.Value, item, at+"[]")...)
		}
	}
	return out
}
