package api

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"rollcall/directory"
	"rollcall/plan"
	"rollcall/status"
)

// revert starts a run that undoes another one.
func (a *API) revert(r *request) (answer, error) {
	id, err := pathUUID(r, "run")
	if err != nil {
		return answer{}, err
	}
	dryRun, err := startOptions(r)
	if err != nil {
		return answer{}, err
	}
	if err := r.resource.check(); err != nil {
		return answer{}, err
	}
	run, err := a.cfg.Jobs.StartRevert(r.Context(), r.container(), id, dryRun, r.by)
	if live, ok := errors.AsType[*status.LiveError](err); ok {
		return a.refuseStart(live), nil
	}
	if err != nil {
		return answer{}, err
	}
	path, _, _ := strings.Cut(r.URL.EscapedPath(), "/sync/runs/")
	return answer{
		status: http.StatusAccepted, body: newRunView(run, a.now()),
		header: map[string]string{"Location": path + "/sync/runs/" + url.PathEscape(run.ID) + "/"},
	}, nil
}

// pinsView lists the pins of one container.
type pinsView struct {
	Count int       `json:"count"`
	Pins  []pinView `json:"pins"`
}

// pinView is a pin with times in the format of the API.
type pinView struct {
	plan.Pin
	Ended   *stamp `json:"ended,omitempty"`
	At      stamp  `json:"at"`
	Deleted *stamp `json:"deleted,omitempty"`
}

func newPinView(p plan.Pin) pinView {
	return pinView{p, orNull(p.Ended), stamp(p.At), orNull(p.Deleted)}
}

// pins lists the entries that an undone run left pinned.
func (a *API) pins(r *request) (answer, error) {
	all, err := a.cfg.Decisions.Pins(r.Context(), r.container())
	if err != nil {
		return answer{}, err
	}
	from, to, err := window(r, len(all))
	if err != nil {
		return answer{}, err
	}
	view := pinsView{len(all), make([]pinView, 0, to-from)}
	for _, p := range all[from:to] {
		view.Pins = append(view.Pins, newPinView(p))
	}
	return ok(view), nil
}

// liftedView is the response to lift.
type liftedView struct {
	Count int `json:"count"`
}

// lift deletes all pins, or those that the body lists by entry id. The next sync then applies the state of the
// source.
func (a *API) lift(r *request) (answer, error) {
	entries, all, err := entriesOf(r)
	if err != nil {
		return answer{}, err
	}
	pins, err := a.cfg.Decisions.Pins(r.Context(), r.container())
	if err != nil {
		return answer{}, err
	}
	var refs []directory.Ref
	named := map[string]bool{}
	for _, p := range pins {
		if all || entries[string(p.ID)] || entries[p.String()] {
			refs = append(refs, p.Ref)
			named[string(p.ID)], named[p.String()] = true, true
		}
	}
	wrong := invalid{}
	for e := range entries {
		if !named[e] {
			wrong.add("entries", "%q is not pinned.", e)
		}
	}
	if err := wrong.orNil(); err != nil {
		return answer{}, err
	}
	if len(refs) == 0 {
		return answer{}, conflict("Nothing is pinned.")
	}
	if err := a.cfg.Decisions.Pin(r.Context(), r.container(), nil, refs); err != nil {
		return answer{}, err
	}
	return ok(liftedView{len(refs)}), nil
}

// reverts are the routes of undo and of pins.
func (a *API) reverts() map[string]methods {
	decide := func(h handler) methods {
		return methods{http.MethodPost: {scope: ScopeApprove, handle: h}}
	}
	return map[string]methods{
		"sync/runs/{run}/revert/": decide(a.revert), "sync/pins/": get(ScopeRead, a.pins), "sync/pins/lift/": decide(a.lift),
	}
}
