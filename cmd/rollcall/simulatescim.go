package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rollcall/internal/boot"
	"rollcall/simulator/scim"
)

func simulateSCIMCommand(e *env) *cobra.Command {
	var listen, profile, token string
	c := &cobra.Command{
		Use: "scim", Short: "Serve a simulated SCIM 2.0 tenant on this machine",
		Long: `Serves an empty SCIM 2.0 tenant that lives in memory: users, groups and members, as RFC 7643 and
RFC 7644 say, with the deviations and limits of a profile. It writes the bearer token with which
Rollcall or any other client can use it.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := scim.Profile(profile)
			if err != nil {
				return fmt.Errorf("--profile: %w", err)
			}
			tenant := scim.New(cfg)
			srv := &http.Server{Addr: listen, Handler: tenant.Handler(), ReadHeaderTimeout: 10 * time.Second}
			return boot.Serve(cmd.Context(), srv, 2*time.Second, func(addr net.Addr) {
				if err := os.WriteFile(token, []byte(tenant.Token()+"\n"), 0o600); err != nil {
					fmt.Fprintln(e.stderr, "rollcall: write the token:", err)
					return
				}
				fmt.Fprintf(e.stdout, "endpoint: http://%s/scim/v2\nprofile: %s\ntoken_file: %s\n", addr, profile, token)
			})
		},
	}
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:8087", "address to serve on")
	c.Flags().StringVar(&profile, "profile", "generic", "whose deviations and limits: "+
		strings.Join(scim.Profiles(), ", "))
	c.Flags().StringVar(&token, "token", "simulated-scim", "where to write the bearer token")
	_ = c.RegisterFlagCompletionFunc("profile", cobra.FixedCompletions(scim.Profiles(),
		cobra.ShellCompDirectiveNoFileComp))
	return c
}
