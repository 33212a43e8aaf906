package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"rollcall/internal/testclock"
)

// run is what a test looks at of a run.
type run struct {
	ID       string    `json:"id"`
	Created  time.Time `json:"created_at"`
	State    string    `json:"state"`
	Status   string    `json:"status"`
	Worker   string    `json:"worker"`
	Resumes  int       `json:"resumes"`
	Held     int       `json:"held"`
	Failed   int       `json:"failed_changes"`
	Calls    int       `json:"calls"`
	FailKind string    `json:"fail_kind"`
	Reason   string    `json:"fail_reason"`
	Trigger  struct{ Kind string }
	Read     map[string]int
	Progress []struct {
		Object    string `json:"object_type"`
		Change    string `json:"change_type"`
		Succeeded int
		Failed    int
		Expected  int
	}
	Messages int
}

func (r *run) open() bool { return slices.Contains([]string{"queued", "running", "deferred"}, r.State) }

// made returns how many changes of each kind succeeded, "user update" say.
func (r *run) made() map[string]int {
	out := map[string]int{}
	for _, p := range r.Progress {
		if p.Succeeded > 0 {
			out[p.Object+" "+p.Change] = p.Succeeded
		}
	}
	return out
}

// planned returns how many changes the run planned.
func (r *run) planned() (n int) {
	for _, p := range r.Progress {
		n += p.Expected
	}
	return n
}

// event is one message.
type event struct {
	Level      string `json:"log_level"`
	Event      string `json:"event"`
	Attributes map[string]any
}

// call makes one request, checks the answer against the contract and returns its status and body.
func (w *world) call(method, path, body string) (int, []byte) {
	w.Helper()
	code, data, err := w.try(method, path, body)
	if err != nil {
		w.Fatalf("%s %s: %v", method, path, err)
	}
	return code, data
}

func (w *world) try(method, path, body string) (int, []byte, error) {
	r, err := http.NewRequestWithContext(w.Context(), method, w.base+"/api/v3"+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Authorization", "Bearer "+w.token)
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err == nil {
		checkContract(w, method, path, resp, data)
	}
	return resp.StatusCode, data, err
}

// get decodes the answer to a GET that has to succeed, and repeats it where a busy machine left no time for the answer.
func (w *world) get(path string, v any) {
	w.Helper()
	began := time.Now()
	code, data := w.call(http.MethodGet, path, "")
	for code == http.StatusServiceUnavailable && time.Since(began) < time.Minute {
		code, data = w.call(http.MethodGet, path, "")
	}
	if code != http.StatusOK {
		w.Fatalf("GET %s = %d %s", path, code, data)
	}
	w.decode(data, v)
}

func (w *world) decode(data []byte, v any) {
	w.Helper()
	if err := json.Unmarshal(data, v); err != nil {
		w.Fatalf("%v: %s", err, data)
	}
}

// start starts a full sync, which has to be accepted.
func (w *world) start(container string) (r run) {
	w.Helper()
	code, data := w.call(http.MethodPost, container+"sync/", "")
	if code != http.StatusAccepted {
		w.Fatalf("POST %ssync/ = %d %s, want 202", container, code, data)
	}
	w.decode(data, &r)
	return r
}

// look returns a run as it is now.
func (w *world) run(container, id string) (r run) {
	w.Helper()
	w.get(container+"sync/runs/"+id+"/", &r)
	return r
}

// wait waits for the end of a run.
func (w *world) wait(container, id string) (r run) {
	w.Helper()
	testclock.Eventually(w, 10*time.Minute, "end of "+container,
		func() bool { r = w.run(container, id); return !r.open() })
	return r
}

// finish starts a sync and waits for its end, whatever that is.
func (w *world) finish(container string) run {
	w.Helper()
	return w.wait(container, w.start(container).ID)
}

// sync runs a full sync that has to succeed without a flaw.
func (w *world) sync(container string) run {
	w.Helper()
	r := w.finish(container)
	if r.Status != "successful" {
		w.Fatalf("%s is %s (%s), failed %d, held %d: %s\n%s", container, r.State, r.Status, r.Failed, r.Held, r.Reason,
			strings.Join(w.said(container, r.ID), "\n"))
	}
	return r
}

// both syncs the directory, then the tenant.
func (w *world) both() (source, provider run) {
	w.Helper()
	return w.sync(corp), w.sync(google)
}

// events returns the messages of a run, oldest first.
func (w *world) events(container, id string) []event {
	w.Helper()
	var page struct{ Results []event }
	w.get(container+"sync/runs/"+id+"/messages/?after=&page_size=1000", &page)
	return page.Results
}

// said returns the messages as text.
func (w *world) said(container, id string) []string {
	w.Helper()
	var out []string
	for _, e := range w.events(container, id) {
		attributes, _ := json.Marshal(e.Attributes)
		out = append(out, e.Level+": "+e.Event+" "+string(attributes))
	}
	return out
}

// mentions fails the test unless one message of a run has all of these texts in it.
func (w *world) mentions(container, id string, texts ...string) {
	w.Helper()
	said := w.said(container, id)
	if !slices.ContainsFunc(said, func(s string) bool { return hasAll(s, texts...) }) {
		w.Errorf("no message of %s has %q:\n%s", container, texts, strings.Join(said, "\n"))
	}
}

func hasAll(s string, texts ...string) bool {
	return !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(s, text) })
}

// taskStatus is the sync status of the contract.
type taskStatus struct {
	IsRunning bool   `json:"is_running"`
	Last      string `json:"last_sync_status"`
	Tasks     []struct {
		UID, Status string
		Messages    []event
	}
}

func (w *world) status(container string) (s taskStatus) {
	w.Helper()
	w.get(container+"sync/status/", &s)
	return s
}
