package api

import (
	"errors"
	"net/http"
	"net/url"

	"rollcall/fault"
	"rollcall/status"
)

// refused is the response to a start while a run is live.
type refused struct {
	Detail string   `json:"detail"`
	Run    *runView `json:"run,omitempty"` // missing when its record was lost
}

// start starts a full sync. With dry_run, in the query or the body, the run writes nothing. Unknown parameters are
// refused, because a misspelt dry_run must not start a run that writes.
func (a *API) start(r *request) (answer, error) {
	dryRun, err := startOptions(r)
	if err != nil {
		return answer{}, err
	}
	if err := r.resource.check(); err != nil {
		return answer{}, err
	}
	run, err := a.cfg.Jobs.StartFull(r.Context(), r.container(), dryRun, r.by)
	if live, ok := errors.AsType[*status.LiveError](err); ok {
		return a.refuseStart(live), nil
	}
	if err != nil {
		return answer{}, err
	}
	return answer{
		status: http.StatusAccepted, body: newRunView(run, a.now()),
		header: map[string]string{"Location": r.URL.EscapedPath() + "runs/" + url.PathEscape(run.ID) + "/"},
	}, nil
}

func (a *API) refuseStart(live *status.LiveError) answer {
	out := refused{Detail: "A run is live: wait for its end, or cancel it."}
	if live.Run.State != "" {
		view := newRunView(live.Run, a.now())
		out.Run = &view
	}
	return answer{status: http.StatusConflict, body: out}
}

func startOptions(r *request) (dryRun bool, err error) {
	body, err := readObject(r)
	if err != nil {
		return false, err
	}
	wrong := invalid{}
	given := map[string]any{}
	for name, values := range r.URL.Query() {
		given[name] = values[len(values)-1]
	}
	for name, v := range body {
		if _, twice := given[name]; twice {
			wrong.add(name, "This is given in the query and in the body.")
		}
		given[name] = v
	}
	for name, v := range given {
		switch on, known := parseBool(v); {
		case name != "dry_run":
			wrong.add(name, "Unknown parameter.")
		case !known:
			wrong.add(name, "Must be a valid boolean.")
		default:
			dryRun = on
		}
	}
	return dryRun, wrong.orNil()
}

// cancel ends the run of a container.
func (a *API) cancel(r *request) (answer, error) {
	run, err := a.cfg.Jobs.Cancel(r.Context(), r.container(), r.by)
	if err != nil && fault.KindOf(err) == fault.NotFound {
		return answer{}, conflict("No run is live.")
	}
	if err != nil {
		return answer{}, err
	}
	return ok(newRunView(run, a.now())), nil
}

// check refuses work on a disabled resource.
func (r *resource) check() error {
	if r.Disabled {
		return conflict("This " + r.family.verbose + " is disabled.")
	}
	return nil
}
