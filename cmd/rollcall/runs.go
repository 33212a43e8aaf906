package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"rollcall/container"
	"rollcall/internal/client"
)

func runsCommand(e *env) *cobra.Command {
	var limit int
	var cursor string
	var showPlan bool
	c := &cobra.Command{
		Use: cmdRuns + " CONTAINER [RUN]", Short: "List the runs of a source or provider, or show one with what it said",
		Aliases: []string{"sessions"},
		Long: "Lists the runs of a source or provider, newest first, or shows one: how it ended, what it changed and what " +
			"it said or, with\n" +
			"--plan, what it planned. With a run it ends with 1 if that failed and with 3 if something was held.",
		Example: "  rollcall runs google_workspace:1\n  rollcall runs google_workspace:1 RUN --plan",
		Args:    cobra.RangeArgs(1, 2),
	}
	c.Flags().IntVar(&limit, "limit", 20, "how many runs, or messages, to show at most (1 to 1000)")
	c.Flags().StringVar(&cursor, "cursor", "", "go on where an earlier list ended")
	c.Flags().BoolVar(&showPlan, "plan", false, "show what the run planned, in place of what it said")
	return remoteCommand(e, c, func(ctx context.Context, r *remote, args []string) error {
		name, err := containerID(args[0])
		if err != nil {
			return err
		}
		if limit < 1 || limit > client.MaxPage {
			return wrongUse("--limit: want 1 to %d", client.MaxPage)
		}
		if showPlan && len(args) < 2 {
			return wrongUse("--plan: name the run, too")
		}
		if showPlan {
			body, err := r.Plan(ctx, name, args[1], !r.asJSON)
			if err == nil {
				r.body(body)
			}
			return err
		}
		if len(args) > 1 {
			return r.one(ctx, name, args[1], limit)
		}
		a, err := r.Runs(ctx, name, cursor, limit)
		if err != nil {
			return err
		}
		if r.asJSON {
			r.body(a.Body)
			return nil
		}
		return r.list(name, a.Value, limit)
	})
}

func (r *remote) list(name container.ID, runs client.Runs, limit int) error {
	if len(runs.Results) == 0 {
		fmt.Fprintf(r.stdout, "%s: there was no run yet\n", name)
		return nil
	}
	t := newTable(r.stdout, "CREATED", "STATE", "MODE", "TOOK", "BY", "CHANGES", "HELD", "FAILED", "RUN")
	for _, run := range runs.Results {
		mode, took := string(run.Mode), ""
		if run.DryRun {
			mode += ", dry"
		}
		if !run.StartedAt.IsZero() {
			took = span(duration(run))
		}
		done, expected := run.Done()
		made := strconv.FormatInt(done, 10)
		if done != expected {
			made += " of " + strconv.FormatInt(expected, 10)
		}
		t.row(r.moment(run.CreatedAt), string(run.State), mode, took, r.trigger(run), made,
			strconv.FormatInt(run.Held, 10), strconv.FormatInt(run.FailedChanges, 10), run.ID)
	}
	if err := t.flush(); err != nil {
		return err
	}
	if runs.Next != "" {
		fmt.Fprintf(r.stdout, "\nOlder ones: rollcall runs %s --limit %d --cursor %s\n", name, limit, runs.Next)
	}
	return nil
}

// one shows one run with its messages.
func (r *remote) one(ctx context.Context, name container.ID, id string, limit int) error {
	a, err := r.Run(ctx, name, id)
	if err != nil {
		return err
	}
	run := a.Value
	if r.asJSON {
		r.body(a.Body)
		return quiet(judge(run.Run))
	}
	fmt.Fprintf(r.stdout, "%s: %s\n", name, r.ended(run))
	fmt.Fprintf(r.stdout, "run %s, created %s by %s; read %s; %s to the remote side\n", run.ID, r.moment(run.CreatedAt),
		cell(r.trigger(run)), amounts(run.Read), count(run.Calls, "call"))
	if run.State.Open() {
		fmt.Fprintln(r.stdout, (&bar{env: r.env}).line(run))
	}
	if err := changes(r.stdout, run.Run); err != nil {
		return err
	}
	if run.Held > 0 {
		fmt.Fprintf(r.stdout, "%d held or in conflict\n", run.Held)
	}
	said, err := r.Messages(ctx, name, id, limit)
	if err != nil {
		return err
	}
	r.said(said.Value, limit)
	return quiet(judge(run.Run))
}

// said prints messages, the oldest first.
func (r *remote) said(m client.Messages, limit int) {
	if len(m.Results) == 0 {
		return
	}
	fmt.Fprintln(r.stdout)
	if m.Next != "" {
		fmt.Fprintf(r.stdout, "(the last %d; --limit shows more)\n", limit)
	}
	for _, one := range slices.Backward(m.Results) {
		fmt.Fprintf(r.stdout, "%s  %-7s  %s\n", r.moment(one.Time), one.Level, sentence(one))
	}
}
