package api

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"rollcall/decisions"
	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/status"
)

// heldView lists the held changes of one container.
type heldView struct {
	// Digest identifies the set in a decision; null if nothing is held.
	Digest  *string      `json:"digest"`
	RunID   *string      `json:"run_id"`
	At      *stamp       `json:"at"`
	Count   int          `json:"count"`
	Changes []heldChange `json:"changes"`
	// Conflicts are entries about which nothing can be decided: the first of ConflictCount.
	ConflictCount int                  `json:"conflict_count"`
	Conflicts     []decisions.Conflict `json:"conflicts"`
}

// heldChange is one held change with its decision.
type heldChange struct {
	decisions.HeldChange
	Decision *decisionView `json:"decision"`
}

type decisionView struct {
	Verdict string `json:"verdict"`
	By      string `json:"by"`
	At      stamp  `json:"at"`
	Expires stamp  `json:"expires"`
}

// held shows the held changes of the newest plan with their decisions.
func (a *API) held(r *request) (answer, error) {
	set, err := a.cfg.Decisions.Held(r.Context(), r.container())
	if err != nil {
		return answer{}, err
	}
	return a.showHeld(r, set)
}

// heldBy shows the changes of a set that still wait unchanged, with their decisions. The set may be superseded.
func (a *API) heldBy(r *request) (answer, error) {
	set, waits, err := a.heldSet(r)
	if err != nil {
		return answer{}, err
	}
	set.Changes = slices.DeleteFunc(set.Changes, func(c decisions.HeldChange) bool { return !waits[c.Fingerprint] })
	return a.showHeld(r, set)
}

func (a *API) showHeld(r *request, set decisions.HeldSet) (answer, error) {
	decided, err := a.cfg.Decisions.Decisions(r.Context(), r.container())
	if err != nil {
		return answer{}, err
	}
	view := heldView{Count: len(set.Changes), Changes: make([]heldChange, 0, len(set.Changes))}
	view.ConflictCount, view.Conflicts = set.ConflictCount, append([]decisions.Conflict{}, set.Conflicts...)
	if len(set.Changes) > 0 {
		at := stamp(set.At)
		view.Digest, view.RunID, view.At = &set.Digest, &set.RunID, &at
	}
	from, to, err := window(r, len(set.Changes))
	if err != nil {
		return answer{}, err
	}
	for _, c := range set.Changes[from:to] {
		h := heldChange{HeldChange: c}
		if d, is := decided[c.Fingerprint]; is {
			h.Decision = &decisionView{d.Verdict, d.By, stamp(d.At), stamp(d.Expires)}
		}
		view.Changes = append(view.Changes, h)
	}
	return ok(view), nil
}

// window reads offset and limit for a list of n items.
func window(r *request, n int) (from, to int, err error) {
	const most = 1000
	wrong := invalid{}
	number := func(name string, otherwise, least, top int) int {
		text := r.URL.Query().Get(name)
		if text == "" {
			return otherwise
		}
		v, err := strconv.Atoi(text)
		if err != nil || v < least || v > top {
			wrong.add(name, "Ensure this value is between %d and %d.", least, top)
		}
		return v
	}
	const far = 1 << 30
	offset, limit := number("offset", 0, 0, far), number("limit", most, 1, most)
	if err := wrong.orNil(); err != nil {
		return 0, 0, err
	}
	from = min(offset, n)
	return from, min(from+limit, n), nil
}

// decided is the response to a decision.
type decided struct {
	Verdict string   `json:"verdict"`
	Count   int      `json:"count"`
	Expires stamp    `json:"expires"`
	Run     *runView `json:"run,omitempty"` // the run that carries out an approval
}

// approve approves the held changes of a set, or those that the body lists by fingerprint or entry id. It starts a
// run that executes only approved changes that are still planned.
func (a *API) approve(r *request) (answer, error) {
	changes, err := a.chosen(r)
	if err != nil {
		return answer{}, err
	}
	if live, is, err := a.cfg.Status.Live(r.Context(), r.container()); err != nil {
		return answer{}, err
	} else if is {
		view := newRunView(live, a.now())
		return answer{status: http.StatusConflict, body: refused{Detail: "A run is live: approve when it has ended, " +
			"because it may hold other changes.", Run: &view}}, nil
	}
	r.detail("changes", strconv.Itoa(len(changes)))
	if _, err := a.cfg.Decisions.Decide(r.Context(), r.container(), string(plan.Approved), r.by(), changes); err != nil {
		return answer{}, err
	}
	run, err := a.cfg.Jobs.StartApproved(r.Context(), r.container(), r.by())
	// It began in between, and knows of the approval or not: the next one does.
	if live, is := errors.AsType[*status.LiveError](err); is {
		run, err = live.Run, nil
	}
	if err != nil {
		return answer{}, err
	}
	view := newRunView(run, a.now())
	return answer{
		status: http.StatusAccepted, body: decided{string(plan.Approved), len(changes), a.expiry(), &view},
	}, nil
}

