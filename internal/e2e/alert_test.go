package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	simulator "rollcall/simulator/googleworkspace"
)

// A sync that fails raises an alert that names what failed, at the latest two evaluations after the metric shows it;
// the next good run ends it. Evaluations that a busy machine missed do not count.
func TestAlert(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{slapd: small(), env: []string{"ROLLCALL_METRICS_LISTEN=127.0.0.1:0"}})
	w.both()
	m := w.watch()
	const failed = `rollcall_last_run_result{job="rollcall-api",container="google_workspace:1",result="failed"}`
	m.since(failed, 0)

	w.tenant.Inject(simulator.Fault{Method: "directory.domains.list", Effect: simulator.Refuse,
		Status: http.StatusForbidden, Code: "forbidden"})
	if r := w.finish(google); r.State != "failed" || r.FailKind != "denied" {
		t.Fatalf("the run is %s (%s), want failed (denied): %s", r.State, r.FailKind, r.Reason)
	}
	shown := m.since(failed, 1)
	a := m.hears("firing", "RollcallSyncFailed", "google_workspace:1")
	t.Logf("evaluated %v after the metric showed it, notified after %v", a.StartsAt.Sub(shown), a.arrived.Sub(shown))
	most := time.Duration(2+m.missed()) * evaluation
	if late := a.StartsAt.Sub(shown); late > most {
		t.Errorf("the alert began %v after the metric showed the failure, want at most %v", late, most)
	}
	if a.Labels["severity"] != "warning" || !strings.Contains(a.Annotations["summary"], "google_workspace:1") ||
		a.Annotations["runbook_url"] != "docs/operations.md#rollcallsyncfailed" {
		t.Errorf("the notification is %+v, want its severity, the container in its summary and the runbook", a)
	}

	w.tenant.ClearFaults()
	w.sync(google)
	m.hears("resolved", "RollcallSyncFailed", "google_workspace:1")
	told := map[string]bool{}
	for _, a := range m.seen {
		told[a.Labels["alertname"]+" of "+a.Labels["container"]] = true
	}
	if !told["RollcallTargetDenied of google_workspace:1"] || len(told) != 2 {
		t.Errorf("there were notifications about %v, want those of the failure and the denial, and none of the source", told)
	}
}
