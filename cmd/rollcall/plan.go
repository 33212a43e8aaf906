package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"rollcall/internal/boot"
	"rollcall/plan"
	"rollcall/reconcile"
)

func planCommand(e *env) *cobra.Command {
	var asJSON, all bool
	c := &cobra.Command{
		Use: "plan CONTAINER", Short: "Print what a sync would do, and do nothing",
		Long: "Reads the directory and the tenant, prints the totals and what would be created, adopted, changed, " +
			"suspended, left\n" +
			"alone or is in conflict, and writes nothing. It needs neither Redis nor the API. Without Rollcall's own " +
			"records of\n" +
			"earlier runs it plans like a first run: grace periods start now and no budget is spent. Colours are used on a\n" +
			"terminal, unless NO_COLOR is set.",
		Example: "  rollcall plan google_workspace:1\n  rollcall plan google_workspace:1 --all\n  rollcall plan " +
			"ldap:corp --json",
		Args: cobra.ExactArgs(1),
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
			return writePlan(e.stdout, report, notes, plan.Style{All: all, Color: e.colors(e.stdout)})
		},
	}
	c.ValidArgsFunction = completeLocal(e)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().BoolVar(&all, "all", false, "print every change and every member")
	return c
}

// colors reports whether w is a terminal and the user wants colours. See https://no-color.org.
func (e *env) colors(w io.Writer) bool {
	f, is := w.(*os.File)
	return is && terminal(f) && e.getenv("NO_COLOR") == "" && e.getenv("TERM") != "dumb"
}

func writePlan(w io.Writer, r reconcile.Report, notes []string, style plan.Style) error {
	for _, n := range notes {
		fmt.Fprintln(w, n)
	}
	for _, d := range r.Apply.Doubts {
		fmt.Fprintln(w, "doubt:", plan.Clean(d))
	}
	if len(notes)+len(r.Apply.Doubts) > 0 {
		fmt.Fprintln(w)
	}
	if err := plan.Print(w, r.Apply, r.Held, style); err != nil {
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
