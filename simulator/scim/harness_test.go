package scim_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"rollcall/simulator/scim"
	"rollcall/simulator/scim/rfctest"
)

// client sends requests to a tenant and checks each answer against the RFCs' schemas.
type client struct {
	t      *testing.T
	tenant *scim.Tenant
	server *httptest.Server
	header http.Header
	auth   string
	// lax is set where the tenant deviates from the schemas.
	lax bool
}

func serve(t *testing.T, cfg scim.Config) *client {
	t.Helper()
	c := &client{t: t, tenant: scim.New(cfg), header: http.Header{}}
	c.server = httptest.NewServer(c.tenant.Handler())
	t.Cleanup(c.server.Close)
	c.auth = "Bearer " + c.tenant.Token()
	return c
}

// do sends a request and returns the status and the body.
func (c *client) do(method, path string, body any) (int, map[string]any) {
	c.t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		c.t.Fatal(err)
	}
	if body == nil {
		raw = nil
	}
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.server.URL+"/scim/v2"+path, bytes.NewReader(raw))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header = c.header.Clone()
	req.Header.Set("Authorization", c.auth)
	req.Header.Set("Content-Type", "application/scim+json")
	res, err := c.server.Client().Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	c.check(method, res, text)
	if len(text) == 0 {
		return res.StatusCode, nil
	}
	var out map[string]any
	if err := json.Unmarshal(text, &out); err != nil {
		c.t.Fatalf("%s %s answered %s", method, path, text)
	}
	return res.StatusCode, out
}

// check validates an answer with the schemas of another implementation.
func (c *client) check(method string, res *http.Response, body []byte) {
	c.t.Helper()
	if c.lax {
		return
	}
	checker := rfctest.New()
	for _, wrong := range checker.Check(method, res.StatusCode, res.Header, body) {
		c.t.Errorf("%s %s: %s: %s", method, res.Request.URL, wrong, body)
	}
}

func (c *client) want(status int, method, path string, body any) map[string]any {
	c.t.Helper()
	got, out := c.do(method, path, body)
	if got != status {
		c.t.Errorf("%s %s = %d %v, want %d", method, path, got, out, status)
	}
	return out
}

func user(name string, more ...any) map[string]any {
	out := map[string]any{"schemas": []any{scim.UserSchema}, "userName": name}
	for i := 0; i+1 < len(more); i += 2 {
		out[more[i].(string)] = more[i+1]
	}
	return out
}

func group(name string, members ...string) map[string]any {
	out := map[string]any{"schemas": []any{scim.GroupSchema}, "displayName": name}
	if len(members) > 0 {
		out["members"] = refs(members...)
	}
	return out
}

func refs(ids ...string) []any {
	var out []any
	for _, id := range ids {
		out = append(out, map[string]any{"value": id})
	}
	return out
}

func patch(ops ...any) map[string]any {
	return map[string]any{"schemas": []any{"urn:ietf:params:scim:api:messages:2.0:PatchOp"}, "Operations": ops}
}

func op(op, path string, value any) map[string]any {
	out := map[string]any{"op": op}
	if path != "" {
		out["path"] = path
	}
	if value != nil {
		out["value"] = value
	}
	return out
}

func (c *client) create(body map[string]any) string {
	c.t.Helper()
	path := "/Users"
	if body["userName"] == nil {
		path = "/Groups"
	}
	id, _ := c.want(http.StatusCreated, "POST", path, body)["id"].(string)
	return id
}