// reject keeps changes held, even if a later plan would apply them.
func (a *API) reject(r *request) (answer, error) {
	changes, err := a.chosen(r)
	if err != nil {
		return answer{}, err
	}
	r.detail("changes", strconv.Itoa(len(changes)))
	if _, err := a.cfg.Decisions.Decide(r.Context(), r.container(), string(plan.Rejected), r.by(), changes); err != nil {
		return answer{}, err
	}
	return ok(decided{Verdict: string(plan.Rejected), Count: len(changes), Expires: a.expiry()}), nil
}

func (a *API) expiry() stamp {
	return stamp(a.now().Add(decisions.DecisionTTL).Truncate(time.Microsecond))
}

// heldSet returns the set that the path names, and the fingerprints of the changes that wait by now.
func (a *API) heldSet(r *request) (set decisions.HeldSet, waits map[string]bool, err error) {
	set, err = a.cfg.Decisions.HeldBy(r.Context(), r.container(), r.PathValue("digest"))
	if err != nil && fault.KindOf(err) == fault.NotFound {
		return set, nil, &problem{http.StatusNotFound, detail{Detail: "Not found."}}
	}
	if err != nil {
		return set, nil, err
	}
	current, err := a.cfg.Decisions.Held(r.Context(), r.container())
	waits = make(map[string]bool, len(current.Changes))
	for _, c := range current.Changes {
		waits[c.Fingerprint] = true
	}
	return set, waits, err
}

// chosen returns the changes of a decision. They belong to the named set, match the list in the body, and still wait
// unchanged. A superseded set is accepted while one of its changes still waits.
func (a *API) chosen(r *request) ([]decisions.HeldChange, error) {
	entries, all, err := entriesOf(r)
	if err != nil {
		return nil, err
	}
	if err := r.resource.check(); err != nil {
		return nil, err
	}
	set, waits, err := a.heldSet(r)
	if err != nil {
		return nil, err
	}
	named := map[string]bool{}
	var out []decisions.HeldChange
	for _, c := range set.Changes {
		if !all && !entries[c.Fingerprint] && !entries[c.ID] {
			continue
		}
		named[c.Fingerprint], named[c.ID] = true, true
		if waits[c.Fingerprint] {
			out = append(out, c)
		}
	}
	wrong := invalid{}
	for e := range entries {
		if !named[e] {
			wrong.add("entries", "%q is not in this set.", e)
		}
	}
	if err := wrong.orNil(); err != nil {
		return nil, err
	}
	if len(out) == 0 {
		return nil, conflict("None of these changes waits any more: they were made, are no longer planned, or would do " +
			"something else by now.")
	}
	return out, nil
}

// entriesOf reads the optional list of fingerprints or entry ids.
func entriesOf(r *request) (entries map[string]bool, all bool, err error) {
	body, err := readObject(r)
	if err != nil {
		return nil, false, err
	}
	wrong := invalid{}
	for name := range body {
		if name != "entries" {
			wrong.add(name, "Unknown field.")
		}
	}
	given, there := body["entries"]
	if err := wrong.orNil(); err != nil || !there {
		return nil, true, err
	}
	list, ok := given.([]any)
	if !ok || len(list) == 0 {
		return nil, false, invalidField("entries", "Expected a list of fingerprints or entry ids that is not empty.")
	}
	entries = make(map[string]bool, len(list))
	for _, v := range list {
		text, ok := v.(string)
		if !ok || text == "" {
			return nil, false, invalidField("entries", "Not a valid string.")
		}
		entries[text] = true
	}
	return entries, false, nil
}

// approvals are the routes of held changes.
func (a *API) approvals() map[string]methods {
	decide := func(h handler) methods {
		return methods{http.MethodPost: {scope: ScopeApprove, handle: h}}
	}
	return map[string]methods{
		"sync/held/": get(ScopeRead, a.held), "sync/held/{digest}/": get(ScopeRead, a.heldBy),
		"sync/held/{digest}/approve/": decide(a.approve),
		"sync/held/{digest}/reject/":  decide(a.reject),
	}
}

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
	run, err := a.cfg.Jobs.StartRevert(r.Context(), r.container(), id, dryRun, r.by())
	if live, ok := errors.AsType[*status.LiveError](err); ok {
		return a.refuseStart(live), nil
	}
	if err != nil {
		return answer{}, err
	}
	r.detail("undo", run.ID)
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
	r.detail("pins", strconv.Itoa(len(refs)))
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
