package console_test

import (
	"bufio"
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"rollcall/plan"
	"rollcall/status"
)

// part is a live part of a page.
type part struct{ ID, HTML string }

// open opens a live page with a token. It returns the page as it was transferred, and a function that waits for the
// next part.
func (h *hall) open(token, path string) (page *http.Response, body []byte, next func() part) {
	h.Helper()
	server := httptest.NewServer(h.handler)
	h.Cleanup(server.Close)
	get := func(path string) *http.Response {
		r, err := http.NewRequestWithContext(h.Context(), http.MethodGet, server.URL+path, nil)
		if err != nil {
			h.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Accept", "text/html")
		r.Header.Set("Accept-Encoding", "gzip")
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil || resp.StatusCode != http.StatusOK {
			h.Fatalf("GET %s: %v, %v", path, err, resp)
		}
		h.Cleanup(func() { _ = resp.Body.Close() })
		return resp
	}
	page = get(path)
	body, err := io.ReadAll(page.Body)
	if err != nil {
		h.Fatal(err)
	}
	stream := regexp.MustCompile(`data-stream="([^"]+)"`).FindSubmatch(plainly(h, page, body))
	if stream == nil {
		h.Fatalf("%s is not live: %s", path, body)
	}
	events := get(html.UnescapeString(string(stream[1])))
	if events.Header.Get("Content-Encoding") != "" {
		h.Errorf("the stream is compressed: %v", events.Header)
	}
	lines := bufio.NewScanner(events.Body)
	lines.Buffer(nil, 1<<20)
	return page, body, func() (p part) {
		h.Helper()
		for lines.Scan() {
			if data, is := strings.CutPrefix(lines.Text(), "data: "); is {
				if err := json.Unmarshal([]byte(data), &p); err != nil {
					h.Fatal(err)
				}
				return p
			}
		}
		h.Fatalf("the stream ended: %v", lines.Err())
		return p
	}
}

// A page that has just been loaded gets only what changed since.
func TestAStreamSendsWhatChanged(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	h.run(corp, status.End{State: status.Completed}, plan.Plan{}, plan.Plan{})
	h.run(google, status.End{State: status.Completed}, plan.Plan{}, plan.Plan{})
	_, _, next := h.open(h.reader, "/")
	h.hold(google, "r", leaver("ada"))
	for _, id := range []string{"card-google_workspace-1", "concerns"} {
		if p := next(); p.ID != id || !strings.Contains(p.HTML, "1 change") {
			t.Errorf("the next part is %v, want %s", p, id)
		}
	}
	again := h.as(h.reader, http.MethodGet, "/", nil)
	if !strings.Contains(again.body, "1 change") {
		t.Errorf("the page is %s", again.body)
	}
}
