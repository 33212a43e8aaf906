package jobs

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"rollcall/container"
	"rollcall/decisions"
	"rollcall/directory"
	"rollcall/fault"
	"rollcall/internal/metrics"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/reconcile"
	"rollcall/status"
)

// journal implements reconcile.Journal on a run's recorder.
type journal struct {
	rec    *status.Recorder
	trail  *decisions.Trail
	run    string
	name   container.ID
	log    *slog.Logger
	logger string
	tally  *tally
	// began is when the run began to read. It is zero for a run that carries out only a part of its plan.
	began time.Time
}

// Read implements reconcile.Journal.
func (j *journal) Read(users, groups, memberships int) {
	j.rec.Read(status.User, users)
	j.rec.Read(status.Group, groups)
	j.rec.Read(status.Membership, memberships)
	j.log.Info("read", "users", users, "groups", groups, "memberships", memberships)
}

// Planned implements reconcile.Journal.
func (j *journal) Planned(ctx context.Context, apply, held plan.Plan) error {
	counts := map[status.Expectation]int64{}
	for i := range apply.Changes {
		o, c := changeType(&apply.Changes[i])
		counts[status.Expectation{Object: o, Change: c}]++
		if _, ok := apply.Changes[i].Suspension(false); ok && c == status.Delete && !j.name.IsSource() {
			counts[status.Expectation{Object: o, Change: status.Deactivate}]++
		}
	}
	j.tally.planned(apply, held)
	since, _ := j.tally.longest()
	p := status.Planned{
		Digest: apply.Digest(), Held: int64(len(held.Changes) + len(apply.Held)), ReadAt: j.began, LeaverSince: since,
		HeldEntries: map[string]int64{}, Follow: j.name.IsSource() && !apply.Empty(),
		Takes: apply.Takes,
	}
	for i := range apply.Held {
		p.HeldEntries[string(apply.Held[i].Reason)]++
	}
	for e, n := range counts {
		e.Count = n
		p.Expected = append(p.Expected, e)
	}
	if err := j.document(ctx, p.Digest, apply, held); err != nil {
		return err
	}
	j.log.Info("planned", "changes", len(apply.Changes), "held", len(held.Changes), "conflicts", len(apply.Held),
		"digest", p.Digest)
	return j.rec.Planned(ctx, p)
}

// document stores the plan in readable form before any part of it is carried out.
func (j *journal) document(ctx context.Context, digest string, apply, held plan.Plan) error {
	summary, err := json.Marshal(plan.Summarize(apply, held))
	if err != nil {
		return fault.New(fault.Internal, "store plan", err)
	}
	head := status.PlanHead{Digest: digest, Idle: apply.Empty(), Summary: summary}
	return j.rec.SavePlan(ctx, head, func(yield func(string, any) bool) {
		for row := range plan.Rows(apply, held) {
			if !yield(string(row.Kind), row) {
				return
			}
		}
	})
}

// Applied implements reconcile.Journal.
func (j *journal) Applied(r *reconcile.Report, recorded error) {
	j.log.Info("applied", "changes", r.Applied, "failed", r.Failed, "superseded", r.Superseded)
	if recorded == nil {
		j.log.Info("recorded")
	}
}

// Done implements reconcile.Journal.
func (j *journal) Done(c *plan.Change, r provider.Result) {
	j.tally.done(c, r)
	o, ch := changeType(c)
	if r.Err == nil {
		j.rec.Succeeded(o, ch, 1)
	} else if kind := fault.KindOf(r.Err); kind != fault.Throttled && kind != fault.Canceled {
		// This run retries throttled and canceled changes.
		j.rec.Failed(o, ch, 1)
		j.rec.FailedBy(kind.String(), 1)
	}
	if !j.name.IsSource() {
		entry, a := attemptOf(c, r)
		a.RunID = j.run
		j.trail.Add(entry, a)
		j.tally.receipt(j.trail, c, r, a)
	}
	j.log.Debug("change", "op", c.Op.String(), "kind", c.Kind.String(), "id", string(c.ID), "remote_id", c.RemoteID,
		"err", r.Err)
}

// attemptOf returns the record of an attempted change and the entry that it is stored under. For a membership that is
// the member. Attempts on the local directory are not stored, because it is our own copy.
func attemptOf(c *plan.Change, r provider.Result) (entry string, a decisions.Attempt) {
	a = decisions.Attempt{Op: c.Op.String(), RemoteID: cmp.Or(r.RemoteID, c.RemoteID), RequestID: r.RequestID}
	for _, f := range c.Fields {
		a.Fields = append(a.Fields, f.Name)
	}
	if r.Err != nil {
		a.FailKind, a.FailText = fault.KindOf(r.Err).String(), r.Err.Error()
	}
	if c.Member == nil {
		return c.Ref.String(), a
	}
	a.Group, a.RemoteID = string(c.ID), ""
	return c.Member.String(), a
}

// Say implements reconcile.Journal.
func (j *journal) Say(level reconcile.Level, event string, attributes map[string]any) {
	j.rec.Log(status.Message{Level: status.Level(level), Logger: j.logger, Event: event, Attributes: attributes})
}

// changeType returns the heading of the progress under which a change is counted, in the terms of contract B.
func changeType(c *plan.Change) (status.ObjectType, status.ChangeType) {
	o := status.User
	if c.Kind == directory.Group {
		o = status.Group
	}
	switch c.Op {
	case plan.Create, plan.Undelete:
		return o, status.Create
	case plan.Suspend:
		return o, status.Deactivate
	case plan.Restore:
		return o, status.Activate
	case plan.Delete:
		return o, status.Delete
	case plan.AddMember:
		return status.Membership, status.Create
	case plan.RemoveMember:
		return status.Membership, status.Delete
	case plan.Update, plan.Adopt, plan.Reanchor:
	}
	return o, status.Update
}

