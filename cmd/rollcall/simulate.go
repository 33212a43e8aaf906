package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"rollcall/container"
	"rollcall/internal/boot"
	"rollcall/internal/demo"
	"rollcall/internal/tokens"
	"rollcall/provider"
	"rollcall/provider/all"
	simulator "rollcall/simulator/googleworkspace"
	"rollcall/simulator/graph"
	"rollcall/simulator/scim"
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
				fmt.Fprintf(e.stdout, "endpoint: %s/\ndelegated_subject: admin@%s\ncredentials_file: %s\n", base,
					domain, credentials)
			})
		},
	}
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:8085", "address to serve on")
	c.Flags().StringVar(&domain, "domain", "example.com", "the tenant's verified domain")
	c.Flags().StringVar(&credentials, "credentials", "simulated-google.json",
		"where to write the service account's key")
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
		Long: `Serves the simulated tenants of rollcall demo, and writes into a directory what an API and its
workers need to sync the demonstration's company to them: rollcall.yaml, the company's directory as
LDIF, credentials, the certificate authority and a token. docker-compose.yml runs it in its profile
demo.`,
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
		fmt.Fprintf(e.stdout, "The demonstration's tenants are served; the directory of the company and everything "+
			"else is in %s.\nA token for the API, good until this ends: %s\n", s.dir, token)
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
				fmt.Fprintf(e.stdout, "endpoint: http://%s/scim/v2\nprofile: %s\ntoken_file: %s\n", addr, profile,
					token)
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

// demoTenant is the simulated tenant of one type of provider in the demonstration. It has the foreign accounts before
// the first sync.
type demoTenant struct {
	http.Handler
	container container.ID
	// word names the tenant in the summary and in the flags of `rollcall simulate demo`.
	word string
	// tls is set where the vendor's sign-in library accepts only https.
	tls bool
	// calls counts the requests since the last reset.
	calls func() int
	reset func()
	// connect returns the section of the provider in the configuration for a tenant at an address, and the secret file
	// that it names.
	connect func(base string) (yaml, file string, secret []byte, err error)
}

// makers make the tenants by the name of the type.
var makers = map[string]func() *demoTenant{
	"google_workspace": newDemoGoogle, "microsoft_entra": newDemoEntra, "scim": newDemoSCIM,
}

// newDemoTenants returns a tenant for each type that has a simulator.
func newDemoTenants(types []provider.Type) (all []*demoTenant) {
	for i := range types {
		if makeTenant := makers[types[i].Name]; makeTenant != nil {
			t := makeTenant()
			t.container = container.Provider(types[i].Name, 1)
			all = append(all, t)
		}
	}
	return all
}

// section begins the section of a provider. It has everything that the types have in common.
const section = `  %s:
    - id: 1
      name: Simulated tenant
      sources: [corp]
      endpoint: %s
`

// must panics because the accounts of the demonstration are ours and cannot be refused.
func must[T any](_ T, err error) {
	if err != nil {
		panic(err)
	}
}

func newDemoGoogle() *demoTenant {
	t := simulator.New(simulator.Config{Domains: []string{demo.Domain}})
	for _, u := range demo.Foreign {
		must(t.AddUser(simulator.User{PrimaryEmail: u.Address, GivenName: u.GivenName, FamilyName: u.FamilyName}))
	}
	return &demoTenant{
		Handler: t.Handler(), word: "Google", reset: t.ResetCalls,
		calls: func() int { c := t.Calls(); return c.Reads + c.Writes },
		connect: func(base string) (string, string, []byte, error) {
			key, err := t.CredentialsJSON(base)
			return fmt.Sprintf(section, "google_workspace", base+"/") + `      delegated_subject: admin@example.com
      credentials_file: google.json
      default_group_email_domain: example.com
      max_requests_per_second: 400
`, "google.json", key, err
		},
	}
}

func newDemoEntra() *demoTenant {
	t := graph.New(graph.Config{Domains: []string{demo.Domain}})
	for _, u := range demo.Foreign {
		must(t.AddUser(graph.User{UserPrincipalName: u.Address, DisplayName: u.GivenName + " " + u.FamilyName}))
	}
	return &demoTenant{
		Handler: t.Handler(), word: "Entra", tls: true, reset: t.ResetCalls,
		calls: func() int { return t.Calls().Requests },
		connect: func(base string) (string, string, []byte, error) {
			return fmt.Sprintf(section, "microsoft_entra", base+"/v1.0") + fmt.Sprintf(`      tenant_id: %s
      client_id: %s
      client_secret_file: entra
      authority: %s/
      ca_file: %s
      max_writes_per_second: 400
`, t.TenantID(), t.ClientID(), base, demoCAFile), "entra", []byte(t.ClientSecret()), nil
		},
	}
}

func newDemoSCIM() *demoTenant {
	t := scim.New(scim.Config{})
	for _, u := range demo.Foreign {
		must(t.AddUser(map[string]any{"userName": u.Address, "displayName": u.GivenName + " " + u.FamilyName}))
	}
	return &demoTenant{
		Handler: t.Handler(), word: "SCIM", reset: t.ResetCalls,
		calls: func() int { c := t.Calls(); return c.Reads + c.Writes },
		connect: func(base string) (string, string, []byte, error) {
			return fmt.Sprintf(section, "scim", base+"/scim/v2") + fmt.Sprintf(`      token_file: scim
      domains: [example.com]
      ca_file: %s
      max_requests_per_second: 400
      max_writes_per_second: 400
      max_user_writes_per_second: 400
      max_user_creates_per_second: 400
`, demoCAFile), "scim", []byte(t.Token()), nil
		},
	}
}

// writeFiles writes the files of a directory.
func writeFiles(dir string, files map[string][]byte) error {
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// connected returns the configuration for tenants at their addresses, and the files that it names.
func connected(dir string, tenants []*demoTenant, bases []string) (yaml string, files map[string][]byte, err error) {
	files = map[string][]byte{"people.ldif": demo.LDIF()}
	yaml = fmt.Sprintf(demoConfig, filepath.Join(dir, "people.ldif"))
	for i, t := range tenants {
		part, name, secret, err := t.connect(bases[i])
		if err != nil {
			return "", nil, err
		}
		yaml += part
		files[name] = secret
	}
	return yaml, files, nil
}
