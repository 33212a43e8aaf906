package discoverytest_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/simulator/googleworkspace/discoverytest"
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
		if e.answer != "" {
			w.Header().Set("Content-Type", "application/json; charset=UTF-8")
		}
		if e.status != 0 {
			w.WriteHeader(e.status)
		}
		_, _ = io.WriteString(w, e.answer)
	})
}

func (e exchange) request(t *testing.T, base string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), e.method, base+e.path, strings.NewReader(e.body))
	if err != nil {
		t.Fatal(err)
	}
	if e.body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

const (
	users    = "/admin/directory/v1/users"
	goodUser = `{"primaryEmail":"liz@example.com","password":"12345678","name":{"givenName":"Liz","familyName":"Smith"}`
	goodList = `{"kind":"admin#directory#users","users":[{"kind":"admin#directory#user","id":"1",
		"primaryEmail":"liz@example.com","creationTime":"2026-03-02T08:00:00.000Z",
		"emails":[{"address":"liz@example.com","primary":true}]}],"nextPageToken":"x"}`
	ok      = `{}`
	get     = "GET"
	listing = "directory.users.list "
	fetch   = "directory.users.get answer: "
)

var good = map[string]exchange{
	"list": {"GET", users +
		"?customer=my_customer&maxResults=500&alt=json&fields=nextPageToken,users(id,name/givenName)", "", 0, goodList},
	"empty": {"GET", users + "?domain=example.com&showDeleted=true", "", 0, `{"kind":"admin#directory#users"}`},
	"insert": {"POST", users, goodUser +
		`,"externalIds":[{"type":"custom","customType":"x","value":"1"}],"customSchemas":{"a":{"b":1}}}`, 0,
		`{"id":"1"}`},
	"clear": {"PUT", users + "/1", `{"phones":null,"gender":null,"suspended":true}`, 0,
		`{"id":"1","suspended":true}`},
	"group":  {"GET", "/admin/directory/v1/groups/1?prettyPrint=false", "", 0, `{"directMembersCount":"12"}`},
	"delete": {"DELETE", users + "/liz%40example.com", "", 204, ""},
	"aliases": {"GET", users + "/1/aliases", "", 0,
		`{"kind":"admin#directory#aliases","aliases":[{"alias":"a@example.com"}]}`},
	"unit": {"GET", "/admin/directory/v1/customer/C1/orgunits/corp/sales", "", 0, `{"name":"sales"}`},
	"refusal": {"GET", users + "/1", "", 404,
		`{"error":{"code":404,"message":"x","errors":[{"message":"x","domain":"global","reason":"notFound"}]}}`},
	"not modified": {"GET", users + "/1", "", 304, ""},
	"elsewhere":    {"POST", "/token", "grant_type=x", 400, `{"error":"invalid_grant"}`},
}

func TestGoodTrafficPasses(t *testing.T) {
	t.Parallel()
	for name, e := range good {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff([]string(nil), findings(t, e)); diff != "" {
				t.Errorf("findings in good traffic:\n%s", diff)
			}
		})
	}
}

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
			got := findings(t, tc.exchange)
			if len(got) != 1 || !strings.HasPrefix(got[0], "discovery: "+tc.want) {
				t.Errorf("findings = %q, want one: %q", got, tc.want)
			}
		})
	}
}

