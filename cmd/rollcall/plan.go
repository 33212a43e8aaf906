package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rollcall/internal/boot"
	"rollcall/internal/config"
	"rollcall/plan"
	"rollcall/preview"
	"rollcall/reconcile"
	"rollcall/shadow"
)

func planCommand(e *env) *cobra.Command {
	var asJSON, all bool
	c := &cobra.Command{
		Use: "plan CONTAINER", Short: "Print what a sync would do, and do nothing",
		Long: `Reads the directory and the tenant, prints the totals and what would be created, adopted, changed,
suspended, left alone or is in conflict, and writes nothing. It needs neither Redis nor the API.
Without Rollcall's own records of earlier runs it plans like a first run: grace periods start now
and no budget is spent. Colours are used on a terminal, unless NO_COLOR is set.`,
		Example: "  rollcall plan google_workspace:1\n  rollcall plan google_workspace:1 --all\n  rollcall plan " +
			"ldap:corp --json",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			app, done, err := e.offline(cmd.Context())
			if err != nil {
				return err
			}
			defer done()
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
	if takes := plan.Lasting(r.Apply.Takes); takes != "" {
		fmt.Fprintln(w, "\n"+takes)
	}
	_, err := fmt.Fprintln(w, "\nNothing was written.")
	return err
}

func writeJSON(w io.Writer, r reconcile.Report) error {
	return indented(w, struct {
		Digest string    `json:"digest"`
		Plan   plan.Plan `json:"plan"`
		Held   plan.Plan `json:"held_by_guards"`
	}{r.Apply.Digest(), r.Apply, r.Held})
}

func indented(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// shownDifferences is how many differences of each effect are printed without --all.
const shownDifferences = 10

func previewCommand(e *env) *cobra.Command {
	var asJSON, all bool
	c := &cobra.Command{
		Use: "preview NEW.yaml", Short: "Compare a changed configuration with the running one, and do nothing",
		Long: `Reads the directories and the tenants with the running configuration (--config or ROLLCALL_CONFIG)
and with the new one. For each source and provider it prints what the new one changes: who enters
or leaves the scope, and whose address, fields or groups change. It writes nothing, and needs
neither Redis nor the API. It ends with 3 if a guard would hold something harmful.`,
		Example: "  rollcall preview rollcall.new.yaml\n  rollcall preview rollcall.new.yaml --all",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			app, done, err := e.offline(cmd.Context())
			if err != nil {
				return err
			}
			defer done()
			next, _, err := config.Load(args[0], config.Options{Getenv: e.getenv, Strict: app.Process.StrictFiles})
			if err != nil {
				return err
			}
			containers, err := app.PreviewOffline(cmd.Context(), next)
			if err != nil {
				return err
			}
			if asJSON {
				err = indented(e.stdout, containers)
			} else {
				err = writePreview(e.stdout, containers, all)
			}
			if err != nil {
				return err
			}
			return quiet(previewCode(containers))
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().BoolVar(&all, "all", false, fmt.Sprintf("print every difference, not only %d of each sort",
		shownDifferences))
	return c
}

// offline opens what is configured for a command that reads directories and tenants without an installation. A Redis
// in this process stands in for the real one. The returned function ends both.
func (e *env) offline(ctx context.Context) (app *boot.App, done func(), err error) {
	p, err := e.configured()
	if err != nil {
		return nil, nil, err
	}
	if p.LogLevel == "" || p.LogLevel == "info" {
		p.LogLevel = "error" // The notes of a plan are printed with it.
	}
	var stop func()
	if p.RedisURL, stop, err = startRedis(slog.New(slog.DiscardHandler)); err != nil {
		return nil, nil, err
	}
	if app, err = boot.Open(ctx, p, e.getenv, e.stderr); err != nil {
		stop()
		return nil, nil, err
	}
	return app, func() { app.Close(); stop() }, nil
}

func previewCode(containers []preview.Container) int {
	for i := range containers {
		if containers[i].Harm() > 0 {
			return codeHeld
		}
	}
	return 0
}

func writePreview(w io.Writer, containers []preview.Container, all bool) error {
	for i := range containers {
		c := &containers[i]
		fmt.Fprintf(w, "%s\n", c.Name)
		if c.Note != "" {
			fmt.Fprintf(w, "  %s\n", c.Note)
		}
		if len(c.Differences) == 0 && c.Note == "" {
			fmt.Fprintln(w, "  no difference")
		}
		for _, e := range preview.Effects() {
			writeDifferences(w, e, c.Of(e), all)
		}
		for _, n := range c.Reasons() {
			op := strings.ReplaceAll(n.Op.String(), "_", " ")
			fmt.Fprintf(w, "  would be held: %d × %s: %s\n", n.Total, op, cell(n.Reason))
		}
		fmt.Fprintln(w)
	}
	_, err := fmt.Fprintln(w, "Nothing was written.")
	return err
}

func writeDifferences(w io.Writer, e preview.Effect, list []preview.Difference, all bool) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintf(w, "  %d %s\n", len(list), e.Words())
	for i := range list {
		if i == shownDifferences && !all {
			fmt.Fprintf(w, "    and %d more (--all prints them)\n", len(list)-i)
			return
		}
		fmt.Fprintf(w, "    %s\n", cell(list[i].String()))
	}
}

func shadowCommand(e *env) *cobra.Command {
	var report bool
	c := &cobra.Command{
		Use: "shadow PROVIDER DIRECTORY", Short: "Compare dry runs with what another tool does in the tenant",
		Long: `Makes a dry run while another tool is in charge of the tenant, keeps it in DIRECTORY, and compares
all that are there. It shows what the other tool did as planned and how long that took, what is
planned and not done, and what the tool did otherwise. Members of groups are not compared. The
files have names and addresses; values of fields are digests. It writes nothing else, and needs
neither Redis nor the API.`,
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
