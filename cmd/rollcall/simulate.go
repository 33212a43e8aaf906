package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"rollcall/internal/boot"
	"rollcall/internal/tokens"
	"rollcall/provider/all"
	simulator "rollcall/simulator/googleworkspace"
	"rollcall/simulator/graph"
)

func simulateCommand(e *env) *cobra.Command {
	var listen, domain, credentials string
	var quota float64
	c := &cobra.Command{
		Use: "simulate", Short: "Serve a simulated Google Workspace tenant on this machine",
		Long: `Serves an empty Google Workspace tenant that lives in memory: tokens, users, groups and members,
as Google's documentation says. It writes a service account's key, with which Rollcall or any
other client can use it.`,
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
	c.AddCommand(simulateDemoCommand(e), simulateSCIMCommand(e))
	return c
}

// Files of the demonstration's directory that other programs use, too.
const (
	demoConfigFile = "rollcall.yaml" // written last: where it is, everything is
	demoCAFile     = "entra-ca.pem"
	demoTokensFile = "tokens" // hashes, for the API
	demoTokenFile  = "token"  // for people
)

// stand has the addresses of the demonstration's tenants.
type stand struct {
	dir, host, health string
	tenants           []*demoTenant
	listen            []string // where each tenant is served
}

func simulateDemoCommand(e *env) *cobra.Command {
	s := stand{tenants: newDemoTenants(all.Types())}
	s.listen = make([]string, len(s.tenants))
	c := &cobra.Command{
		Use: "demo", Short: "Serve the tenants of the demonstration to Rollcalls on other machines, over TLS",
		Long: "Serves the simulated tenants of `rollcall demo`, and writes into a directory what an API and its workers " +
			"need to\n" +
			"sync the demonstration's company to them: rollcall.yaml, the company's directory as LDIF, credentials, the\n" +
			"certificate authority and a token. docker-compose.yml runs it in its profile `demo`.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return s.run(cmd.Context(), e) },
	}
	c.Flags().StringVar(&s.dir, "dir", "", "where to write the files (it has to exist)")
	c.Flags().StringVar(&s.host, "host", "127.0.0.1", "the name or address under which the tenants are reached")
	for i, t := range s.tenants {
		c.Flags().StringVar(&s.listen[i], "listen-"+strings.ToLower(t.word), fmt.Sprintf("127.0.0.1:%d", 8085+i),
			"address to serve "+string(t.container)+" on")
	}
	c.Flags().StringVar(&s.health, "listen-health", "127.0.0.1:9466", "address to serve /livez and /readyz on")
	_ = c.MarkFlagRequired("dir") // it is defined above
	return c
}

// run serves until ctx ends.
func (s stand) run(ctx context.Context, e *env) error {
	authority, err := graph.NewAuthority(s.host)
	if err != nil {
		return err
	}
	listeners, err := listenAll(ctx, s.listen...)
	if err != nil {
		return err
	}
	bases := make([]string, len(listeners))
	for i, l := range listeners {
		_, port, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			return err
		}
		bases[i] = "https://" + net.JoinHostPort(s.host, port)
	}
	token, err := s.write(authority, bases)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	for i, t := range s.tenants {
		g.Go(func() error { return serveTLS(ctx, listeners[i], t, authority.TLSConfig()) })
	}
	g.Go(func() error {
		fmt.Fprintf(e.stdout, "The demonstration's tenants are served; the directory of the company and everything else "+
			"is in %s.\n"+
			"A token for the API, good until this ends: %s\n", s.dir, token)
		return boot.Serve(ctx, &http.Server{Addr: s.health, Handler: wellAlways(), ReadHeaderTimeout: 5 * time.Second},
			time.Second, nil)
	})
	return g.Wait()
}

func listenAll(ctx context.Context, addrs ...string) (all []net.Listener, err error) {
	for _, addr := range addrs {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
		if err != nil {
			return nil, err
		}
		all = append(all, l)
	}
	return all, nil
}

func serveTLS(ctx context.Context, l net.Listener, handler http.Handler, c *tls.Config) error {
	srv := &http.Server{Handler: handler, TLSConfig: c, ReadHeaderTimeout: 10 * time.Second}
	defer context.AfterFunc(ctx, func() { _ = srv.Close() })()
	if err := srv.ServeTLS(l, "", ""); ctx.Err() == nil {
		return err
	}
	return nil
}

// wellAlways answers every health check with success, because a listening process is ready.
func wellAlways() http.Handler {
	mux := http.NewServeMux()
	for _, path := range []string{"GET /livez", "GET /readyz"} {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, `{"status":"ok"}`) })
	}
	return mux
}

// write writes the files of the directory and returns the token. The configuration comes last.
func (s stand) write(ca *graph.Authority, bases []string) (string, error) {
	yaml, files, err := connected(s.dir, s.tenants, bases)
	if err != nil {
		return "", err
	}
	token, line, err := tokens.New("demo", tokens.Scopes()...)
	if err != nil {
		return "", err
	}
	files[demoCAFile], files[demoTokensFile], files[demoTokenFile] = ca.CA, []byte(line+"\n"), []byte(token+"\n")
	if err := writeFiles(s.dir, files); err != nil {
		return "", err
	}
	return token, writeFiles(s.dir, map[string][]byte{demoConfigFile: []byte(onSchedule(yaml))})
}

// onSchedule adds schedules to the configuration of the demonstration.
func onSchedule(yaml string) string {
	return strings.NewReplacer(
		"    - slug: corp\n", "    - slug: corp\n      schedule: \"@every 1m\"\n",
		"    - id: 1\n", "    - id: 1\n      schedule: after_source\n",
	).Replace(yaml)
}
