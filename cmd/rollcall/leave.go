package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rollcall/api"
	"rollcall/container"
	"rollcall/internal/client"
	"rollcall/status"
)

// leavePatience is how long leave waits for the tenants.
const leavePatience = time.Minute

func leaveCommand(e *env) *cobra.Command {
	var lift bool
	c := &cobra.Command{
		Use: "leave [ID|MAIL|USERNAME]", Short: "Suspend one person everywhere, now",
		Long: `Orders that a person leaves. Each provider suspends the account at once, ahead of every run, and
ends its sessions where it can. No run lifts the suspension until the directory says that the person
is disabled or gone, or until --lift. Administrators and protected accounts are never suspended.
Without an argument it lists the orders that stand.`,
		Example: "  rollcall leave ada@example.com\n  rollcall leave --lift ada@example.com",
		Args:    cobra.MaximumNArgs(1),
	}
	c.Flags().BoolVar(&lift, "lift", false, "end the order: the directory decides again")
	yes := yesFlag(c)
	return remoteCommand(e, c, func(ctx context.Context, r *remote, args []string) error {
		if len(args) == 0 {
			return r.orders(ctx)
		}
		text := "Suspend %s everywhere, now? [y/N] "
		if lift {
			text = "Let the directory decide about %s again? [y/N] "
		}
		err := r.sure(ctx, *yes, "Nothing was ordered.", func() error {
			_, err := fmt.Fprintf(r.stdout, text, cell(args[0]))
			return err
		})
		if err != nil {
			return err
		}
		a, err := r.Leave(ctx, args[0], lift)
		if err != nil || r.asJSON {
			return r.answer(a.Body, err, "")
		}
		return r.confirmed(ctx, a.Value, lift)
	})
}

// orders lists the orders that stand.
func (r *remote) orders(ctx context.Context) error {
	a, err := r.Leaves(ctx)
	if err != nil || r.asJSON || len(a.Value.Orders) == 0 {
		return r.answer(a.Body, err, "No order to leave stands.\n")
	}
	t := newTable(r.stdout, "PERSON", "ID", "SOURCE", "ORDERED", "BY", "AT")
	for _, o := range a.Value.Orders {
		t.row(o.Label, o.ID, o.Source, r.moment(o.At.Time()), o.By, r.places(o))
	}
	return t.flush()
}

// places says at which providers an order stands, and which of them have confirmed it.
func (r *remote) places(o api.Order) string {
	out := make([]string, 0, len(o.Providers))
	for _, at := range o.Providers {
		text := string(at.Container)
		switch {
		case at.State == "ended":
			text += " (ended)"
		case at.Confirmed != nil:
			text += " (confirmed " + r.moment(at.Confirmed.Time()) + ")"
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

// confirmed waits for the jobs and prints what each tenant confirmed.
func (r *remote) confirmed(ctx context.Context, o api.Ordered, lift bool) error {
	what := "has to leave, until the directory agrees or rollcall leave --lift"
	if lift {
		what = "is no longer under an order; the directory decides"
	}
	fmt.Fprintf(r.stdout, "%s (%s) %s\n", cell(o.Order.Label), cell(o.Order.ID), what)
	ctx, cancel := context.WithTimeout(ctx, leavePatience)
	defer cancel()
	code := 0
	for _, j := range o.Jobs {
		if j.JobID == "" {
			fmt.Fprintf(r.stdout, "%s: %s\n", j.Container, cell(j.Problem))
			code = codeFailure
			continue
		}
		a, err := r.finished(ctx, j.Container, j.JobID)
		if err != nil && ctx.Err() == nil {
			return err
		}
		job := a.Value
		outcome := string(job.Outcome)
		if job.State != status.JobDone {
			outcome = "still " + string(cmp.Or(job.State, status.JobQueued)) + "; rollcall explain says how it ends"
		}
		fmt.Fprintf(r.stdout, "%s: %s\n", j.Container, outcome)
		for _, m := range job.Messages {
			if m.Level == client.Warning || m.Level == client.Failure {
				fmt.Fprintf(r.stdout, "  %s\n", sentence(m))
			}
		}
		switch {
		case job.State != status.JobDone || job.Outcome == status.OutcomeFailed:
			code = codeFailure
		case job.Outcome == status.OutcomeHeld && code == 0:
			code = codeHeld
		}
	}
	return quiet(code)
}

func pauseCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use: "pause CONTAINER|--all", Short: "Stop writing to a source or provider until it is resumed",
		Long: `Keeps runs, single jobs, leavers and undos from writing to a source or provider, or to all of them.
A run that writes stops within seconds. Reads and plans go on. A source that is being copied is
copied to its end, so that its local copy is never half written. The pause outlives restarts of
workers, and rollcall resume ends it.`,
		Example: "  rollcall pause google_workspace:1\n  rollcall pause --all",
	}
	return eachCommand(e, c, func(ctx context.Context, r *remote, name container.ID) error {
		a, err := r.Pause(ctx, name)
		return r.answer(a.Body, err, "%s: %s\n", name, cell(a.Value.Text))
	})
}

func resumeCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use: "resume CONTAINER|--all", Short: "Write to a paused source or provider again",
		Long: `Ends the pause of a source or provider, or of all that are paused. Those who were ordered to leave
are suspended at once, and a full run does the rest.`,
		Example: "  rollcall resume google_workspace:1\n  rollcall resume --all",
	}
	return eachCommand(e, c, func(ctx context.Context, r *remote, name container.ID) error {
		if all, _ := c.Flags().GetBool("all"); all {
			if p, err := r.PauseOf(ctx, name); err != nil || !p.Value.Paused {
				return err
			}
		}
		a, err := r.Resume(ctx, name)
		text := "the live run goes on"
		if a.Value.Run.ID != "" {
			text = fmt.Sprintf("run %s is %s", a.Value.Run.ID, a.Value.Run.State)
		}
		return r.answer(a.Body, err, "%s: resumed; %s\n", name, text)
	})
}

// eachCommand completes a command about one container or, with --all, about each of them. An error at one of them
// keeps it from no other.
func eachCommand(e *env, c *cobra.Command, do func(context.Context, *remote, container.ID) error) *cobra.Command {
	var all bool
	c.Flags().BoolVar(&all, "all", false, "every source and provider that is not disabled")
	c.Args = func(_ *cobra.Command, args []string) error {
		if len(args) > 1 || (len(args) == 1) == all {
			return errors.New("give the id of one source or provider, or --all")
		}
		return nil
	}
	return remoteCommand(e, c, func(ctx context.Context, r *remote, args []string) error {
		if !all {
			name, err := containerID(args[0])
			if err != nil {
				return err
			}
			return do(ctx, r, name)
		}
		list, err := r.Resources(ctx)
		if err != nil {
			return err
		}
		var errs []error
		for _, res := range list {
			if res.Enabled {
				if err := do(ctx, r, res.Container); err != nil {
					errs = append(errs, fmt.Errorf("%s: %w", res.Container, err))
				}
			}
		}
		return errors.Join(errs...)
	})
}

// pauseOf returns the pause of a container. An older API has none.
func (r *remote) pauseOf(ctx context.Context, name container.ID) client.Pause {
	a, err := r.PauseOf(ctx, name)
	if err != nil {
		return client.Pause{}
	}
	return a.Value
}
