package api

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"rollcall/audit"
	"rollcall/container"
	"rollcall/decisions"
	"rollcall/directory"
	"rollcall/explain"
	"rollcall/fault"
	"rollcall/ledger"
	"rollcall/plan"
	"rollcall/status"
)

// Page is a web interface behind the API.
type Page interface {
	http.Handler
	// Serves reports whether a request is for the page. Any other request is for the API.
	Serves(*http.Request) bool
}

// The functions below are what the handlers of the API and the web pages do. by is the name of the token.

// Resources returns the configured sources and providers in the order of the configuration.
func (a *API) Resources() []Resource {
	out := make([]Resource, len(a.resources))
	for i, r := range a.resources {
		out[i] = r.Resource
	}
	return out
}

// enabled refuses work on a resource that is disabled or not configured.
func (a *API) enabled(c container.ID) error {
	for _, r := range a.resources {
		if r.Container == c {
			return r.check()
		}
	}
	return fault.Errorf(fault.NotFound, "%s: not configured", c)
}

// Start starts a full or delta run. The error is a *status.LiveError while another run is live.
func (a *API) Start(ctx context.Context, c container.ID, mode status.Mode, dryRun bool, by string) (status.Run, error) {
	if err := a.enabled(c); err != nil {
		return status.Run{}, err
	}
	return a.cfg.Jobs.StartRun(ctx, c, mode, dryRun, by)
}

// Cancel ends the open run of a container.
func (a *API) Cancel(ctx context.Context, c container.ID, by string) (status.Run, error) {
	run, err := a.cfg.Jobs.Cancel(ctx, c, by)
	if err != nil && fault.KindOf(err) == fault.NotFound {
		return run, conflict("No run is live.")
	}
	return run, err
}

// Revert starts a run that undoes another one. The error is a *status.LiveError while a run is live.
func (a *API) Revert(ctx context.Context, c container.ID, run string, dryRun bool, by string) (status.Run, error) {
	if err := a.enabled(c); err != nil {
		return status.Run{}, err
	}
	return a.cfg.Jobs.StartRevert(ctx, c, run, dryRun, by)
}

// Verdict is a decision about held changes.
type Verdict struct {
	Container container.ID
	// Digest is the set of held changes. It may be superseded.
	Digest  string
	Verdict plan.Verdict
	// Entries are fingerprints or entry ids of the set; nil means all of it.
	Entries map[string]bool
	By      string
}

// Decide records a decision about those of the changes that still wait unchanged, and returns their number. An
// approval starts the returned run, which executes only approved changes. Otherwise the run is nil.
func (a *API) Decide(ctx context.Context, v Verdict) (int, *status.Run, error) {
	if err := a.enabled(v.Container); err != nil {
		return 0, nil, err
	}
	changes, err := a.chosen(ctx, v)
	if err != nil {
		return 0, nil, err
	}
	if v.Verdict == plan.Approved {
		if live, is, err := a.cfg.Status.Live(ctx, v.Container); err != nil {
			return 0, nil, err
		} else if is {
			return 0, nil, a.refuseLive(live,
				"A run is live: approve when it has ended, because it may hold other changes.")
		}
	}
	if _, err := a.cfg.Decisions.Decide(ctx, v.Container, string(v.Verdict), v.By, changes); err != nil {
		return 0, nil, err
	}
	if v.Verdict != plan.Approved {
		return len(changes), nil, nil
	}
	run, err := a.cfg.Jobs.StartApproved(ctx, v.Container, v.By)
	// Another run began in between. If it does not know of the approval, the next run does.
	if live, is := errors.AsType[*status.LiveError](err); is {
		run, err = live.Run, nil
	}
	return len(changes), &run, err
}

// chosen returns the changes of a decision. They belong to the set, match the entries, and still wait unchanged.
func (a *API) chosen(ctx context.Context, v Verdict) ([]decisions.HeldChange, error) {
	set, waits, err := a.heldSet(ctx, v.Container, v.Digest)
	if err != nil {
		return nil, err
	}
	if set.Unsigned {
		return nil, conflict("This set is not signed, because an earlier version or another program stored it: start " +
			"a sync, which stores what waits anew.")
	}
	named := map[string]bool{}
	var out []decisions.HeldChange
	for _, c := range set.Changes {
		if v.Entries != nil {
			if !v.Entries[c.Fingerprint] && !v.Entries[c.ID] {
				continue
			}
			named[c.Fingerprint], named[c.ID] = true, true
		}
		if waits(c.Fingerprint) {
			out = append(out, c)
		}
	}
	wrong := invalid{}
	for e := range v.Entries {
		if !named[e] {
			wrong.add("entries", "%q is not in this set.", e)
		}
	}
	if err := wrong.orNil(); err != nil {
		return nil, err
	}
	if len(out) == 0 {
		return nil, conflict("None of these changes waits any more: they were made, are no longer planned, or would " +
			"do something else by now.")
	}
	return out, nil
}

