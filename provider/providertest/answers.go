package providertest

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"rollcall/directory"
	"rollcall/plan"
	"rollcall/provider"
)

// Answers is a tenant with good answers, one of which a fuzz input replaces.
type Answers struct {
	// Open returns a new Provider that sends its requests through the transport.
	Open func(http.RoundTripper) (provider.Provider, error)
	// Op names a request, and Good returns the body of its good answer.
	Op   func(*http.Request) string
	Good map[string]string
	// Listings are the requests without which there is no state.
	Listings []string
	// Changes are applied after the read, one by one.
	Changes []plan.Change
	// Query is that of the read. Now is required.
	Query provider.Query
	// Seeds are bodies of answers. $TOKEN stands for the access token in the request, and $SECRET for the password in
	// it.
	Seeds []string
}

// mostRequests is far more than the good answers take.
const mostRequests = 1000

// Fuzz replaces one answer of the tenant by the input. A read fails or has a state that a second Provider reads in the
// same way, and no message has a secret, a control character or an unbounded length.
func (a *Answers) Fuzz(f *testing.F) {
	var ops []string
	for op := range a.Good {
		ops = append(ops, op)
	}
	slices.Sort(ops)
	for i := range ops {
		f.Add(byte(i), uint16(200), "", []byte(a.Good[ops[i]]))
		for _, seed := range a.Seeds {
			f.Add(byte(i), uint16(200), "", []byte(seed))
			f.Add(byte(i), uint16(400), "7", []byte(seed))
		}
		for _, status := range []uint16{204, 307, 401, 403, 404, 409, 412, 429, 503} {
			f.Add(byte(i), status, "Wed, 21 Oct 2315 07:28:00 GMT", []byte(`{}`))
		}
	}
	f.Fuzz(func(t *testing.T, op byte, status uint16, retry string, body []byte) {
		bad := badAnswer{op: ops[int(op)%len(ops)], status: 200 + int(status-200)%400, retry: retry, body: body}
		first, second := a.try(t, bad), a.try(t, bad)
		if first != nil && second != nil && !reflect.DeepEqual(first, second) {
			t.Errorf("two reads of the same answers differ:\n%+v\n%+v", first, second)
		}
		if first != nil && bad.status >= 300 && slices.Contains(a.Listings, bad.op) {
			t.Errorf("Read() succeeds although %s was answered with %d", bad.op, bad.status)
		}
	})
}

// try reads and applies the changes once. It returns nil if the read fails.
func (a *Answers) try(t *testing.T, bad badAnswer) []plan.Object {
	tenant := &answering{Answers: a, bad: bad}
	p, err := a.Open(tenant)
	if err != nil {
		t.Fatal(err)
	}
	q := a.Query
	q.Now = time.Now()
	state, err := p.Read(t.Context(), q)
	tenant.check(t, err)
	for _, o := range state.Objects {
		tenant.checkText(t, o.ReadOnly+o.Unproven+o.Protected)
		if o.RemoteID == "" {
			t.Errorf("%+v has no id", o)
		}
	}
	for i := range a.Changes {
		for _, r := range p.Apply(t.Context(), a.Changes[i:i+1]) {
			tenant.check(t, r.Err)
			tenant.checkText(t, r.Note)
			if r.Err == nil && a.Changes[i].Op == plan.Create && r.RemoteID == "" {
				t.Errorf("%+v was created without an id", a.Changes[i])
			}
		}
	}
	if tenant.requests > mostRequests {
		t.Errorf("%d requests were made", tenant.requests)
	}
	if err != nil {
		return nil
	}
	slices.SortFunc(state.Objects, func(x, y plan.Object) int {
		return cmp.Or(cmp.Compare(x.Kind, y.Kind), cmp.Compare(x.RemoteID, y.RemoteID), cmp.Compare(x.ID, y.ID))
	})
	return state.Objects
}

type badAnswer struct {
	op, retry string
	status    int
	body      []byte
}

// answering answers requests and remembers the secrets in them.
type answering struct {
	*Answers
	bad badAnswer

	mu       sync.Mutex
	requests int
	secrets  []string
}

var sentPassword = regexp.MustCompile(`"password":"([^"]+)"`)

// RoundTrip implements http.RoundTripper.
func (a *answering) RoundTrip(r *http.Request) (*http.Response, error) {
	var sent []byte
	if r.Body != nil {
		sent, _ = io.ReadAll(r.Body)
		_ = r.Body.Close()
	}
	_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	form, _ := url.ParseQuery(string(sent))
	_, password, _ := r.BasicAuth()
	secret := form.Get("client_secret") + form.Get("assertion") + password
	if m := sentPassword.FindSubmatch(sent); m != nil {
		secret = string(m[1])
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.secrets = append(a.secrets, token, secret)
	if a.requests++; a.requests > 2*mostRequests {
		return nil, fmt.Errorf("%d requests", a.requests)
	}
	op := a.Op(r)
	body, known := a.Good[op]
	res := &http.Response{StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/json"}}}
	if !known {
		res.StatusCode, body = http.StatusNotFound, "{}"
	}
	if op == a.bad.op {
		res.StatusCode, body = a.bad.status, string(a.bad.body)
		res.Header.Set("Retry-After", a.bad.retry)
		body = strings.NewReplacer("$TOKEN", token, "$SECRET", secret).Replace(body)
	}
	res.Status = http.StatusText(res.StatusCode)
	res.ContentLength = int64(len(body))
	res.Body = io.NopCloser(bytes.NewReader([]byte(body)))
	return res, nil
}

func (a *answering) check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		a.checkText(t, err.Error())
		a.checkText(t, strings.NewReplacer("\n", " ", "\t", " ").Replace(fmt.Sprintf("%+v", err)))
	}
}

// checkText checks a text that people read.
func (a *answering) checkText(t *testing.T, text string) {
	t.Helper()
	const most = 4000
	if plan.Clean(text) != text || !utf8.ValidString(text) || utf8.RuneCountInString(text) > most {
		t.Errorf("a message of %d bytes is long or not plain: %.500q", len(text), text)
	}
	for _, s := range a.secrets {
		if len(s) > 8 && strings.Contains(text, s) {
			t.Errorf("a message has the secret %s: %.500q", s, text)
		}
	}
}

// Joiner is the creation of an entry.
func Joiner(ref directory.Ref, address string, fields ...plan.FieldChange) plan.Change {
	return plan.Change{Op: plan.Create, Ref: ref, Address: address, Label: address, Fields: fields}
}
