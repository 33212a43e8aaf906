package boot

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"rollcall/provider/pace"
	"rollcall/status"
)

// remoteMetrics measure calls to tenants.
type remoteMetrics struct {
	requests *prometheus.CounterVec
	waiting  *prometheus.CounterVec
	took     *prometheus.HistogramVec
}

func newRemoteMetrics(reg prometheus.Registerer) *remoteMetrics {
	m := &remoteMetrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rollcall_remote_requests_total", Help: "Requests to a tenant, by what became of them.",
		}, []string{"container", "operation", "outcome"}),
		waiting: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rollcall_remote_quota_wait_seconds_total", Help: "Time spent waiting for a tenant's quota.",
		}, []string{"container"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "rollcall_remote_request_duration_seconds", Help: "Duration of requests to a tenant.",
			Buckets: []float64{.01, .03, .1, .3, 1, 3, 10, 30},
		}, []string{"container"}),
	}
	reg.MustRegister(m.requests, m.waiting, m.took, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// observe counts the calls of one container.
func (a *App) observe(name status.Container, calls *atomic.Int64) func(pace.Attempt) {
	waiting, took := a.remote.waiting.WithLabelValues(string(name)), a.remote.took.WithLabelValues(string(name))
	return func(at pace.Attempt) {
		calls.Add(1)
		a.remote.requests.WithLabelValues(string(name), at.Op, at.Outcome()).Inc()
		waiting.Add(at.Waited.Seconds())
		if at.Took > 0 {
			took.Observe(at.Took.Seconds())
		}
	}
}

// metricsServer serves /metrics, /livez and /readyz; ready says whether Redis answers.
func (a *App) metricsServer(addr string) *http.Server {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.Metrics, promhttp.HandlerOpts{Registry: a.Metrics}))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { health(w, nil) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { health(w, a.Redis.Ping(r.Context()).Err()) })
	return &http.Server{Addr: addr, Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second}
}

func health(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, `{"status":"unavailable","components":{"redis":"unavailable"}}`)
		return
	}
	fmt.Fprintln(w, `{"status":"ok"}`)
}
