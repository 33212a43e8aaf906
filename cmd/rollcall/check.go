package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"rollcall/internal/boot"
	"rollcall/internal/config"
)

func checkCommand(e *env) *cobra.Command {
	var offline, noRedis bool
	c := &cobra.Command{
		Use: "check", Short: "Validate the configuration and try each connection",
		Long: "Reads the configuration (--config, else ROLLCALL_CONFIG, else rollcall.yaml), names every mistake in it " +
			"with file and line, and\n" +
			"then tries Redis, each source and each provider: what was found, or why it failed. It writes nothing anywhere. " +
			"It ends with 1 if\n" +
			"anything failed. Redis is needed for syncs and not for `rollcall plan`: with --no-redis it may be missing.",
		Example: "  rollcall check\n  rollcall check --no-redis\n  rollcall check --offline --config " +
			"/etc/rollcall/rollcall.yaml",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := e.configured()
			if err != nil {
				return err
			}
			cfg, warnings, err := config.Load(p.Config, config.Options{Types: e.types, Getenv: e.getenv, Strict: p.StrictFiles})
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
			return tryAll(cmd.Context(), e, boot.Probes(p, cfg, e.getenv), noRedis)
		},
	}
	c.Flags().BoolVar(&offline, "offline", false, "check the file only")
	c.Flags().BoolVar(&noRedis, "no-redis", false, "do not fail where no Redis answers")
	return c
}

// tryAll tries each connection and continues after a failure. With noRedis, an unreachable Redis is not a failure.
func tryAll(ctx context.Context, e *env, probes []boot.Probe, noRedis bool) error {
	var failed bool
	for _, probe := range probes {
		within, cancel := context.WithTimeout(ctx, time.Minute)
		lines, err := probe.Try(within)
		cancel()
		for _, l := range lines {
			fmt.Fprintf(e.stdout, "%s: %s\n", probe.Name, l)
		}
		switch {
		case err == nil:
			fmt.Fprintf(e.stdout, "%s: ok\n", probe.Name)
		case !noRedis || !errors.Is(err, boot.ErrNoRedis):
			failed = true
			fmt.Fprintf(e.stdout, "%s: FAILED: %v\n", probe.Name, err)
		}
	}
	if failed {
		return errQuiet
	}
	return nil
}
