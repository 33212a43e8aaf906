package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"rollcall/internal/boot"
	"rollcall/internal/config"
)

func checkCommand(e *env) *cobra.Command {
	var offline bool
	c := &cobra.Command{
		Use: "check", Short: "Validate the configuration and try each connection",
		Long: "Reads the configuration (--config, else ROLLCALL_CONFIG, else rollcall.yaml), names every mistake in it with file and line, and\n" +
			"then tries Redis, each source and each provider: what was found, or why it failed. It writes nothing anywhere. It ends with 1 if\n" +
			"anything failed.",
		Example: "  rollcall check\n  rollcall check --offline --config /etc/rollcall/rollcall.yaml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := e.configured()
			if err != nil {
				return err
			}
			cfg, warnings, err := config.Load(p.Config, config.Options{Getenv: e.getenv, Strict: p.StrictFiles})
			if err != nil {
				return err
			}
			for _, w := range warnings {
				fmt.Fprintln(e.stdout, "warning:", w)
			}
			fmt.Fprintf(e.stdout, "%s: no mistakes\n", p.Config)
			if offline {
				return nil
			}
			return tryAll(cmd.Context(), e, p, cfg)
		},
	}
	c.Flags().BoolVar(&offline, "offline", false, "check the file only")
	return c
}

// tryAll tries each connection and goes on after a failure.
func tryAll(ctx context.Context, e *env, p config.Process, cfg *config.Config) error {
	var failed bool
	for _, probe := range boot.Probes(p, cfg, e.getenv) {
		within, cancel := context.WithTimeout(ctx, time.Minute)
		lines, err := probe.Try(within)
		cancel()
		for _, l := range lines {
			fmt.Fprintf(e.stdout, "%s: %s\n", probe.Name, l)
		}
		if err != nil {
			failed = true
			fmt.Fprintf(e.stdout, "%s: FAILED: %v\n", probe.Name, err)
			continue
		}
		fmt.Fprintf(e.stdout, "%s: ok\n", probe.Name)
	}
	if failed {
		return errQuiet
	}
	return nil
}