// heldSet returns a set by its digest, and whether the change with a fingerprint waits by now.
func (a *API) heldSet(ctx context.Context, c container.ID, digest string) (set decisions.HeldSet,
	waits func(print string) bool, err error) {
	set, err = a.cfg.Decisions.HeldBy(ctx, c, digest)
	if err != nil {
		return set, nil, err
	}
	counts, err := a.cfg.Decisions.HeldCounts(ctx, c)
	if err != nil || counts.Digest == digest {
		return set, func(string) bool { return true }, err
	}
	current, err := a.cfg.Decisions.Held(ctx, c)
	prints := make(map[string]bool, len(current.Changes))
	for i := range current.Changes {
		prints[current.Changes[i].Fingerprint] = true
	}
	return set, func(print string) bool { return prints[print] }, err
}

// Waiting returns those changes of a set that still wait unchanged. The set may be superseded.
func (a *API) Waiting(ctx context.Context, c container.ID, digest string) (decisions.HeldSet, error) {
	set, waits, err := a.heldSet(ctx, c, digest)
	set.Changes = slices.DeleteFunc(set.Changes, func(h decisions.HeldChange) bool { return !waits(h.Fingerprint) })
	return set, err
}

// SyncObject syncs the entry that a text names and waits for the result for Config.ObjectWait. The job that is
// returned may still be open. With an error it has an ID if the job was started. A text of more than 1024 characters is
// refused.
func (a *API) SyncObject(ctx context.Context, c container.ID, kind directory.Kind, text, by string) (status.Job,
	error) {
	if err := a.enabled(c); err != nil {
		return status.Job{}, err
	}
	wrong := invalid{}
	if checkObjectID(fieldObject, text, wrong); len(wrong) > 0 {
		return status.Job{}, wrong
	}
	match, err := a.findObject(ctx, c, kind, text)
	if err != nil {
		return status.Job{}, err
	}
	id, err := a.cfg.Jobs.StartObject(ctx, c, match.Source, match.Ref, by)
	if err != nil {
		return status.Job{}, err
	}
	job, err := a.cfg.Status.WaitJob(ctx, c, id, a.cfg.ObjectWait)
	job.ID, job.Kind, job.ObjectID = id, status.ObjectType(match.Ref.Kind.String()), string(match.Ref.ID)
	return job, err
}

