package graph_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"rollcall/simulator/graph"
	"rollcall/simulator/graph/csdltest"
)

// client is plain net/http with an access token. All traffic is checked against the published metadata.
type client struct {
	t      *testing.T
	server *httptest.Server
	token  string
}

// object is a JSON object.
type object = map[string]any

// reply is a response that has been read.
type reply struct {
	Status int
	Header http.Header
	Raw    []byte
	Body   object
}

// open serves a tenant and returns a client for it.
func open(t *testing.T, cfg graph.Config) (*graph.Tenant, *client) {
	t.Helper()
	return openWith(t, cfg, csdltest.Wrap)
}

// openWrong is open for tests that send invalid requests.
func openWrong(t *testing.T, cfg graph.Config) (*graph.Tenant, *client) {
	t.Helper()
	return openWith(t, cfg, csdltest.WrapAnswers)
}

func openWith(
	t *testing.T, cfg graph.Config, wrap func(testing.TB, http.Handler) http.Handler,
) (*graph.Tenant, *client) {
	t.Helper()
	tenant := graph.New(cfg)
	server := httptest.NewServer(wrap(t, tenant.Handler()))
	t.Cleanup(server.Close)
	return tenant, &client{t: t, server: server, token: tenant.IssueToken()}
}

// do sends a request. header has pairs of name and value.
func (c *client) do(method, path string, body any, header ...string) reply {
	c.t.Helper()
	r, err := c.try(method, path, body, header...)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	return r
}

// escape makes a URL from a path that is easy to read in a test.
func escape(path string) string {
	path, query, found := strings.Cut(path, "?")
	if !found {
		return path
	}
	var options []string
	for option := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(option, "=")
		options = append(options, name+"="+url.QueryEscape(value))
	}
	return path + "?" + strings.Join(options, "&")
}

func (c *client) try(method, path string, body any, header ...string) (reply, error) {
	c.t.Helper()
	var payload io.Reader
	if body != nil {
		data, ok := body.([]byte)
		if !ok {
			data, _ = json.Marshal(body)
		}
		payload = bytes.NewReader(data)
	}
	address := path
	if !strings.HasPrefix(path, "http") {
		address = c.server.URL + "/v1.0/" + escape(path)
	}
	r, err := http.NewRequestWithContext(c.t.Context(), method, address, payload)
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+c.token)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := c.server.Client().Do(r)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return reply{}, err
	}
	out := reply{Status: resp.StatusCode, Header: resp.Header, Raw: raw}
	_ = json.Unmarshal(raw, &out.Body) // text/plain has none
	return out, nil
}

// want sends a request and requires a status.
func (c *client) want(status int, method, path string, body any, header ...string) reply {
	c.t.Helper()
	r := c.do(method, path, body, header...)
	if r.Status != status {
		c.t.Fatalf("%s %s = %d %s, want %d", method, path, r.Status, r.Raw, status)
	}
	return r
}

// refuse sends a request and requires a refusal with a status, a code and a text within the message.
func (c *client) refuse(status int, code, message, method, path string, body any, header ...string) reply {
	c.t.Helper()
	r := c.want(status, method, path, body, header...)
	wantError(c.t, r.Body, code, message)
	return r
}

func wantError(t *testing.T, body object, code, message string) {
	t.Helper()
	e, _ := body["error"].(object)
	text, _ := e["message"].(string)
	if e["code"] != code || !strings.Contains(text, message) {
		t.Errorf("error = %v %q, want %s %q", e["code"], text, code, message)
	}
}

// values returns the items of a collection.
func (r reply) values() []object {
	var list []object
	items, _ := r.Body["value"].([]any)
	for _, item := range items {
		list = append(list, item.(object))
	}
	return list
}

// field returns one property of each item.
func (r reply) field(name string) []string {
	list := []string{}
	for _, item := range r.values() {
		s, _ := item[name].(string)
		list = append(list, s)
	}
	return list
}

func (r reply) id() string { return r.Body["id"].(string) }

// newUser is the smallest user that Graph accepts.
func newUser(name string) object {
	return object{
		"accountEnabled": true, "displayName": name, "mailNickname": name, "userPrincipalName": name + "@example.com",
		"passwordProfile": object{"password": "xWwvJ]6NMw+bWH-d", "forceChangePasswordNextSignIn": true},
	}
}

// newGroup is the smallest security group.
func newGroup(name string) object {
	return object{"displayName": name, "mailEnabled": false, "mailNickname": name, "securityEnabled": true}
}

func (c *client) createUser(name string) string {
	c.t.Helper()
	return c.want(201, "POST", "users", newUser(name)).id()
}

func (c *client) createGroup(name string) string {
	c.t.Helper()
	return c.want(201, "POST", "groups", newGroup(name)).id()
}

func ref(id string) object {
	return object{"@odata.id": "https://graph.microsoft.com/v1.0/directoryObjects/" + id}
}

func refs(ids ...string) []string {
	list := []string{}
	for _, id := range ids {
		list = append(list, "https://graph.microsoft.com/v1.0/directoryObjects/"+id)
	}
	return list
}
