package api_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"rollcall/api"
	"rollcall/fault"
	"rollcall/jobs"
	"rollcall/preview"
)

// fakePreviewer has one comparison, which ends at once.
type fakePreviewer struct {
	text string
	err  error
	kept api.Preview
}

const previewID = "7d444840-9dc0-11d1-b245-5ffdce74fad2"

func (f *fakePreviewer) Submit(_ context.Context, text []byte, by string, at time.Time) (api.Preview, error) {
	f.text = string(text)
	f.kept = api.Preview{Kept: jobs.Kept{ID: previewID, By: by, At: at, State: jobs.KeptQueued}}
	return f.kept, f.err
}

func (f *fakePreviewer) Preview(_ context.Context, id string) (api.Preview, error) {
	if id != f.kept.ID {
		return api.Preview{}, fault.Errorf(fault.NotFound, "preview")
	}
	return f.kept, nil
}

func TestPreview(t *testing.T) {
	t.Parallel()
	f := &fakePreviewer{}
	h := newHarness(t, nil, func(c *api.Config) { c.Previewer = f })
	post := func(media, body, token string) response {
		r := newRequest(t, http.MethodPost, "/preview/", body, token)
		r.Header.Set("Content-Type", media)
		return h.send(r)
	}
	const yaml = "application/yaml"
	w := post(yaml, "sources: {}", syncToken).want(http.StatusAccepted)
	if at := w.Header().Get("Location"); at != "/api/v3/preview/"+previewID+"/" || f.text != "sources: {}" {
		t.Errorf("the text %q is at %q", f.text, at)
	}
	h.get("/preview/" + previewID + "/").want(http.StatusOK)
	f.kept.State, f.kept.Result = jobs.KeptDone, &preview.Document{Harmful: 3, Containers: []preview.Summary{},
		Warnings: []string{}}
	got := read[struct {
		State  string
		By     string
		Result preview.Document
	}](h.get("/preview/" + previewID + "/").want(http.StatusOK))
	if got.State != "done" || got.Result.Harmful != 3 || got.By != "ops@example.com" {
		t.Errorf("GET = %+v", got)
	}
	f.kept.State, f.kept.Result, f.kept.Err = jobs.KeptFailed, nil, errors.New("bind as <name> was refused")
	if body := h.get("/preview/" + previewID + "/").want(http.StatusOK).Body.String(); !strings.Contains(body, "refused") {
		t.Errorf("GET of a failed comparison = %s", body)
	}
	h.get("/preview/other/").want(http.StatusNotFound)
	post("application/json", "{}", syncToken).want(http.StatusUnsupportedMediaType)
	post(yaml, strings.Repeat("#", 1<<20+1), syncToken).want(http.StatusBadRequest)
	post(yaml, "\xff", syncToken).want(http.StatusBadRequest)
	post(yaml, "", readToken).want(http.StatusForbidden)
	f.err = api.ConfigProblems{{Line: 3, Field: "sources.ldap[0].slug", Message: "is taken"}, {Message: "is empty"}}
	want := `{"non_field_errors":["is empty"],"sources.ldap[0].slug":["line 3: is taken"]}`
	if body := post(yaml, "x", syncToken).want(http.StatusBadRequest).Body.String(); strings.TrimSpace(body) != want {
		t.Errorf("POST of a wrong configuration = %s, want %s", body, want)
	}
	f.err = fault.Errorf(fault.Conflict, "another preview is being made: wait for its end")
	post("text/plain; charset=utf-8", "x", syncToken).want(http.StatusConflict)
}
