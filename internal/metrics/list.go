// Package metrics exports Rollcall's metrics to Prometheus.
//
// Catalogue describes every metric as data, with its name, its meaning, its labels and their values, and the process
// that exports it. Only metrics of the catalogue can be registered, and docs/metrics.md is generated from it.
//
//	State   the state on Redis, read at each scrape; every API process exports the same values
//	Worker  counts of the work of a worker process; the sum over all processes is the total
//	Build   the version of the program; every process exports it
//
// No label names a person, an entry or an address. The messages of runs contain those.
package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"rollcall/internal/buildinfo"
)

// minutes and the others make bounds of buckets readable.
const (
	minutes = 60
	hours   = 60 * minutes
	days    = 24 * hours
)

// never are the words for a series that begins with the first run.
const never = "before the first such run"

// state is read from Redis at scrape time.
var state = []Metric{
	{Name: "rollcall_container_info", Kind: Gauge, Help: "1 for each source and provider that is enabled.",
		Labels: []Label{ofContainer, kind}},

	{Name: "rollcall_last_success_timestamp_seconds", Kind: Gauge, Labels: []Label{ofContainer}, Absent: never,
		Help: "End of the newest completed run; some of its changes may have failed or be held."},
	{Name: "rollcall_last_run_timestamp_seconds", Kind: Gauge, Labels: []Label{ofContainer}, Absent: never,
		Help: "End of the newest run that is over, however it ended."},
	{Name: "rollcall_last_run_duration_seconds", Kind: Gauge, Labels: []Label{ofContainer}, Absent: never,
		Help: "How long the newest run that is over took from when a worker first took it; from its start where " +
			"none did."},
	{Name: "rollcall_last_run_result", Kind: Gauge, Labels: []Label{ofContainer, result},
		Help: "1 for how the newest run that is over ended, 0 for every other result. A warning is a completed run " +
			"with failed or held changes."},
	{Name: "rollcall_last_run_fault", Kind: Gauge, Labels: []Label{ofContainer, ofFault},
		Help: "1 for the kind of error that ended the newest run that is over, or for `unavailable` while the live " +
			"run waits out an outage; 0 for every other."},
	{Name: "rollcall_sync_expected_by_timestamp_seconds", Kind: Gauge, Labels: []Label{ofContainer},
		Absent: "where nothing is due",
		Help: "When the next success is due at the latest: the last one and twice the longest gap of the cron " +
			"schedule. With after_source it counts from the end of the oldest source run that changed something and " +
			"that no success has followed. The gap is then that of the source's schedule (a day where it has none). " +
			"Before the first success it is counted from the first known run, else from when the process started."},

	{Name: "rollcall_run_active", Kind: Gauge, Labels: []Label{ofContainer, liveState},
		Help: "1 for the state of the live run, dry or not, 0 for the others."},
	{Name: "rollcall_run_changes_expected", Kind: Gauge, Labels: []Label{ofContainer}, Absent: "while no run is live",
		Help: "Changes that the live run will have tried at its end; 0 before it has planned."},
	{Name: "rollcall_run_changes_done", Kind: Gauge, Labels: []Label{ofContainer}, Absent: "while no run is live",
		Help: "Changes that the live run has tried."},
	{Name: "rollcall_run_progress_ratio", Kind: Gauge, Labels: []Label{ofContainer}, Absent: "while no run is live",
		Help: "The part of its changes that the live run has tried, 0 to 1; 1 where its plan is empty."},

	{Name: "rollcall_held_changes", Kind: Gauge, Labels: []Label{ofContainer, guard},
		Help: "Changes that wait for a person, by the guard that holds them."},
	{Name: "rollcall_held_entries", Kind: Gauge, Labels: []Label{ofContainer, reason},
		Help: "Entries about which the newest run that planned could do nothing, by the reason."},
	{Name: "rollcall_pinned_entries", Kind: Gauge, Labels: []Label{ofContainer}, Absent: "for sources",
		Help: "Entries that an undo keeps as they were, whatever their source says."},
	{Name: "rollcall_container_paused", Kind: Gauge, Labels: []Label{ofContainer},
		Help: "1 while a person keeps everything from writing to the source or provider, else 0."},
	{Name: "rollcall_untrusted_decisions", Kind: Gauge, Labels: []Label{ofContainer},
		Help: "Decisions and pins that are not signed, changed or gone, and 1 if their list is. None of them is used " +
			"for what harms."},
	{Name: "rollcall_failed_changes", Kind: Gauge, Labels: []Label{ofContainer, ofFault},
		Help: "Changes of the newest run that is over that failed, by the kind of error."},
	{Name: "rollcall_source_age_seconds", Kind: Gauge, Labels: []Label{ofContainer},
		Absent: "for providers, and before the first such run",
		Help:   "How old the local copy of a source is: since it was read for the newest run that completed."},
	{Name: "rollcall_poll_age_seconds", Kind: Gauge, Labels: []Label{ofContainer},
		Absent: "for providers, and for sources that cannot tell their changes",
		Help:   "How long ago a source last answered the question what changed."},
	{Name: "rollcall_leaver_pending_seconds", Kind: Gauge, Labels: []Label{ofContainer}, Absent: "for sources",
		Help: "How long the leaver that has waited longest has been gone without being suspended; 0 where none " +
			"waits. A person that left the local copy since the provider last planned counts as waiting."},
	{Name: "rollcall_configurations", Kind: Gauge, Labels: []Label{ofContainer},
		Help: "Different configurations of a container among the live workers and this API process. More than one " +
			"means that some of them do not execute it."},
	{Name: "rollcall_directory_entries", Kind: Gauge, Labels: []Label{ofContainer, entryKind}, Absent: never,
		Help: "Entries that the newest completed run read."},

	{Name: "rollcall_queue_tasks", Kind: Gauge, Labels: []Label{queue, taskState},
		Help: "Tasks in a queue. Archived ones are runs that failed and object jobs that were given up."},
	{Name: "rollcall_queue_latency_seconds", Kind: Gauge, Labels: []Label{queue},
		Help: "How long the oldest pending task has waited."},
	{Name: "rollcall_workers", Kind: Gauge, Help: "Workers that beat in the last 15 seconds."},
	{Name: "rollcall_redis_up", Kind: Gauge, Help: "1 if Redis answered everything that was asked in time, else 0."},
	{Name: "rollcall_redis_memory_used_bytes", Kind: Gauge, Absent: "where Redis does not say",
		Help: "Memory that Redis uses; of a cluster, the fullest node."},
	{Name: "rollcall_redis_memory_max_bytes", Kind: Gauge, Absent: "where Redis does not say",
		Help: "Memory that Redis may use; 0 where no limit is set."},

	{Name: "rollcall_quota_limit_per_second", Kind: Gauge, Labels: []Label{ofContainer, lane},
		Help: "What the tenant is called with at most at present: refusals halve it, and it grows back."},
	{Name: "rollcall_quota_used_ratio", Kind: Gauge, Labels: []Label{ofContainer, lane},
		Help: "The part of that limit that was used in the last minute, 0 to 1."},
	{Name: "rollcall_quota_paused_seconds", Kind: Gauge, Labels: []Label{ofContainer, lane},
		Help: "How long the tenant has asked us to wait yet."},
}

