package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rollcall/audit"
	"rollcall/internal/boot"
	"rollcall/internal/config"
	"rollcall/internal/tokens"
)

func tokenCommand(e *env) *cobra.Command {
	var expires, only string
	c := &cobra.Command{
		Use: "token NAME SCOPE[,SCOPE]...", Short: "Make a token for the API",
		Long: `Makes a token and prints it to standard error, once; the line for the tokens file, which has only
its hash, goes to standard output. Scopes: read shows, sync starts and cancels syncs, approve lets
held changes go.`,
		Example: "  rollcall token helpdesk read,sync >> tokens\n" +
			"  rollcall token auditor read --expires 2030-12-31 --only ldap:corp >> tokens",
		Args: cobra.MinimumNArgs(2),

		ValidArgsFunction: completeScopes,
		RunE: func(_ *cobra.Command, args []string) error {
			var scopes []tokens.Scope
			for _, word := range strings.FieldsFunc(strings.Join(args[1:], ","),
				func(r rune) bool { return r == ',' || r == ' ' }) {
				s, err := tokens.ParseScope(word)
				if err != nil {
					return &exit{codeUsage, err}
				}
				scopes = append(scopes, s)
			}
			token, line, err := tokens.New(args[0], scopes...)
			if err != nil {
				return wrongUse("%q: %w", args[0], err)
			}
			if expires != "" {
				line += " expires=" + expires
			}
			if only != "" {
				line += " only=" + only
			}
			if _, err := tokens.Parse([]byte(line)); err != nil {
				return wrongUse("%w", err)
			}
			fmt.Fprintln(e.stderr, "token (shown once):", token)
			_, err = fmt.Fprintln(e.stdout, line)
			return err
		},
	}
	c.Flags().StringVar(&expires, "expires", "", "the last day of the token, such as 2030-12-31, or a time")
	c.Flags().StringVar(&only, "only", "",
		"the sources and providers that the token reaches, such as ldap:corp,google_workspace:1")
	return c
}

func auditCommand(e *env) *cobra.Command {
	c := &cobra.Command{Use: "audit", Short: "Check the audit log"}
	c.AddCommand(&cobra.Command{
		Use: "verify FILE", Short: "Check the chain of an audit log and name the first break",
		Long: `Reads FILE and the earlier files beside it. Every line has the hash of the line before it. The
hash of the last line is compared with the one on Redis, on the host of the API. Exit code 1 means
that lines were removed or changed.`,
		Example: "  rollcall audit verify /var/log/rollcall/audit.jsonl",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.verifyAudit(cmd.Context(), args[0])
		},
	})
	return c
}

func (e *env) verifyAudit(ctx context.Context, path string) error {
	r, err := audit.Verify(path)
	if err != nil {
		return err
	}
	for _, lost := range r.Losses {
		fmt.Fprintf(e.stdout, "record %d (%s): the file did not end with record %s when it was opened: lines were removed\n",
			lost.Sequence, lost.Time.Format(time.RFC3339), lost.Details["seq"])
	}
	fmt.Fprintf(e.stdout, "%d records in %d files, from %s to %s: the chain is whole\n", r.Lines, r.Files,
		r.First.Format(time.RFC3339), r.Last.Format(time.RFC3339))
	if err := e.compareHead(ctx, path, r.Head); err != nil {
		return err
	}
	if len(r.Losses) > 0 {
		return errors.New("lines were removed")
	}
	return nil
}

// compareHead compares the end of a file with the head on Redis. An API that writes the file at this moment may be one
// record ahead.
func (e *env) compareHead(ctx context.Context, path string, head audit.Head) error {
	const patience = 3 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	p, err := config.LoadProcess(e.getenv)
	if err != nil {
		return err
	}
	rdb, disconnect, err := boot.Connect(ctx, p, slog.New(slog.DiscardHandler))
	if err != nil {
		return e.unprotected(err)
	}
	defer disconnect()
	for _, file := range spellings(path) {
		kept, known, err := audit.RedisHeads{Redis: rdb}.Load(ctx, file)
		switch {
		case err != nil:
			return e.unprotected(err)
		case !known:
		case kept == head:
			fmt.Fprintf(e.stdout, "record %d is the last one, as Redis says\n", head.Sequence)
			return nil
		case kept.Sequence < head.Sequence:
			has, err := audit.Has(path, kept)
			if err != nil || has {
				return errors.Join(err, e.unprotected(fmt.Errorf("record %d is the last one that Redis knows, and it is "+
					"there", kept.Sequence)))
			}
			fallthrough
		default:
			return fmt.Errorf("%s ends with record %d, and Redis says record %d: lines were removed or changed", path,
				head.Sequence, kept.Sequence)
		}
	}
	return e.unprotected(errors.New("this file on this host is not known to Redis"))
}

// spellings returns the path as given and in full, as the API may have been configured with either.
func spellings(path string) []string {
	full, err := filepath.Abs(path)
	if err != nil || full == path {
		return []string{path}
	}
	return []string{path, full}
}

func (e *env) unprotected(why error) error {
	_, err := fmt.Fprintf(e.stdout, "note: lines that are missing at the end cannot be noticed: %v\n", why)
	return err
}
