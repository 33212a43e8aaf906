package googleworkspace

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider"
)

// Apply implements provider.Provider. It carries out one change after the other.
func (p *Provider) Apply(ctx context.Context, batch []plan.Change) []provider.Result {
	results := make([]provider.Result, len(batch))
	for i := range batch {
		if err := ctx.Err(); err != nil {
			results[i] = provider.Result{RemoteID: batch[i].RemoteID, Err: fault.New(fault.KindOf(err), "", err)}
			continue
		}
		results[i] = p.apply(ctx, &batch[i])
	}
	return results
}

// outcome is what a change came to, besides its error.
type outcome struct {
	remoteID string
	note     string
	foreign  bool
}

func (p *Provider) apply(ctx context.Context, c *plan.Change) provider.Result {
	out, err := p.carryOut(ctx, c)
	if out.remoteID == "" {
		out.remoteID = c.RemoteID
	}
	return provider.Result{RemoteID: out.remoteID, Note: out.note, Foreign: out.foreign, Err: detailed(c, err)}
}

func (p *Provider) carryOut(ctx context.Context, c *plan.Change) (outcome, error) {
	if c.Op.Membership() {
		return p.changeMember(ctx, c)
	}
	if c.Op != plan.Create && c.RemoteID == "" {
		return outcome{}, fault.Errorf(fault.NotFound, "%s has no remote object", c.Ref)
	}
	if c.Kind == directory.Group {
		return p.changeGroup(ctx, c)
	}
	return p.changeUser(ctx, c)
}

// newAddress returns the address that a change gives the object; "" where it leaves it alone.
func newAddress(c *plan.Change) string {
	if slices.ContainsFunc(c.Fields, func(f plan.FieldChange) bool { return f.Name == plan.AddressField }) {
		return c.Address
	}
	return ""
}

// code returns the status and the reason that Google answered, or zero.
func code(err error) (status int, reason string) {
	if a, ok := errors.AsType[*answer](err); ok {
		return a.code, a.reason
	}
	return 0, ""
}

// callAs is call for a method whose errors mean something else in its circumstances; retell sees the classified error
// before the Caller does.
func (p *Provider) callAs(ctx context.Context, op string, retell func(error) error, fn func(context.Context) error) error {
	err := p.call(ctx, op, func(ctx context.Context) error {
		if err := classify(ctx, op, fn(ctx)); err != nil {
			return retell(err)
		}
		return nil
	})
	if e, ok := errors.AsType[*fault.Error](err); ok && e.Kind == fault.Unavailable && fault.KindOf(e.Err) == fault.NotFound {
		return fault.New(fault.NotFound, "", e.Err) // Patience did not help.
	}
	return err
}

// patience is how often a 404 is tried again. A new object shows everywhere after some seconds, and until then no worker
// can tell it from an object that is gone.
const patience = 3

// settling returns a function that makes errors Unavailable that a little patience cures: a 404, unless gone says that it
// is an answer, and a 409 of a write that takes no address, since the address may just have been changed.
func settling(takesAddress, gone bool) func(error) error {
	patient := patiently()
	return func(err error) error {
		status, _ := code(err)
		switch {
		case status == http.StatusNotFound && !gone:
			return patient(err)
		case status == http.StatusConflict && !takesAddress:
			return fault.Errorf(fault.Unavailable, "an earlier change is still settling: %w", err)
		}
		return err
	}
}

// patiently returns a function that makes the first errors that are NotFound Unavailable.
func patiently() func(error) error {
	left := patience
	return func(err error) error {
		if fault.KindOf(err) != fault.NotFound || left == 0 {
			return err
		}
		left--
		return fault.Errorf(fault.Unavailable, "not there, or not yet everywhere: %w", err)
	}
}

// gone is the error for an object that the ledger knows and Google does not show.
func gone(c *plan.Change) error {
	return fault.Errorf(fault.NotFound, "%s %s is not there", c.Kind, c.RemoteID)
}

// carries refuses an object that does not carry one of the wanted anchors.
func carries(c *plan.Change, anchors []string, want ...directory.ID) error {
	id, problem := one(anchors)
	switch {
	case problem != "":
		return fault.Errorf(fault.Conflict, "%s %s: %s", c.Kind, c.RemoteID, problem)
	case slices.Contains(want, id):
		return nil
	case id == "":
		return fault.Errorf(fault.Conflict, "%s %s no longer carries our anchor", c.Kind, c.RemoteID)
	}
	return fault.Errorf(fault.Conflict, "%s %s carries the anchor of another entry (%s)", c.Kind, c.RemoteID, id)
}

// unprotected refuses to take over or to harm an object that is protected.
func unprotected(c *plan.Change, why string) error {
	if why == "" {
		return nil
	}
	return fault.Errorf(fault.Conflict, "%s: %s %s is protected: %s", c.Op, c.Kind, c.RemoteID, why)
}
