package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"rollcall/container"
	"rollcall/internal/client"
)

func adoptDecisionsCommand(e *env) *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use: "adopt-decisions CONTAINER", Short: "Confirm decisions and pins that are not signed",
		Long: `Decisions and pins on Redis are signed. Those of an earlier version are not, and those that
another program wrote, changed or removed are noticed. This lists them and, if you say yes, signs
what is there. Until then no approval of the list is used, and nothing happens to an entry with a
pin of the list. Run it after Redis was lost or restored, too, even if nothing is listed: a worker
remembers what was there, and holds everything destructive until then.`,
		Example: "  rollcall adopt-decisions google_workspace:1",
		Args:    cobra.ExactArgs(1),
	}
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return containerCommand(e, c, func(ctx context.Context, r *remote, name container.ID, _ []string) error {
		if !yes && (!r.asks || r.asJSON) {
			return wrongUse(noTerminal)
		}
		listed, err := r.Kept(ctx, name)
		if err != nil {
			return err
		}
		if !yes {
			sure, err := r.sureToAdopt(ctx, name, listed.Value)
			if err := r.unless(sure, err, "Nothing was adopted."); err != nil {
				return err
			}
		}
		a, err := r.Adopt(ctx, name, listed.Value.Digest)
		if err != nil {
			return err
		}
		return r.answer(a.Body, "%s: %s signed; the next sync uses what is there\n", name,
			count(a.Value.Count, "decision and pin"))
	})
}

// sureToAdopt lists the records and asks for confirmation.
func (r *remote) sureToAdopt(ctx context.Context, name container.ID, kept client.Kept) (bool, error) {
	if kept.Problem != "" {
		fmt.Fprintf(r.stdout, "%s: %s\n", name, cell(kept.Problem))
	}
	t := newTable(r.stdout, "TYPE", "ENTRY", "DECISION", "BY", "PROBLEM")
	for _, k := range kept.Records {
		t.row(k.Type, label(k.Label, k.Entry), k.Verdict+" "+k.Op, k.By, k.Problem)
	}
	if err := t.flush(); err != nil {
		return false, err
	}
	if more := kept.Count - len(kept.Records); more > 0 {
		fmt.Fprintf(r.stdout, "and %d more\n", more)
	}
	fmt.Fprint(r.stdout, "\nSign what is there, and forget what is gone? [y/N] ")
	return r.ask(ctx)
}
