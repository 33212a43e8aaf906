package csdltest_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/simulator/graph/csdltest"
)

// recorder is a testing.TB that keeps what would have failed the test.
type recorder struct {
	testing.TB
	mu       sync.Mutex
	findings []string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.findings = append(r.findings, fmt.Sprintf(format, args...))
}

// exchange is a request and the answer that it gets.
type exchange struct {
	method, path, body string
	status             int
	answer             string
}

func (e exchange) handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Request-Id", "1")
		w.Header().Set("Client-Request-Id", "2")
		if e.answer != "" {
			w.Header().Set("Content-Type", "application/json")
		}
		if strings.HasSuffix(e.path, "/$count") {
			w.Header().Set("Content-Type", "text/plain")
		}
		if e.status != 0 {
			w.WriteHeader(e.status)
		}
		_, _ = io.WriteString(w, e.answer)
	})
}

// findings sends a request through the checker, on the server's side or on the client's.
func (e exchange) findings(t *testing.T, client bool) []string {
	t.Helper()
	found := &recorder{TB: t}
	handler := e.handler()
	if !client {
		handler = csdltest.Wrap(found, handler)
	}
	server := httptest.NewServer(handler)
	defer server.Close()
	transport := http.DefaultTransport
	if client {
		transport = csdltest.Transport(found, nil)
	}
	r, err := http.NewRequestWithContext(t.Context(), e.method,
		server.URL+"/v1.0/"+strings.ReplaceAll(e.path, " ", "%20"), strings.NewReader(e.body))
	if err != nil {
		t.Fatal(err)
	}
	if e.body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	got, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if string(got) != e.answer {
		t.Errorf("the checker changed the answer: %s", got)
	}
	return found.findings
}

const (
	base     = `"@odata.context":"https://graph.microsoft.com/v1.0/$metadata#`
	goodUser = `{"accountEnabled":true,"displayName":"A","mailNickname":"a","userPrincipalName":"a@example.com",` +
		`"passwordProfile":{"password":"x"}`
	members = `"https://graph.microsoft.com/v1.0/directoryObjects/1"`
	problem = `{"error":{"code":"x","message":"y","innerError":{"date":"d","request-id":"1","client-request-id":"2"}}}`
)

var good = map[string]exchange{
	"list": {"GET", "users?$select=id,displayName&$top=999", "", 200,
		`{` + base + `users(id,displayName)","@odata.nextLink":"https://graph.microsoft.com/v1.0/users?$skiptoken=x",` +
			`"value":[{"id":"1","displayName":null}]}`},
	"create": {"POST", "users", goodUser + `}`, 201,
		`{` + base + `users/$entity","id":"1","businessPhones":[],"createdDateTime":"2026-03-02T08:00:00Z"}`},
	"patch":  {"PATCH", "users/1", `{"jobTitle":null}`, 204, ""},
	"upsert": {"PATCH", "groups(uniqueName='x')", `{"displayName":"x","members@odata.bind":[` + members + `]}`, 204, ""},
	"members": {"GET", "groups/1/members?$select=id", "", 200,
		`{` + base + `directoryObjects(id)","value":[{"@odata.type":"#microsoft.graph.user","id":"1"}]}`},
	"add":    {"POST", "groups/1/members/$ref", `{"@odata.id":` + members + `}`, 204, ""},
	"remove": {"DELETE", "groups/1/members/2/$ref", "", 204, ""},
	"count":  {"GET", "users/$count", "", 200, "12"},
	"delta": {"GET", "groups/delta?$select=displayName,members", "", 200, `{` + base + `groups(displayName)",
		"@odata.deltaLink":"https://graph.microsoft.com/v1.0/groups/delta?$deltatoken=x","value":[
		{"id":"1","displayName":"x","members@delta":[
		{"@odata.type":"#microsoft.graph.user","id":"2","@removed":{"reason":"deleted"}}]},
		{"id":"3","@removed":{"reason":"changed"}}]}`},
	"batch": {"POST", "$batch",
		`{"requests":[{"id":"1","method":"PATCH","url":"/users/1","headers":{"Content-Type":"application/json"},` +
			`"body":{"jobTitle":"x"}},{"id":"2","method":"GET","url":"/users/2"}]}`, 200,
		`{"responses":[{"id":"2","status":404,"body":` + problem + `},{"id":"1","status":204}]}`},
	"refusal":   {"GET", "users/1", "", 404, problem},
	"elsewhere": {"GET", "me/events", "", 404, problem},
}