// notes implements reconcile.Journal for an object job. It collects messages for the response.
type notes struct {
	logger   string
	mu       sync.Mutex
	messages []status.Message
	// quiet omits messages about the plan as a whole, because the response of an object job is about one entry.
	quiet bool
	// trail keeps what was tried, in the name of job; nil keeps nothing.
	trail *decisions.Trail
	job   string
}

// Read implements reconcile.Journal.
func (n *notes) Read(_, _, _ int) {}

// Planned implements reconcile.Journal.
func (n *notes) Planned(context.Context, plan.Plan, plan.Plan) error { return nil }

// Applied implements reconcile.Journal.
func (n *notes) Applied(*reconcile.Report, error) {}

// Done implements reconcile.Journal.
func (n *notes) Done(*plan.Change, provider.Result) {}

// Say implements reconcile.Journal.
func (n *notes) Say(level reconcile.Level, event string, attributes map[string]any) {
	if n.quiet && len(attributes) == 0 && level == reconcile.Info {
		return
	}
	n.add(status.Message{Level: status.Level(level), Logger: n.logger, Event: event, Attributes: attributes})
}

func (n *notes) add(m status.Message) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.messages = append(n.messages, m)
}

// tally counts and measures the work of one execution on one container, and remembers the entries that wait for
// suspension.
type tally struct {
	work *metrics.Work
	name container.ID
	now  func() time.Time

	mu      sync.Mutex
	known   bool      // there is a plan
	decided time.Time // when it had passed the guards
	waiting map[directory.Ref]time.Time
}

func (w *Worker) tally(name container.ID) *tally {
	return &tally{work: w.cfg.Metrics, name: name, now: w.cfg.Now}
}

// planned notes the planned suspensions, held or not, with the departure times of their entries.
func (t *tally) planned(apply, held plan.Plan) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.known, t.decided, t.waiting = true, t.now(), map[directory.Ref]time.Time{}
	if t.name.IsSource() { // A source has no suspensions. Its leavers are gone at once.
		return
	}
	for _, changes := range [][]plan.Change{apply.Changes, held.Changes} {
		for i := range changes {
			c := &changes[i]
			if _, ok := c.Suspension(false); !ok {
				continue
			}
			since := c.Since
			if since.IsZero() {
				since = t.now()
			}
			t.waiting[c.Ref] = since
		}
	}
}

// done counts a change.
func (t *tally) done(c *plan.Change, r provider.Result) {
	object, change := changeType(c)
	t.work.Change(t.name, object, change, r.Err)
	if r.Err != nil || t.name.IsSource() {
		return
	}
	if c.Op == plan.Suspend || c.Op == plan.Delete {
		t.mu.Lock()
		delete(t.waiting, c.Ref)
		t.mu.Unlock()
	}
	switch {
	case c.Since.IsZero(), c.Op == plan.Delete, c.Op == plan.Suspend && r.Foreign:
	case c.Op == plan.Suspend:
		t.work.Suspended(t.name, t.now().Sub(c.Since))
	default:
		t.work.Provisioned(t.name, t.now().Sub(c.Since))
	}
}

// longest returns the departure time of the entry that has waited longest for suspension, or zero if none waits.
// known is false if nothing was planned.
func (t *tally) longest() (since time.Time, known bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, at := range t.waiting {
		if since.IsZero() || at.Before(since) {
			since = at
		}
	}
	return since, t.known
}

// keepLeavers records the entries that still wait for suspension when a run stops. Only a metric depends on it.
func keepLeavers(lease *status.Lease, t *tally) {
	since, known := t.longest()
	if !known {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(lease.Context()), 2*time.Second)
	defer cancel()
	_ = lease.Leaver(ctx, since)
}

// counted is the journal of an object job's hop.
type counted struct {
	*notes
	tally *tally
}

// Planned implements reconcile.Journal.
func (c counted) Planned(context.Context, plan.Plan, plan.Plan) error {
	c.tally.decide()
	return nil
}

// Done implements reconcile.Journal.
func (c counted) Done(ch *plan.Change, r provider.Result) {
	c.tally.done(ch, r)
	if c.trail == nil {
		return
	}
	entry, a := attemptOf(ch, r)
	a.RunID, a.Job = c.job, true
	c.trail.Add(entry, a)
	c.tally.receipt(c.trail, ch, r, a)
}

// decide notes that a plan passed the guards now.
func (t *tally) decide() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.decided = t.now()
}

// receipt stores the receipt of a user's departure, or ends that of a user who came back. a is the attempt.
func (t *tally) receipt(trail *decisions.Trail, c *plan.Change, r provider.Result, a decisions.Attempt) {
	entry := c.Ref.String()
	switch {
	case c.Kind != directory.User || r.Err != nil:
	case c.Op == plan.Restore || c.Op == plan.Create || c.Op == plan.Undelete && !c.Inactive:
		trail.Return(entry)
	case c.Op == plan.Suspend || c.Op == plan.Delete && !c.Inactive:
		t.mu.Lock()
		out := decisions.Receipt{Op: a.Op, Why: string(c.Why), Seen: c.Since, Decided: t.decided, Confirmed: t.now(),
			Foreign: r.Foreign, RunID: a.RunID, Job: a.Job}
		t.mu.Unlock()
		if out.Seen.IsZero() {
			out.Seen = out.Decided
		}
		switch {
		case r.SessionsEnded:
			out.Sessions = decisions.SessionsEnded
		case c.EndSessions && !r.Foreign:
			out.Sessions = decisions.SessionsFailed
		}
		trail.Confirm(entry, out)
	}
}
