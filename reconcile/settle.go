package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/internal/secret"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/source"
)

// settle judges one result. It is the first of the three switches over fault.Kind. A failure belongs to its object;
// an error stops the run.
func (a *applier) settle(ctx context.Context, i int, c *plan.Change, r provider.Result, sent bool) error {
	if errors.Is(r.Err, provider.ErrSuperseded) {
		a.superseded(i, changedMeanwhile)
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.report.Results != nil && i < len(a.report.Apply.Changes) {
		a.report.Results[i] = r
	}
	l := &a.lanes[c.Lane()]
	if r.Err == nil {
		a.succeeded(l, c, r)
		a.concluded(i, freed)
		return nil
	}
	kind := fault.KindOf(r.Err)
	a.notSuspended(c, kind)
	if sent && kind != fault.Unavailable {
		a.answered(c)
	}
	err := fmt.Errorf("%s: %w", describe(c), r.Err)
	switch kind {
	case fault.Canceled:
		return err
	case fault.Throttled:
		l.throttled = err
		if a.secondPass {
			a.deferral = err
		}
		a.postpone(i)
		return nil
	case fault.Unavailable:
		if ctx.Err() != nil || a.noAnswer(i, c, r) {
			return err
		}
		return nil
	case fault.Refused, fault.Denied:
		l.refuse(c.Ref)
		a.refused = append(a.refused, c.Claim())
		if kind == fault.Denied {
			a.denied = err
		}
	case fault.NotFound:
		if !c.Op.Membership() && c.Op != plan.Suspend && c.Op != plan.Delete {
			a.lost = append(a.lost, c.Ref)
		}
	case fault.Internal:
		a.internal = err
	case fault.Invalid:
		if r, ok := c.Reject(fault.RejectedField(r.Err), a.cfg.Now()); ok {
			a.rejections = append(a.rejections, r)
		}
	case fault.Conflict, fault.Unsafe:
	}
	a.failed(c, r)
	a.gained(c)
	a.concluded(i, notFreed)
	return nil
}

// notSuspended takes back what was noted before a suspension or deletion that the target refused, so that the leaver is
// tried again. An account that is not found keeps its link, and with it what the budget has of it. The answer may be a
// gateway's, and the next list tells. The caller holds the lock.
func (a *applier) notSuspended(c *plan.Change, kind fault.Kind) {
	if uncertain(kind) || a.mute[c.Ref].writes > 0 {
		return // It, or an earlier attempt, may have been carried out.
	}
	e := a.ending[c.Ref]
	if e != nil && e.failed.Err != nil && uncertain(fault.KindOf(e.failed.Err)) {
		return
	}
	suspends := c.Op == plan.Suspend || c.Op == plan.Delete && c.Kind == directory.User && !c.Inactive
	if link := a.link(c.Ref); suspends && link.Suspended {
		link.Suspended = a.view.links[c.Ref].Suspended
		a.set(c.Ref, link)
	}
}

// uncertain reports whether a refused write may have been carried out, now or later.
func uncertain(kind fault.Kind) bool {
	return kind == fault.Unavailable || kind == fault.Canceled || kind == fault.Internal || kind == fault.Throttled
}

// noAnswer notes a write without an answer. It reports whether so many objects in a row gave none that the target
// counts as down. The caller holds the lock.
func (a *applier) noAnswer(i int, c *plan.Change, r provider.Result) (down bool) {
	if provider.IsSettling(r.Err) { // The target answered.
		clear(a.down)
		a.heard = true
	} else if a.down[c.Ref] = true; len(a.down) >= mostUnavailable {
		return true
	}
	m := a.mute[c.Ref]
	a.mute[c.Ref] = muteness{writes: m.writes + 1, last: r}
	if !a.secondPass {
		a.postpone(i)
		return false
	}
	a.unanswered = append(a.unanswered, outcome{i, r})
	a.gained(c)
	a.concluded(i, notFreed)
	return false
}

// answered notes that the target answered a write. The caller holds the lock.
func (a *applier) answered(c *plan.Change) {
	clear(a.down)
	delete(a.mute, c.Ref)
	a.heard, a.silent = true, false
}

// spared reports whether a change is not tried because its object gave no answer several times in this pass. The
// first pass leaves it to the second, which gives it the outcome of the object's last write. The caller holds the lock.
func (a *applier) spared(i int) bool {
	c := &a.changes[i]
	m := a.mute[c.Ref]
	if m.writes < mostMute {
		return false
	}
	if !a.secondPass {
		a.postpone(i)
		return true
	}
	a.unanswered = append(a.unanswered, outcome{i, m.last})
	a.gained(c)
	a.concluded(i, notFreed)
	return true
}

// silence judges the changes that got no response twice. They fail if other changes got one. If the target was silent
// at the end of the first pass, and stays so, it is down, and the run is deferred. A local copy that lacks a change is
// nothing to sync from, so a full run of it is deferred too.
func (a *applier) silence() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.unanswered) == 0 {
		return
	}
	first := a.unanswered[0]
	whole := a.cfg.Provider.Capabilities().Mirror && !a.run.Scope.limited()
	if (a.silent || whole) && !a.run.Insist {
		a.deferral = fmt.Errorf("%s: %w", describe(&a.changes[first.at]), first.result.Err)
		return
	}
	for _, o := range a.unanswered {
		a.failed(&a.changes[o.at], o.result)
	}
	a.unanswered = nil
}

