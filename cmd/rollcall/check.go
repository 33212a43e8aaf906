package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rollcall/internal/boot"
	"rollcall/internal/config"
	"rollcall/plan"
)

func checkCommand(e *env) *cobra.Command {
	var offline, noRedis, write, hardening, asJSON bool
	c := &cobra.Command{
		Use: "check [CONTAINER]", Short: "Validate the configuration and try each connection",
		Long: `Reads the configuration (--config, else ROLLCALL_CONFIG, else rollcall.yaml), names every mistake
in it with file and line, and then tries Redis, each source and each provider, or only CONTAINER:
what was found, or why it failed. It ends with 1 if anything failed. Redis is needed for syncs and
not for rollcall plan: with --no-redis it may be missing. It writes nothing anywhere. Only with
--probe it creates, changes and deletes one user and one group on a SCIM server, and prints the
keys of the configuration that fit the server.`,
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
			cfg, warnings, err := config.Load(p.Config,
				config.Options{Types: e.types, Getenv: e.getenv, Strict: p.StrictFiles})
			if err != nil {
				return err
			}
			c := checks{env: e, noRedis: noRedis, asJSON: asJSON}
			for _, w := range warnings {
				c.found(finding{Level: levelWarning, Text: w})
			}
			c.found(finding{Level: levelOK, Text: p.Config + ": no mistakes"})
			if hardening {
				return c.harden(boot.Hardening(p, cfg))
			}
			if offline {
				return c.end()
			}
			probes := boot.Probes(p, cfg, e.getenv)
			if len(args) > 0 {
				if probes, err = only(probes, args[0], write); err != nil {
					return err
				}
			}
			return c.try(cmd.Context(), probes)
		},
	}
	c.Flags().BoolVar(&write, "probe", false,
		"find out how a SCIM server behaves, with a user and a group for the purpose")
	c.Flags().BoolVar(&hardening, "hardening", false,
		"list what makes an installation safe, and what to do; it connects to nothing")
	c.Flags().BoolVar(&asJSON, "json", false, "print a JSON object: ok, and a list of checks with container, level "+
		"(ok, warning, failed) and text")
	c.Flags().BoolVar(&offline, "offline", false, "check the file only")
	c.Flags().BoolVar(&noRedis, "no-redis", false, "do not fail where no Redis answers")
	return c
}

// harden prints the points of a hardening. It fails if one is not met.
func (c *checks) harden(points []boot.Finding) error {
	if c.asJSON {
		for _, f := range points {
			one := finding{Level: levelOK, Text: f.Point}
			if f.Do != "" {
				one = finding{Level: levelFailed, Text: "not met: " + f.Point + ": " + f.Do}
			}
			c.found(one)
		}
		return c.end()
	}
	open := 0
	for _, f := range points {
		if f.Do == "" {
			fmt.Fprintf(c.stdout, "ok     %s\n", f.Point)
			continue
		}
		open++
		fmt.Fprintf(c.stdout, "to do  not met: %s\n       %s\n", f.Point, f.Do)
	}
	if open > 0 {
		fmt.Fprintf(c.stdout, "%d of %d points are not met\n", open, len(points))
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

// The levels of a finding.
const (
	levelOK      = "ok"
	levelWarning = "warning"
	levelFailed  = "failed"
)

// finding is one result of a check. Container is empty for the configuration as a whole.
type finding struct {
	Container string `json:"container,omitempty"`
	Level     string `json:"level"`
	Text      string `json:"text"`
}

// checks prints what is found, as lines at once or as JSON at the end.
type checks struct {
	*env
	noRedis, asJSON bool
	all             []finding
}

func (c *checks) found(f finding) {
	c.all = append(c.all, f)
	if c.asJSON {
		return
	}
	text := f.Text
	switch f.Level {
	case levelFailed:
		text = "FAILED: " + text
	case levelWarning:
		text = "warning: " + text
	}
	if f.Container != "" {
		text = f.Container + ": " + text
	}
	for line := range strings.SplitSeq(text, "\n") {
		fmt.Fprintln(c.stdout, plan.Clean(line)) // A directory or a tenant said part of it.
	}
}

// try tries each connection and continues after a failure. An unreachable Redis may be no failure.
func (c *checks) try(ctx context.Context, probes []boot.Probe) error {
	for _, probe := range probes {
		within, cancel := context.WithTimeout(ctx, time.Minute)
		lines, err := probe.Try(within)
		cancel()
		for _, line := range lines {
			level := levelOK
			if text, is := strings.CutPrefix(line, "warning: "); is {
				level, line = levelWarning, text
			}
			c.found(finding{probe.Name, level, line})
		}
		switch {
		case err == nil:
			c.found(finding{probe.Name, levelOK, "ok"})
		case !c.noRedis || !errors.Is(err, boot.ErrNoRedis):
			for _, one := range separate(err) {
				c.found(finding{probe.Name, levelFailed, one.Error()})
			}
		}
	}
	return c.end()
}

// separate returns the errors that were joined, as errors.Join does.
func separate(err error) []error {
	joined, is := err.(interface{ Unwrap() []error })
	if !is {
		return []error{err}
	}
	var out []error
	var texts []string
	for _, one := range joined.Unwrap() {
		out, texts = append(out, separate(one)...), append(texts, one.Error())
	}
	if strings.Join(texts, "\n") != err.Error() { // It wraps several errors in one sentence.
		return []error{err}
	}
	return out
}

// end prints the JSON. It returns an error if anything failed.
func (c *checks) end() error {
	failed := slices.ContainsFunc(c.all, func(f finding) bool { return f.Level == levelFailed })
	if c.asJSON {
		out := json.NewEncoder(c.stdout)
		out.SetIndent("", "  ")
		out.SetEscapeHTML(false)
		if err := out.Encode(map[string]any{"ok": !failed, "checks": c.all}); err != nil {
			return err
		}
	}
	if failed {
		return errQuiet
	}
	return nil
}
