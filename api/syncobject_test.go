package api_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"rollcall/api"
	"rollcall/container"
	"rollcall/directory"
	"rollcall/fault"
	"rollcall/internal/redistest"
	"rollcall/status"
)

type objectResult struct{ Messages []message }

func objectBody(model, id string) string {
	return `{"sync_object_model":"authentik.core.models.` + model + `","sync_object_id":"` + id + `"}`
}

// The messages of the job come back, whatever it came to, and there is always one.
func TestSyncObject(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		result status.Result
		want   string
	}{
		{status.Result{Outcome: status.OutcomeCreated, Messages: []status.Message{{Event: "Created account 123."}}},
			"info Created account 123."},
		{status.Result{Outcome: status.OutcomeCreated}, "info Created."},
		{status.Result{Outcome: status.OutcomeUpdated}, "info Updated."},
		{status.Result{Outcome: status.OutcomeSuspended}, "info Suspended."},
		{status.Result{Outcome: status.OutcomeRestored}, "info Restored."},
		{status.Result{Outcome: status.OutcomeDeleted}, "info Deleted."},
		{status.Result{Outcome: status.OutcomeUnchanged}, "info Nothing to change."},
		{status.Result{Outcome: status.OutcomeOutOfScope}, "info Out of scope: not provisioned."},
		{status.Result{Outcome: status.OutcomeAbsent}, "error Absent at its source; not suspended."},
		{status.Result{Outcome: status.OutcomeHeld}, "warning Held: a person has to look."},
		{status.Result{Outcome: status.OutcomeFailed, FailReason: "no licence is left"}, "error Failed: no licence is left"},
	} {
		t.Run(string(test.result.Outcome), func(t *testing.T) {
			t.Parallel()
			h := newHarness(t, nil, nil)
			h.jobs.result = &test.result
			for _, c := range []container.ID{google, entra} {
				for _, base := range []string{"/api/v3", ""} {
					got := read[objectResult](h.do(http.MethodPost, base+paths[c]+"sync/object/",
						objectBody("User", "u-1")).want(http.StatusOK))
					if len(got.Messages) != 1 || got.Messages[0].LogLevel+" "+got.Messages[0].Event != test.want {
						t.Errorf("messages = %+v, want %s", got.Messages, test.want)
					}
				}
			}
			if want := (directory.Ref{Kind: directory.User, ID: "u-1"}); h.jobs.started != want || h.jobs.source != "corp" {
				t.Errorf("started %v of %q", h.jobs.started, h.jobs.source)
			}
		})
	}
}

// What takes too long is answered with where to look, and the job can be read there.
func TestSyncObjectTakesLonger(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		h := newHarness(t, rdb, nil)
		w := h.do(http.MethodPost, "/api/v3/providers/google_workspace/1/sync/object/",
			objectBody("Group", "g-1")).want(http.StatusAccepted)
		place := w.Header().Get("Location")
		got := read[objectResult](w)
		if len(got.Messages) != 1 || !strings.Contains(got.Messages[0].Event, "still queued: "+place) {
			t.Fatalf("messages = %+v", got.Messages)
		}
		id, _ := got.Messages[0].Attributes["job_id"].(string)
		if _, err := h.store.FinishJob(t.Context(), google, id, status.Result{Outcome: status.OutcomeUnchanged}); err != nil {
			t.Fatal(err)
		}
		job := read[map[string]any](h.get(place).want(http.StatusOK))
		if job["id"] != id || job["state"] != "done" || job["outcome"] != "unchanged" || job["object_id"] != "g-1" {
			t.Errorf("job = %v", job)
		}
	})
}

// The answer comes as soon as the job is done, not when the wait is over.
func TestSyncObjectIsAnsweredWhenDone(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil, func(c *api.Config) { c.ObjectWait = time.Minute })
	h.jobs.result, h.jobs.later = &status.Result{Outcome: status.OutcomeUpdated}, true
	h.do(http.MethodPost, "/providers/google_workspace/1/sync/object/", objectBody("User", "u-1")).want(http.StatusOK)
}

