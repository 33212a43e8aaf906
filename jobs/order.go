package jobs

import (
	"context"
	"time"

	"rollcall/container"
	"rollcall/fault"
	"rollcall/status"
)

// ordered reports whether a person ordered that the user leaves, and the order stands at the provider.
func (o *objectSync) ordered(ctx context.Context, provider container.ID) (bool, error) {
	orders, err := o.cfg.Decisions.Orders(ctx)
	orders = orders.At(provider)
	return orders.Of(o.ref) != nil, err
}

// suspended carries out an order to leave. The source is not read, because its answer changes nothing.
func (o *objectSync) suspended(ctx context.Context, c *Container) (status.Outcome, error) {
	if err := o.awaitWrite(ctx, c); err != nil {
		return "", err
	}
	o.say(status.Info, "The account stays suspended by order, until the directory agrees or the order is lifted.")
	report, err := o.second(ctx, c)
	if err != nil {
		return "", err
	}
	return o.outcome(report)
}

// awaitWrite waits for the end of a write to the account that may have begun before the order was given. Each later one
// finds the order.
func (o *objectSync) awaitWrite(ctx context.Context, c *Container) error {
	for {
		unlock, ok, err := o.cfg.Status.Unleased(c.Name, o.homes.halt(c.Name)).Lock(ctx, o.ref.String())
		if err != nil {
			return err
		}
		if ok {
			unlock()
			return nil
		}
		select {
		case <-ctx.Done():
			return fault.Errorf(fault.Unavailable, "another write to the account did not end")
		case <-time.After(lockedAgain):
		}
	}
}

// lockedAgain is the time between two looks at the lock of an entry.
const lockedAgain = 100 * time.Millisecond
