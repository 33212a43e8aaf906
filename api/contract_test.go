package api_test

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"

	"rollcall/api"
)

//go:embed testdata/contract-a.json
var contractA []byte

// load reads an OpenAPI document once.
func load(data func() []byte) func() (*openapi3.T, error) {
	return sync.OnceValues(func() (*openapi3.T, error) { return openapi3.NewLoader().LoadFromData(data()) })
}

var (
	loadContract = load(func() []byte { return contractA })
	loadOwn      = load(api.OwnDocument)
)

// newerFields are the fields that a sync status has beyond the contract: those of its newer form.
var newerFields = []string{"last_successful_sync", "last_sync_status"}

// checkAnswer checks what holds for every answer: its headers, and that it is JSON. It has the form that the API's own
// document promises and, on a path of the contract, the form of the contract.
func checkAnswer(t testing.TB, r *http.Request, w *httptest.ResponseRecorder) {
	t.Helper()
	where := fmt.Sprintf("%s %s: %d", r.Method, r.URL.Path, w.Code)
	for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %s = %q", where, name, got)
		}
	}
	if w.Header().Get("X-Request-Id") == "" {
		t.Errorf("%s: no request id", where)
	}
	if w.Code == http.StatusNoContent || r.Method == http.MethodHead && w.Body.Len() == 0 {
		return
	}
	if r.URL.Query().Get("format") == "text" && w.Code == http.StatusOK {
		return
	}
	if got := w.Header().Get("Content-Type"); got != "application/json" {
		t.Errorf("%s: Content-Type = %q", where, got)
	}
	var body any
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Fatalf("%s: no JSON: %v: %s", where, err, w.Body)
	}
	contract, err := loadContract()
	own, err2 := loadOwn()
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	for name, doc := range map[string]*openapi3.T{"contract": contract, "own document": own} {
		schema, known := schemaFor(doc, r.Method, r.URL.Path, w.Code)
		if !known {
			continue
		}
		for _, problem := range validate(schema, body) {
			t.Errorf("%s: %s: %s\n%s", where, name, problem, w.Body)
		}
	}
	if w.Code >= 400 && w.Code != 400 && !strings.HasSuffix(r.URL.Path, "z") &&
		!strings.HasPrefix(r.URL.Path, "/organization-manager/") {
		if m, _ := body.(map[string]any); m == nil || m["detail"] == nil {
			t.Errorf("%s: no detail: %s", where, w.Body)
		}
	}
}

// schemaFor returns the schema of an answer. Where the document knows the path and method but not the status, that of
// an error is meant.
func schemaFor(doc *openapi3.T, method, path string, code int) (*openapi3.Schema, bool) {
	if strings.HasPrefix(path, "/api/v3/organization-manager/") { // which is not there
		return nil, false
	}
	path = strings.TrimPrefix(path, "/api/v3")
	if doc.Paths.Find("/livez") == nil { // the contract: one provider's paths are those of the other
		path = strings.Replace(path, "/microsoft_entra/2/sync/object/", "/google_workspace/1/sync/object/", 1)
	}
	for pattern, item := range doc.Paths.Map() {
		if !matches(pattern, path) {
			continue
		}
		op := item.GetOperation(strings.Replace(method, http.MethodHead, http.MethodGet, 1))
		if op == nil {
			return nil, false
		}
		if resp := op.Responses.Status(code); resp != nil {
			if media := resp.Value.Content.Get("application/json"); media != nil {
				return media.Schema.Value, true
			}
		}
		if refused := op.Responses.Status(http.StatusForbidden); refused != nil && code >= 400 && code != 400 {
			return refused.Value.Content.Get("application/json").Schema.Value, true
		}
		return nil, false
	}
	return nil, false
}

func matches(pattern, path string) bool {
	want, got := strings.Split(pattern, "/"), strings.Split(path, "/")
	return slices.EqualFunc(want, got, func(w, g string) bool {
		return w == g || strings.HasPrefix(w, "{") && g != ""
	})
}

// validate returns what is wrong with a value: types, enums, required fields and formats, and any field that the
// schema does not know.
func validate(schema *openapi3.Schema, v any) []string {
	var problems []string
	if err := schema.VisitJSON(v, openapi3.VisitAsResponse(), openapi3.MultiErrors(),
		openapi3.EnableFormatValidation()); err != nil {
		problems = append(problems, err.Error())
	}
	return append(problems, walk(schema, v, "")...)
}