// work is counted in each worker.
var work = []Metric{
	{Name: "rollcall_runs_total", Kind: Counter, Labels: []Label{ofContainer, mode, result},
		Help: "Runs that are over. Each is counted by one of the workers."},
	{Name: "rollcall_run_duration_seconds", Kind: Histogram, Labels: []Label{ofContainer, mode},
		Help:    "From when a worker first took a run to its end, waits for the quota included.",
		Buckets: []float64{1, 5, 15, minutes, 5 * minutes, 15 * minutes, hours, 4 * hours, 12 * hours, days, 3 * days}},
	{Name: "rollcall_changes_total", Kind: Counter, Labels: []Label{ofContainer, object, action, outcome},
		Help: "Changes that were tried, of runs and object jobs. For a source they are those of the local copy."},
	{Name: "rollcall_provisioning_lag_seconds", Kind: Histogram, Labels: []Label{ofContainer},
		Help: "From when a change was read into the local copy to its write in the tenant. Writes that answer no " +
			"change since the last completed run (drift, a new mapping) do not count.",
		Buckets: []float64{1, 5, 15, minutes, 5 * minutes, 15 * minutes, 30 * minutes, hours, 2 * hours, 4 * hours,
			12 * hours, days}},
	{Name: "rollcall_leaver_latency_seconds", Kind: Histogram, Labels: []Label{ofContainer},
		Help: "From when a person left the source, or was disabled there, to the suspension in the tenant.",
		Buckets: []float64{1, 3, 6, 15, minutes, 5 * minutes, 15 * minutes, 30 * minutes, hours, 2 * hours, 4 * hours,
			12 * hours, days, 3 * days, 7 * days}},
	{Name: "rollcall_remote_requests_total", Kind: Counter, Labels: []Label{ofContainer, operation, class, outcome},
		Absent: "before the first such request",
		Help: "Requests to a tenant, those in a batch one by one: by the class of the HTTP status, and by what " +
			"became of them."},
	{Name: "rollcall_remote_request_duration_seconds", Kind: Histogram, Labels: []Label{ofContainer},
		Help:    "Duration of HTTP requests to a tenant; a batch is one.",
		Buckets: []float64{.01, .03, .1, .3, 1, 3, 10, 30}},
	{Name: "rollcall_remote_quota_wait_seconds_total", Kind: Counter, Labels: []Label{ofContainer},
		Help: "Time spent waiting for a tenant's quota."},
	{Name: "rollcall_remote_retries_total", Kind: Counter, Labels: []Label{ofContainer},
		Help: "Requests that were made again because they had failed for a moment."},
	{Name: "rollcall_lease_losses_total", Kind: Counter, Labels: []Label{ofContainer},
		Help: "Runs that a worker had to leave to others, because it could not renew its lease in time or another " +
			"worker had the run. A cancelled run is none."},
	{Name: "rollcall_delta_drift_total", Kind: Counter, Labels: []Label{ofContainer},
		Help:   "Changes that a full run of a source found and that delta runs had missed: a fault.",
		Absent: "for providers"},
	{Name: "rollcall_late_requests_total", Kind: Counter, Labels: []Label{ofContainer},
		Help: "Requests to a tenant that began under a lease and ended after the run had passed to another worker, " +
			"as when the process was stopped meanwhile. None begins after that."},
	{Name: "rollcall_run_resumes_total", Kind: Counter, Labels: []Label{ofContainer},
		Help: "Runs that were handed to another worker because theirs was lost."},
	{Name: "rollcall_worker_clock_offset_seconds", Kind: Gauge,
		Help: "How far the clock of this worker's host is ahead of that of Redis; negative where it is behind."},
	{Name: "rollcall_tenant_clock_offset_seconds", Kind: Gauge, Labels: []Label{ofContainer},
		Help: "How far the clock of a tenant is ahead of that of Redis, by its last answer to this worker. Beyond 5 " +
			"minutes destructive changes are held.",
		Absent: "for sources, and for tenants without an answer to this worker in the last hour"},
	{Name: "rollcall_worker_superseded", Kind: Gauge, Labels: []Label{ofContainer},
		Help: "1 while this worker does not execute a container, because another worker has a newer configuration " +
			"of it."},
	{Name: "rollcall_object_jobs_total", Kind: Counter, Labels: []Label{ofContainer, jobResult},
		Help: "Syncs of single objects that are over."},
}

