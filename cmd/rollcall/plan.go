package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"rollcall/internal/boot"
	"rollcall/plan"
	"rollcall/reconcile"
)

func planCommand(e *env) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "plan CONTAINER", Short: "Print what a sync would do, and do nothing",
		Long: "Reads the directory and the tenant, prints what would be created, adopted, changed, suspended, left alone or is in\n" +
			"conflict, with counts, and writes nothing. It needs neither Redis nor the API. Without Rollcall's own records of\n" +
			"earlier runs it plans like a first run: grace periods start now and no budget is spent.",
		Example: "  rollcall plan google_workspace:1\n  rollcall plan ldap:corp --json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := e.offline()
			if err != nil {
				return err
			}
			app, err := boot.Open(cmd.Context(), p, e.getenv, e.stderr)
			if err != nil {
				return err
			}
			defer app.Close()
			report, notes, err := app.Offline(cmd.Context(), args[0])
			if err != nil {
				for _, n := range notes {
					fmt.Fprintln(e.stderr, n)
				}
				return err
			}
			if asJSON {
				return writeJSON(e.stdout, report)
			}
			return writePlan(e.stdout, report, notes)
		},
	}
	c.ValidArgsFunction = completeLocal(e)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func writePlan(w io.Writer, r reconcile.Report, notes []string) error {
	for _, n := range notes {
		fmt.Fprintln(w, n)
	}
	for _, f := range r.Snapshot.Findings {
		fmt.Fprintf(w, "cannot be used: %s %s %s: %s\n", f.Kind, f.ID, f.DN, f.Problem)
	}
	for _, d := range r.Apply.Doubts {
		fmt.Fprintln(w, "doubt:", d)
	}
	if len(notes) > 0 {
		fmt.Fprintln(w)
	}
	if err := plan.WriteTable(w, r.Apply, r.Held); err != nil {
		return err
	}
	fmt.Fprintln(w)
	if err := plan.WriteCounts(w, r.Apply, r.Held); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w, "\nNothing was written.")
	return err
}

func writeJSON(w io.Writer, r reconcile.Report) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(struct {
		Digest string    `json:"digest"`
		Plan   plan.Plan `json:"plan"`
		Held   plan.Plan `json:"held_by_guards"`
	}{r.Apply.Digest(), r.Apply, r.Held})
}
