package metrics

import "github.com/prometheus/client_golang/prometheus"

// Access counts what happens at the door of an API process. It is safe for concurrent use.
type Access struct {
	Refused, AuditFailures prometheus.Counter
	// FileErrors is the number of errors in the tokens file.
	FileErrors prometheus.Gauge
	// AuditBroken is 1 while the audit log is broken.
	AuditBroken prometheus.Gauge
}

var _ prometheus.Collector = (*Access)(nil)

// NewAccess returns counters that are at zero.
func NewAccess() *Access {
	gauge := func(name string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: find(name).Help})
	}
	return &Access{
		Refused:       counter("rollcall_tokens_refused_total").WithLabelValues(),
		AuditFailures: counter("rollcall_audit_failures_total").WithLabelValues(),
		FileErrors:    gauge("rollcall_tokens_file_errors"),
		AuditBroken:   gauge("rollcall_audit_broken"),
	}
}

// Describe implements prometheus.Collector.
func (a *Access) Describe(ch chan<- *prometheus.Desc) {
	a.Refused.Describe(ch)
	a.AuditFailures.Describe(ch)
	a.FileErrors.Describe(ch)
	a.AuditBroken.Describe(ch)
}

// Collect implements prometheus.Collector.
func (a *Access) Collect(ch chan<- prometheus.Metric) {
	a.Refused.Collect(ch)
	a.AuditFailures.Collect(ch)
	a.FileErrors.Collect(ch)
	a.AuditBroken.Collect(ch)
}
