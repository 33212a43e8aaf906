// Package boot assembles the programs from the logger, signals, Redis, the metrics listener, and the sources and
// providers. It contains all of the wiring.
package boot

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"rollcall/api"
	"rollcall/container"
	"rollcall/decisions"
	"rollcall/internal/buildinfo"
	"rollcall/internal/config"
	"rollcall/internal/console"
	"rollcall/internal/dashboard"
	"rollcall/internal/metrics"
	"rollcall/internal/redisclock"
	"rollcall/internal/session"
	"rollcall/jobs"
	"rollcall/provider"
	"rollcall/status"
)

// App is one process.
type App struct {
	Process config.Process
	Config  *config.Config
	Getenv  func(string) string
	Log     *slog.Logger
	Redis   redis.UniversalClient
	Clock   *redisclock.Clock
	// witnesses are the clocks of the tenants that the worker of this process opened.
	witnesses *redisclock.Witnesses
	tenants   []provider.Tenant
	// keepsNothing has the tenants keep nothing of what they read.
	keepsNothing bool
	Status       *status.Store
	Decisions    *decisions.Store
	Metrics      *prometheus.Registry

	// sign signs decisions and sessions.
	sign   *signing
	work   *metrics.Work
	access *metrics.Access
	// stderr takes the audit log without a file; nil discards it.
	stderr io.Writer
	// aside says why the worker of this process takes no task; nil without a worker.
	aside func() string
	// superseded says which containers the worker does not execute, and whether it executes any; nil without a worker.
	superseded func() (map[container.ID]string, bool)
	close      func()
	// keep runs what works until the App is closed.
	keep func(func(context.Context))
}

// stopsWithin is how long a process may take to stop. Supervisors kill after 30 seconds.
const stopsWithin = 19 * time.Second

// Signals returns a context that ends when the process is asked to stop. A second signal ends it at once. A process
// that has not stopped after 19 seconds ends as if it was killed, which does no harm.
func Signals() (context.Context, context.CancelFunc) {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	stop := sync.OnceFunc(func() { cancel(); close(done) })
	go func() {
		<-ctx.Done()
		cancel()
		select {
		case <-done:
		case <-time.After(stopsWithin):
			fmt.Fprintln(os.Stderr, "the process did not stop in time and ends now")
			os.Exit(1)
		}
	}()
	return ctx, stop
}

// Open loads the configuration of a process and connects it.
func Open(ctx context.Context, p config.Process, getenv func(string) string, stderr io.Writer) (*App, error) {
	return opened(ctx, p, config.Options{Getenv: getenv, Strict: p.StrictFiles}, stderr)
}

// OpenAPI is Open for the API. It reads no password and no key of a source or tenant.
func OpenAPI(ctx context.Context, p config.Process, getenv func(string) string, stderr io.Writer) (*App, error) {
	return opened(ctx, p, config.Options{Getenv: getenv, Strict: p.StrictFiles, NoFiles: true}, stderr)
}

func opened(ctx context.Context, p config.Process, opts config.Options, stderr io.Writer) (*App, error) {
	log, err := NewLog(stderr, p.LogLevel, p.LogFormat)
	if err != nil {
		return nil, err
	}
	cfg, warnings, err := config.Load(p.Config, opts)
	if err != nil {
		return nil, err
	}
	for _, w := range append(config.Misspelt(os.Environ()), warnings...) {
		log.WarnContext(ctx, w)
	}
	a, err := With(ctx, p, cfg, opts.Getenv, log)
	if err == nil {
		a.stderr = stderr
	}
	return a, err
}

