package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"rollcall/internal/slapdtest"
	"rollcall/internal/testclock"
	simulator "rollcall/simulator/googleworkspace"
)

// question is a query of the dashboard for Grafana.
type question struct {
	Expr    string
	Legend  string `json:"legendFormat"`
	Instant bool
}

// questions returns every query of the dashboard that is shipped, by the title of the panel and the query's letter.
func questions(t testing.TB) map[string]question {
	t.Helper()
	type panel struct {
		Title   string
		Targets []struct {
			RefID string
			question
		}
		Panels []json.RawMessage
	}
	var file struct {
		Panels      []json.RawMessage
		Annotations struct {
			List []struct {
				Name   string
				Target question
			}
		}
	}
	text, err := os.ReadFile("../../deploy/grafana/dashboards/rollcall.json")
	if err == nil {
		err = json.Unmarshal(text, &file)
	}
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]question{}
	for _, a := range file.Annotations.List {
		out["annotation "+a.Name] = a.Target
	}
	for todo := file.Panels; len(todo) > 0; todo = todo[1:] {
		var p panel
		if err := json.Unmarshal(todo[0], &p); err != nil {
			t.Fatal(err)
		}
		todo = append(todo, p.Panels...)
		for _, q := range p.Targets {
			out[p.Title+" "+q.RefID] = q.question
		}
	}
	return out
}

// viewer asks Prometheus what Grafana would ask for a viewer of the dashboard.
type viewer struct {
	*monitor
	since     time.Time
	container string // what the variable of that name stands for
	questions map[string]question
}