func TestSyncObjectRefuses(t *testing.T) {
	t.Parallel()
	const required = `"This field is required."`
	h := newHarness(t, nil, nil)
	h.jobs.result = &status.Result{Outcome: status.OutcomeUpdated}
	for name, test := range map[string]struct {
		body string
		code int
		want string
	}{
		"nothing":      {``, 400, `{"sync_object_id":[` + required + `],"sync_object_model":[` + required + `]}`},
		"empty object": {`{}`, 400, `{"sync_object_id":[` + required + `],"sync_object_model":[` + required + `]}`},
		"nulls": {`{"sync_object_model":null,"sync_object_id":null}`, 400,
			`{"sync_object_id":["This field may not be null."],"sync_object_model":["This field may not be null."]}`},
		"model": {`{"sync_object_model":"x","sync_object_id":"u-1"}`, 400,
			`{"sync_object_model":["\"x\" is not a valid choice."]}`},
		"model blank": {`{"sync_object_model":"","sync_object_id":"u-1"}`, 400,
			`{"sync_object_model":["\"\" is not a valid choice."]}`},
		"model number": {`{"sync_object_model":5,"sync_object_id":"u-1"}`, 400,
			`{"sync_object_model":["\"5\" is not a valid choice."]}`},
		"model list": {`{"sync_object_model":["x"],"sync_object_id":"u-1"}`, 400,
			`{"sync_object_model":["\"[\"x\"]\" is not a valid choice."]}`},
		"id blank": {objectBody("User", "  "), 400, `{"sync_object_id":["This field may not be blank."]}`},
		"id list": {`{"sync_object_model":"authentik.core.models.User","sync_object_id":["u-1"]}`, 400,
			`{"sync_object_id":["Not a valid string."]}`},
		"id flag": {`{"sync_object_model":"authentik.core.models.User","sync_object_id":true}`, 400,
			`{"sync_object_id":["Not a valid string."]}`},
		"id with null": {objectBody("User", `\u0000`), 400, `{"sync_object_id":["Null characters are not allowed."]}`},
		"id too long": {objectBody("User", strings.Repeat("é", 1025)), 400,
			`{"sync_object_id":["Ensure this field has no more than 1024 characters."]}`},
		"id unknown": {objectBody("User", "nobody"), 400,
			`{"sync_object_id":["No user has the id, anchor, username or mail \"nobody\"."]}`},
		"id of other kind": {objectBody("Group", "u-1"), 400,
			`{"sync_object_id":["No group has the id, anchor, username or mail \"u-1\"."]}`},
		"id ambiguous": {objectBody("User", "alice"), 400,
			`{"sync_object_id":["2 users match \"alice\": give the unique id of one of them."]}`},
		"id number": {`{"sync_object_model":"authentik.core.models.User","sync_object_id":7}`, 200, ""},
		"override": {
			`{"sync_object_model":"authentik.core.models.User","sync_object_id":"u-1",` +
				`"override_dry_run":true}`, 200, ""},
		"override in word": {
			`{"sync_object_model":"authentik.core.models.User","sync_object_id":"u-1",` +
				`"override_dry_run":"yes"}`, 200, ""},
		"override wrong": {
			`{"sync_object_model":"authentik.core.models.User","sync_object_id":"u-1",` +
				`"override_dry_run":null}`, 400,
			`{"override_dry_run":["Must be a valid boolean."]}`},
		"dry run": {`{"sync_object_model":"authentik.core.models.User","sync_object_id":"u-1","dry_run":true}`, 400,
			`{"dry_run":["A single object has no dry run."]}`},
		"more fields": {`{"sync_object_model":"authentik.core.models.User","sync_object_id":"u-1","other":1}`, 200, ""},
		"list":        {`[]`, 400, `{"non_field_errors":["Invalid data. Expected a dictionary, but got list."]}`},
		"text":        {`"x"`, 400, `{"non_field_errors":["Invalid data. Expected a dictionary, but got str."]}`},
		"number":      {`1`, 400, `{"non_field_errors":["Invalid data. Expected a dictionary, but got int."]}`},
		"fraction":    {`1.5`, 400, `{"non_field_errors":["Invalid data. Expected a dictionary, but got float."]}`},
		"null":        {`null`, 400, `{"non_field_errors":["Invalid data. Expected a dictionary, but got NoneType."]}`},
		"flag":        {`true`, 400, `{"non_field_errors":["Invalid data. Expected a dictionary, but got bool."]}`},
		"half":        {`{"sync_object_model"`, 400, `{"detail":"JSON parse error - unexpected EOF"}`},
		"deep": {strings.Repeat("[", 20000), 400,
			`{"detail":"JSON parse error - invalid character '[' exceeded max depth"}`},
		"blanks":     {"  \n", 400, `{"detail":"JSON parse error - Expecting value: line 1 column 1 (char 0)"}`},
		"two values": {`{} {}`, 400, `{"detail":"JSON parse error - Extra data after the value"}`},
		"not UTF-8":  {"{\"sync_object_id\":\"\xff\"}", 400, `{"detail":"JSON parse error - the body is not UTF-8"}`},
		"too large": {objectBody("User", strings.Repeat("x", 1<<20)), 400,
			`{"detail":"Request body exceeds 1048576 bytes."}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := h.do(http.MethodPost, "/providers/google_workspace/1/sync/object/", test.body)
			if test.want == "" {
				w.want(test.code)
				return
			}
			w.is(test.code, test.want)
		})
	}
}

func TestSyncObjectMediaType(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil, nil)
	h.jobs.result = &status.Result{Outcome: status.OutcomeUpdated}
	for media, want := range map[string]int{
		"application/json": 200, "Application/JSON; charset=utf-8": 200, "text/plain": 415, "": 415,
		"application/x-www-form-urlencoded": 415, "application/jsonx": 415, "multipart/form-data": 415, ";": 415,
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost,
			"/api/v3/providers/google_workspace/1/sync/object/", strings.NewReader(objectBody("User", "u-1")))
		r.Header.Set("Authorization", "Bearer "+syncToken)
		r.Header.Set("Content-Type", media)
		w := h.send(r).want(want)
		if want == 415 {
			w.is(415, `{"detail":"Unsupported media type \"`+media+`\" in request."}`)
		}
	}
}

func TestSyncObjectFaults(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil, nil)
	send := func() response {
		return h.do(http.MethodPost, "/providers/google_workspace/1/sync/object/", objectBody("User", "u-1"))
	}
	h.directory.err = fault.Errorf(fault.Unavailable, "the directory was never read")
	if w := send().want(503); w.Header().Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	h.directory.err = fault.Errorf(fault.Invalid, "no such form of id")
	send().is(400, `{"sync_object_id":["no such form of id"]}`)
	h.directory.err = fault.Errorf(fault.NotFound, "gone")
	send().want(400)
	h.directory.err = nil
	h.jobs.err = errors.New("redis://secret@host")
	send().is(500, `{"detail":"Internal server error."}`)
	h.do(http.MethodPost, "/providers/google_workspace/9/sync/object/", objectBody("User", "u-1")).
		is(409, `{"detail":"This Google Workspace Provider is disabled."}`)
}

func TestObjectsAreListed(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil, nil)
	h.jobs.result = &status.Result{Outcome: status.OutcomeFailed, FailKind: "denied", FailReason: "no",
		Messages: []status.Message{{Event: "x"}}}
	for range 3 {
		h.do(http.MethodPost, "/providers/microsoft_entra/2/sync/object/", objectBody("User", "u-1")).want(200)
	}
	type page struct {
		Next    *string
		Results []struct{ ID string }
	}
	first := read[page](h.get("/providers/microsoft_entra/2/sync/objects/?page_size=2").want(200))
	if len(first.Results) != 2 || first.Next == nil {
		t.Fatalf("first = %+v", first)
	}
	second := read[page](h.get("/providers/microsoft_entra/2/sync/objects/?page_size=2&cursor=" + *first.Next).want(200))
	if len(second.Results) != 1 || second.Next != nil || cmp.Equal(first.Results[1], second.Results[0]) {
		t.Errorf("second = %+v", second)
	}
	h.get("/providers/microsoft_entra/2/sync/objects/?cursor=x").is(400,
		`{"cursor":["This is not a cursor of this list."]}`)
	h.get("/providers/microsoft_entra/2/sync/objects/" + first.Results[0].ID + "/").want(200)
	h.get("/providers/google_workspace/1/sync/objects/" + first.Results[0].ID + "/").want(404)
	h.get("/providers/microsoft_entra/2/sync/objects/x/").want(404)
}

// Whatever the body is, the answer is one of those that the endpoint has, in the contract's form.
func FuzzSyncObject(f *testing.F) {
	f.Add([]byte(objectBody("User", "u-1")))
	f.Add([]byte(objectBody("Group", "nobody")))
	f.Add([]byte(`{"sync_object_model":1e400,"sync_object_id":-0.0,"override_dry_run":{}}`))
	f.Add([]byte(`[[[[{"a":[]}]]]]`))
	f.Add([]byte(`{"sync_object_model":"\ud800"}`))
	rdb := redistest.Mini(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		h := newHarness(t, rdb, nil)
		h.jobs.result = &status.Result{Outcome: status.OutcomeUnchanged}
		if code := h.do(http.MethodPost, "/api/v3/providers/google_workspace/1/sync/object/",
			string(body)).Code; code != 200 && code != 400 {
			t.Errorf("status %d for %q", code, body)
		}
	})
}
