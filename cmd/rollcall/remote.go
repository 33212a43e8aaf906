package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"rollcall/container"
	"rollcall/internal/client"
	"rollcall/internal/config"
	"rollcall/internal/secret"
	"rollcall/internal/tokens"
	"rollcall/plan"
)

// The environment of the commands that call the API. A token is never the value of a flag, because other users of a
// machine can see flags.
const (
	varAPI       = "ROLLCALL_API"
	varTokenFile = "ROLLCALL_TOKEN_FILE"
	varToken     = "ROLLCALL_TOKEN"
	varStrict    = "ROLLCALL_STRICT_FILES"
	varInsecure  = "ROLLCALL_INSECURE"
)

// remote is a command that calls the API.
type remote struct {
	*env
	*client.Client
	address, tokenFile string
	// insecure permits a token over plain HTTP to another host.
	insecure bool
	// asJSON prints the unchanged answers of the API.
	asJSON bool
}

// remoteCommand completes a command that calls the API. It adds the flags, the connection, and the handling of
// refusals.
func remoteCommand(e *env, c *cobra.Command, do func(ctx context.Context, r *remote,
	args []string) error) *cobra.Command {
	r := &remote{env: e}
	c.Flags().StringVar(&r.address, "api", "", "where the API is (default $"+varAPI+" or "+client.DefaultAddress+")")
	c.Flags().StringVar(&r.tokenFile, "token-file", "", "file with the token (default $"+varTokenFile+
		"; or the token itself in $"+varToken+")")
	c.Flags().BoolVar(&r.insecure, "insecure", false, "send the token over plain HTTP to another host, too (default $"+
		varInsecure+")")
	c.Flags().BoolVar(&r.asJSON, "json", false, "print the API's answer as it is")
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if err := r.open(); err != nil {
			return &exit{codeUsage, err}
		}
		err := do(cmd.Context(), r, args)
		if refusal, is := errors.AsType[*client.Error](err); is && r.asJSON && refusal.Body != nil {
			r.body(refusal.Body)
		}
		return err
	}
	c.ValidArgsFunction = r.complete
	return c
}

// containerCommand completes a command with the id of a container as its first argument. The function gets the others.
func containerCommand(e *env, c *cobra.Command, do func(ctx context.Context, r *remote, name container.ID,
	args []string) error) *cobra.Command {
	return remoteCommand(e, c, func(ctx context.Context, r *remote, args []string) error {
		name, err := containerID(args[0])
		if err != nil {
			return err
		}
		return do(ctx, r, name, args[1:])
	})
}

// noTerminal is the mistake of a command that has to ask for confirmation.
const noTerminal = "there is no terminal to ask on: say --yes"

// yesFlag adds the flag that takes the place of a confirmation.
func yesFlag(c *cobra.Command) *bool { return c.Flags().BoolP("yes", "y", false, "do not ask") }

// sure shows what a command is about to do, asks for confirmation, and returns an error after any answer but a yes.
// nothing is printed after a no. With yes it does not ask.
func (r *remote) sure(ctx context.Context, yes bool, nothing string, show func() error) error {
	if yes {
		return nil
	}
	if !r.asks || r.asJSON {
		return wrongUse(noTerminal)
	}
	if err := show(); err != nil {
		return err
	}
	return r.unless(r.ask(ctx), nothing)
}

// unless prints after a no what did not happen.
func (r *remote) unless(sure bool, nothing string) error {
	if sure {
		return nil
	}
	fmt.Fprintln(r.stdout, nothing)
	return quiet(codeHeld)
}

// answer prints the answer of the API as it is, or a text, unless it is an error.
func (r *remote) answer(body []byte, err error, format string, args ...any) error {
	switch {
	case err != nil:
	case r.asJSON:
		r.body(body)
	default:
		fmt.Fprintf(r.stdout, format, args...)
	}
	return err
}

// open reads the URL of the API and the token.
func (r *remote) open() error {
	token := secret.Value(strings.TrimSpace(r.getenv(varToken)))
	if file := cmp.Or(r.tokenFile, r.getenv(varTokenFile)); file != "" {
		found, warning, err := secret.FromFile(file, r.getenv(varStrict) == "true")
		if err != nil {
			return err
		}
		if warning != "" {
			fmt.Fprintln(r.stderr, "rollcall: warning:", warning)
		}
		if token = secret.Value(strings.TrimSpace(found.Reveal())); strings.Contains(token.Reveal(), "sha256:") {
			return fmt.Errorf("%s has lines of the API's tokens file: the file wanted here has a token itself, which "+
				"rollcall token showed once", file)
		}
	}
	var err error
	r.Client, err = client.New(client.Config{Address: cmp.Or(r.address, r.getenv(varAPI)), Token: token, Types: r.types,
		Insecure: r.insecure || r.getenv(varInsecure) == "true"})
	return err
}

// body prints an unchanged answer.
func (r *remote) body(b []byte) { fmt.Fprintln(r.stdout, strings.TrimRight(string(b), "\n")) }

// containerID reads the id of a container.
func containerID(text string) (container.ID, error) {
	c, err := container.Parse(text)
	if err != nil {
		return "", &exit{codeUsage, err}
	}
	return c, nil
}

// joined prints several answers as one JSON object, by container.
func (r *remote) joined(bodies map[container.ID]json.RawMessage) error {
	enc := json.NewEncoder(r.stdout)
	enc.SetEscapeHTML(false)
	return enc.Encode(bodies)
}

// table writes rows in columns. A cell is always on one line, whatever a directory contains.
type table struct{ t *tabwriter.Writer }

func newTable(w io.Writer, head ...string) table {
	t := table{tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)}
	t.row(head...)
	return t
}

func (t table) row(cells ...string) {
	for i, c := range cells {
		cells[i] = cmp.Or(cell(c), "-")
	}
	fmt.Fprintln(t.t, strings.Join(cells, "\t"))
}

func (t table) flush() error { return t.t.Flush() }

// cell makes a text safe for one line of a terminal. See plan.Clean.
func cell(s string) string { return strings.TrimSpace(plan.Clean(s)) }

// moment prints a time in the local time zone.
func (e *env) moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(e.now().Location()).Format(time.DateTime)
}

// clock prints a time, without the date if it is today.
func (e *env) clock(t time.Time) string {
	now := e.now()
	if t = t.In(now.Location()); t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return t.Format(time.TimeOnly)
	}
	return t.Format(time.DateTime)
}

// ago prints the age of a time.
func (e *env) ago(t time.Time) string {
	d := e.now().Sub(t)
	switch {
	case t.IsZero():
		return "never"
	case d < time.Second:
		return "just now"
	}
	return span(d) + " ago"
}

// span prints a duration as one number and one unit.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	case d < 2*day:
		return fmt.Sprintf("%.0f h", d.Hours())
	}
	return fmt.Sprintf("%.0f d", d.Hours()/day.Hours())
}

// count prints a number of things, such as "1 change" and "2 changes".
func count[N int | int64](n N, thing string) string {
	if n == 1 {
		return fmt.Sprintf("%d %s", n, thing)
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

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