// With connects a process with a loaded configuration.
func With(ctx context.Context, p config.Process, cfg *config.Config, getenv func(string) string,
	log *slog.Logger) (*App, error) {
	sign, err := signingKeys(ctx, p, log)
	if err != nil {
		return nil, err
	}
	rdb, closeRedis, err := Connect(ctx, p, log)
	if err != nil {
		return nil, err
	}
	if err := sign.note(ctx, rdb); err != nil {
		closeRedis()
		return nil, err
	}
	if why := sign.Aside(); why != "" {
		log.ErrorContext(ctx, "the process stands aside", "reason", why)
	}
	clock := redisclock.New(rdb, nil)
	if err := clock.Measure(ctx); err != nil {
		log.WarnContext(ctx, "the clock of Redis cannot be read: the clock of this host counts", "err", err)
	}
	kept, stop := context.WithCancel(context.WithoutCancel(ctx))
	var keeping sync.WaitGroup
	keeping.Go(func() { clock.Keep(kept) })
	if sign.path != "" {
		keeping.Go(func() { sign.keep(kept, rdb, log) })
	}
	witnesses := redisclock.NewWitnesses(clock)
	a := &App{
		Process: p, Config: cfg, Getenv: getenv, Log: log, Redis: rdb, Clock: clock,
		witnesses: witnesses,
		Status:    status.New(rdb, status.Config{Now: clock.Now, MaxOpenJobs: p.MaxOpenJobs}),
		Decisions: decisions.New(rdb, decisions.Config{Now: clock.Now, Keys: sign.keys, Aside: sign.Aside}),
		sign:      sign,
		Metrics:   metrics.NewRegistry(), work: metrics.NewWork(witnesses.Ahead), access: metrics.NewAccess(),
		keep:  func(work func(context.Context)) { keeping.Go(func() { work(kept) }) },
		close: func() { stop(); keeping.Wait(); closeRedis() },
	}
	if err := a.Status.CheckFormat(ctx); err != nil {
		a.Close()
		return nil, err
	}
	return a, nil
}

// Close lets go of Redis.
func (a *App) Close() { a.close() }

// NewLog returns a logger. format is json or text, and level is debug, info, warn or error.
func NewLog(w io.Writer, level, format string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("ROLLCALL_LOG_LEVEL: %q: want debug, info, warn or error", level)
	}
	o := &slog.HandlerOptions{Level: l}
	switch format {
	case "json":
		return slog.New(slog.NewJSONHandler(w, o)), nil
	case "text":
		return slog.New(slog.NewTextHandler(w, o)), nil
	}
	return nil, fmt.Errorf("ROLLCALL_LOG_FORMAT: %q: want json or text", format)
}

// quiet takes what go-redis would print to stderr.
type quiet struct{ log *slog.Logger }

// Printf implements the logger of go-redis.
func (q quiet) Printf(ctx context.Context, format string, v ...any) {
	q.log.DebugContext(ctx, fmt.Sprintf(format, v...))
}

// Worker returns a worker for everything that is configured.
func (a *App) Worker(name string) (*jobs.Worker, error) {
	all, err := a.Containers()
	if err != nil {
		return nil, err
	}
	digests := a.digests()
	for i := range all {
		all[i].Digest = digests[all[i].Name]
	}
	if err := a.export(a.work); err != nil {
		return nil, err
	}
	w, err := jobs.NewWorker(jobs.WorkerConfig{
		Redis: a.Redis, Status: a.Status, Decisions: a.Decisions, Containers: all, Name: name, Metrics: a.work, Log: a.Log,
		Now: a.Clock.Now, Measure: a.Clock.Measure, Skew: a.Clock.Offset, RedisIsWrong: a.redisIsWrong(),
		Answers: a.answers(), Unfit: a.sign.Aside,
	})
	if err == nil {
		a.aside, a.superseded = w.Aside, w.Superseded
	}
	return w, err
}

// digests returns a digest of each container as this build and its file have it.
func (a *App) digests() map[container.ID]string {
	build := buildinfo.Read()
	return a.Config.Digests(build.Version + " " + build.Revision)
}

// notice tells of processes with different configurations of a container. mine are the digests of this process.
func notice(mine map[container.ID]string) func(container.ID, status.Configuration) string {
	const advice = "give all processes the same one and restart them"
	return func(c container.ID, found status.Configuration) string {
		switch mine := mine[c]; {
		case found.Digest == "" || mine == "":
		case !found.Counts(mine):
			return fmt.Sprintf("this API has another configuration of %s than the worker %s: %s", c,
				strings.Join(found.Workers, ", "), advice)
		case len(found.Superseded) > 0:
			return fmt.Sprintf("the worker %s has an older configuration of %s than the worker %s and does not execute it: %s",
				strings.Join(found.Superseded, ", "), c, strings.Join(found.Workers, ", "), advice)
		}
		return ""
	}
}

