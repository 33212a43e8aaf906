package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/spf13/cobra"

	"rollcall/container"
	"rollcall/internal/boot"
	"rollcall/internal/client"
	"rollcall/internal/config"
	"rollcall/internal/demo"
	"rollcall/internal/secret"
	"rollcall/internal/session"
	"rollcall/internal/tokens"
	"rollcall/jobs"
	"rollcall/provider/all"
	"rollcall/simulator/graph"
	"rollcall/status"
)

const demoSource = container.ID("ldap:corp")

func demoCommand(e *env) *cobra.Command {
	var once bool
	var at addresses
	c := &cobra.Command{
		Use: "demo", Short: "Sync a company that does not exist to simulated tenants",
		Long: `Starts everything in this process: a Redis, the directory of a company of some 250 people, a
simulated tenant of each type of provider, the API and a worker. It syncs one day and the next,
prints what happened, and serves until Ctrl-C.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runDemo(cmd.Context(), e, at, once) },
	}
	c.Flags().BoolVar(&once, "once", false,
		"end after the syncs: with 0 when the last one planned nothing, and 1 otherwise")
	c.Flags().StringVar(&at.api, "listen", "127.0.0.1:8080", "address of the API")
	c.Flags().StringVar(&at.metrics, "metrics-listen", config.APIMetrics,
		"address of the metrics, which --once does not serve; off for none")
	return c
}

// addresses are the addresses of the demonstration.
type addresses struct{ api, metrics string }

// stage is the environment of the demonstration.
type stage struct {
	*env
	dir     string
	tenants []*demoTenant
	app     *boot.App
	client  *jobs.Client
	// stopRedis ends the Redis of the demonstration.
	stopRedis func()
	// token and known are set where the API listens on other addresses than loopback.
	token string
	known session.Tokens
}

func runDemo(ctx context.Context, e *env, at addresses, once bool) error {
	dir, err := os.MkdirTemp("", "rollcall-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	s := &stage{env: e, dir: dir, tenants: newDemoTenants(all.Types()), stopRedis: func() {}}
	defer func() { s.stopRedis() }()
	if err := s.open(ctx, at.api); err != nil {
		return err
	}
	defer s.app.Close()
	worker, err := s.app.Worker("demo")
	if err != nil {
		return err
	}
	if err := worker.Start(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	defer worker.Shutdown()
	srv, err := s.app.API(ctx, s.known)
	if err != nil {
		return err
	}
	serving, bound := make(chan error, 2), make(chan net.Addr, 1)
	go func() { serving <- boot.Serve(ctx, srv, 2*time.Second, func(a net.Addr) { bound <- a }) }()
	var addr net.Addr
	select {
	case addr = <-bound:
	case err := <-serving:
		return fmt.Errorf("%w: choose another address with --listen", err)
	}
	if !once {
		go func() {
			if err := s.app.ServeMetrics(ctx, at.metrics); err != nil {
				serving <- fmt.Errorf("%w: choose another address with --metrics-listen", err)
			}
		}()
	}
	if err := s.play(ctx); err != nil {
		return err
	}
	if once {
		return nil
	}
	s.invite(addr, at.metrics)
	return <-serving
}

// open writes the configuration, starts the tenants and connects.
func (s *stage) open(ctx context.Context, listen string) error {
	authority, err := graph.NewAuthority("127.0.0.1")
	if err != nil {
		return err
	}
	bases := make([]string, len(s.tenants))
	for i, t := range s.tenants {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		srv := &http.Server{Handler: t, TLSConfig: authority.TLSConfig(), ReadHeaderTimeout: 10 * time.Second}
		context.AfterFunc(ctx, func() { _ = srv.Close() })
		bases[i] = "http://" + listener.Addr().String()
		if t.tls {
			bases[i] = "https://" + listener.Addr().String()
			// It ends with the context; the syncs report any other end.
			go func() { _ = srv.ServeTLS(listener, "", "") }()
		} else {
			go func() { _ = srv.Serve(listener) }()
		}
	}
	yaml, files, err := connected(s.dir, s.tenants, bases)
	if err != nil {
		return err
	}
	files[demoCAFile], files[demoConfigFile] = authority.CA, []byte(yaml)
	if err := writeFiles(s.dir, files); err != nil {
		return err
	}
	cfg, _, err := config.Load(filepath.Join(s.dir, "rollcall.yaml"), config.Options{Types: s.types, Getenv: s.getenv})
	if err != nil {
		return err
	}
	log, err := boot.NewLog(s.stderr, "error", "text")
	if err != nil {
		return err
	}
	p := config.Process{Listen: listen, ObjectWait: 20 * time.Second}
	if p.RedisURL, s.stopRedis, err = startRedis(log); err != nil {
		return err
	}
	if s.app, err = boot.With(ctx, p, cfg, s.getenv, log); err != nil {
		return err
	}
	s.client = jobs.NewClient(s.app.Redis, s.app.Status)
	return s.makeToken(listen)
}

// makeToken makes a token, except for an API that only this machine can reach. Its pages just open.
func (s *stage) makeToken(listen string) error {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	if secret.StaysHere(host) {
		return nil
	}
	token, line, err := tokens.New("demo", tokens.Scopes()...)
	if err != nil {
		return err
	}
	s.token = token
	list, err := tokens.Parse([]byte(line))
	s.known = tokens.Fixed{List: list}
	return err
}

// demoConfig begins the configuration. The tenants of the demonstration have no quota, so their rates are high.
const demoConfig = `sources:
  ldap:
    - slug: corp
      name: Corporate directory
      server_uri: file://%s
      base_dn: dc=example,dc=com
      additional_user_dn: ou=people
      additional_group_dn: ou=groups
      user_object_filter: (objectClass=inetOrgPerson)
      group_object_filter: (objectClass=groupOfNames)
      group_membership_field: member
      object_uniqueness_field: entryUUID
providers:
`

// invite prints commands to try.
func (s *stage) invite(addr net.Addr, metrics string) {
	header, sign, variable := "", "", ""
	if s.token != "" {
		header, variable = " -H 'Authorization: Bearer "+s.token+"'", " ROLLCALL_TOKEN="+s.token
		sign = ", and sign in with " + s.token
	}
	const lines = `
Open http://%[1]s/ in a browser%[2]s. It is served until Ctrl-C, and so is the API:

  ROLLCALL_API=http://%[1]s%[3]s rollcall status
  curl -s%[4]s http://%[1]s/api/v3/providers/google_workspace/1/sync/status/
  curl -s%[4]s -H 'Content-Type: application/json' \
    -d '{"sync_object_model":"authentik.core.models.User","sync_object_id":"%[5]s"}' \
    http://%[1]s/api/v3/providers/google_workspace/1/sync/object/
`
	fmt.Fprintf(s.stdout, lines, addr, sign, variable, header, demo.SampleUser)
	if metrics != config.NoMetrics {
		fmt.Fprintf(s.stdout, "  curl -s http://%s/metrics\n", metrics)
	}
}

// play runs the demonstration: a first day, the next morning, and a sync that should find no change.
func (s *stage) play(ctx context.Context) error {
	for _, act := range []struct {
		title string
		ldif  []byte
	}{
		{"Day one: empty tenants", demo.LDIF()},
		{"The next morning: some joined, some left, one has a new name", demo.Next()},
		{"Once more: nothing changed", demo.Next()},
	} {
		fmt.Fprintf(s.stdout, "\n%s\n", act.title)
		if err := os.WriteFile(filepath.Join(s.dir, "people.ldif"), act.ldif, 0o600); err != nil {
			return err
		}
		containers := []container.ID{demoSource}
		for _, t := range s.tenants {
			t.reset()
			containers = append(containers, t.container)
		}
		var runs []status.Run
		var changes int64
		for _, c := range containers {
			run, err := s.sync(ctx, c)
			if err != nil {
				return err
			}
			runs = append(runs, run)
			for _, p := range run.Progress {
				changes += p.Expected
			}
		}
		if err := s.summary(runs); err != nil {
			return err
		}
		if changes == 0 {
			fmt.Fprintln(s.stdout, "\nThe plans are empty: the tenants are as the directory says.")
			return nil
		}
	}
	fmt.Fprintln(s.stdout, "\nThe last sync still had something to do: that is a bug.")
	return errQuiet
}

// sync starts a full sync and shows its progress until it ends.
func (s *stage) sync(ctx context.Context, c container.ID) (status.Run, error) {
	run, err := s.client.StartRun(ctx, c, status.Full, false, "demo")
	if err != nil {
		return run, err
	}
	bar := newBar(s.env, s.stdout, c, false)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for run.State.Open() {
		select {
		case <-ctx.Done():
			return run, ctx.Err()
		case <-tick.C:
		}
		if run, err = s.app.Status.Get(ctx, c, run.ID); err != nil {
			return run, err
		}
		now := time.Now()
		bar.show(client.Run{Run: run, Ends: run.EstimatedEnd(now), Seconds: run.Duration(now).Seconds()})
	}
	bar.end()
	if run.State != status.Completed {
		return run, fmt.Errorf("%s: the run is %s: %s", c, run.State, run.FailReason)
	}
	return run, nil
}

// summary prints the results of the syncs.
func (s *stage) summary(runs []status.Run) error {
	var out bytes.Buffer
	t := tabwriter.NewWriter(&out, 0, 4, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\tcreated\tupdated\tsuspended\trestored\tdeleted\theld\tfailed\tcalls\t")
	calls, names := map[container.ID]int{}, map[container.ID]string{demoSource: "directory"}
	for _, t := range s.tenants {
		calls[t.container], names[t.container] = t.calls(), t.word
	}
	for _, run := range runs {
		for _, o := range status.ObjectTypes() {
			n := map[status.ChangeType]int64{}
			for _, p := range run.Progress {
				if p.Object == o {
					n[p.Change] += p.Succeeded
				}
			}
			fmt.Fprintf(t, "%s %ss\t%d\t%d\t%d\t%d\t%d\t\t\t\t\n", names[run.Container], o, n[status.Create],
				n[status.Update], n[status.Deactivate], n[status.Activate], n[status.Delete])
		}
		made := "-"
		if n, remote := calls[run.Container]; remote {
			made = fmt.Sprint(n)
		}
		fmt.Fprintf(t, "%s in all\t\t\t\t\t\t%d\t%d\t%s\t\n", names[run.Container], run.Held, run.FailedChanges, made)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(s.stdout, "\n%s", out.String())
	return err
}

// startRedis starts a Redis in this process, on loopback so that asynqmon and redis-cli can look into it. It returns
// the URL and what stops it. Its state is lost when the process ends. The API and the worker are not linked with it.
func startRedis(log *slog.Logger) (url string, stop func(), err error) {
	m := miniredis.NewMiniRedis()
	if err := m.StartAddr("127.0.0.1:0"); err != nil {
		return "", nil, fmt.Errorf("start the embedded redis: %w", err)
	}
	log.Warn("the redis is embedded: its state is lost at exit", "addr", m.Addr())
	// The embedded server has no clock of its own. Keys expire when its clock is advanced.
	end, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		const step = 100 * time.Millisecond
		tick := time.NewTicker(step)
		defer tick.Stop()
		last := time.Now()
		for {
			select {
			case now := <-tick.C:
				m.FastForward(now.Sub(last))
				last = now
			case <-end:
				return
			}
		}
	}()
	return config.Embedded + m.Addr(), sync.OnceFunc(func() {
		close(end)
		<-stopped
		m.Close()
	}), nil
}
