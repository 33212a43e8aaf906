package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"rollcall/container"
	"rollcall/internal/client"
	"rollcall/plan"
)

func heldCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use: "held [CONTAINER]", Short: "Show the changes that wait for a decision",
		Long: `Shows the changes that a guard holds, why, and what was decided about them: those of one source or
provider, or of all. It names the entries in conflict, too, about which nothing can be decided. It
ends with 3 if there is anything.`,
		Args: cobra.MaximumNArgs(1),
	}
	part := partFlags(c, "changes")
	return remoteCommand(e, c, func(ctx context.Context, r *remote, args []string) error {
		if len(args) == 0 {
			return r.heldEverywhere(ctx, part)
		}
		name, limit, offset, err := part(args[0])
		if err != nil {
			return err
		}
		a, err := r.Held(ctx, name, offset, limit)
		if err != nil {
			return err
		}
		if r.asJSON || a.Value.Count == 0 {
			err = r.answer(a.Body, nil, "%s: nothing waits for a decision\n", name)
		}
		if !r.asJSON {
			err = r.holds(name, a.Value, offset)
		}
		if err == nil && a.Value.Count+a.Value.ConflictCount > 0 {
			err = quiet(codeHeld)
		}
		return err
	})
}

// heldEverywhere shows the held changes of every container. As JSON it prints one object, by container.
func (r *remote) heldEverywhere(ctx context.Context, part func(string) (container.ID, int, int, error)) error {
	all, err := r.Resources(ctx)
	if err != nil {
		return err
	}
	bodies, waiting := map[container.ID]json.RawMessage{}, 0
	for _, res := range all {
		name, limit, offset, err := part(string(res.Container))
		if err != nil {
			return err
		}
		a, err := r.Held(ctx, name, offset, limit)
		if err != nil {
			return err
		}
		bodies[name] = a.Body
		if a.Value.Count+a.Value.ConflictCount == 0 {
			continue
		}
		if waiting > 0 && !r.asJSON {
			fmt.Fprintln(r.stdout)
		}
		waiting += a.Value.Count + a.Value.ConflictCount
		if r.asJSON {
			continue
		}
		if err := r.holds(name, a.Value, offset); err != nil {
			return err
		}
	}
	switch {
	case r.asJSON:
		err = r.joined(bodies)
	case waiting == 0:
		fmt.Fprintln(r.stdout, "Nothing waits for a decision.")
	}
	// An older API has no orders, and a token for some containers does not see them.
	if a, failed := r.Leaves(ctx); failed == nil && len(a.Value.Orders) > 0 && !r.asJSON {
		fmt.Fprintf(r.stdout, "%s to leave in force; rollcall leave lists them\n", count(len(a.Value.Orders), "order"))
	}
	if err == nil && waiting > 0 {
		err = quiet(codeHeld)
	}
	return err
}

// partFlags adds the flags of a list that is shown in part. The returned function reads the flags and the container.
func partFlags(c *cobra.Command, things string) func(arg string) (name container.ID, limit, offset int, err error) {
	limit := c.Flags().Int("limit", 100, "how many "+things+" to show at most (1 to 1000)")
	offset := c.Flags().Int("offset", 0, "how many "+things+" to pass over")
	return func(arg string) (container.ID, int, int, error) {
		name, err := containerID(arg)
		if err == nil && (*limit < 1 || *limit > client.MaxPage || *offset < 0) {
			err = wrongUse("--limit: want 1 to %d; --offset: want 0 or more", client.MaxPage)
		}
		return name, *limit, *offset, err
	}
}

func (r *remote) holds(name container.ID, held client.Held, offset int) error {
	if held.Count == 0 {
		return r.conflicts(name, held)
	}
	fmt.Fprintf(r.stdout, "%s: %s, held by the run of %s\n", name, waits(held.Count), r.moment(held.At))
	reasons(r.stdout, held.Changes)
	fmt.Fprintln(r.stdout)
	t := newTable(r.stdout, "CHANGE", "KIND", "ENTRY", "WHAT", "RULE", "DECIDED", "FINGERPRINT")
	for _, c := range held.Changes {
		decided := ""
		if d := c.Decision; d != nil {
			decided = d.Verdict + " by " + d.By + " until " + r.moment(d.Expires)
		}
		t.row(c.Op, c.Kind, entry(c), what(c), c.Guard, decided, c.Fingerprint)
	}
	if err := t.flush(); err != nil {
		return err
	}
	if next := offset + len(held.Changes); next < held.Count {
		fmt.Fprintf(r.stdout, "and %d more: rollcall held %s --offset %d\n", held.Count-next, name, next)
	}
	fmt.Fprintf(r.stdout, "\nLet them go, or keep them held, all or some (--entry ID or FINGERPRINT):\n  rollcall "+
		"approve %s %s\n  rollcall reject %[1]s %[2]s\n", name, held.Digest)
	if held.ConflictCount > 0 {
		fmt.Fprintln(r.stdout)
	}
	return r.conflicts(name, held)
}

