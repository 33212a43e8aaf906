package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"rollcall/container"
	"rollcall/internal/client"
	"rollcall/internal/secret"
)

// The environment of the commands that call the API. A token is never the value of a flag, because other users of a
// machine can see flags.
const (
	varAPI       = "ROLLCALL_API"
	varTokenFile = "ROLLCALL_TOKEN_FILE"
	varToken     = "ROLLCALL_TOKEN"
	varStrict    = "ROLLCALL_STRICT_FILES"
)

// remote is a command that calls the API.
type remote struct {
	*env
	*client.Client
	address, tokenFile string
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
	r.Client, err = client.New(client.Config{Address: cmp.Or(r.address, r.getenv(varAPI)), Token: token, Types: r.types})
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