// walk finds unknown fields, and strings that do not have the format they should.
func walk(schema *openapi3.Schema, v any, at string) []string {
	var problems []string
	switch v := v.(type) {
	case map[string]any:
		for name, item := range v {
			sub := schema.Properties[name]
			free := schema.AdditionalProperties.Schema != nil || schema.AdditionalProperties.Has != nil &&
				*schema.AdditionalProperties.Has
			switch {
			case sub != nil:
				problems = append(problems, walk(sub.Value, item, at+"."+name)...)
			case !free && len(schema.Properties) > 0 && !(at == "" && slices.Contains(newerFields, name)):
				problems = append(problems, fmt.Sprintf("%s.%s is not in the schema", at, name))
			}
		}
	case []any:
		for i, item := range v {
			problems = append(problems, walk(schema.Items.Value, item, at+"["+strconv.Itoa(i)+"]")...)
		}
	case string:
		if _, err := uuid.Parse(v); schema.Format == "uuid" && err != nil {
			problems = append(problems, fmt.Sprintf("%s = %q is no UUID", at, v))
		}
		if schema.Format == "date-time" && (len(v) != len("2026-03-01T09:30:00.000000Z") || !strings.HasSuffix(v, "Z")) {
			problems = append(problems, fmt.Sprintf("%s = %q has no microseconds or is not UTC", at, v))
		}
	}
	return problems
}

func TestDocumentIsValid(t *testing.T) {
	t.Parallel()
	doc, err := loadOwn()
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Error(err)
	}
}

// Every path, parameter, field, enum and required field of the contract is in our document as it is there. Ours may say
// more.
func TestDocumentKeepsContract(t *testing.T) {
	t.Parallel()
	var want, got map[string]any
	if err := json.Unmarshal(contractA, &want); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(api.OwnDocument(), &got); err != nil {
		t.Fatal(err)
	}
	delete(want, "info") // the title and version are ours
	for _, problem := range missing(want, got, "") {
		t.Error(problem)
	}
	if bytes.Contains(bytes.ToLower(api.OwnDocument()), []byte("goauthentik")) {
		t.Error("the document names somebody else's product")
	}
}

// missing compares want with got: an object may have more keys, everything else is equal.
func missing(want, got any, at string) []string {
	w, isObject := want.(map[string]any)
	g, both := got.(map[string]any)
	if !isObject || !both {
		x, _ := json.Marshal(want)
		y, _ := json.Marshal(got)
		if !bytes.Equal(x, y) {
			return []string{fmt.Sprintf("%s = %s, want %s", at, y, x)}
		}
		return nil
	}
	var out []string
	for name, v := range w {
		if _, there := g[name]; !there {
			out = append(out, at+"."+name+" is missing")
			continue
		}
		out = append(out, missing(v, g[name], at+"."+name)...)
	}
	return out
}

// What the mux serves and what the document describes are the same.
func TestDocumentDescribesEveryRoute(t *testing.T) {
	t.Parallel()
	doc, err := loadOwn()
	if err != nil {
		t.Fatal(err)
	}
	routes := api.Routes()
	for _, path := range []string{"/livez", "/readyz", sessionsURL, sessionsURL + "/{sessionId}"} {
		routes[path] = []string{"GET"}
	}
	for path, methods := range routes {
		item := doc.Paths.Find(path)
		if item == nil {
			t.Errorf("%s is not in the document", path)
			continue
		}
		for _, m := range methods {
			if item.GetOperation(m) == nil {
				t.Errorf("%s %s is not in the document", m, path)
			}
		}
		if len(item.Operations()) != len(methods) {
			t.Errorf("%s: the document has %d methods, want %v", path, len(item.Operations()), methods)
		}
	}
	for path := range doc.Paths.Map() {
		if routes[path] == nil {
			t.Errorf("%s is in the document and not served", path)
		}
	}
}

func TestSchemaNeedsNoToken(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil, nil)
	w := h.send(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v3/schema/", nil)).want(http.StatusOK)
	if !bytes.Equal(w.Body.Bytes(), api.OwnDocument()) {
		t.Error("the schema is not the document")
	}
}
