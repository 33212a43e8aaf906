package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"rollcall/plan"
	"rollcall/shadow"
)

func shadowCommand(e *env) *cobra.Command {
	var report bool
	c := &cobra.Command{
		Use: "shadow PROVIDER DIRECTORY", Short: "Compare dry runs with what another tool does in the tenant",
		Long: `Makes a dry run while another tool is in charge of the tenant, keeps it in DIRECTORY, and compares all
that are there: what the other tool did as planned and how long it took, what is planned and not done,
and what it did otherwise. Members of groups are not compared. The files have names and addresses;
values of fields are digests. It writes nothing else, and needs neither Redis nor the API.`,
		Example: "  rollcall shadow google_workspace:1 shadow\n  rollcall shadow google_workspace:1 shadow --report",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !report {
				if err := e.takeShadow(cmd, args[0], args[1]); err != nil {
					return err
				}
			}
			all, err := readShadows(args[1], args[0])
			if err != nil {
				return err
			}
			return writeShadow(e.stdout, shadow.Compare(all))
		},
	}
	c.ValidArgsFunction = completeLocal(e)
	c.Flags().BoolVar(&report, "report", false, "compare what is there, without another dry run")
	return c
}

// takeShadow makes a dry run and keeps it.
func (e *env) takeShadow(cmd *cobra.Command, name, dir string) error {
	app, done, err := e.offline(cmd.Context())
	if err != nil {
		return err
	}
	defer done()
	s, err := app.Shadow(cmd.Context(), name)
	if err != nil {
		return err
	}
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, s.At.Format("20060102T150405.000Z")+".json"), text, 0o600)
}

// readShadows reads the dry runs of a container, the oldest first.
func readShadows(dir, name string) (all []shadow.Snapshot, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var s shadow.Snapshot
		if err := json.Unmarshal(text, &s); err != nil {
			return nil, fmt.Errorf("%s is no dry run of `rollcall shadow`: %w", file, err)
		}
		if s.Container == name {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b shadow.Snapshot) int { return a.At.Compare(b.At) })
	return all, nil
}

func writeShadow(w io.Writer, r shadow.Report) error {
	if r.Snapshots < 2 {
		_, err := fmt.Fprintf(w, "%d dry run is kept: the comparison begins with the second one.\n", r.Snapshots)
		return err
	}
	fmt.Fprintf(w, "%d dry runs from %s to %s\n\n", r.Snapshots, stamp(r.From), stamp(r.To))
	fmt.Fprintf(w, "%d changes were planned, and the other tool made them\n", len(r.Agreed))
	for _, i := range r.Agreed {
		fmt.Fprintf(w, "  %s: planned %s, done within %s\n", plan.Clean(i.Text), stamp(i.Since),
			i.Until.Sub(i.Since).Round(time.Minute))
	}
	fmt.Fprintf(w, "%d changes were made before a dry run planned them, as Rollcall wants them\n", r.Prompt)
	fmt.Fprintf(w, "%d changes are planned, and the other tool has not made them\n", len(r.Open))
	for _, i := range r.Open {
		fmt.Fprintf(w, "  %s: planned since %s\n", plan.Clean(i.Text), stamp(i.Since))
	}
	fmt.Fprintf(w, "%d changes were made by the other tool, and Rollcall would not have made them\n", len(r.Differences))
	for _, i := range r.Differences {
		fmt.Fprintf(w, "  %s: seen %s\n", plan.Clean(i.Text), stamp(i.Since))
	}
	_, err := fmt.Fprintf(w, "%d changes were planned and are no longer wanted\n", r.Withdrawn)
	return err
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") }