// conflicts shows the entries about which nothing can be decided.
func (r *remote) conflicts(name container.ID, held client.Held) error {
	if held.ConflictCount == 0 {
		return nil
	}
	fmt.Fprintf(r.stdout, "%s: in conflict until the cause is gone, with nothing to approve: %d\n", name,
		held.ConflictCount)
	t := newTable(r.stdout, "KIND", "ENTRY", "REASON", "DETAIL")
	for _, c := range held.Conflicts {
		t.row(c.Kind, plan.Label(c.Label, c.ID), c.Reason, cell(c.Detail))
	}
	if err := t.flush(); err != nil {
		return err
	}
	if more := held.ConflictCount - len(held.Conflicts); more > 0 {
		fmt.Fprintf(r.stdout, "and %d more: rollcall plan shows them all\n", more)
	}
	return nil
}

// reasons prints each rule that holds changes, with its numbers.
func reasons(w io.Writer, changes []client.HeldChange) {
	n := map[string]int{}
	for _, c := range changes {
		n[c.Guard+": "+cell(c.Reason)]++
	}
	for _, reason := range slices.Sorted(maps.Keys(n)) {
		fmt.Fprintf(w, "  %s (%s)\n", reason, count(n[reason], "change"))
	}
}

// entry returns the name of the entry of a change.
func entry(c client.HeldChange) string { return plan.Label(c.Label, c.ID) }

// what describes the effect of a held change.
func what(c client.HeldChange) string {
	switch {
	case c.Member != "":
		return plan.Label(c.MemberLabel, c.Member)
	case c.From != "":
		return c.Address + ", until now anchored to " + c.From
	case c.Why != "":
		return c.Address + " " + plan.Reason(c.Why).Because()
	}
	parts := []string{c.Address}
	for _, f := range c.Fields {
		if c.Op != plan.Create.String() {
			parts = append(parts, fmt.Sprintf("%s: %s → %s", f.Name, strings.Join(f.Before, " | "),
				strings.Join(f.After, " | ")))
		}
	}
	return strings.Join(parts, ", ")
}

func revertCommand(e *env) *cobra.Command {
	var dryRun, watch bool
	c := &cobra.Command{
		Use: "revert CONTAINER RUN", Short: "Undo a run of a provider",
		Long: `Starts a run that takes back what another one changed. Accounts that it suspended are restored,
members that it removed are added again, and old values are set. Deleted accounts are brought back
as far as the provider can (Google 20 days, Entra 30). What it created goes as a leaver does. The
guards and approvals are those of every run. The entries concerned are pinned: the next sync
leaves them so until their source changes or rollcall lift ends the pin. With --dry-run the plan
is shown and nothing is kept.`,
		Example: "  rollcall revert google_workspace:1 RUN --dry-run --watch\n  rollcall revert google_workspace:1 " +
			"RUN --yes --watch",
		Args: cobra.ExactArgs(2),
	}
	c.Flags().BoolVar(&dryRun, "dry-run", false, "plan and write nothing")
	yes := yesFlag(c)
	c.Flags().BoolVarP(&watch, "watch", "w", false, "show the progress until the end")
	return containerCommand(e, c, func(ctx context.Context, r *remote, name container.ID, args []string) error {
		sure := *yes || dryRun
		if !sure && (!r.asks || r.asJSON) {
			return wrongUse(noTerminal + ", or look first with --dry-run")
		}
		show := func() error { return r.undoes(ctx, name, args[0]) }
		if err := r.sure(ctx, sure, "Nothing was undone.", show); err != nil {
			return err
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
		cell(cause(a.Value.Trigger)), count(done, "change"))
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
	if watch {
		return r.watch(ctx, name, a.Value.ID)
	}
	return r.answer(a.Body, nil, "%s: run %s is %s; rollcall watch %[1]s shows how it goes\n", name, a.Value.ID,
		a.Value.State)
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
		if r.asJSON || a.Value.Count == 0 {
			return r.answer(a.Body, nil, "%s: nothing is pinned\n", name)
		}
		return r.pinTable(name, a.Value, offset)
	})
}

func (r *remote) pinTable(name container.ID, pins client.Pins, offset int) error {
	t := newTable(r.stdout, "KIND", "ENTRY", "KEPT", "UNDOES", "BY", "SINCE")
	for i := range pins.Pins {
		p := &pins.Pins[i]
		t.row(p.Kind.String(), plan.Label(p.Label, p.ID), kept(p), p.Run, p.By, r.moment(p.At))
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
		parts = append(parts, how+plan.Label(g.Label, g.ID))
	}
	return strings.Join(parts, ", ")
}

func liftCommand(e *env) *cobra.Command {
	var entries []string
	c := &cobra.Command{
		Use: "lift CONTAINER", Short: "End pins: let the source decide again",
		Long: `Ends the pins of a provider, all of them or those of the entries that --entry names. What the
source says happens with the next sync, within the guards.`,
		Args: cobra.ExactArgs(1),
	}
	c.Flags().StringArrayVar(&entries, "entry", nil, "an entry's id; may be repeated (default: everything)")
	yes := yesFlag(c)
	return containerCommand(e, c, func(ctx context.Context, r *remote, name container.ID, _ []string) error {
		show := func() error { return r.unpins(ctx, name, len(entries)) }
		if err := r.sure(ctx, *yes, "Nothing was lifted.", show); err != nil {
			return err
		}
		a, err := r.Lift(ctx, name, entries)
		return r.answer(a.Body, err, "%s: %s lifted; the next sync does what the source says\n", name,
			count(a.Value.Count, "pin"))
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
