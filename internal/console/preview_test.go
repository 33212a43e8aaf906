package console_test

import (
	"bytes"
	"context"
	"errors"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"rollcall/api"
	"rollcall/directory"
	"rollcall/fault"
	"rollcall/jobs"
	"rollcall/plan"
	"rollcall/preview"
)

const previewID = "7d444840-9dc0-11d1-b245-5ffdce74fad2"

// Submit implements api.Previewer.
func (r registry) Submit(_ context.Context, text []byte, by string, at time.Time) (api.Preview, error) {
	if strings.Contains(string(text), "nonsense") {
		return api.Preview{}, api.ConfigProblems{{Line: 2, Field: "nonsense", Message: "unknown <key>"}}
	}
	r.sent = string(text)
	r.compared = api.Preview{Kept: jobs.Kept{ID: previewID, By: by, At: at, State: jobs.KeptQueued}}
	return r.compared, nil
}

// Preview implements api.Previewer.
func (r registry) Preview(_ context.Context, id string) (api.Preview, error) {
	if id != r.compared.ID {
		return api.Preview{}, fault.Errorf(fault.NotFound, "preview")
	}
	return r.compared, nil
}

// A changed configuration is sent as a text or as a file, without script. The page of the result names what changes.
func TestPreview(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	for token, may := range map[string]bool{h.reader: false, h.syncer: true, h.narrow: false} {
		got := h.as(token, http.MethodGet, "/previews/", nil)
		overview := h.as(token, http.MethodGet, "/", nil).body
		if got.StatusCode == http.StatusOK != may || strings.Contains(overview, `href="/previews/"`) != may {
			t.Errorf("the form = %d, may be used: %v", got.StatusCode, may)
		}
	}
	wrong := h.as(h.syncer, http.MethodPost, "/previews/new", url.Values{"text": {"nonsense: <b>"}})
	for _, want := range []string{"<code>nonsense</code>: line 2: unknown &lt;key&gt;", "nonsense: &lt;b&gt;</textarea>"} {
		if wrong.StatusCode != http.StatusBadRequest || !strings.Contains(wrong.body, want) {
			t.Errorf("the form with a mistake = %d, lacks %q: %s", wrong.StatusCode, want, wrong.body)
		}
	}
	const at = "/previews/" + previewID + "/"
	for what, form := range map[string]func() (string, string){"a text": textForm, "a file": fileForm} {
		media, body := form()
		got := h.as(h.syncer, http.MethodPost, "/previews/new", nil, func(r *http.Request) {
			sent := h.request(body)
			r.Body, r.ContentLength = sent.Body, sent.ContentLength
			r.Header.Set("Content-Type", media)
		})
		if got.Header.Get("Location") != at || h.sent != "sources: {}" {
			t.Errorf("%s was sent as %q to %q: %d %.300s", what, h.sent, got.Header.Get("Location"), got.StatusCode,
				got.body)
		}
	}
	h.compared.State, h.compared.Err = jobs.KeptFailed, errors.New("the directory did not answer")
	if page := h.get(at); !strings.Contains(page, "The preview failed: the directory did not answer") {
		t.Errorf("the page of a failure is %s", page)
	}
	ada := directory.Ref{Kind: directory.User, ID: "u1"}
	h.compared.State, h.compared.Err = jobs.KeptDone, nil
	h.compared.Result = &preview.Document{Harmful: 2, Containers: []preview.Summary{
		{Name: string(google), Harmful: 2, HeldTotal: 3, Effects: []preview.Group{
			{Effect: preview.LeavesScope, Total: 51, Named: []preview.Difference{{Ref: ada, Label: "ada", Detail: "exclude"}}},
			{Effect: preview.LeavesGroup, Total: 1, Named: []preview.Difference{
				{Label: "team", Member: &ada, MemberLabel: "ada"},
			}},
		}, Changes: []preview.Count{{Op: plan.Create, Total: 4}},
			Held: []preview.Count{{Op: plan.Suspend, Reason: "too many would go", Total: 3}}},
		{Name: string(corp)},
	}}
	page := h.get(at)
	for _, want := range []string{"2 harmful changes", "51 leave the scope", "<bdi>ada</bdi>", "and 50 more",
		"1 leave a group", "too many would go", "No difference."} {
		if !strings.Contains(page, want) {
			t.Errorf("the page of the result lacks %q: %s", want, page)
		}
	}
	for path, token := range map[string]string{at: h.narrow, "/previews/none/": h.reader} {
		if got := h.as(token, http.MethodGet, path, nil); got.StatusCode == http.StatusOK {
			t.Errorf("GET %s = %d", path, got.StatusCode)
		}
	}
	if got := h.as(h.narrow, http.MethodPost, "/previews/new", url.Values{"text": {"x"}}); got.StatusCode !=
		http.StatusForbidden {
		t.Errorf("a token for one tenant sent a configuration: %d", got.StatusCode)
	}
}

func (h *hall) request(body string) *http.Request {
	r, err := http.NewRequestWithContext(h.Context(), http.MethodPost, "/", strings.NewReader(body))
	if err != nil {
		h.Fatal(err)
	}
	return r
}

func textForm() (media, body string) {
	return "application/x-www-form-urlencoded", url.Values{"text": {"sources: {}"}}.Encode()
}

func fileForm() (media, body string) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	part, _ := w.CreateFormFile("file", "rollcall.yaml")
	_, _ = part.Write([]byte("sources: {}"))
	_ = w.WriteField("text", "")
	_ = w.Close()
	return w.FormDataContentType(), b.String()
}
