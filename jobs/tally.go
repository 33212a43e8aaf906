package jobs

import (
	"context"
	"sync"
	"time"

	"rollcall/container"
	"rollcall/directory"
	"rollcall/internal/metrics"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/status"
)

// tally counts and measures the work of one execution on one container, and remembers the entries that wait for
// suspension.
type tally struct {
	work *metrics.Work
	name container.ID
	now  func() time.Time

	mu      sync.Mutex
	known   bool // there is a plan
	waiting map[directory.Ref]time.Time
}

func (w *Worker) tally(name container.ID) *tally {
	return &tally{work: w.cfg.Metrics, name: name, now: w.cfg.Now}
}

// planned notes the planned suspensions, held or not, with the departure times of their entries.
func (t *tally) planned(apply, held plan.Plan) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.known, t.waiting = true, map[directory.Ref]time.Time{}
	if t.name.IsSource() { // A source has no suspensions. Its leavers are gone at once.
		return
	}
	for _, changes := range [][]plan.Change{apply.Changes, held.Changes} {
		for i := range changes {
			c := &changes[i]
			if c.Op != plan.Suspend {
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
	switch {
	case c.Op == plan.Suspend:
		t.mu.Lock()
		delete(t.waiting, c.Ref)
		t.mu.Unlock()
		if !c.Since.IsZero() && !r.Foreign {
			t.work.Suspended(t.name, t.now().Sub(c.Since))
		}
	case c.Op != plan.Delete && !c.Since.IsZero():
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

// Done implements reconcile.Journal.
func (c counted) Done(ch *plan.Change, r provider.Result) {
	c.tally.done(ch, r)
	c.notes.Done(ch, r)
}
