package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"

	"rollcall/internal/boot"
	simulator "rollcall/simulator/googleworkspace"
)

func simulateCommand(e *env) *cobra.Command {
	var listen, domain, credentials string
	var quota float64
	c := &cobra.Command{
		Use: "simulate", Short: "Serve a simulated Google Workspace tenant on this machine",
		Long: "Serves an empty Google Workspace tenant that lives in memory: tokens, users, groups and members, as " +
			"Google's\n" +
			"documentation says. It writes a service account's key, with which Rollcall or any other client can use it.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			tenant := simulator.New(simulator.Config{Domains: []string{domain}, AdminEmail: "admin@" + domain,
				Quota: simulator.Quota{QueriesPerSecond: quota}})
			srv := &http.Server{Addr: listen, Handler: tenant.Handler(), ReadHeaderTimeout: 10 * time.Second}
			return boot.Serve(cmd.Context(), srv, 2*time.Second, func(addr net.Addr) {
				base := "http://" + addr.String()
				key, err := tenant.CredentialsJSON(base)
				if err == nil {
					err = os.WriteFile(credentials, key, 0o600)
				}
				if err != nil {
					fmt.Fprintln(e.stderr, "rollcall: write the key:", err)
					return
				}
				fmt.Fprintf(e.stdout, "endpoint: %s/\ndelegated_subject: admin@%s\ncredentials_file: %s\n", base, domain,
					credentials)
			})
		},
	}
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:8085", "address to serve on")
	c.Flags().StringVar(&domain, "domain", "example.com", "the tenant's verified domain")
	c.Flags().StringVar(&credentials, "credentials", "simulated-google.json", "where to write the service account's key")
	c.Flags().Float64Var(&quota, "quota", 0, "calls a second; 0 means no limit")
	c.AddCommand(simulateDemoCommand(e))
	return c
}
