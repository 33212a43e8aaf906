package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"rollcall/internal/client"
	"rollcall/status"
)

func syncCommand(e *env) *cobra.Command {
	var dryRun, watch bool
	c := &cobra.Command{
		Use: "sync CONTAINER", Short: "Start a full sync",
		Long: "Starts a full sync of a source or provider. It is carried out by a worker, whether anybody watches or not.\n" +
			"What it ends with is said by rollcall help exit-codes. With --watch it goes on as rollcall watch does, also as " +
			"to --json.",
		Example: "  rollcall sync ldap:corp --watch\n  rollcall sync google_workspace:1 --dry-run --watch",
		Args:    cobra.ExactArgs(1),
	}
	c.Flags().BoolVar(&dryRun, "dry-run", false, "plan and write nothing")
	c.Flags().BoolVarP(&watch, "watch", "w", false, "show the progress until the end")
	return remoteCommand(e, c, func(ctx context.Context, r *remote, args []string) error {
		name, err := containerID(args[0])
		if err != nil {
			return err
		}
		a, err := r.Start(ctx, name, dryRun)
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
	refusal.Text = fmt.Sprintf("%s has a live run already: %s, %s, started %s by %s\nrollcall watch %[1]s shows how it "+
		"goes, rollcall cancel %[1]s ends it.",
		run.Container, run.ID, r.ended(*run), r.ago(run.CreatedAt), cell(r.trigger(*run)))
	return err
}

// trigger describes what started a run.
func (e *env) trigger(run client.Run) string {
	switch run.Trigger.Kind {
	case status.ByAPI, status.ByRerun:
		return run.Trigger.By
	case status.ByApproval:
		return "approval of " + run.Trigger.By
	case status.ByRevert:
		return "undo by " + run.Trigger.By + " of " + run.Trigger.Of
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
		name, err := containerID(args[0])
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
		fmt.Fprintf(r.stdout, "%s: run %s is %s; %d of %s were made and stay\n", name, a.Value.ID, a.Value.State, done,
			count(expected, "change"))
		return nil
	})
}
