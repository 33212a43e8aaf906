package metrics

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rollcall/container"
	"rollcall/fault"
	"rollcall/status"
)

// Work counts what a worker does. It is safe for concurrent use.
type Work struct {
	runs, changes, requests, waited, retries, losses, resumes, objects, drift, late *prometheus.CounterVec
	superseded, clock                                                               *prometheus.GaugeVec
	runTook, lag, leavers, took                                                     *prometheus.HistogramVec
	tenantClock                                                                     *prometheus.Desc
	tenantsAhead                                                                    func() map[string]time.Duration
}

var _ prometheus.Collector = (*Work)(nil)

// NewWork returns counters that are at zero. Each scrape asks tenantsAhead how far the clocks of tenants are ahead of
// Redis, by container. Nil exports none.
func NewWork(tenantsAhead func() map[string]time.Duration) *Work {
	return &Work{
		tenantClock: desc("rollcall_tenant_clock_offset_seconds"), tenantsAhead: tenantsAhead,
		runs: counter("rollcall_runs_total"), changes: counter("rollcall_changes_total"),
		requests: counter("rollcall_remote_requests_total"),
		waited:   counter("rollcall_remote_quota_wait_seconds_total"), retries: counter("rollcall_remote_retries_total"),
		losses: counter("rollcall_lease_losses_total"), resumes: counter("rollcall_run_resumes_total"),
		objects: counter("rollcall_object_jobs_total"),
		drift:   counter("rollcall_delta_drift_total"), late: counter("rollcall_late_requests_total"),
		clock:      gauge("rollcall_worker_clock_offset_seconds"),
		superseded: gauge("rollcall_worker_superseded"),
		runTook:    histogram("rollcall_run_duration_seconds"), lag: histogram("rollcall_provisioning_lag_seconds"),
		leavers: histogram("rollcall_leaver_latency_seconds"), took: histogram("rollcall_remote_request_duration_seconds"),
	}
}

func (w *Work) all() []prometheus.Collector {
	return []prometheus.Collector{
		w.runs, w.runTook, w.changes, w.lag, w.leavers, w.requests, w.took, w.waited, w.retries, w.losses, w.resumes,
		w.objects, w.superseded, w.drift, w.late, w.clock,
	}
}

// Describe implements prometheus.Collector.
func (w *Work) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range w.all() {
		c.Describe(ch)
	}
	ch <- w.tenantClock
}

// Collect implements prometheus.Collector.
func (w *Work) Collect(ch chan<- prometheus.Metric) {
	for _, c := range w.all() {
		c.Collect(ch)
	}
	if w.tenantsAhead == nil {
		return
	}
	for name, ahead := range w.tenantsAhead() {
		ch <- prometheus.MustNewConstMetric(w.tenantClock, prometheus.GaugeValue, ahead.Seconds(), name)
	}
}

// Expect creates the series of a container with the value zero. Without it, Prometheus would miss the first increase.
func (w *Work) Expect(c container.ID) {
	name := string(c)
	for _, m := range mode.Values {
		w.runTook.WithLabelValues(name, m)
		for _, r := range result.Values {
			w.runs.WithLabelValues(name, m, r)
		}
	}
	for object, changes := range possible {
		for _, ch := range changes {
			for _, o := range outcome.Values {
				w.changes.WithLabelValues(name, string(object), string(ch), o)
			}
		}
	}
	w.losses.WithLabelValues(name)
	w.superseded.WithLabelValues(name)
	w.resumes.WithLabelValues(name)
	if c.IsSource() {
		w.drift.WithLabelValues(name)
		return
	}
	w.lag.WithLabelValues(name)
	w.leavers.WithLabelValues(name)
	w.took.WithLabelValues(name)
	w.late.WithLabelValues(name)
	w.waited.WithLabelValues(name)
	w.retries.WithLabelValues(name)
	for _, r := range jobResult.Values {
		w.objects.WithLabelValues(name, r)
	}
}

// possible is what can become of which object.
var possible = map[status.ObjectType][]status.ChangeType{
	status.User:       status.ChangeTypes(),
	status.Group:      {status.Create, status.Update, status.Delete},
	status.Membership: {status.Create, status.Delete},
}