func TestGoodTrafficPasses(t *testing.T) {
	t.Parallel()
	for name, e := range good {
		if name == "elsewhere" {
			continue // only its answer passes
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, client := range []bool{false, true} {
				if diff := cmp.Diff([]string(nil), e.findings(t, client)); diff != "" {
					t.Errorf("findings in good traffic:\n%s", diff)
				}
			}
		})
	}
}

// The exchanges that the tests of faults vary.
var (
	getUsers = func(query, answer string) exchange { return exchange{"GET", "users" + query, "", 200, answer} }
	noUsers  = `{` + base + `users","value":[]}`
	showUser = func(fields string) exchange {
		return exchange{"GET", "users/1", "", 200, `{` + base + `users/$entity"` + fields + `}`}
	}
	createUser = func(body string) exchange {
		return exchange{"POST", "users", body, 201, `{` + base + `users/$entity","id":"1"}`}
	}
	groupsDelta = func(item string) exchange {
		return exchange{"GET", "groups/delta", "", 200,
			`{` + base + `groups","@odata.deltaLink":"https://h/v1.0/groups/delta?$deltatoken=x","value":[` + item + `]}`}
	}
	batchOf = func(requests, responses string) exchange {
		return exchange{"POST", "$batch", `{"requests":[` + requests + `]}`, 200, `{"responses":[` + responses + `]}`}
	}
)

// faults maps names to exchanges with one fault each, and to the finding for it.
type faults map[string]struct {
	exchange exchange
	want     string
}

// check requires exactly one finding for each fault.
func (f faults) check(t *testing.T) {
	t.Helper()
	for name, tc := range f {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := strings.Join(tc.exchange.findings(t, false), "\n")
			if !strings.Contains(got, tc.want) || strings.Count(got, "\n") != strings.Count(tc.want, "\n") {
				t.Errorf("findings = %q, want %q", got, tc.want)
			}
		})
	}
}

func TestRequestFaultsAreFound(t *testing.T) {
	t.Parallel()
	faults{
		"no such method": {exchange{"GET", "people", "", 404, problem},
			"graph: GET people: no such method is documented"},
		"delete of a user": {exchange{"DELETE", "groups/1/members/2", "", 404, problem},
			"without /$ref it deletes the member itself"},
		"unknown option": {getUsers("?$skip=5", noUsers), "users.list: query option $skip is not supported"},
		"option twice":   {getUsers("?$top=5&$top=6", noUsers), "$top is given 2 times"},
		"large page":     {getUsers("?$top=1000", noUsers), "$top is 1000, want 1 to 999"},
		"select of nothing": {getUsers("?$select=mailbox", `{`+base+`users(mailbox)","value":[]}`),
			`user has no property "mailbox"`},
		"missing property": {createUser(strings.Replace(goodUser, `"displayName":"A",`, "", 1) + `}`),
			"users.create: the request lacks displayName"},
		"unknown property": {createUser(goodUser + `,"foo":1}`), "user has no property foo"},
		"wrong type":       {createUser(goodUser + `,"jobTitle":5}`), "jobTitle is 5, want Edm.String"},
		"read-only": {createUser(goodUser + `,"onPremisesSyncEnabled":true}`),
			"property onPremisesSyncEnabled is read-only"},
		"unknown field": {createUser(strings.Replace(goodUser, `"password":"x"`, `"secret":"x"`, 1) + `}`),
			"passwordProfile has no property passwordProfile.secret"},
		"body with GET": {exchange{"GET", "users", "{}", 200, noUsers},
			"the request has a body, and the method takes none"},
		"no JSON": {exchange{"PATCH", "users/1", "x", 204, ""}, "the request is no JSON object"},
		"bad reference": {exchange{"POST", "groups/1/members/$ref", `{"@odata.id":"users/1"}`, 204, ""},
			`"users/1" is no reference`},
		"too many": {exchange{"PATCH", "groups/1",
			`{"members@odata.bind":[` + strings.Repeat(members+",", 20) + members + `]}`, 204, ""},
			"21 references, want at most 20"},
		"no relationship": {exchange{"PATCH", "groups/1", `{"friends@odata.bind":[]}`, 204, ""},
			`group has no relationship "friends"`},
		"wrong status": {exchange{"PATCH", "users/1", "{}", 200, ""}, "status 200, want one of [204]"},
		"body with 204": {exchange{"DELETE", "users/1", "", 200, "{}"},
			"graph: users.delete: status 200, want one of [204]\ngraph: users.delete: the answer has a body, and the " +
				"method answers none: {}"},
	}.check(t)
}