// Lift deletes the pins of these entries, named by id or as "user/ID", and returns their number. Nil means all pins.
// The next sync then applies the state of the source.
func (a *API) Lift(ctx context.Context, c container.ID, entries map[string]bool) (int, error) {
	pins, err := a.cfg.Decisions.Pins(ctx, c)
	if err != nil {
		return 0, err
	}
	var refs []directory.Ref
	named := map[string]bool{}
	for _, p := range pins {
		if entries == nil || entries[string(p.ID)] || entries[p.String()] {
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
		return 0, err
	}
	if len(refs) == 0 {
		return 0, conflict("Nothing is pinned.")
	}
	return len(refs), a.cfg.Decisions.Pin(ctx, c, nil, refs)
}

// AcceptServer makes the server in doubt the reference for the next reads. It fails while a run is live, because that
// run would overwrite the new reference.
func (a *API) AcceptServer(ctx context.Context, c container.ID, by string) (directory.Position, error) {
	_, live, err := a.cfg.Status.Live(ctx, c)
	if err != nil {
		return directory.Position{}, err
	}
	if live {
		return directory.Position{}, conflict("A run is live: wait for its end, or cancel it.")
	}
	facts := a.cfg.Facts(c)
	f, err := facts.Facts(ctx)
	if err != nil {
		return directory.Position{}, err
	}
	accepted, pending := f.Positions.Accept()
	if !pending {
		return accepted, conflict("No server is in doubt.")
	}
	if err := facts.SetFacts(ctx, f); err != nil {
		return accepted, err
	}
	a.cfg.Log.InfoContext(ctx, "server accepted", "container", c, "by", by, "server", accepted.String())
	return accepted, nil
}

// Explain explains the state of one entry at every source and provider. It counts for the names of Sharers.
func (a *API) Explain(ctx context.Context, q explain.Query, sharers ...string) (explain.Document, error) {
	if a.cfg.Explainer == nil {
		return explain.Document{}, fault.Errorf(fault.NotFound, "explanations are not configured")
	}
	select {
	case a.explaining <- struct{}{}:
		defer func() { <-a.explaining }()
	default:
		return explain.Document{}, &problem{http.StatusServiceUnavailable,
			detail{Detail: "Too many explanations are asked for at once. Try again later."}}
	}
	release, mine := a.limits.explanations.take(sharers...)
	if !mine {
		full := tooMany("explanations")
		return explain.Document{}, &problem{full.status, full.body}
	}
	defer release()
	return a.cfg.Explainer.Explain(ctx, q)
}

// RefuseToken counts a wrong token that a web page got with those that the API got. It records the token, and waits if
// its address has sent many.
func (a *API) RefuseToken(r *http.Request) { a.refuse(r) }

// Client returns the address of the client of a request, as the audit log has it.
func (a *API) Client(r *http.Request) string { return a.client(r) }

// Audited carries out an action of a web page and records it in the audit log, before and after. What cannot be
// recorded is not carried out. do adds further facts to the details.
func (a *API) Audited(r *http.Request, scope string, rec audit.Record, do func(details map[string]string) error) error {
	rec.From = a.client(r)
	_, err := a.recorded(r, scope, rec,
		func(details map[string]string) (answer, error) { return answer{}, do(details) })
	return err
}

// Failure returns the status and the text of an error for people. It logs the details that only the operator may see.
func (a *API) Failure(r *http.Request, err error) (code int, text string) {
	out := a.failure(r, err)
	return out.status, rpcMessage(out.body)
}

// TypeTitle returns the name of a type of provider for people, or the text itself.
func (a *API) TypeTitle(kind string) string {
	for i := range a.cfg.Types {
		if a.cfg.Types[i].Name == kind {
			return a.cfg.Types[i].ProductName()
		}
	}
	return kind
}

// Facts are the stored facts with which the runs of one container compare their reads.
type Facts interface {
	Facts(ctx context.Context) (ledger.Facts, error)
	SetFacts(ctx context.Context, f ledger.Facts) error
}

// serverView names the server of a read and its position.
type serverView struct {
	Text        string              `json:"text"`
	Reference   directory.Position  `json:"reference,omitzero"`
	Pending     *directory.Position `json:"pending,omitempty"`
	PendingText string              `json:"pending_text"`
	// PolledAt is when the source last told its changes, and PollReason why the last poll did not.
	PolledAt   *stamp `json:"polled_at,omitempty"`
	PollReason string `json:"poll_reason,omitempty"`
}

// acceptedView is the response to an acceptance.
type acceptedView struct {
	Accepted directory.Position `json:"accepted"`
	Text     string             `json:"text"`
}

// server shows the position of the last trusted read, and of a read that is in doubt.
func (a *API) server(r *request) (answer, error) {
	if a.cfg.Facts == nil {
		return notFound(), nil
	}
	f, err := a.cfg.Facts(r.container()).Facts(r.Context())
	if err != nil {
		return answer{}, err
	}
	poll, err := a.cfg.Status.Poll(r.Context(), r.container())
	if err != nil {
		return answer{}, err
	}
	view := serverView{Reference: f.Positions.Reference, Pending: f.Positions.Pending,
		PolledAt:   explain.MomentOf(poll.At),
		PollReason: poll.Reason}
	if !view.Reference.IsZero() {
		view.Text = view.Reference.String()
	}
	if view.Pending != nil {
		view.PendingText = view.Pending.String()
	}
	return ok(view), nil
}

// acceptServer makes the server in doubt the reference for the next reads.
func (a *API) acceptServer(r *request) (answer, error) {
	if a.cfg.Facts == nil {
		return notFound(), nil
	}
	accepted, err := a.AcceptServer(r.Context(), r.container(), r.by())
	return ok(acceptedView{accepted, accepted.String()}), err
}
