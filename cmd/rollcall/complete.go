package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rollcall/container"
	"rollcall/internal/client"
	"rollcall/internal/config"
	"rollcall/internal/tokens"
)

// The commands with completions of their own.
const (
	cmdObject = "object"
	cmdRuns   = "runs"
	cmdWatch  = "watch"
)

// noFiles tells a shell to complete no file names and to keep the order.
const noFiles = cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder

// complete completes arguments from the API. It has a short time limit, so that the shell stays responsive.
func (r *remote) complete(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	const patience = 2 * time.Second
	ctx, cancel := context.WithTimeout(cmd.Context(), patience)
	defer cancel()
	var out []string
	if name := cmd.Name(); r.open() == nil {
		switch {
		case len(args) == 0:
			out = r.containers(ctx, name == cmdObject)
		case len(args) == 1 && name == cmdObject:
			out = []string{"user", "group"}
		case len(args) == 1 && (name == cmdRuns || name == cmdWatch):
			out = r.recent(ctx, container.ID(args[0]))
		case len(args) == 1 && (name == string(client.Approve) || name == string(client.Reject)):
			held, err := r.Held(ctx, container.ID(args[0]), 0, 1)
			if err == nil && held.Value.Digest != "" {
				out = []string{cobra.CompletionWithDesc(held.Value.Digest, count(held.Value.Count, "change"))}
			}
		}
	}
	return out, noFiles
}

// recent returns the newest runs with their results.
func (r *remote) recent(ctx context.Context, name container.ID) []string {
	const some = 20
	a, err := r.Runs(ctx, name, "", some)
	if err != nil {
		return nil
	}
	var out []string
	for _, run := range a.Value.Results {
		out = append(out, cobra.CompletionWithDesc(run.ID, string(run.State)+" "+r.moment(run.CreatedAt)))
	}
	return out
}

// containers returns the ids of all containers, or of the providers, with their names for people.
func (r *remote) containers(ctx context.Context, providers bool) []string {
	all, err := r.Resources(ctx)
	if err != nil {
		return nil
	}
	var out []string
	for _, res := range all {
		if !providers || !res.Container.IsSource() {
			out = append(out, cobra.CompletionWithDesc(string(res.Container), cell(res.Name)))
		}
	}
	return out
}

// completeLocal completes the container argument of a command that works without the API. It reads the configuration.
func completeLocal(e *env) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		p, err := e.process()
		if err != nil || len(args) > 0 {
			return nil, noFiles
		}
		cfg, _, err := config.Load(p.Config, config.Options{Types: e.types, Getenv: e.getenv, Strict: p.StrictFiles})
		if err != nil {
			return nil, noFiles
		}
		var out []string
		for _, name := range cfg.Containers() {
			out = append(out, name.String())
		}
		return out, noFiles
	}
}

// completeScopes completes the scopes that follow the name of a token, without those that are already given.
func completeScopes(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var out []string
	for _, s := range tokens.Scopes() {
		if len(args) > 0 && !slices.Contains(strings.Split(strings.Join(args[1:], ","), ","), string(s)) {
			out = append(out, string(s))
		}
	}
	return out, noFiles
}
