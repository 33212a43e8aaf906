package api

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"rollcall/decisions"
	"rollcall/directory"
	"rollcall/explain"
	"rollcall/plan"
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
	set, err := a.Waiting(r.Context(), r.container(), r.PathValue("digest"))
	if err != nil {
		return answer{}, err
	}
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
	const most, far = 1000, 1 << 30
	q, wrong := r.URL.Query(), invalid{}
	offset, limit := number(q, "offset", 0, 0, far, wrong), number(q, "limit", most, 1, most, wrong)
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
func (a *API) approve(r *request) (answer, error) { return a.decide(r, plan.Approved) }

// reject keeps changes held, even if a later plan would apply them.
func (a *API) reject(r *request) (answer, error) { return a.decide(r, plan.Rejected) }

func (a *API) decide(r *request, verdict plan.Verdict) (answer, error) {
	entries, err := entriesOf(r)
	if err != nil {
		return answer{}, err
	}
	count, run, err := a.Decide(r.Context(), Verdict{r.container(), r.PathValue("digest"), verdict, entries, r.by()})
	if count > 0 {
		r.detail("changes", strconv.Itoa(count))
	}
	if err != nil {
		return answer{}, err
	}
	out := decided{Verdict: string(verdict), Count: count,
		Expires: stamp(a.now().Add(decisions.DecisionTTL).Truncate(time.Microsecond))}
	if run == nil {
		return ok(out), nil
	}
	view := newRunView(*run, a.now())
	out.Run = &view
	return answer{status: http.StatusAccepted, body: out}, nil
}

// entriesOf reads the optional list of fingerprints or entry ids. Nil means all of them.
func entriesOf(r *request) (entries map[string]bool, err error) {
	body, err := readObject(r)
	if err != nil {
		return nil, err
	}
	wrong := invalid{}
	for name := range body {
		if name != "entries" {
			wrong.add(name, "Unknown field.")
		}
	}
	given, there := body["entries"]
	if err := wrong.orNil(); err != nil || !there {
		return nil, err
	}
	list, ok := given.([]any)
	if !ok || len(list) == 0 {
		return nil, invalidField("entries", "Expected a list of fingerprints or entry ids that is not empty.")
	}
	entries = make(map[string]bool, len(list))
	for _, v := range list {
		text, ok := v.(string)
		if !ok || text == "" {
			return nil, invalidField("entries", "Not a valid string.")
		}
		entries[text] = true
	}
	return entries, nil
}

// revert starts a run that undoes another one.
func (a *API) revert(r *request) (answer, error) {
	id, err := pathUUID(r, "run")
	if err != nil {
		return answer{}, err
	}
	options, err := startOptions(r, false)
	if err != nil {
		return answer{}, err
	}
	run, err := a.Revert(r.Context(), r.container(), id, options.dryRun, r.by())
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
		view.Pins = append(view.Pins, pinView{p, explain.MomentOf(p.Ended), stamp(p.At), explain.MomentOf(p.Deleted)})
	}
	return ok(view), nil
}

// Lifted is the response to a lift or an adoption, with the number of pins and decisions that it concerned.
type Lifted struct {
	Count int `json:"count"`
}

// lift deletes all pins, or those that the body lists by entry id. The next sync then applies the state of the
// source.
func (a *API) lift(r *request) (answer, error) {
	entries, err := entriesOf(r)
	if err != nil {
		return answer{}, err
	}
	n, err := a.Lift(r.Context(), r.container(), entries)
	if n > 0 {
		r.detail("pins", strconv.Itoa(n))
	}
	return ok(Lifted{n}), err
}

// Kept lists the decisions and pins of a container that are not trusted.
type Kept struct {
	// Digest identifies the list for an adoption.
	Digest string `json:"digest"`
	// Problem says why records may be missing that are not listed; empty for a list that is complete.
	Problem string       `json:"problem"`
	Count   int          `json:"count"`
	Records []KeptRecord `json:"records"`
}

// KeptRecord is one record of the list.
type KeptRecord struct {
	// Type is decision or pin. Entry names the entry as "user/<id>", and may be empty for a decision that is gone.
	Type  string `json:"type"`
	Entry string `json:"entry"`
	Label string `json:"label"`
	// Problem says what is wrong with the record.
	Problem string `json:"problem"`
	// Verdict, Op, By and Fingerprint are those of a decision.
	Verdict     string `json:"verdict"`
	Op          string `json:"op"`
	By          string `json:"by"`
	Fingerprint string `json:"fingerprint"`
}

func newKeptRecord(u *decisions.Untrusted) KeptRecord {
	if u.Pin != (directory.Ref{}) {
		return KeptRecord{Type: "pin", Entry: u.Pin.String(), Label: u.Label, Problem: u.Problem}
	}
	d := &u.Decision
	return KeptRecord{Type: "decision", Entry: d.ID, Label: u.Label, Problem: u.Problem, Verdict: d.Verdict,
		Op: d.Op, By: d.By, Fingerprint: d.Fingerprint}
}

// kept lists the decisions and pins that are not signed, changed or gone.
func (a *API) kept(r *request) (answer, error) {
	k, err := a.cfg.Decisions.Kept(r.Context(), r.container())
	if err != nil {
		return answer{}, err
	}
	from, to, err := window(r, len(k.Untrusted))
	if err != nil {
		return answer{}, err
	}
	view := Kept{Digest: k.Digest, Problem: k.Broken, Count: len(k.Untrusted), Records: []KeptRecord{}}
	for i := range k.Untrusted[from:to] {
		view.Records = append(view.Records, newKeptRecord(&k.Untrusted[from+i]))
	}
	return ok(view), nil
}

// adopt signs the decisions and pins that the list with this digest was made of.
func (a *API) adopt(r *request) (answer, error) {
	n, err := a.cfg.Decisions.Adopt(r.Context(), r.container(), r.PathValue("digest"))
	if err == nil {
		r.detail("records", strconv.Itoa(n))
	}
	return ok(Lifted{n}), err
}
