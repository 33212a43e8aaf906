package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"rollcall/container"
	"rollcall/internal/client"
	"rollcall/plan"
)

func revertCommand(e *env) *cobra.Command {
	var dryRun, watch, yes bool
	c := &cobra.Command{
		Use: "revert CONTAINER RUN", Short: "Undo a run of a provider",
		Long: `Starts a run that takes back what another one changed. Accounts that it suspended are restored,
members that it removed are added again, and old values are set. Deleted accounts are brought back
as far as the provider can (Google 20 days, Entra 30). What it created goes as a leaver does. The
guards and approvals are those of every run. The entries concerned are pinned: the next sync
leaves them so until their source changes or rollcall lift ends the pin. With --dry-run the plan
is shown and nothing is kept.`,
		Example: "  rollcall revert google_workspace:1 RUN --dry-run --watch\n  rollcall revert google_workspace:1 RUN " +
			"--yes --watch",
		Args: cobra.ExactArgs(2),
	}
	c.Flags().BoolVar(&dryRun, "dry-run", false, "plan and write nothing")
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	c.Flags().BoolVarP(&watch, "watch", "w", false, "show the progress until the end")
	return containerCommand(e, c, func(ctx context.Context, r *remote, name container.ID, args []string) error {
		if !yes && !dryRun {
			if !r.asks || r.asJSON {
				return wrongUse(noTerminal + ", or look first with --dry-run")
			}
			if err := r.sure(ctx, "Nothing was undone.", func() error { return r.undoes(ctx, name, args[0]) }); err != nil {
				return err
			}
		}
		a, err := r.Revert(ctx, name, args[0], dryRun)
		if err != nil {
			return r.inTheWay(err)
		}
		return r.begun(ctx, name, a, watch)
	})
}

// undoes shows the changes of the run.
func (r *remote) undoes(ctx context.Context, name container.ID, id string) error {
	a, err := r.Run(ctx, name, id)
	if err != nil {
		return err
	}
	done, _ := a.Value.Done()
	fmt.Fprintf(r.stdout, "%s: run %s of %s, started by %s, made %s\n", name, id, r.moment(a.Value.CreatedAt),
		cell(r.trigger(a.Value)), count(done, "change"))
	for _, p := range a.Value.Progress {
		if p.Succeeded > 0 {
			fmt.Fprintf(r.stdout, "  %s %s: %d\n", p.Object, p.Change, p.Succeeded)
		}
	}
	fmt.Fprint(r.stdout, "\nTake that back, at once? [y/N] ")
	return nil
}

// begun reports that a run started, or watches it.
func (r *remote) begun(ctx context.Context, name container.ID, a client.Answer[client.Run], watch bool) error {
	switch {
	case watch:
		return r.watch(ctx, name, a.Value.ID)
	case r.asJSON:
		r.body(a.Body)
	default:
		fmt.Fprintf(r.stdout, "%s: run %s is %s; rollcall watch %[1]s shows how it goes\n", name, a.Value.ID, a.Value.State)
	}
	return nil
}

func pinsCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use: "pins CONTAINER", Short: "Show what an undo keeps as it was",
		Long: `Shows the entries of a provider that are kept as they were before a run that was undone, whatever
their source says.`,
		Args: cobra.ExactArgs(1),
	}
	part := partFlags(c, "entries")
	return remoteCommand(e, c, func(ctx context.Context, r *remote, args []string) error {
		name, limit, offset, err := part(args[0])
		if err != nil {
			return err
		}
		a, err := r.Pins(ctx, name, offset, limit)
		if err != nil {
			return err
		}
		switch {
		case r.asJSON:
			r.body(a.Body)
			return nil
		case a.Value.Count == 0:
			fmt.Fprintf(r.stdout, "%s: nothing is pinned\n", name)
			return nil
		}
		return r.pinTable(name, a.Value, offset)
	})
}

func (r *remote) pinTable(name container.ID, pins client.Pins, offset int) error {
	t := newTable(r.stdout, "KIND", "ENTRY", "KEPT", "UNDOES", "BY", "SINCE")
	for i := range pins.Pins {
		p := &pins.Pins[i]
		t.row(p.Kind.String(), label(p.Label, string(p.ID)), kept(p), p.Run, p.By, r.moment(p.At))
	}
	if err := t.flush(); err != nil {
		return err
	}
	if next := offset + len(pins.Pins); next < pins.Count {
		fmt.Fprintf(r.stdout, "and %d more: rollcall pins %s --offset %d\n", pins.Count-next, name, next)
	}
	fmt.Fprintf(r.stdout, "\nLet the source decide again, for all or some (--entry ID):\n  rollcall lift %s\n", name)
	return nil
}

// kept describes what a pin preserves.
func kept(p *plan.Pin) string {
	var parts []string
	switch p.Account {
	case plan.StandsActive, plan.StandsSuspended:
		parts = append(parts, "account "+string(p.Account))
	case plan.StandsNone:
		parts = append(parts, "no account")
	}
	if p.Address != "" {
		parts = append(parts, "address "+p.Address)
	}
	for _, f := range p.Fields {
		parts = append(parts, f.Name)
	}
	for _, g := range p.Groups {
		how := "in "
		if !g.Member {
			how = "not in "
		}
		parts = append(parts, how+label(g.Label, string(g.ID)))
	}
	return strings.Join(parts, ", ")
}

func liftCommand(e *env) *cobra.Command {
	var entries []string
	var yes bool
	c := &cobra.Command{
		Use: "lift CONTAINER", Short: "End pins: let the source decide again",
		Long: `Ends the pins of a provider, all of them or those of the entries that --entry names. What the
source says happens with the next sync, within the guards.`,
		Args: cobra.ExactArgs(1),
	}
	c.Flags().StringArrayVar(&entries, "entry", nil, "an entry's id; may be repeated (default: everything)")
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return containerCommand(e, c, func(ctx context.Context, r *remote, name container.ID, _ []string) error {
		if !yes {
			show := func() error { return r.unpins(ctx, name, len(entries)) }
			if err := r.sure(ctx, "Nothing was lifted.", show); err != nil {
				return err
			}
		}
		a, err := r.Lift(ctx, name, entries)
		if err != nil {
			return err
		}
		return r.answer(a.Body, "%s: %s lifted; the next sync does what the source says\n", name, count(a.Value.Count, "pin"))
	})
}

// unpins shows how many pins end.
func (r *remote) unpins(ctx context.Context, name container.ID, n int) error {
	if n == 0 {
		a, err := r.Pins(ctx, name, 0, 1)
		if err != nil {
			return err
		}
		n = a.Value.Count
	}
	fmt.Fprintf(r.stdout, "%s: let the source decide again about %s, with the next sync? [y/N] ", name,
		count(n, "pinned object"))
	return nil
}
