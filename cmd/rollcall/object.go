package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"rollcall/container"
	"rollcall/directory"
	"rollcall/internal/client"
	"rollcall/status"
)

func objectCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use: cmdObject + " PROVIDER user|group ID", Short: "Sync one user or group to a provider, now",
		Long: "Reads one entry from its source and brings it to the provider. It is named by its id, the id of its " +
			"account's anchor, its mail or its\n" +
			"username, whichever exactly one entry has.",
		Example: "  rollcall object google_workspace:1 user ada@example.com",
		Args:    cobra.ExactArgs(3),
	}
	return remoteCommand(e, c, func(ctx context.Context, r *remote, args []string) error {
		name, err := containerID(args[0])
		if err != nil {
			return err
		}
		kind, known := map[string]directory.Kind{"user": directory.User, "group": directory.Group}[args[1]]
		switch {
		case name.IsSource():
			return wrongUse("%s is a source: a single object goes to a provider", name)
		case !known:
			return wrongUse("%q: want user or group", args[1])
		}
		a, err := r.Object(ctx, name, kind, args[2])
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
	tick := time.NewTicker(r.every)
	defer tick.Stop()
	for {
		a, err := r.Job(ctx, name, id)
		if err != nil || a.Value.State == status.JobDone {
			return a, err
		}
		select {
		case <-ctx.Done():
			return a, &exit{codeInterrupted, fmt.Errorf("no longer waited for: the sync of this entry goes on as job %s", id)}
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