// succeeded records a successful change. The caller holds the lock.
func (a *applier) succeeded(l *lane, c *plan.Change, r provider.Result) {
	a.run.Journal.Done(c, r)
	l.accepted = true
	a.report.Applied++
	a.answered(c)
	if r.Note != "" {
		a.run.Journal.Say(Info, r.Note, about(c))
	}
	if e := a.ending[c.Ref]; e != nil {
		e.suspended, e.failed = e.suspended || c.Op == plan.Suspend, provider.Result{}
	}
	a.hop.learn(a, c, r)
	a.gained(c)
}

// failed records and reports a failed change. The caller holds the lock.
func (a *applier) failed(c *plan.Change, r provider.Result) {
	if e := a.ending[c.Ref]; e != nil && c.Op == plan.Suspend {
		e.failed = r // The deletion tells.
		return
	} else if e != nil && e.failed.Err != nil {
		r.Err = fmt.Errorf("%w; the account could not be suspended before: %w", r.Err, e.failed.Err)
		e.failed = provider.Result{}
	}
	a.run.Journal.Done(c, r)
	a.report.Failed++
	a.again = append(a.again, c.Ref)
	m := about(c)
	m["reason"] = fault.KindOf(r.Err).String()
	if r.RequestID != "" {
		m["request_id"] = r.RequestID
	}
	a.run.Journal.Say(Error, "Failed: "+describe(c)+": "+rejected(c, r.Err)+r.Err.Error(), m)
}

// untold reports the failed suspensions of users whose deletion has no outcome.
func (a *applier) untold() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := len(a.report.Apply.Changes); i < len(a.changes); i++ {
		c := &a.changes[i]
		if r := a.ending[c.Ref].failed; r.Err != nil {
			delete(a.ending, c.Ref)
			a.failed(c, r)
		}
	}
}

// rejected names the field and the value that the remote side rejected, if it reported them and the error does not.
func rejected(c *plan.Change, err error) string {
	name := fault.RejectedField(err)
	if name == "" {
		return ""
	}
	value := c.Address
	for _, f := range c.Fields {
		if f.Name == name {
			value = strings.Join(f.After, ", ")
		}
	}
	if plan.Secret(name) {
		value = secret.Redacted
	}
	if strings.Contains(err.Error(), strconv.Quote(value)) {
		return ""
	}
	return fmt.Sprintf("%s %q: ", name, value)
}

// verify compares the plan of a full run with what the source tells of its changes since the last run. A change that
// it does not tell was missed by the delta runs in between.
func (e *Engine) verify(ctx context.Context, run Run, v *view, r *Report) error {
	d := v.delta
	if d.since.IsZero() || len(r.Apply.Changes)+len(r.Held.Changes) == 0 {
		return nil
	}
	c, err := e.cfg.Source.(source.Delta).Changes(ctx, d.since)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrReadSource, err)
	}
	if c.Whole != "" {
		return nil
	}
	told := map[directory.Ref]bool{}
	mark(told, c.Refs...)
	for _, g := range c.Gone {
		told[g.Ref] = true
	}
	for ref := range d.seen {
		told[ref] = true
	}
	links := links{desired: v.desired.Desired}
	for _, changes := range [][]plan.Change{r.Apply.Changes, r.Held.Changes} {
		for i := range changes {
			ch := &changes[i]
			if told[ch.Ref] || ch.Member != nil && told[*ch.Member] || links.follow(ch) {
				continue
			}
			if r.Drift++; r.Drift <= mostNamed {
				run.Journal.Say(Error, "Missed by delta runs: "+describe(ch)+". This full run puts it right. "+
					"Report the fault, and set delta: off for this source until it is understood.", about(ch))
			}
		}
	}
	return nil
}

// links recognises the DN values that a server keeps in step itself. Active Directory changes the manager of an entry
// when the manager is renamed, moved or deleted, and does not tell it as a change of the entry.
type links struct {
	desired []plan.Desired
	// names are the keys of the DNs that entries have now.
	names map[string]bool
}
