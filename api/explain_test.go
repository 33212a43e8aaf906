package api_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"rollcall/api"
	"rollcall/explain"
	"rollcall/fault"
)

// fakeExplainer knows no entry.
type fakeExplainer struct {
	asked explain.Query
	err   error
	// asking, where it is set, gets each question, and answer is waited for.
	asking, answer chan struct{}
}

func (f *fakeExplainer) Explain(_ context.Context, q explain.Query) (explain.Document, error) {
	if f.asking != nil {
		f.asking <- struct{}{}
		<-f.answer
		return explain.Of(explain.Input{Query: q}), f.err
	}
	f.asked = q
	return explain.Of(explain.Input{Query: q}), f.err
}

func TestExplain(t *testing.T) {
	t.Parallel()
	f := &fakeExplainer{}
	h := newHarness(t, nil, func(c *api.Config) { c.Explainer = f })
	for by, value := range map[explain.By]string{explain.ByID: "cn=a,dc=b", explain.ByEmail: "zoe@example.com",
		explain.ByUserName: "zoe"} {
		doc := read[explain.Document](h.get("/api/v3/explain/?" +
			url.Values{string(by): {" " + value}}.Encode()).want(http.StatusOK))
		if want := (explain.Query{By: by, Value: value}); f.asked != want || doc.Query != want ||
			doc.Found != explain.NotFound {
			t.Errorf("asked for %+v: asked on for %+v, answered %+v", want, f.asked, doc)
		}
	}
	if strings.Contains(h.log.String(), "zoe") { // No hexadecimal id of a request has it.
		t.Errorf("the log has whom somebody asked for: %s", h.log)
	}
	f.err = fault.Errorf(fault.Unavailable, "redis")
	h.get("/explain/?id=1").want(http.StatusServiceUnavailable)
}

// Exactly one parameter names the entry, and the answer names what is wrong.
func TestExplainRefusesOtherParameters(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil, func(c *api.Config) { c.Explainer = &fakeExplainer{} })
	const one = "Give only one of id, email and username."
	for query, body := range map[string]string{
		"": `{"email":["Exactly one of id, email and username is required."],` +
			`"id":["Exactly one of id, email and username is required."],` +
			`"username":["Exactly one of id, email and username is required."]}`,
		"?id=1&email=a@b":                  `{"email":["` + one + `"],"id":["` + one + `"]}`,
		"?id=1&id=2":                       `{"id":["Give this parameter once."]}`,
		"?email=%20":                       `{"email":["This field may not be blank."]}`,
		"?username=a%00b":                  `{"username":["Null characters are not allowed."]}`,
		"?mail=a@b":                        `{"mail":["Unknown parameter."]}`,
		"?id=" + strings.Repeat("x", 1025): `{"id":["Ensure this field has no more than 1024 characters."]}`,
	} {
		h.get("/api/v3/explain/"+query).is(http.StatusBadRequest, body)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v3/explain/?id=1", nil)
	r.Header.Set("Authorization", "Bearer "+syncToken)
	h.send(r).want(http.StatusForbidden)
	h.do(http.MethodPost, "/api/v3/explain/?id=1", "").want(http.StatusMethodNotAllowed)
	h.get("/api/v3/explain").want(http.StatusNotFound)
	newHarness(t, nil, nil).get("/api/v3/explain/?id=1").want(http.StatusNotFound)
}

// TestExplainIsBounded: whole directories are read for each, so that there is an end to how many are asked for at once.
func TestExplainIsBounded(t *testing.T) {
	t.Parallel()
	f := &fakeExplainer{asking: make(chan struct{}), answer: make(chan struct{})}
	h := newHarness(t, nil, func(c *api.Config) { c.Explainer, c.MaxExplanations = f, 2 })
	codes := make(chan int)
	for range 2 {
		go func() {
			w := httptest.NewRecorder()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/explain/?id=1", nil)
			r.Header.Set("Authorization", "Bearer "+readToken)
			h.api.ServeHTTP(w, r)
			codes <- w.Code
		}()
		<-f.asking
	}
	refused := h.get("/explain/?id=1")
	refused.is(http.StatusServiceUnavailable, `{"detail":"Too many explanations are asked for at once. Try again later."}`)
	if refused.Header().Get("Retry-After") == "" {
		t.Error("nobody says when to come back")
	}
	close(f.answer)
	for range 2 {
		if code := <-codes; code != http.StatusOK {
			t.Errorf("one that was asked in time: %d", code)
		}
	}
	go func() { <-f.asking }()
	h.get("/explain/?id=1").want(http.StatusOK)
}
