package api

import (
	"cmp"
	"context"
	"errors"

	"rollcall/container"
	"rollcall/decisions"
	"rollcall/explain"
	"rollcall/internal/secret"
	"rollcall/status"
)

// pauseView says whether a container is paused. By and At are null where it is not.
type pauseView struct {
	Paused bool    `json:"paused"`
	By     *string `json:"by"`
	At     *stamp  `json:"at"`
	// Text says who paused it, since when, and how it goes on.
	Text string `json:"text"`
}

func newPauseView(p *decisions.Pause) pauseView {
	if p == nil {
		return pauseView{}
	}
	return pauseView{true, &p.By, explain.MomentOf(p.At), p.Text()}
}

// resumedView is the response to the end of a pause. It has no run where another one is live, which goes on.
type resumedView struct {
	Run *runView `json:"run,omitempty"`
}

// paused says whether a container is paused.
func (a *API) paused(r *request) (answer, error) {
	p, err := a.cfg.Decisions.PauseOf(r.Context(), r.container())
	return ok(newPauseView(p)), err
}

// pause keeps everything from writing to a container.
func (a *API) pause(r *request) (answer, error) {
	p, err := a.Pause(r.Context(), r.container(), r.by())
	return ok(newPauseView(&p)), err
}

// resume ends the pause of a container.
func (a *API) resume(r *request) (answer, error) {
	run, err := a.Resume(r.Context(), r.container(), r.by())
	if err != nil {
		return answer{}, err
	}
	out := resumedView{}
	if run != nil {
		r.detail("run", run.ID)
		v := newRunView(*run, a.now())
		out.Run = &v
	}
	return ok(out), nil
}

// Pause keeps runs, single jobs and the fast lane from writing to a container. Reads and plans go on. It returns the
// pause that stands, which may be an earlier one.
func (a *API) Pause(ctx context.Context, c container.ID, by string) (decisions.Pause, error) {
	p, err := a.cfg.Decisions.Pause(ctx, c, by)
	if err == nil {
		a.cfg.Log.InfoContext(ctx, "container paused", "container", c, "by", p.By)
	}
	return p, err
}

// Resume ends the pause of a container. A full run follows, and before it a job for each user with an order to
// leave. The run is nil where the container is disabled, or where another run is live. That one goes on, or is followed
// by a full run if the pause ended it.
//
// The run is started first, so that an error leaves the container paused. It writes only after the end of the pause.
func (a *API) Resume(ctx context.Context, c container.ID, by string) (*status.Run, error) {
	if p, err := a.cfg.Decisions.PauseOf(ctx, c); err != nil || p == nil {
		return nil, cmp.Or[error](err, conflict("Nothing is paused here."))
	}
	var run *status.Run
	var err error
	enabled := a.enabled(c) == nil
	if enabled {
		if run, err = a.startFull(ctx, c, by); err != nil {
			return nil, err
		}
	}
	was, err := a.cfg.Decisions.Resume(ctx, c)
	if err != nil {
		return nil, err
	}
	if !was {
		return nil, conflict("Nothing is paused here.")
	}
	a.cfg.Log.InfoContext(ctx, "container resumed", "container", c, "by", by)
	if !enabled {
		return nil, nil //nolint:nilnil // No run is no error.
	}
	if !c.IsSource() {
		a.sendOrders(ctx, c, by)
	}
	if run, err = a.afterPause(ctx, c, run, by); err != nil {
		a.cfg.Log.WarnContext(ctx, "no run was started after a pause", "container", c, "err", secret.Scrub(err.Error()))
	}
	return run, nil
}

// startFull starts a full run. The run is nil where another one is live.
func (a *API) startFull(ctx context.Context, c container.ID, by string) (*status.Run, error) {
	run, err := a.cfg.Jobs.StartRun(ctx, c, status.Full, false, by)
	if _, live := errors.AsType[*status.LiveError](err); live {
		return nil, nil //nolint:nilnil // No run is no error.
	}
	return &run, err
}

// afterPause starts another run where the one that was started, or that was live, met the pause before its end.
func (a *API) afterPause(ctx context.Context, c container.ID, run *status.Run, by string) (*status.Run, error) {
	if run != nil {
		now, err := a.cfg.Status.Get(ctx, c, run.ID)
		if err != nil || now.Paused == "" {
			return run, err
		}
	}
	again, err := a.startFull(ctx, c, by)
	if err != nil || again == nil {
		return run, err
	}
	return again, nil
}

// sendOrders starts the jobs of the orders to leave at a provider. The run that follows carries out what is not
// started.
func (a *API) sendOrders(ctx context.Context, c container.ID, by string) {
	orders, err := a.cfg.Decisions.Orders(ctx)
	for _, o := range orders.At(c).Leave {
		if err == nil {
			_, err = a.cfg.Jobs.StartObject(ctx, c, o.Source, o.Ref, by)
		}
	}
	if err != nil {
		a.cfg.Log.WarnContext(ctx, "no job was started for an order", "container", c, "err", secret.Scrub(err.Error()))
	}
}