func TestRequestFaultsAreFound(t *testing.T) {
	t.Parallel()
	const list = listing
	insert, in := func(rest string) exchange { return exchange{"POST", users, goodUser + rest + "}", 0, ok} },
		"directory.users.insert request: "
	faults{
		"no such path": {exchange{get, "/admin/directory/v1/user/1", "", 404, good["refusal"].answer},
			"request: the Directory API has no GET /admin/directory/v1/user/1"},
		"no such verb": {exchange{"PATCH", users, "{}", 404, good["refusal"].answer},
			"request: the Directory API has no PATCH " + users},
		"unknown parameter": {exchange{get, users + "?max=5", "", 0, ok}, list + "request: parameter max: unknown"},
		"given twice": {exchange{get, users + "?domain=a&domain=b", "", 0, ok},
			list + "request: parameter domain: given 2 times"},
		"above maximum": {exchange{get, users + "?maxResults=501", "", 0, ok},
			list + "request: parameter maxResults: 501 is above the maximum of 500"},
		"above prose limit": {exchange{get, "/admin/directory/v1/groups?maxResults=201", "", 0, ok},
			"directory.groups.list request: parameter maxResults: 201 is above the maximum of 200"},
		"below minimum": {exchange{get, users + "?maxResults=0", "", 0, ok},
			list + "request: parameter maxResults: 0 is below the minimum of 1"},
		"no integer": {exchange{get, users + "?maxResults=many", "", 0, ok},
			list + `request: parameter maxResults: "many" is no integer`},
		"enum": {exchange{get, users + "?orderBy=id", "", 0, ok},
			list + `request: parameter orderBy: "id" is none of [email familyName givenName]`},
		"no boolean": {exchange{"POST", users + "?resolveConflictAccount=1", goodUser + "}", 0, ok},
			in + `parameter resolveConflictAccount: "1" is no boolean`},
		"mask of nothing": {exchange{get, users + "?fields=users(id,mail)", "", 0, ok},
			list + `request: parameter fields: User has no field "mail"`},
		"malformed mask": {exchange{get, users + "?fields=users(id", "", 0, ok},
			list + `request: parameter fields: "users(id" is malformed`},
		"body of a GET": {exchange{get, users, "{}", 0, ok}, list + "request: has a body, and the method takes none"},
		"no body": {exchange{"POST", users, "[]", 0, ok},
			in + `body is no JSON object: json: cannot unmarshal array into Go value of type map[string]interface {}: "[]"`},
		"two bodies":    {exchange{"POST", users, goodUser + "}{}", 0, ok}, in + "body has more than one JSON value: "},
		"unknown field": {insert(`,"nosuch":1`), in + "User.nosuch: unknown field"},
		"unknown element": {insert(`,"externalIds":[{"value":"1","kind":"x"}]`),
			in + "UserExternalId.kind: unknown field"},
		"element, no array": {insert(`,"phones":{"value":"1"}`), in + `User.phones: want an array, got {"value":"1"}`},
		"read-only":         {insert(`,"isAdmin":false`), in + "User.isAdmin: read-only field in a request"},
		"read-only in prose": {exchange{"POST", "/admin/directory/v1/groups", `{"email":"a@b","adminCreated":true}`, 0,
			ok}, "directory.groups.insert request: Group.adminCreated: read-only field in a request"},
		"wrong type": {insert(`,"suspended":"true"`), in + `User.suspended: want a boolean, got "true"`},
		"required below": {exchange{"POST", users, `{"primaryEmail":"a@b","password":"x","name":{"givenName":"A"}}`,
			0, ok}, in + "UserName.familyName: required, and absent"},
		"required": {exchange{"POST", users, `{"primaryEmail":"a@b","name":{"givenName":"A","familyName":"B"}}`,
			0, ok}, in + "User.password: required, and absent"},
	}.check(t)
}

func TestAnswerFaultsAreFound(t *testing.T) {
	t.Parallel()
	const list, out = listing, fetch
	show := func(body string) exchange { return exchange{get, users + "/1", "", 0, body} }
	fail := func(body string) exchange { return exchange{get, users + "/1", "", 404, body} }
	faults{
		"answer: unknown field": {show(`{"uid":"1"}`), out + "User.uid: unknown field"},
		"answer: in a list": {exchange{get, users, "", 0, `{"users":[{"id":"1"},{"id":2}]}`},
			list + "answer: User.id: want a string, got 2"},
		"answer: int64": {exchange{get, "/admin/directory/v1/groups/1", "", 0, `{"directMembersCount":12}`},
			"directory.groups.get answer: Group.directMembersCount: want a string, got 12"},
		"answer: no int64": {exchange{get, "/admin/directory/v1/groups/1", "", 0, `{"directMembersCount":"few"}`},
			`directory.groups.get answer: Group.directMembersCount: "few" is no int64`},
		"answer: date": {show(`{"creationTime":"yesterday"}`),
			out + `User.creationTime: "yesterday" is no date-time`},
		"answer: null": {show(`{"id":null}`), out + "User.id: want a string, got null"},
		"answer: kind": {show(`{"kind":"admin#directory#group"}`),
			out + `User.kind: want "admin#directory#user", got "admin#directory#group"`},
		"answer: alias": {exchange{get, users + "/1/aliases", "", 0, `{"aliases":[{"mail":"x"}]}`},
			"directory.users.aliases.list answer: Alias.mail: unknown field"},
		"answer: not empty": {exchange{"DELETE", users + "/1", "", 200, ok},
			"directory.users.delete answer: has a body, and the method answers none: {}"},
		"answer: status":  {exchange{get, users + "/1", "", 300, ""}, out + "status 300"},
		"error: old form": {fail(`{"error":"notFound"}`), out + "error is string, want an object"},
		"error: code": {fail(
			`{"error":{"code":400,"message":"x","errors":[{"message":"x","domain":"global","reason":"y"}]}}`),
			out + "error.code is 400, want 404"},
		"error: no errors": {fail(`{"error":{"code":404,"message":"x"}}`),
			out + "error.errors is <nil>, want at least one"},
		"error: no reason": {fail(`{"error":{"code":404,"message":"x","errors":[{"message":"x","domain":"global"}]}}`),
			out + "error.errors.reason is <nil>, want a text"},
		"error: unknown field": {fail(
			`{"error":{"code":404,"message":"x","errors":[{"message":"x","domain":"global","reason":"y","hint":"z"}]}}`),
			out + "unknown field error.errors.hint"},
		"error: no JSON at all":  {fail(`404 page not found`), out + "body is no JSON object: "},
		"error: of unknown path": {exchange{get, users + "/1", "", 500, `{}`}, out + "error is <nil>, want an object"},
	}.check(t)
}