// RunEnded counts a run that is over.
func (w *Work) RunEnded(run status.Run) {
	mode := string(run.Mode)
	if run.DryRun {
		mode = dryRun
	}
	w.runs.WithLabelValues(string(run.Container), mode, string(resultOf(run.State, run.TaskStatus()))).Inc()
	if !run.StartedAt.IsZero() {
		w.runTook.WithLabelValues(string(run.Container), mode).Observe(run.FinishedAt.Sub(run.StartedAt).Seconds())
	}
}

// Change counts a change that was tried; err is what became of it.
func (w *Work) Change(c container.ID, object status.ObjectType, change status.ChangeType, err error) {
	w.changes.WithLabelValues(string(c), string(object), string(change), outcomeOf(err)).Inc()
}

// Provisioned measures from when a change was read to its write.
func (w *Work) Provisioned(c container.ID, lag time.Duration) {
	w.lag.WithLabelValues(string(c)).Observe(max(0, lag.Seconds()))
}

// Suspended measures the time from a departure to the suspension.
func (w *Work) Suspended(c container.ID, latency time.Duration) {
	w.leavers.WithLabelValues(string(c)).Observe(max(0, latency.Seconds()))
}

// Drift counts changes that a full run of a source found and that delta runs had missed.
func (w *Work) Drift(c container.ID, n int) {
	if n > 0 {
		w.drift.WithLabelValues(string(c)).Add(float64(n))
	}
}

// LeaseLost counts a run that a worker had to leave to others.
func (w *Work) LeaseLost(c container.ID) { w.losses.WithLabelValues(string(c)).Inc() }

// Resumed counts a run that was handed to another worker.
func (w *Work) Resumed(c container.ID) { w.resumes.WithLabelValues(string(c)).Inc() }

// ObjectJob counts the sync of a single object.
func (w *Work) ObjectJob(c container.ID, outcome status.Outcome) {
	w.objects.WithLabelValues(string(c), string(jobresultOf(outcome))).Inc()
}

// Late counts a request that ended after its run had passed to another worker.
func (w *Work) Late(c container.ID) { w.late.WithLabelValues(string(c)).Inc() }

// ClockOffset records how far the clock of this host is ahead of Redis.
func (w *Work) ClockOffset(off time.Duration) { w.clock.WithLabelValues().Set(off.Seconds()) }

// Superseded records whether the worker does not execute a container, because another one has a newer configuration.
func (w *Work) Superseded(c container.ID, is bool) {
	value := 0.0
	if is {
		value = 1
	}
	w.superseded.WithLabelValues(string(c)).Set(value)
}

// ObjectJobLost counts the task of a single object that has no record, so that its outcome cannot be stored.
func (w *Work) ObjectJobLost(c container.ID) {
	w.objects.WithLabelValues(string(c), string(JobLost)).Inc()
}

func jobresultOf(o status.Outcome) JobResult {
	switch o {
	case status.OutcomeAbsent:
		return JobAbsent
	case status.OutcomeHeld:
		return JobHeld
	case status.OutcomeFailed:
		return JobFailed
	case status.OutcomeCreated, status.OutcomeUpdated, status.OutcomeSuspended, status.OutcomeRestored,
		status.OutcomeDeleted,
		status.OutcomeUnchanged, status.OutcomeOutOfScope:
	}
	return JobOK
}

// Request counts a request to a tenant. code is the HTTP status of the response, or zero without a response.
func (w *Work) Request(c container.ID, operation string, code int, err error) {
	w.requests.WithLabelValues(string(c), operation, classOf(code), outcomeOf(err)).Inc()
}

// Call measures one attempt of a call. waited is the wait for the quota, and took the duration of the request, or
// zero if no request was sent. again marks a repeated attempt.
func (w *Work) Call(c container.ID, waited, took time.Duration, again bool) {
	w.waited.WithLabelValues(string(c)).Add(waited.Seconds())
	if took > 0 {
		w.took.WithLabelValues(string(c)).Observe(took.Seconds())
	}
	if again {
		w.retries.WithLabelValues(string(c)).Inc()
	}
}

func outcomeOf(err error) string {
	if err == nil {
		return OK
	}
	return fault.KindOf(err).String()
}

func classOf(code int) string {
	switch {
	case code == 429:
		return "429"
	case code >= 200 && code < 600:
		return strconv.Itoa(code/100) + "xx"
	}
	return "none"
}
