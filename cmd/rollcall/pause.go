package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"rollcall/container"
	"rollcall/internal/client"
)

func pauseCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use: "pause CONTAINER|--all", Short: "Stop writing to a source or provider until it is resumed",
		Long: `Keeps runs, single jobs, leavers and undos from writing to a source or provider, or to all of them.
A run that writes stops within seconds. Reads and plans go on. A source that is being copied is
copied to its end, so that its local copy is never half written. The pause outlives restarts of
workers, and rollcall resume ends it.`,
		Example: "  rollcall pause google_workspace:1\n  rollcall pause --all",
	}
	return eachCommand(e, c, func(ctx context.Context, r *remote, name container.ID) error {
		a, err := r.Pause(ctx, name)
		if err != nil {
			return err
		}
		return r.answer(a.Body, "%s: %s\n", name, cell(a.Value.Text))
	})
}

func resumeCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use: "resume CONTAINER|--all", Short: "Write to a paused source or provider again",
		Long: `Ends the pause of a source or provider, or of all that are paused. Those who were ordered to leave
are suspended at once, and a full run does the rest.`,
		Example: "  rollcall resume google_workspace:1\n  rollcall resume --all",
	}
	return eachCommand(e, c, func(ctx context.Context, r *remote, name container.ID) error {
		if all, _ := c.Flags().GetBool("all"); all {
			if p, err := r.PauseOf(ctx, name); err != nil || !p.Value.Paused {
				return err
			}
		}
		a, err := r.Resume(ctx, name)
		if err != nil {
			return err
		}
		text := "the live run goes on"
		if a.Value.Run.ID != "" {
			text = fmt.Sprintf("run %s is %s", a.Value.Run.ID, a.Value.Run.State)
		}
		return r.answer(a.Body, "%s: resumed; %s\n", name, text)
	})
}

// eachCommand completes a command about one container or, with --all, about each of them. An error at one of them
// keeps it from no other.
func eachCommand(e *env, c *cobra.Command, do func(context.Context, *remote, container.ID) error) *cobra.Command {
	var all bool
	c.Flags().BoolVar(&all, "all", false, "every source and provider that is not disabled")
	c.Args = func(_ *cobra.Command, args []string) error {
		if len(args) > 1 || (len(args) == 1) == all {
			return errors.New("give the id of one source or provider, or --all")
		}
		return nil
	}
	return remoteCommand(e, c, func(ctx context.Context, r *remote, args []string) error {
		if !all {
			name, err := containerID(args[0])
			if err != nil {
				return err
			}
			return do(ctx, r, name)
		}
		list, err := r.Resources(ctx)
		if err != nil {
			return err
		}
		var errs []error
		for _, res := range list {
			if res.Enabled {
				if err := do(ctx, r, res.Container); err != nil {
					errs = append(errs, fmt.Errorf("%s: %w", res.Container, err))
				}
			}
		}
		return errors.Join(errs...)
	})
}

// pauseOf returns the pause of a container. An older API has none.
func (r *remote) pauseOf(ctx context.Context, name container.ID) client.Pause {
	a, err := r.PauseOf(ctx, name)
	if err != nil {
		return client.Pause{}
	}
	return a.Value
}
