package boot

import (
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"rollcall/container"
	"rollcall/provider/pace"
)

// observeCalls counts the calls of one container, which are progress, and measures them.
func (a *App) observeCalls(name container.ID, calls *atomic.Int64) func(pace.Attempt) {
	return func(at pace.Attempt) {
		calls.Add(1)
		a.work.Call(name, at.Waited, at.Took, at.Number > 1)
	}
}

// observeRequests counts the requests of one container by what became of them.
func (a *App) observeRequests(name container.ID) func(op string, status int, err error) {
	return func(op string, status int, err error) { a.work.Request(name, op, status, err) }
}

// export has the process export a collector; one of which it exports the like already is left out.
func (a *App) export(c prometheus.Collector) error {
	err := a.Metrics.Register(c)
	if _, twice := errors.AsType[prometheus.AlreadyRegisteredError](err); twice {
		return nil
	}
	return err
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