// WorkerName tells this process from others.
func WorkerName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "worker"
	}
	return fmt.Sprintf("%s-%d", host, os.Getpid())
}

// API returns the server of the HTTP API and of the dashboard. known returns the holder of a token. Nil permits every
// request.
func (a *App) API(ctx context.Context, known session.Tokens) (*http.Server, error) {
	if err := checkListener(a.Process, "ROLLCALL_LISTEN", a.Process.Listen); err != nil {
		return nil, err
	}
	log, err := a.auditLog(ctx)
	if err != nil {
		return nil, err
	}
	var acts *api.API // set by api.NewServer, before the first request
	people := a.people(known)
	board, err := dashboard.New(dashboard.Config{Redis: a.Redis, Tokens: known, Log: a.Log, Audit: log,
		People: people, PeopleAt: console.SignIn, Signatures: a.signatures(),
		Refused: func(r *http.Request) { acts.RefuseToken(r) },
		Client:  func(r *http.Request) string { return acts.Client(r) }})
	if err != nil {
		return nil, err
	}
	pages, err := a.console(known, people, log)
	if err != nil {
		return nil, err
	}
	state, err := a.state()
	if err != nil {
		return nil, err
	}
	proxies, err := a.Process.Proxies()
	if err != nil {
		return nil, err
	}
	if err := errors.Join(a.export(state), a.export(a.access)); err != nil {
		return nil, err
	}
	client := jobs.NewClient(a.Redis, a.Status)
	srv, err := api.NewServer(api.Config{
		Status: a.Status, Decisions: a.Decisions, Jobs: client, Directory: &finder{a, client},
		Explainer: remoteExplainer{client}, Previewer: remotePreviewer{a, client},
		Types: a.Config.Types, Resources: a.resources(),
		Notice: notice(a.digests()),
		Facts:  a.facts, Authenticate: authenticator(known), TokensChanged: tokensChanged(known), Dashboard: board,
		Log: a.Log,
		Page: func(of *api.API) (api.Page, error) {
			acts = of
			return pages(of)
		},
		ObjectWait: a.Process.ObjectWait,
		Addr:       a.Process.Listen, Audit: log, Refused: a.access.Refused.Inc, TrustedProxies: proxies,
	})
	if err != nil {
		return nil, err
	}
	srv.TLSConfig, err = a.serverTLS()
	return srv, err
}

// ServeMetrics serves metrics and health until ctx ends, or only waits for that where they are switched off.
func (a *App) ServeMetrics(ctx context.Context, addr string) error {
	if addr == config.NoMetrics {
		<-ctx.Done()
		return nil
	}
	if err := checkListener(a.Process, "ROLLCALL_METRICS_LISTEN", addr); err != nil {
		return err
	}
	srv, err := a.metricsServer(addr), error(nil)
	if srv.TLSConfig, err = a.serverTLS(); err != nil {
		return err
	}
	return Serve(ctx, srv, time.Second, func(addr net.Addr) {
		a.Log.InfoContext(ctx, "metrics listen", "addr", addr.String())
	})
}

// Serve serves until ctx ends, then lets requests finish for up to patience. It serves TLS if srv.TLSConfig is set.
// ready is told the address once it listens.
func Serve(ctx context.Context, srv *http.Server, patience time.Duration, ready func(net.Addr)) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", srv.Addr)
	if err != nil {
		return err
	}
	if ready != nil {
		ready(listener.Addr())
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	stop := context.AfterFunc(ctx, func() {
		wg.Go(func() {
			end, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
			defer cancel()
			_ = srv.Shutdown(end)
		})
	})
	defer stop()
	if srv.TLSConfig != nil {
		listener = tls.NewListener(listener, srv.TLSConfig)
	}
	if err := srv.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