// findings runs an exchange through the handler and through the transport, which have to agree.
func findings(t *testing.T, e exchange) []string {
	t.Helper()
	byHandler := &recorder{TB: t}
	w := httptest.NewRecorder()
	discoverytest.Wrap(byHandler, e.handler()).ServeHTTP(w, e.request(t, "http://127.0.0.1"))
	if w.Body.String() != e.answer {
		t.Errorf("the answer did not pass through: %q, want %q", w.Body, e.answer)
	}

	byTransport := &recorder{TB: t}
	server := httptest.NewServer(e.handler())
	defer server.Close()
	resp, err := discoverytest.Transport(byTransport, nil).RoundTrip(e.request(t, server.URL))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || string(body) != e.answer {
		t.Errorf("the answer did not pass through the transport: %q, %v", body, err)
	}
	if diff := cmp.Diff(byHandler.findings, byTransport.findings); diff != "" {
		t.Errorf("handler and transport differ:\n%s", diff)
	}
	return byHandler.findings
}

func TestWrapAnswersLetsWrongRequestsPass(t *testing.T) {
	t.Parallel()
	e := exchange{"POST", users, `{"nosuch":1}`, 0, `{"uid":"1"}`}
	rec := &recorder{TB: t}
	discoverytest.WrapAnswers(rec, e.handler()).ServeHTTP(httptest.NewRecorder(), e.request(t, "http://127.0.0.1"))
	want := []string{"discovery: directory.users.insert answer: User.uid: unknown field"}
	if diff := cmp.Diff(want, rec.findings); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

// TestForeignElementsMayBeSentBack: Google may know fields of an element that the document does not.
func TestForeignElementsMayBeSentBack(t *testing.T) {
	t.Parallel()
	rec := &recorder{TB: t}
	const element = `{"phones":[{"value":"1","note":"x"}]}`
	checked := discoverytest.Wrap(rec, exchange{answer: element}.handler())
	update := exchange{method: "PUT", path: users + "/1", body: element}
	send := func() { checked.ServeHTTP(httptest.NewRecorder(), update.request(t, "http://127.0.0.1")) }
	send()
	want := []string{"discovery: directory.users.update request: UserPhone.note: unknown field"}
	if diff := cmp.Diff(want, rec.findings); diff != "" {
		t.Errorf("a field of our own making (-want +got):\n%s", diff)
	}
	send()
	if diff := cmp.Diff(want, rec.findings); diff != "" {
		t.Errorf("the same field after an answer had it (-want +got):\n%s", diff)
	}
}

// TestBrokenAnswersAreNotJudged checks that a truncated response is passed on unchecked, because the network broke
// it.
func TestBrokenAnswersAreNotJudged(t *testing.T) {
	t.Parallel()
	rec := &recorder{TB: t}
	server := httptest.NewServer(discoverytest.Wrap(rec, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, `{"uid":`)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})))
	defer server.Close()
	client := http.Client{Transport: discoverytest.Transport(rec, nil)}
	resp, err := client.Get(server.URL + users + "/1")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil || string(body) != `{"uid":` {
		t.Errorf("read %q, %v, want the half and an error", body, err)
	}
	if len(rec.findings) > 0 {
		t.Errorf("findings = %q, want none", rec.findings)
	}
}
