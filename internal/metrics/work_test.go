package metrics_test

import (
	"errors"
	"maps"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"rollcall/fault"
	"rollcall/internal/metrics"
	"rollcall/status"
)

var nameOf = regexp.MustCompile(`fqName: "([^"]+)"`)

// described returns the names of ours that collectors describe.
func described(collectors ...prometheus.Collector) []string {
	found := map[string]bool{}
	for _, c := range collectors {
		ch := make(chan *prometheus.Desc)
		go func() { c.Describe(ch); close(ch) }()
		for d := range ch {
			found[nameOf.FindStringSubmatch(d.String())[1]] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// TestNothingButTheCatalogueIsExported, and all of it. That what is exported has the labels of the catalogue, a test of
// package boot looks up in the registries of a whole process.
func TestNothingButTheCatalogueIsExported(t *testing.T) {
	t.Parallel()
	sections := metrics.Catalogue(nil)
	names := func(i int) (out []string) {
		for _, m := range sections[i].Metrics {
			out = append(out, m.Name)
		}
		slices.Sort(out)
		return out
	}
	if diff := cmp.Diff(names(0), described(metrics.NewState(metrics.StateConfig{}))); diff != "" {
		t.Errorf("State (-catalogue +exported)\n%s", diff)
	}
	if diff := cmp.Diff(names(1), described(metrics.NewWork(nil))); diff != "" {
		t.Errorf("Work (-catalogue +exported)\n%s", diff)
	}
	families, err := metrics.NewRegistry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	var other []string
	for _, f := range families {
		if n := f.GetName(); !regexp.MustCompile("^(go|process)_").MatchString(n) {
			other = append(other, n)
		}
	}
	if diff := cmp.Diff(names(2), described(metrics.NewAccess())); diff != "" {
		t.Errorf("Access (-catalogue +exported)\n%s", diff)
	}
	if diff := cmp.Diff(names(3), other); diff != "" {
		t.Errorf("every process (-catalogue +exported)\n%s", diff)
	}
}

func TestWork(t *testing.T) {
	t.Parallel()
	clocks := map[string]time.Duration{}
	w := metrics.NewWork(func() map[string]time.Duration { return clocks })
	reg := prometheus.NewRegistry()
	reg.MustRegister(w)
	w.Expect(google)
	w.Expect(corp)
	zero := scrape(t, reg)
	for key, v := range zero {
		if v != 0 {
			t.Errorf("%s = %v at first", key, v)
		}
	}
	for key, want := range map[string]bool{
		"rollcall_runs_total{container=ldap:corp,mode=dry_run,result=expired}":                                   true,
		"rollcall_changes_total{action=create,container=google_workspace:1,kind=membership,outcome=throttled}":   true,
		"rollcall_changes_total{action=activate,container=google_workspace:1,kind=membership,outcome=ok}":        false,
		"rollcall_leaver_latency_seconds{container=google_workspace:1}":                                          true,
		"rollcall_leaver_latency_seconds{container=ldap:corp}":                                                   false,
		"rollcall_object_jobs_total{container=google_workspace:1,result=absent}":                                 true,
		"rollcall_remote_retries_total{container=google_workspace:1}":                                            true,
		"rollcall_lease_losses_total{container=ldap:corp}":                                                       true,
		"rollcall_remote_requests_total{container=google_workspace:1,operation=users.get,outcome=ok,status=2xx}": false,
	} {
		if _, there := zero[key]; there != want {
			t.Errorf("%s is there before anything happens: %v, want %v", key, there, want)
		}
	}

	began := time.Now()
	over := status.Run{Container: google, Mode: status.Full, StartedAt: began, FinishedAt: began.Add(time.Minute)}
	for state, times := range map[status.State]int{status.Completed: 2, status.Failed: 1, status.Cancelled: 1,
		status.Expired: 1} {
		for range times {
			over.State = state
			w.RunEnded(over)
			over.Held++ // The second one that completes held something.
		}
		over.Held = 0
	}
	// before a worker took it
	w.RunEnded(status.Run{Container: google, Mode: status.Full, DryRun: true, State: status.Cancelled})
	w.Change(google, status.User, status.Create, nil)
	w.Change(google, status.User, status.Create, fault.New(fault.Conflict, "users.insert", errors.New("409")))
	w.Provisioned(google, time.Minute)
	w.Suspended(google, -time.Second)
	w.LeaseLost(google)
	w.Resumed(corp)
	for _, o := range []status.Outcome{status.OutcomeCreated, status.OutcomeUnchanged, status.OutcomeHeld,
		status.OutcomeFailed, status.OutcomeAbsent} {
		w.ObjectJob(google, o)
	}
	for _, code := range []int{200, 204, 304, 404, 429, 503, 0, 999} {
		w.Request(google, "users.get", code, nil)
	}
	w.Call(google, time.Second, 0, false)
	w.Call(google, time.Second, time.Second, true)
	const tenant = "rollcall_tenant_clock_offset_seconds{container=google_workspace:1}"
	clocks[string(google)] = time.Hour
	if ahead := scrape(t, reg)[tenant]; ahead != 3600 {
		t.Errorf("the clock of the tenant is %v s ahead, want 3600", ahead)
	}
	clear(clocks)

	got := scrape(t, reg)
	if ahead, is := got[tenant]; is {
		t.Errorf("without an answer the clock of the tenant is %v s ahead, want no value", ahead)
	}
	maps.DeleteFunc(got, func(_ string, v float64) bool { return v == 0 })
	want := map[string]float64{
		"rollcall_runs_total{container=google_workspace:1,mode=full,result=successful}":                           1,
		"rollcall_runs_total{container=google_workspace:1,mode=full,result=warning}":                              1,
		"rollcall_runs_total{container=google_workspace:1,mode=full,result=failed}":                               1,
		"rollcall_runs_total{container=google_workspace:1,mode=full,result=cancelled}":                            1,
		"rollcall_runs_total{container=google_workspace:1,mode=full,result=expired}":                              1,
		"rollcall_runs_total{container=google_workspace:1,mode=dry_run,result=cancelled}":                         1,
		"rollcall_run_duration_seconds{container=google_workspace:1,mode=full}":                                   5,
		"rollcall_changes_total{action=create,container=google_workspace:1,kind=user,outcome=ok}":                 1,
		"rollcall_changes_total{action=create,container=google_workspace:1,kind=user,outcome=conflict}":           1,
		"rollcall_provisioning_lag_seconds{container=google_workspace:1}":                                         1,
		"rollcall_leaver_latency_seconds{container=google_workspace:1}":                                           1,
		"rollcall_lease_losses_total{container=google_workspace:1}":                                               1,
		"rollcall_run_resumes_total{container=ldap:corp}":                                                         1,
		"rollcall_object_jobs_total{container=google_workspace:1,result=ok}":                                      2,
		"rollcall_object_jobs_total{container=google_workspace:1,result=held}":                                    1,
		"rollcall_object_jobs_total{container=google_workspace:1,result=failed}":                                  1,
		"rollcall_object_jobs_total{container=google_workspace:1,result=absent}":                                  1,
		"rollcall_remote_requests_total{container=google_workspace:1,operation=users.get,outcome=ok,status=2xx}":  2,
		"rollcall_remote_requests_total{container=google_workspace:1,operation=users.get,outcome=ok,status=3xx}":  1,
		"rollcall_remote_requests_total{container=google_workspace:1,operation=users.get,outcome=ok,status=4xx}":  1,
		"rollcall_remote_requests_total{container=google_workspace:1,operation=users.get,outcome=ok,status=429}":  1,
		"rollcall_remote_requests_total{container=google_workspace:1,operation=users.get,outcome=ok,status=5xx}":  1,
		"rollcall_remote_requests_total{container=google_workspace:1,operation=users.get,outcome=ok,status=none}": 2,
		"rollcall_remote_quota_wait_seconds_total{container=google_workspace:1}":                                  2,
		"rollcall_remote_retries_total{container=google_workspace:1}":                                             1,
		"rollcall_remote_request_duration_seconds{container=google_workspace:1}":                                  1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
