package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rollcall/internal/boot"
	"rollcall/internal/config"
)

func checkCommand(e *env) *cobra.Command {
	var offline, noRedis, write, hardening bool
	c := &cobra.Command{
		Use: "check [CONTAINER]", Short: "Validate the configuration and try each connection",
		Long: "Reads the configuration (--config, else ROLLCALL_CONFIG, else rollcall.yaml), names every mistake in it " +
			"with file and line, and\n" +
			"then tries Redis, each source and each provider, or only CONTAINER: what was found, or why it failed. It ends " +
			"with 1 " +
			"if\n" +
			"anything failed. Redis is needed for syncs and not for `rollcall plan`: with --no-redis it may be missing. It " +
			"writes nothing\n" +
			"anywhere, except with --probe, which creates, changes and deletes one user and one group on a SCIM server, and " +
			"prints the keys\n" +
			"of the configuration that fit the server.",
		Example: "  rollcall check\n  rollcall check --no-redis\n  rollcall check --offline --config " +
			"/etc/rollcall/rollcall.yaml\n  rollcall check scim:1 --probe",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if write && len(args) == 0 {
				return wrongUse("--probe needs a provider: rollcall check scim:1 --probe")
			}
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
			if hardening {
				return harden(e, boot.Hardening(p, cfg))
			}
			if offline {
				return nil
			}
			probes := boot.Probes(p, cfg, e.getenv)
			if len(args) > 0 {
				if probes, err = only(probes, args[0], write); err != nil {
					return err
				}
			}
			return tryAll(cmd.Context(), e, probes, noRedis)
		},
	}
	c.Flags().BoolVar(&write, "probe", false,
		"find out how a SCIM server behaves, with a user and a group for the purpose")
	c.Flags().BoolVar(&hardening, "hardening", false,
		"list what makes an installation safe, and what to do; it connects to nothing")
	c.Flags().BoolVar(&offline, "offline", false, "check the file only")
	c.Flags().BoolVar(&noRedis, "no-redis", false, "do not fail where no Redis answers")
	return c
}

// harden prints the points of a hardening. It fails if one is not met.
func harden(e *env, points []boot.Finding) error {
	open := 0
	for _, f := range points {
		if f.Do == "" {
			fmt.Fprintf(e.stdout, "ok     %s\n", f.Point)
			continue
		}
		open++
		fmt.Fprintf(e.stdout, "to do  not met: %s\n       %s\n", f.Point, f.Do)
	}
	if open > 0 {
		fmt.Fprintf(e.stdout, "%d of %d points are not met\n", open, len(points))
		return quiet(codeFailure)
	}
	return nil
}

// only returns the probe of one container. With write, it writes.
func only(probes []boot.Probe, name string, write bool) ([]boot.Probe, error) {
	var known []string
	for _, p := range probes {
		if known = append(known, p.Name); p.Name != name {
			continue
		}
		switch {
		case write && p.Write == nil:
			return nil, wrongUse("%s cannot be probed; --probe is for providers", name)
		case write:
			p.Try = p.Write
		}
		return []boot.Probe{p}, nil
	}
	return nil, wrongUse("%q is not configured: known are %s", name, strings.Join(known, ", "))
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
