package metrics_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"rollcall/container"
	"rollcall/decisions"
	"rollcall/internal/metrics"
	"rollcall/internal/redistest"
	"rollcall/internal/testclock"
	"rollcall/ledger"
	"rollcall/status"
)

const (
	corp   = container.ID("ldap:corp")
	acme   = container.ID("ldap:acme")
	google = container.ID("google_workspace:1")
)

// scrape returns every sample of a registry as name{label=value,…} with sorted labels. Of a histogram it is the
// count.
func scrape(t testing.TB, reg prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatalf("Gather() = %v", err)
	}
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			slices.Sort(labels)
			key := f.GetName() + "{" + strings.Join(labels, ",") + "}"
			switch {
			case m.Gauge != nil:
				out[key] = m.GetGauge().GetValue()
			case m.Counter != nil:
				out[key] = m.GetCounter().GetValue()
			case m.Histogram != nil:
				out[key] = float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return out
}

// site is a Redis with runs, and the collector that looks at it.
type site struct {
	testing.TB
	*testclock.Clock
	store     *status.Store
	decisions *decisions.Store
	reg       *prometheus.Registry
}

// newSite returns a site of these containers; what they leave out is filled in.
func newSite(t testing.TB, containers ...metrics.Container) *site {
	t.Helper()
	s := &site{TB: t, Clock: testclock.New()}
	rdb := redistest.Start(t)
	s.store = status.New(rdb, status.Config{Now: s.Now})
	s.decisions = decisions.New(rdb, decisions.Config{Now: s.Now})
	s.reg = registry(t, metrics.StateConfig{Redis: rdb, Status: s.store, Decisions: s.decisions, Containers: containers,
		Now: s.Now})
	return s
}

func registry(t testing.TB, cfg metrics.StateConfig) *prometheus.Registry {
	t.Helper()
	for i := range cfg.Containers {
		if cfg.Containers[i].Facts == nil {
			cfg.Containers[i].Facts = func(context.Context) (ledger.Facts, error) { return ledger.Facts{}, nil }
		}
	}
	if cfg.Queues == nil {
		cfg.Queues = func(context.Context) ([]metrics.Queue, error) { return nil, nil }
	}
	reg := prometheus.NewRegistry()
	if err := reg.Register(metrics.NewState(cfg)); err != nil {
		t.Fatal(err)
	}
	return reg
}

func (s *site) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// execution is a run as a test tells it.
type execution struct {
	dry  bool
	read time.Duration // between its start and its plan
	took time.Duration // in all
	end  status.End    // completed unless it says otherwise
	plan status.Planned
	does func(*status.Recorder)
}

// run executes a run of a container; the clock is at its end then.
func (s *site) run(c container.ID, x execution) status.Run {
	s.Helper()
	run, err := s.store.Start(s.Context(), status.StartRequest{Container: c, DryRun: x.dry})
	s.must(err)
	l, err := s.store.Acquire(s.Context(), c, run.ID, run.Epoch, "w1")
	s.must(err)
	defer l.Close()
	x.plan.ReadAt = s.Now()
	s.Advance(x.read)
	s.must(l.Recorder().Planned(s.Context(), x.plan))
	if x.does != nil {
		x.does(l.Recorder())
	}
	s.Advance(max(0, x.took-x.read))
	if x.end.State == "" {
		x.end.State = status.Completed
	}
	run, err = l.Finish(s.Context(), x.end)
	s.must(err)
	return run
}

// value checks one sample; want is negative for one that is absent.
func (s *site) value(when, key string, want float64) {
	s.Helper()
	got, there := scrape(s, s.reg)[key]
	switch {
	case want < 0 && there:
		s.Errorf("%s: %s = %v, want none", when, key, got)
	case want >= 0 && (!there || got != want):
		s.Errorf("%s: %s = %v (%v), want %v", when, key, got, there, want)
	}
}

// due checks when the next success is due; the zero time for nothing.
func (s *site) due(when string, c container.ID, want time.Time) {
	s.Helper()
	n := -1.0
	if !want.IsZero() {
		n = float64(want.UnixMilli()) / 1000
	}
	s.value(when, "rollcall_sync_expected_by_timestamp_seconds{container="+string(c)+"}", n)
}

func unreachable(t testing.TB) redis.UniversalClient {
	t.Helper()
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1})
	t.Cleanup(func() { _ = rdb.Close() })
	return rdb
}