var access = []Metric{
	{Name: "rollcall_tokens_refused_total", Kind: Counter, Help: "Wrong API tokens that were presented."},
	{Name: "rollcall_tokens_file_errors", Kind: Gauge, Help: "Errors in the tokens file. A wrong line gives nothing. " +
		"If the file cannot be read, every token is refused."},
	{Name: "rollcall_audit_broken", Kind: Gauge, Help: "1 while the chain of the audit log is broken, and for an " +
		"hour after a start that found lines missing at its end. The log is checked at the start and every hour."},
	{Name: "rollcall_audit_failures_total", Kind: Counter, Help: "Records that the audit log did not take. The " +
		"action was then refused, or its end is not recorded."},
}

// both is exported by every process.
var both = []Metric{
	{Name: "rollcall_build_info", Kind: Gauge, Help: "1; the labels say which build this is.", Labels: []Label{
		{Name: "version", Meaning: "that of the release, `devel` otherwise"},
		{Name: "revision", Meaning: "the commit, with a plus sign where there are changes beyond it; `unknown` where " +
			"the build does not say it"},
		{Name: "goversion", Meaning: "the version of Go"},
	}},
}

func counter(name string) *prometheus.CounterVec {
	m := find(name)
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: m.Name, Help: m.Help}, m.names())
}

func gauge(name string) *prometheus.GaugeVec {
	m := find(name)
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: m.Name, Help: m.Help}, m.names())
}

func histogram(name string) *prometheus.HistogramVec {
	m := find(name)
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: m.Name, Help: m.Help, Buckets: m.Buckets},
		m.names())
}

func desc(name string) *prometheus.Desc {
	m := find(name)
	return prometheus.NewDesc(m.Name, m.Help, m.names(), nil)
}

// NewRegistry returns a registry with what every process exports.
func NewRegistry() *prometheus.Registry {
	reg, info := prometheus.NewRegistry(), buildinfo.Read()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		&build{desc: desc("rollcall_build_info"), labels: []string{info.Version, info.Revision, info.Go}})
	return reg
}

// build says which build this is.
type build struct {
	desc   *prometheus.Desc
	labels []string
}

// Describe implements prometheus.Collector.
func (b *build) Describe(ch chan<- *prometheus.Desc) { ch <- b.desc }

// Collect implements prometheus.Collector.
func (b *build) Collect(ch chan<- prometheus.Metric) {
	ch <- prometheus.MustNewConstMetric(b.desc, prometheus.GaugeValue, 1, b.labels...)
}
