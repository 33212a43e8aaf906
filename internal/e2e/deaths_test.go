package e2e

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"rollcall/internal/testclock"
)

// What docs/operations.md says under "When a part dies": each death shows in readiness, in a metric and as an alert
// that is on its way. The alerts wait for a minute or more before they fire, which rules_test.yml covers.
func TestDeaths(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{slapd: small(), env: []string{"ROLLCALL_METRICS_LISTEN=127.0.0.1:0"}})
	w.both()
	m := w.watch()
	m.since("rollcall_workers", 1)
	m.since("rollcall_redis_up", 1)
	if code, body := w.health("/readyz"); code != http.StatusOK || strings.Contains(body, "none") {
		t.Errorf("readiness of a whole service = %d %s", code, body)
	}

	w.workers[0].kill()
	testclock.Eventually(t, 3*time.Minute, "readiness says that no worker is left", func() bool {
		code, body := w.health("/readyz")
		return code == http.StatusOK && strings.Contains(body, `"workers":"none"`)
	})
	m.since("rollcall_workers", 0)
	m.since(`up{job="rollcall-worker"}`, 0)
	m.pending("RollcallNoWorker")
	m.pending("RollcallProcessDown")

	w.killRedis()
	testclock.Eventually(t, 3*time.Minute, "readiness says that Redis is gone", func() bool {
		code, _ := w.health("/readyz")
		return code == http.StatusServiceUnavailable
	})
	if code, body := w.health("/livez"); code != http.StatusOK {
		t.Errorf("without Redis the API is not alive: %d %s", code, body)
	}
	m.since("rollcall_redis_up", 0)
	m.pending("RollcallRedisDown")

	w.api.kill()
	m.since(`up{job="rollcall-api"}`, 0)
	m.pending(`RollcallProcessDown",job="rollcall-api`)
}

// pending waits until an alert's condition holds, whether it fires yet or not.
func (m *monitor) pending(name string) {
	m.Helper()
	m.since(`ALERTS{alertname="`+name+`"}`, 1)
}

// health asks the API how it is; it needs no token.
func (w *world) health(path string) (code int, body string) {
	w.Helper()
	resp, err := http.Get(w.base + path)
	if err != nil {
		w.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		w.Fatal(err)
	}
	return resp.StatusCode, string(data)
}