func TestAnswerFaultsAreFound(t *testing.T) {
	t.Parallel()
	faults{
		"context":       {getUsers("", `{`+base+`groups","value":[]}`), "@odata.context ends in #groups, want #users"},
		"no context":    {getUsers("", `{"value":[]}`), "@odata.context is <nil>"},
		"no value":      {getUsers("", `{`+base+`users"}`), "value is <nil>, want an array"},
		"page too long": {getUsers("?$top=1", `{`+base+`users","value":[{"id":"1"},{"id":"2"}]}`), "2 items for $top=1"},
		"relative link": {getUsers("", `{`+base+`users","@odata.nextLink":"/users?$skiptoken=x","value":[]}`),
			"is not absolute"},
		"deltaLink of list": {getUsers("", `{`+base+`users","@odata.deltaLink":"https://h/x?$deltatoken=x","value":[]}`),
			"a list has a deltaLink"},
		"not selected": {getUsers("?$select=id", `{`+base+`users(id)","value":[{"id":"1","mail":null}]}`),
			"property mail was not selected"},
		"selected, missing": {getUsers("?$select=id,mail", `{`+base+`users(id,mail)","value":[{"id":"1"}]}`),
			"selected property mail is missing"},
		"unknown in answer": {showUser(`,"id":"1","foo":1`), "user has no property foo"},
		"time": {showUser(`,"createdDateTime":"yesterday"`),
			"createdDateTime is yesterday, want Edm.DateTimeOffset"},
		"null list":  {showUser(`,"businessPhones":null`), "businessPhones is <nil>, want an array"},
		"password":   {showUser(`,"passwordProfile":{"password":"x"}`), "a password is shown"},
		"annotation": {showUser(`,"@odata.foo":1`), "unknown annotation @odata.foo"},
		"id":         {showUser(`,"id":""`), "id is "},
		"type missing": {exchange{"GET", "groups/1/members", "", 200,
			`{` + base + `directoryObjects","value":[{"id":"1"}]}`}, `@odata.type is ""`},
	}.check(t)
}

func TestDeltaAndBatchFaultsAreFound(t *testing.T) {
	t.Parallel()
	faults{
		"count":           {exchange{"GET", "users/$count", "", 200, "many"}, "want a number as text/plain"},
		"no link":         {exchange{"GET", "users/delta", "", 200, noUsers}, "want either a nextLink or a deltaLink"},
		"item without id": {groupsDelta(`{"displayName":"x"}`), "an item without id"},
		"reason":          {groupsDelta(`{"id":"1","@removed":{"reason":"gone"}}`), "@removed is map[reason:gone]"},
		"member without id": {groupsDelta(`{"id":"1","members@delta":[{"@odata.type":"#microsoft.graph.user"}]}`),
			"members@delta: an item is"},
		"no members": {groupsDelta(`{"id":"1","members@delta":[]}`), "members@delta of a group is []"},
		"error without code": {exchange{"GET", "users/1", "", 404, strings.Replace(problem, `"code":"x",`, "", 1)},
			"status 404: error.code is <nil>"},
		"error without ids": {exchange{"GET", "users/1", "", 404, strings.Replace(problem, `"request-id":"1",`, "", 1)},
			"error.innerError.request-id is <nil>"},
		"error no object": {exchange{"GET", "users/1", "", 404, `{"error":"x"}`}, "error is string, want an object"},
		"item in batch": {batchOf(`{"id":"1","method":"GET","url":"/people"}`,
			`{"id":"1","status":404,"body":`+problem+`}`), "graph: batch item GET people: no such method is documented"},
		"answer in batch": {batchOf(`{"id":"1","method":"GET","url":"/users"}`,
			`{"id":"1","status":200,"headers":{"Content-Type":"application/json"},"body":{"value":[]}}`),
			"batch item users.list: @odata.context"},
		"id twice": {batchOf(`{"id":"a","method":"GET","url":"/users"},{"id":"A","method":"GET","url":"/users"}`,
			`{"id":"a","status":404,"body":`+problem+`}`), "2 requests have 1 different ids"},
		"response missing": {batchOf(`{"id":"1","method":"GET","url":"/users"}`, ``), "0 responses to 1 requests"},
		"response to none": {batchOf(`{"id":"1","method":"GET","url":"/users"}`, `{"id":"2","status":404}`),
			`a response to "2", which is no request`},
	}.check(t)
}

func TestAnswersAlone(t *testing.T) {
	t.Parallel()
	found := &recorder{TB: t}
	server := httptest.NewServer(csdltest.WrapAnswers(found, good["elsewhere"].handler()))
	defer server.Close()
	for _, path := range []string{"/v1.0/me/events", "/elsewhere"} {
		r, err := http.Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Body.Close()
	}
	if len(found.findings) != 0 {
		t.Errorf("findings = %v", found.findings)
	}
}
