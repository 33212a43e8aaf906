package api

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"rollcall/fault"
	"rollcall/internal/redisfault"
)

// health is the body of both probes. It names components and no other details.
type health struct {
	Status     string            `json:"status"`
	Components map[string]string `json:"components,omitempty"`
}

// livez reports that the process runs. It asks no other system, so that a failure of Redis causes no restart.
func (a *API) livez(*request) (answer, error) { return ok(health{Status: "ok"}), nil }

// readyz reports whether requests can be served. Redis has to answer and to accept writes. Missing workers are
// reported, but are not a failure, because runs are accepted and wait.
func (a *API) readyz(r *request) (answer, error) {
	const patience = 2 * time.Second
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	var workers []string
	err := a.cfg.Status.Writable(ctx, a.resources.containers()...)
	if err == nil {
		workers, err = a.cfg.Status.Workers(ctx)
	}
	switch {
	case err != nil:
		a.cfg.Log.WarnContext(ctx, "not ready", "component", "redis", "err", err)
		return answer{status: http.StatusServiceUnavailable, body: health{
			Status: "unavailable", Components: map[string]string{"redis": cmp.Or(redisfault.Refusal(err),
				fault.KindOf(err).String())},
		}}, nil
	case len(workers) == 0:
		return ok(health{Status: "ok", Components: map[string]string{"redis": "ok", "workers": "none"}}), nil
	}
	return ok(health{Status: "ok", Components: map[string]string{"redis": "ok", "workers": "ok"}}), nil
}
