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

// Apply implements provider.Provider. It carries out the changes one after the other.
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

// outcome is the result of a change, besides its error.
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

// newAddress returns the new address of the object, or "" if the change keeps the address.
func newAddress(c *plan.Change) string {
	if slices.ContainsFunc(c.Fields, func(f plan.FieldChange) bool { return f.Name == plan.AddressField }) {
		return c.Address
	}
	return ""
}

// code returns the status and the reason of Google's answer, or zero values.
func code(err error) (status int, reason string) {
	if a, ok := errors.AsType[*answer](err); ok {
		return a.code, a.reason
	}
	return 0, ""
}

// callAs makes a call with errors that have a special meaning in its context. reclassify gets the classified error
// before the Caller does.
func (p *Provider) callAs(
	ctx context.Context, op string, reclassify func(error) error, fn func(context.Context) error,
) error {
	err := p.call(ctx, op, func(ctx context.Context) error {
		if err := classify(ctx, op, fn(ctx)); err != nil {
			return reclassify(err)
		}
		return nil
	})
	e, ok := errors.AsType[*fault.Error](err)
	if ok && e.Kind == fault.Unavailable && fault.KindOf(e.Err) == fault.NotFound {
		return fault.New(fault.NotFound, "", e.Err) // The repetitions did not help.
	}
	return err
}

// patience is how often a request is repeated after a 404. A new object becomes visible everywhere after some
// seconds. Until then no worker can distinguish it from a deleted object.
const patience = 3

// settling returns a function that makes temporary errors Unavailable. These are a 404, unless gone is set, which
// makes 404 an answer, and a 409 to a write without an address. Such a 409 can follow a recent change of the address.
func settling(takesAddress, gone bool) func(error) error {
	patient := retryMissing()
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

// retryMissing returns a function that makes the first NotFound errors Unavailable.
func retryMissing() func(error) error {
	left := patience
	return func(err error) error {
		if fault.KindOf(err) != fault.NotFound || left == 0 {
			return err
		}
		left--
		return fault.Errorf(fault.Unavailable, "not found, or not yet visible everywhere: %w", err)
	}
}

// gone returns the error for an object that is in the ledger and not at Google.
func gone(c *plan.Change) error {
	return fault.Errorf(fault.NotFound, "%s %s does not exist", c.Kind, c.RemoteID)
}

// carries returns an error unless the object carries one of the wanted anchors.
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

// unprotected returns an error for an object that is protected.
func unprotected(c *plan.Change, why string) error {
	if why == "" {
		return nil
	}
	return fault.Errorf(fault.Conflict, "%s: %s %s is protected: %s", c.Op, c.Kind, c.RemoteID, why)
}