// ask sends a query to a path of Prometheus's API and decodes the data of the answer.
func (v *viewer) ask(path string, form url.Values, data any) {
	v.Helper()
	resp, err := http.Get(v.prometheus + "/api/v1/" + path + "?" + form.Encode())
	if err != nil {
		v.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil {
		err = json.Unmarshal(text, &struct{ Data any }{data})
	}
	if err != nil || resp.StatusCode != http.StatusOK {
		v.Fatalf("%s %v: status %d, %v: %s", path, form, resp.StatusCode, err, text)
	}
}

var legendLabel = regexp.MustCompile(`{{(\w+)}}`)

// answered asks a question and reports whether the answer has a number. Its series have to have the labels that the
// legend names.
func (v *viewer) answered(name string) bool {
	v.Helper()
	q, there := v.questions[name]
	if !there {
		v.Fatalf("the dashboard has no query %q", name)
	}
	expr := strings.NewReplacer("$container", v.container, "$__rate_interval", "1m").Replace(q.Expr)
	now := time.Now()
	path, form := "query", url.Values{"query": {expr}, "time": {stamp(now)}}
	if !q.Instant {
		path, form = "query_range", url.Values{"query": {expr}, "start": {stamp(v.since)}, "end": {stamp(now)}, "step": {"1"}}
	}
	var data struct {
		Result []struct {
			Metric map[string]string
			Value  []any
			Values [][]any
		}
	}
	v.ask(path, form, &data)
	number := func(sample []any) bool { return len(sample) == 2 && sample[1] != "NaN" }
	found := false
	for _, s := range data.Result {
		found = found || number(s.Value) || slices.ContainsFunc(s.Values, number)
		for _, l := range legendLabel.FindAllStringSubmatch(q.Legend, -1) {
			if s.Metric[l[1]] == "" {
				v.Errorf("%s: the legend names %s, and a series has %v", name, l[1], s.Metric)
			}
		}
	}
	return found
}

func stamp(t time.Time) string { return fmt.Sprintf("%.3f", float64(t.UnixMilli())/1000) }

// shows waits until each of these questions has an answer.
func (v *viewer) shows(when string, names ...string) {
	v.Helper()
	var missing []string
	defer func() {
		if len(missing) > 0 {
			v.Logf("%s nothing is shown by %q", when, missing)
		}
	}()
	missing = names
	testclock.Eventually(v, 2*time.Minute, when+" the dashboard shows everything", func() bool {
		missing = slices.DeleteFunc(slices.Clone(missing), v.answered)
		return len(missing) == 0
	})
}

// Some panels are empty at most times. The panels about an overdue success are not shown here, because that takes
// longer than a test.
var (
	beforeAnyRun = []string{"Since the last success C"}
	inALiveRun   = []string{"Progress of live runs A", "End of live runs A", "Changes of live runs A",
		"Changes of live runs B"}
	afterFailure = []string{"Changes that failed, by the kind of error A", "Requests that failed A",
		"Entries that are not synced, by reason A"}
	inAnAlert = []string{"Alerts that fire A", "annotation Alerts"}
	overdue   = []string{"Since the last success B"}
	untold    = []string{"Polls for changes A"} // The directory server of these tests does not tell its changes.
)

// Prometheus understands every query of the dashboard, and each has an answer when there is something to show. Most
// of them have one after any sync without failures.
func TestGrafanaDashboard(t *testing.T) {
	t.Parallel()
	start := time.Now()
	w := newWorld(t, options{
		slapd: small(), env: []string{"ROLLCALL_METRICS_LISTEN=127.0.0.1:0"}, redis: []string{"--maxmemory", "512mb"},
		source: []string{`schedule: "0 0 1 1 *"`}, // It makes a success due, and starts no run.
	})
	v := &viewer{monitor: w.watch(), since: start, container: ".+", questions: questions(t)}
	var always []string
	for name := range v.questions {
		if !slices.Contains(slices.Concat(beforeAnyRun, inALiveRun, afterFailure, inAnAlert, overdue, untold), name) {
			always = append(always, name)
		}
	}
	// The worker's counters have to be seen at 0, so that they are seen to rise.
	v.shows("before any run", append(beforeAnyRun, "Single objects A")...)

	w.sync(corp)
	seen, tick := make(chan struct{}), time.NewTicker(time.Second)
	defer tick.Stop()
	w.onRequest(func(method string) {
		if writing(method) { // One a second, so that the run lives for minutes.
			select {
			case <-seen:
			case <-tick.C:
			}
		}
	})
	id := w.start(google).ID
	v.shows("while a run is live", inALiveRun...)
	close(seen)
	if r := w.wait(google, id); r.Status != "successful" {
		t.Fatalf("the run is %s: %s", r.Status, r.Reason)
	}
	e := w.editor()
	e.remove(slapdtest.UserDN(1))
	w.both()
	w.object(modelUser, slapdtest.UUID(2))
	v.shows("after a sync", always...)

	w.tenant.Inject(simulator.Fault{Method: "directory.users.update", Effect: simulator.Refuse,
		Status: http.StatusBadRequest, Code: "invalid", Times: 1})
	e.set(slapdtest.UserDN(2), "title", "Director")
	e.person(151, "")
	e.set(slapdtest.UserDN(151), "mail", "somebody@elsewhere.example")
	w.sync(corp)
	if r := w.finish(google); r.Failed != 1 {
		t.Fatalf("%d changes failed, want 1", r.Failed)
	}
	v.shows("after a failure", afterFailure...)
	w.tenant.Inject(simulator.Fault{Method: "directory.domains.list", Effect: simulator.Refuse,
		Status: http.StatusForbidden, Code: "forbidden"})
	w.finish(google)
	v.hears("firing", "RollcallSyncFailed", "google_workspace:1")
	v.shows("while an alert fires", inAnAlert...)

	// All of it again for those who chose, in the words that Grafana has for two that were chosen.
	var containers []string
	v.ask("label/container/values", url.Values{"match[]": {"rollcall_container_info"}}, &containers)
	slices.Sort(containers)
	if want := []string{"google_workspace:1", "ldap:corp"}; !slices.Equal(containers, want) {
		t.Errorf("one can choose between %q, want %q", containers, want)
	}
	v.container = "(" + strings.Join(containers, "|") + ")"
	v.shows("for two that were chosen", append(always, inAnAlert...)...)
	v.container = "google_workspace:9"
	if v.answered("Held changes A") || !v.answered("Health A") {
		t.Error("the choice of a container changes nothing, or hides whether Rollcall is healthy")
	}
	if v.answered(overdue[0]) {
		t.Error("a success is overdue, of a schedule that is yearly")
	}
}
