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

// Apply implements provider.Provider: one change after the other. Whoever wants more at once calls it several times.
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
	return provider.Result{RemoteID: out.remoteID, Note: out.note, Foreign: out.foreign, Err: err}
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
	return p.call(ctx, op, func(ctx context.Context) error {
		if err := classify(ctx, op, fn(ctx)); err != nil {
			return retell(err)
		}
		return nil
	})
}

// settling retells errors that a little patience cures: 404 for an object that this process just created, and, unless
// the write itself takes an address, 409 for one whose address was just changed.
func (p *Provider) settling(takesAddress bool, ids ...string) func(error) error {
	return func(err error) error {
		status, _ := code(err)
		switch {
		case status == http.StatusNotFound && slices.ContainsFunc(ids, p.recent.Has):
			return fault.Errorf(fault.Unavailable, "created moments ago and not yet everywhere: %w", err)
		case status == http.StatusConflict && !takesAddress:
			return fault.Errorf(fault.Unavailable, "an earlier change is still settling: %w", err)
		}
		return err
	}
}

// gone is the error for an object that the ledger knows and Google does not.
func (p *Provider) gone(c *plan.Change) error {
	kind := fault.NotFound
	if p.recent.Has(c.RemoteID) {
		kind = fault.Unavailable
	}
	return fault.Errorf(kind, "%s %s is not there", c.Kind, c.RemoteID)
}

// carries refuses an object that does not carry the wanted anchor: somebody took it out of our hands.
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
