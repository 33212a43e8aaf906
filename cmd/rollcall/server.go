package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"rollcall/container"
)

func acceptServerCommand(e *env) *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use: "accept-server CONTAINER", Short: "Take the directory server in use as the right one",
		Long: "A source that was read from a server which is older than the last one, or cannot be compared with it, is " +
			"not believed. This shows\n" +
			"both servers and how far they are and, if you say yes, compares later reads with the one in use: after a " +
			"restore that was meant, or\n" +
			"when a server was replaced. Wait for replication first where that is the cause: then nothing needs to be accepted.",
		Example: "  rollcall accept-server ldap:corp",
		Args:    cobra.ExactArgs(1),
	}
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return remoteCommand(e, c, func(ctx context.Context, r *remote, args []string) error {
		name, err := containerID(args[0])
		if err != nil {
			return err
		}
		if !yes {
			sure, err := r.sureOfServer(ctx, name)
			if err != nil {
				return err
			}
			if !sure {
				fmt.Fprintln(r.stdout, "Nothing was accepted.")
				return quiet(codeHeld)
			}
		}
		a, err := r.AcceptServer(ctx, name)
		if err != nil {
			return err
		}
		if r.asJSON {
			r.body(a.Body)
			return nil
		}
		fmt.Fprintf(r.stdout, "%s: accepted %s; the next sync goes on with it\n", name, a.Value.Text)
		return nil
	})
}

// sureOfServer shows the two servers and asks for confirmation.
func (r *remote) sureOfServer(ctx context.Context, name container.ID) (bool, error) {
	if !r.asks || r.asJSON {
		return false, wrongUse("no terminal to ask on: say --yes")
	}
	a, err := r.Server(ctx, name)
	if err != nil {
		return false, err
	}
	if a.Value.PendingText == "" {
		return false, fmt.Errorf("%s: no server is in doubt; the last one was %s", name, a.Value.Text)
	}
	fmt.Fprintf(r.stdout, "Last believed: %s\nIn use:        %s\n", a.Value.Text, a.Value.PendingText)
	return r.ask(ctx)
}
