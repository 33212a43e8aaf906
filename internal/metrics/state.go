package metrics

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"rollcall/container"
	"rollcall/decisions"
	"rollcall/fault"
	"rollcall/ledger"
	"rollcall/provider/pace"
	"rollcall/status"
)

// Container is one source or provider as State sees it.
type Container struct {
	Name container.ID
	// Digest identifies the configuration that this process has of it.
	Digest string
	// Gap is the longest gap of its cron schedule; zero where it has none.
	Gap time.Duration
	// Sources are those that a provider is fed from; Follows says that it runs after each of their runs that changed
	// something.
	Sources []container.ID
	Follows bool
	// Suspends says that a provider suspends who left.
	Suspends bool
	// Facts are what the newest good run left.
	Facts func(context.Context) (ledger.Facts, error)
	// ReadAt is when the local copy of a source was read; zero before the first time. Nil for providers.
	ReadAt func(context.Context) (time.Time, error)
	// Polled says that a source is asked for its changes between full runs.
	Polled bool
	// Quotas are the limiters of a provider.
	Quotas []Quota
}

// Quota is a limiter, and how a bucket of it is called as a lane. Nil keeps the name of the bucket.
type Quota struct {
	States func(context.Context) ([]pace.State, error)
	Lane   func(bucket string) string
}

// Queue is one queue of tasks.
type Queue struct {
	Name string
	// Tasks is by the state.
	Tasks map[string]int
	// Latency is how long the oldest pending task has waited.
	Latency time.Duration
}

// StateConfig is what a State reads.
type StateConfig struct {
	Redis      redis.UniversalClient
	Status     *status.Store
	Decisions  *decisions.Store
	Containers []Container
	Queues     func(context.Context) ([]Queue, error)
	// Timeout is how long a scrape waits for Redis. Default 3 s.
	Timeout time.Duration
	Log     *slog.Logger
	// Now defaults to time.Now.
	Now func() time.Time
}

// State exports what is on Redis. Scrapes at the same time share one reading, and none waits for longer than the
// timeout.
type State struct {
	cfg     StateConfig
	started time.Time
	descs   map[string]*prometheus.Desc

	mu      sync.Mutex
	reading *reading // the one under way, or nil
	said    string   // what the log was told last
	scans   map[scanKey]*scan
}

var _ prometheus.Collector = (*State)(nil)

// NewState returns a collector. It does not connect.
func NewState(cfg StateConfig) *State {
	cfg.Timeout = cmp.Or(cfg.Timeout, 3*time.Second)
	cfg.Log = cmp.Or(cfg.Log, slog.New(slog.DiscardHandler))
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &State{cfg: cfg, started: cfg.Now(), descs: map[string]*prometheus.Desc{}, scans: map[scanKey]*scan{}}
	for i := range state {
		s.descs[state[i].Name] = desc(state[i].Name)
	}
	return s
}

// Describe implements prometheus.Collector.
func (s *State) Describe(ch chan<- *prometheus.Desc) {
	for i := range state {
		ch <- s.descs[state[i].Name]
	}
}

// Collect implements prometheus.Collector.
func (s *State) Collect(ch chan<- prometheus.Metric) {
	known := &sheet{descs: s.descs}
	for _, c := range s.cfg.Containers {
		known.set("rollcall_container_info", 1, string(c.Name), string(c.Name.Kind()))
	}
	up := 0.0
	if found, ok := s.read(); ok {
		known.rows, up = append(known.rows, found...), 1
	}
	known.set("rollcall_redis_up", up)
	for _, m := range known.rows {
		ch <- m
	}
}

// reading is one look at everything, for all who ask while it is under way.
type reading struct {
	done chan struct{}
	rows []prometheus.Metric
	err  error
}

// read returns what is on Redis; false when it does not answer in time. A reading that takes longer goes on, and later
// scrapes wait for it instead of beginning another.
func (s *State) read() ([]prometheus.Metric, bool) {
	s.mu.Lock()
	r := s.reading
	if r == nil {
		r = &reading{done: make(chan struct{})}
		s.reading = r
		go s.fill(r)
	}
	s.mu.Unlock()
	patience := time.NewTimer(s.cfg.Timeout)
	defer patience.Stop()
	select {
	case <-r.done:
		return r.rows, r.err == nil
	case <-patience.C:
		return nil, false
	}
}

func (s *State) fill(r *reading) {
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.Timeout)
	defer cancel()
	sheet := &sheet{descs: s.descs}
	err := s.gather(ctx, sheet)
	if err != nil && !away(err) { // Something on Redis cannot be read. The rest can.
		s.complain(err)
		err = nil
	}
	r.rows, r.err = sheet.rows, err
	s.mu.Lock()
	s.reading = nil
	s.mu.Unlock()
	close(r.done)
}

// away reports whether any of the errors means that Redis did not answer.
func away(err error) bool {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		return slices.ContainsFunc(many.Unwrap(), away)
	}
	kind := fault.KindOf(err)
	return kind == fault.Unavailable || kind == fault.Canceled
}

// complain logs what cannot be read, once.
func (s *State) complain(err error) {
	s.mu.Lock()
	again := s.said == err.Error()
	s.said = err.Error()
	s.mu.Unlock()
	if !again {
		s.cfg.Log.Warn("metrics: a part of the state cannot be read", "err", err)
	}
}

// sheet gathers samples.
type sheet struct {
	descs map[string]*prometheus.Desc

	mu   sync.Mutex
	rows []prometheus.Metric
}

func (s *sheet) set(name string, value float64, labels ...string) {
	m := prometheus.MustNewConstMetric(s.descs[name], prometheus.GaugeValue, value, labels...)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows = append(s.rows, m)
}

// at sets a time, unless it is zero.
func (s *sheet) at(name string, t time.Time, labels ...string) {
	if !t.IsZero() {
		s.set(name, float64(t.UnixMilli())/1000, labels...)
	}
}

// one sets 1 for one value of the last label and 0 for the others.
func (s *sheet) one(name string, of []string, which string, labels ...string) {
	for _, v := range of {
		n := 0.0
		if v == which {
			n = 1
		}
		s.set(name, n, with(labels, v)...)
	}
}

// counts sets a number for every value of the last label, 0 where there is none.
func (s *sheet) counts(name string, of []string, n map[string]int64, labels ...string) {
	for _, v := range of {
		s.set(name, float64(n[v]), with(labels, v)...)
	}
}

func with(labels []string, more string) []string {
	return append(append(make([]string, 0, len(labels)+1), labels...), more)
}

// tolerable reports whether Redis answered and refused.
func tolerable(err error) bool {
	_, ok := errors.AsType[redis.Error](err)
	return ok
}

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
