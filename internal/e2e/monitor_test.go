package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"rollcall/internal/testclock"
)

// alert is one alert of a notification.
type alert struct {
	Status      string
	Labels      map[string]string
	Annotations map[string]string
	StartsAt    time.Time
	arrived     time.Time
}

// monitor is a Prometheus that scrapes the programs of a world and has the rules that are shipped, an Alertmanager,
// and what that one notifies.
type monitor struct {
	testing.TB
	prometheus string // its URL
	told       chan alert
	seen       []alert
}

// How often rules are evaluated. It is long enough that a busy machine keeps to it.
const evaluation = 3 * time.Second

const prometheusConfig = `global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: %s}
rule_files: [%q]
alerting:
  alertmanagers:
    - static_configs: [{targets: [%q]}]
scrape_configs:
  - job_name: rollcall-api
    static_configs: [{targets: [%q]}]
  - job_name: rollcall-worker
    static_configs: [{targets: [%q]}]
`

const alertmanagerConfig = `route:
  {receiver: test, group_by: [alertname, container], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}
receivers:
  - name: test
    webhook_configs: [{url: %q, send_resolved: true}]
`

// watch starts a monitor of a world with programs that serve metrics.
func (w *world) watch() *monitor {
	w.Helper()
	m := &monitor{TB: w, told: make(chan alert, 1000)}
	hook := httptest.NewServer(http.HandlerFunc(m.notified))
	w.Cleanup(hook.Close)
	rules, err := filepath.Abs("../../deploy/prometheus/rules.yml")
	if err != nil {
		w.Fatal(err)
	}
	_, alerts := m.start(installed(w, "prometheus-alertmanager", "alertmanager"),
		fmt.Sprintf(alertmanagerConfig, hook.URL), "--storage.path",
		"--cluster.listen-address=")
	p, addr := m.start(installed(w, "prometheus"), fmt.Sprintf(prometheusConfig, evaluation, rules, alerts,
		w.api.says(w, "metrics listen")["addr"], w.workers[0].says(w, "metrics listen")["addr"]), "--storage.tsdb.path")
	p.says(w, "Server is ready to receive web requests.")
	m.prometheus = "http://" + addr
	return m
}

// start starts one of the two on a free port and returns its address. data is the flag that names where it keeps
// things.
func (m *monitor) start(path, config, data string, args ...string) (p *process, addr string) {
	m.Helper()
	name, dir := filepath.Base(path), m.TempDir()
	file := filepath.Join(dir, name+".yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		m.Fatal(err)
	}
	args = append(args, "--config.file="+file, data+"="+filepath.Join(dir, "data"), "--web.listen-address=127.0.0.1:0",
		"--web.external-url=http://127.0.0.1/", "--log.format=json")
	p = begin(m, name, exec.Command(path, args...), nil)
	m.Cleanup(func() { p.stop(m) })
	return p, p.says(m, "Listening on")["address"].(string)
}

// notified takes what Alertmanager posts.
func (m *monitor) notified(rw http.ResponseWriter, r *http.Request) {
	var post struct{ Alerts []alert }
	if err := json.NewDecoder(r.Body).Decode(&post); err != nil {
		m.Errorf("a notification that cannot be read: %v", err)
		rw.WriteHeader(http.StatusBadRequest)
		return
	}
	for _, a := range post.Alerts {
		a.arrived = time.Now()
		m.told <- a
	}
}

// hears waits for a notification about an alert of a container with this status, firing or resolved.
func (m *monitor) hears(status, name, container string) alert {
	m.Helper()
	deadline := time.After(3 * time.Minute)
	for {
		select {
		case a := <-m.told:
			m.seen = append(m.seen, a)
			if a.Status == status && a.Labels["alertname"] == name && a.Labels["container"] == container {
				return a
			}
		case <-deadline:
			m.Fatalf("no notification that %s of %s is %s; there were %+v", name, container, status, m.seen)
		}
	}
}

// since waits until Prometheus has a series with this value, and returns from when.
func (m *monitor) since(series string, value float64) (first time.Time) {
	m.Helper()
	testclock.Eventually(m, 3*time.Minute, fmt.Sprintf("Prometheus has %s = %v", series, value), func() bool {
		for _, s := range m.samples(series + "[5m]") {
			if s.value == value {
				first = s.at
				return true
			}
		}
		return false
	})
	return first
}

// missed returns how many evaluations of rules Prometheus left out because it had no time.
func (m *monitor) missed() (n int) {
	m.Helper()
	resp, err := http.Get(m.prometheus + "/metrics")
	if err != nil {
		m.Fatal(err)
	}
	defer resp.Body.Close()
	groups := 0
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "prometheus_rule_group_iterations_missed_total{") {
			value, err := strconv.ParseFloat(lines.Text()[strings.LastIndexByte(lines.Text(), ' ')+1:], 64)
			if err != nil {
				m.Fatal(err)
			}
			groups, n = groups+1, max(n, int(value))
		}
	}
	if groups == 0 {
		m.Fatal("Prometheus does not tell how many evaluations it missed")
	}
	return n
}

type sample struct {
	at    time.Time
	value float64
}

// samples returns the samples of a range of one series, oldest first.
func (m *monitor) samples(query string) (out []sample) {
	m.Helper()
	resp, err := http.Get(m.prometheus + "/api/v1/query?query=" + url.QueryEscape(query))
	if err != nil {
		m.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Data struct {
			Result []struct{ Values [][2]any }
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || resp.StatusCode != http.StatusOK {
		m.Fatalf("query %s: status %d, %v", query, resp.StatusCode, err)
	}
	for _, series := range answer.Data.Result {
		for _, v := range series.Values {
			number, err := strconv.ParseFloat(v[1].(string), 64)
			if err != nil {
				m.Fatal(err)
			}
			out = append(out, sample{time.UnixMilli(int64(v[0].(float64) * 1000)), number})
		}
	}
	return out
}
