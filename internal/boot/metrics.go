package boot

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"rollcall/container"
	"rollcall/fault"
	"rollcall/internal/redisfault"
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

// metricsServer serves /metrics, /livez and /readyz.
func (a *App) metricsServer(addr string) *http.Server {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.Metrics, promhttp.HandlerOpts{Registry: a.Metrics}))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { health(w, nil) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { health(w, a.ready(r.Context())) })
	return &http.Server{Addr: addr, Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: 30 * time.Second}
}

// ready returns the components that keep the process from its work, by name, and why.
func (a *App) ready(ctx context.Context) map[string]string {
	const patience = 2 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := a.Status.Writable(ctx, a.Config.Containers()...); err != nil {
		a.Log.WarnContext(ctx, "not ready", "component", "redis", "err", err)
		return map[string]string{"redis": cmp.Or(redisfault.Refusal(err), fault.KindOf(err).String())}
	}
	if a.aside != nil {
		if why := a.aside(); why != "" {
			return map[string]string{"worker": why}
		}
	}
	return nil
}

// health writes whether the process is well. wrong names the components that are not.
func health(w http.ResponseWriter, wrong map[string]string) {
	w.Header().Set("Content-Type", "application/json")
	body := map[string]any{"status": "ok"}
	if len(wrong) > 0 {
		body = map[string]any{"status": "unavailable", "components": wrong}
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(body)
}
