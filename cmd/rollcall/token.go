package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"rollcall/internal/tokens"
)

func tokenCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use: "token NAME SCOPE[,SCOPE]...", Short: "Make a token for the API",
		Long: "Makes a token and prints it to standard error, once; the line for the tokens file, which has only its " +
			"hash, goes to\n" +
			"standard output. Scopes: read looks, sync starts and cancels syncs, approve lets held changes go.",
		Example: "  rollcall token helpdesk read,sync >> tokens",
		Args:    cobra.MinimumNArgs(2),

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
			fmt.Fprintln(e.stderr, "token (shown once):", token)
			_, err = fmt.Fprintln(e.stdout, line)
			return err
		},
	}
}
