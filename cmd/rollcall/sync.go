package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"rollcall/fault"
	"rollcall/internal/client"
	"rollcall/status"
)

// pollEvery is how often a run is looked at while somebody watches.
const pollEvery = 300 * time.Millisecond

func syncCommand(e *env) *cobra.Command {
	var dryRun, watch bool
	c := &cobra.Command{
		Use: "sync CONTAINER", Short: "Start a full sync",
		Long: "Starts a full sync of a source or provider. It is carried out by a worker, whether anybody watches or not.\n" +
			"What it ends with is said by rollcall help exit-codes.",
		Example: "  rollcall sync ldap:corp --watch\n  rollcall sync google_workspace:1 --dry-run --watch",
		Args:    cobra.ExactArgs(1),
	}
	c.Flags().BoolVar(&dryRun, "dry-run", false, "plan and write nothing")
	c.Flags().BoolVarP(&watch, "watch", "w", false, "show the progress until the end")
	return remoteCommand(e, c, func(ctx context.Context, r *remote, args []string) error {
		name, err := container(args[0])
		if err != nil {
			return err
		}
		a, err := r.Start(ctx, name, dryRun)
		if err != nil {
			return r.inTheWay(err)
		}
		if watch {
			return r.watch(ctx, name, a.Value.ID)
		}
		if r.asJSON {
			r.body(a.Body)
			return nil
		}
		fmt.Fprintf(r.stdout, "%s: run %s is %s; rollcall watch %[1]s shows how it goes\n", name, a.Value.ID, a.Value.State)
		return nil
	})
}

func watchCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use: "watch CONTAINER [RUN]", Short: "Show the progress of the newest run until its end, and what it came to",
		Args: cobra.RangeArgs(1, 2),
	}
	return remoteCommand(e, c, func(ctx context.Context, r *remote, args []string) error {
		name, err := container(args[0])
		if err != nil {
			return err
		}
		if len(args) > 1 {
			return r.watch(ctx, name, args[1])
		}
		a, err := r.Runs(ctx, name, "", 1)
		if err != nil {
			return err
		}
		if len(a.Value.Results) == 0 {
			return fmt.Errorf("%s: there was no run yet", name)
		}
		return r.watch(ctx, name, a.Value.Results[0].ID)
	})
}

// watch shows a run until it is over. The error has the exit code that it deserves.
func (r *remote) watch(ctx context.Context, name status.Container, id string) error {
	w := r.stdout
	if r.asJSON {
		w = r.stderr
	}
	b := newBar(r.env, w, name, true)
	a, err := r.Client.Watch(ctx, name, id, r.every, b.show)
	b.end()
	if err != nil && client.KindOf(err) == fault.Canceled {
		return fmt.Errorf("no longer watched: the run goes on; rollcall watch %s shows it, rollcall cancel %[1]s ends it", name)
	}
	if err != nil {
		return err
	}
	if r.asJSON {
		r.body(a.Body)
	} else if err := r.outcome(ctx, w, a.Value); err != nil {
		return err
	}
	return quiet(judge(a.Value.Run))
}

// inTheWay says which run keeps another one from being started.
func (r *remote) inTheWay(err error) error {
	refusal, is := errors.AsType[*client.Error](err)
	if !is || refusal.Run == nil {
		return err
	}
	run := refusal.Run
	refusal.Text = fmt.Sprintf("%s has a live run already: %s, %s, started %s by %s\nrollcall watch %[1]s shows how it goes, rollcall cancel %[1]s ends it.",
		run.Container, run.ID, r.ended(*run), r.ago(run.CreatedAt), cell(r.trigger(*run)))
	return err
}

// trigger says what made a run start.
func (e *env) trigger(run client.Run) string {
	switch run.Trigger.Kind {
	case status.ByAPI, status.ByRerun:
		return run.Trigger.By
	case status.ByApproval:
		return "approval of " + run.Trigger.By
	case status.BySchedule:
		return "schedule " + run.Trigger.By
	case status.AfterSource:
		return "a run of the source"
	}
	return string(run.Trigger.Kind)
}

func cancelCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use: "cancel CONTAINER", Short: "End the live run",
		Long: "Ends the live run of a source or provider. What it applied stays; the next run plans the rest.",
		Args: cobra.ExactArgs(1),
	}
	return remoteCommand(e, c, func(ctx context.Context, r *remote, args []string) error {
		name, err := container(args[0])
		if err != nil {
			return err
		}
		a, err := r.Cancel(ctx, name)
		if err != nil {
			return err
		}
		if r.asJSON {
			r.body(a.Body)
			return nil
		}
		done, expected := a.Value.Done()
		fmt.Fprintf(r.stdout, "%s: run %s is %s; %d of %s were made and stay\n", name, a.Value.ID, a.Value.State, done, count(expected, "change"))
		return nil
	})
}
