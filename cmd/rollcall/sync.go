package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"rollcall/container"
	"rollcall/directory"
	"rollcall/internal/client"
	"rollcall/status"
)

func syncCommand(e *env) *cobra.Command {
	var dryRun, delta, watch bool
	c := &cobra.Command{
		Use: "sync CONTAINER", Short: "Start a sync",
		Long: `Starts a full sync of a source or provider, which a worker carries out. rollcall help exit-codes
lists the exit codes. With --watch the command goes on as rollcall watch does, also with --json.`,
		Example: "  rollcall sync ldap:corp --watch\n  rollcall sync ldap:corp --delta --watch\n  rollcall sync " +
			"google_workspace:1 --dry-run --watch",
		Args: cobra.ExactArgs(1),
	}
	c.Flags().BoolVar(&dryRun, "dry-run", false, "plan and write nothing")
	c.Flags().BoolVar(&delta, "delta", false, "read only what changed, or everything where that is not possible")
	c.Flags().BoolVarP(&watch, "watch", "w", false, "show the progress until the end")
	return containerCommand(e, c, func(ctx context.Context, r *remote, name container.ID, _ []string) error {
		mode := status.Full
		if delta {
			mode = status.Delta
		}
		a, err := r.Start(ctx, name, mode, dryRun)
		if err != nil {
			return r.inTheWay(err)
		}
		return r.begun(ctx, name, a, watch)
	})
}

// inTheWay names the run that prevents a start.
func (r *remote) inTheWay(err error) error {
	refusal, is := errors.AsType[*client.Error](err)
	if !is || refusal.Run == nil {
		return err
	}
	run := refusal.Run
	refusal.Text = fmt.Sprintf("%s has a live run already: %s, %s, started %s by %s\nrollcall watch %[1]s shows how "+
		"it goes, rollcall cancel %[1]s ends it.",
		run.Container, run.ID, r.ended(*run), r.ago(run.CreatedAt), cell(cause(run.Trigger)))
	return err
}

// cause says what started a run, and which run it undoes.
func cause(t status.Trigger) string {
	if t.Of != "" {
		return t.Cause() + " of " + t.Of
	}
	return t.Cause()
}

func cancelCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use: "cancel CONTAINER", Short: "End the live run",
		Long: "Ends the live run of a source or provider. What it applied stays; the next run plans the rest.",
		Args: cobra.ExactArgs(1),
	}
	return containerCommand(e, c, func(ctx context.Context, r *remote, name container.ID, _ []string) error {
		a, err := r.Cancel(ctx, name)
		done, expected := a.Value.Done()
		return r.answer(a.Body, err, "%s: run %s is %s; %d of %s were made and stay\n", name, a.Value.ID, a.Value.State,
			done, count(expected, "change"))
	})
}

func objectCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use: cmdObject + " PROVIDER user|group ID", Short: "Sync one user or group to a provider, now",
		Long: `Reads one entry from its source and brings it to the provider. It is named by its id, the id of
its account's anchor, its mail or its username, whichever exactly one entry has.`,
		Example: "  rollcall object google_workspace:1 user ada@example.com",
		Args:    cobra.ExactArgs(3),
	}
	return containerCommand(e, c, func(ctx context.Context, r *remote, name container.ID, args []string) error {
		kind, known := map[string]directory.Kind{"user": directory.User, "group": directory.Group}[args[0]]
		switch {
		case name.IsSource():
			return wrongUse("%s is a source: a single object goes to a provider", name)
		case !known:
			return wrongUse("%q: want user or group", args[0])
		}
		a, err := r.Object(ctx, name, kind, args[1])
		if err != nil {
			return err
		}
		if a.Value.State != status.JobDone {
			if a, err = r.wait(ctx, name, a.Value.ID); err != nil {
				return err
			}
		}
		if r.asJSON {
			r.body(a.Body)
		} else {
			for _, m := range a.Value.Messages {
				fmt.Fprintf(r.stdout, "%-7s  %s\n", m.Level, sentence(m))
			}
		}
		return quiet(verdictOf(a.Value))
	})
}

// wait waits for a job that is not over when the API answers.
func (r *remote) wait(ctx context.Context, name container.ID, id string) (client.Answer[client.Job], error) {
	fmt.Fprintf(r.stderr, "still under way (job %s)\n", id)
	a, err := r.finished(ctx, name, id)
	if err != nil && ctx.Err() != nil {
		err = &exit{codeInterrupted, fmt.Errorf("no longer waited for: the sync of this entry goes on as job %s", id)}
	}
	return a, err
}

// finished asks for a job until it is over, or until the context ends.
func (r *remote) finished(ctx context.Context, name container.ID, id string) (client.Answer[client.Job], error) {
	tick := time.NewTicker(r.every)
	defer tick.Stop()
	for {
		a, err := r.Job(ctx, name, id)
		if err != nil || a.Value.State == status.JobDone {
			return a, err
		}
		select {
		case <-ctx.Done():
			return a, ctx.Err()
		case <-tick.C:
		}
	}
}

// verdictOf returns the exit code of the sync of one object. It depends on the outcome or, without one, on the
// messages.
func verdictOf(j client.Job) int {
	code := 0
	switch j.Outcome {
	case status.OutcomeFailed:
		return codeFailure
	case status.OutcomeHeld, status.OutcomeAbsent:
		return codeHeld
	}
	for _, m := range j.Messages {
		switch m.Level {
		case client.Failure:
			return codeFailure
		case client.Warning:
			code = codeHeld
		}
	}
	return code
}

func runsCommand(e *env) *cobra.Command {
	var limit int
	var cursor string
	var showPlan bool
	c := &cobra.Command{
		Use: cmdRuns + " CONTAINER [RUN]", Short: "List the runs of a source or provider, or show one with what it " +
			"said",
		Aliases: []string{"sessions"},
		Long: `Lists the runs of a source or provider, newest first, or shows one: how it ended, what it changed
and what it said or, with --plan, what it planned. With a run it ends with 1 if that failed and
with 3 if something was held.`,
		Example: "  rollcall runs google_workspace:1\n  rollcall runs google_workspace:1 RUN --plan",
		Args:    cobra.RangeArgs(1, 2),
	}
	c.Flags().IntVar(&limit, "limit", 20, "how many runs, or messages, to show at most (1 to 1000)")
	c.Flags().StringVar(&cursor, "cursor", "", "go on where an earlier list ended")
	c.Flags().BoolVar(&showPlan, "plan", false, "show what the run planned, in place of what it said")
	return containerCommand(e, c, func(ctx context.Context, r *remote, name container.ID, args []string) error {
		if limit < 1 || limit > client.MaxPage {
			return wrongUse("--limit: want 1 to %d", client.MaxPage)
		}
		if showPlan && len(args) == 0 {
			return wrongUse("--plan: name the run, too")
		}
		if showPlan {
			body, err := r.Plan(ctx, name, args[0], !r.asJSON)
			if err == nil {
				r.body(body)
			}
			return err
		}
		if len(args) > 0 {
			return r.one(ctx, name, args[0], limit)
		}
		a, err := r.Runs(ctx, name, cursor, limit)
		if err != nil || r.asJSON {
			return r.answer(a.Body, err, "")
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
		t.row(r.moment(run.CreatedAt), string(run.State), mode, took, cause(run.Trigger), made,
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
		cell(cause(run.Trigger)), amounts(run.Read), count(run.Calls, "call"))
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
