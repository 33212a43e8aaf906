// Package bench measures whole syncs, each beside a reference in the same run, because absolute times on shared
// machines mean little and ratios do. `make bench` runs it and writes the table of docs/performance.md.
package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"rollcall/container"
	"rollcall/fault"
	"rollcall/internal/boot"
	"rollcall/internal/config"
	"rollcall/internal/redistest"
	"rollcall/internal/slapdtest"
	"rollcall/jobs"
	simulator "rollcall/simulator/googleworkspace"
	"rollcall/status"
)

const (
	corp   = container.ID("ldap:corp")
	google = container.ID("google_workspace:1")
)

// lab is slapd, redis-server, a simulated tenant and what it takes to start runs.
type lab struct {
	*testing.T
	slapd  *slapdtest.Server
	tenant *simulator.Tenant
	// latency is what each answer of the tenant takes, in nanoseconds.
	latency atomic.Int64
	app     *boot.App
	client  *jobs.Client
	program string // the worker
	file    string // the configuration
	redis   string // its URL

	mu   sync.Mutex
	seen []*http.Request // the reads of the tenant; nil for none
}

const settings = `sources:
  ldap:
    - slug: corp
      server_uri: %s
      bind_cn: %s
      bind_password_file: %s
      base_dn: %s
      user_object_filter: (objectClass=inetOrgPerson)
      group_object_filter: (objectClass=groupOfNames)
      delta_every: 24h
providers:
  google_workspace:
    - id: 1
      name: Bench
      sources: [corp]
      delegated_subject: admin@example.org
      credentials_file: google.json
      default_group_email_domain: example.org
      endpoint: %s/
      max_requests_per_second: %g
`

func newLab(t *testing.T, users, groups, members int, rate float64, quota simulator.Quota) *lab {
	t.Helper()
	l := &lab{
		T: t,
		slapd: slapdtest.Start(t, slapdtest.Options{LDIF: slapdtest.Generate(users, groups, members), SyncProv: true,
			SessionLog: 1000}),
		tenant: simulator.New(simulator.Config{Domains: []string{"example.org"}, Quota: quota}),
	}
	srv := httptest.NewServer(http.HandlerFunc(l.serve))
	t.Cleanup(srv.Close)
	dir := t.TempDir()
	key, err := l.tenant.CredentialsJSON(srv.URL)
	l.must(err)
	l.must(os.WriteFile(filepath.Join(dir, "google.json"), key, 0o600))
	l.file = filepath.Join(dir, "rollcall.yaml")
	text := fmt.Sprintf(settings, l.slapd.URL, slapdtest.RootDN, l.slapd.PasswordFile, slapdtest.Suffix, srv.URL, rate)
	l.must(os.WriteFile(l.file, []byte(text), 0o600))
	cfg, _, err := config.Load(l.file, config.Options{})
	l.must(err)
	log, err := boot.NewLog(os.Stderr, "error", "text")
	l.must(err)
	l.redis = redistest.URL(t)
	l.app, err = boot.With(t.Context(), config.Process{RedisURL: l.redis}, cfg, os.Getenv, log)
	l.must(err)
	t.Cleanup(l.app.Close)
	l.client = jobs.NewClient(l.app.Redis, l.app.Status)
	l.program = filepath.Join(dir, "worker")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", l.program, "rollcall/cmd/worker").
		CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return l
}

// serve is the tenant with its latency.
func (l *lab) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		l.mu.Lock()
		if l.seen != nil {
			l.seen = append(l.seen, r.Clone(context.WithoutCancel(r.Context())))
		}
		l.mu.Unlock()
	}
	time.Sleep(time.Duration(l.latency.Load()))
	l.tenant.Handler().ServeHTTP(w, r)
}

func (l *lab) must(err error) {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
}

// worker starts the worker as people run it.
func (l *lab) worker() (pid string, stop func()) {
	l.Helper()
	cmd := exec.Command(l.program)
	cmd.Env = append(os.Environ(), "ROLLCALL_REDIS_URL="+l.redis, "ROLLCALL_CONFIG="+l.file,
		"ROLLCALL_METRICS_LISTEN=off", "ROLLCALL_LOG_LEVEL=error")
	cmd.Stderr = os.Stderr
	l.must(cmd.Start())
	stop = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
		_ = cmd.Wait()
	})
	l.Cleanup(stop)
	return strconv.Itoa(cmd.Process.Pid), stop
}

// sync runs one sync and returns how long its worker took.
func (l *lab) sync(c container.ID, mode status.Mode) (status.Run, time.Duration) {
	l.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	run, err := l.client.StartRun(l.Context(), c, mode, false, "bench")
	for until := time.Now().Add(time.Minute); fault.KindOf(err) == fault.Conflict && time.Now().Before(until); {
		<-tick.C // A worker that begins to watch the source may start a delta run.
		run, err = l.client.StartRun(l.Context(), c, mode, false, "bench")
	}
	l.must(err)
	for run.State.Open() {
		<-tick.C
		run, err = l.app.Status.Get(l.Context(), c, run.ID)
		l.must(err)
	}
	if run.State != status.Completed || run.FailedChanges > 0 {
		l.Fatalf("run of %s: %s, %s, %d failed", c, run.State, run.FailReason, run.FailedChanges)
	}
	return run, run.FinishedAt.Sub(run.StartedAt)
}

// ldapsearch reads the same attributes of the same entries with OpenLDAP's own client.
func (l *lab) ldapsearch() time.Duration {
	l.Helper()
	began := time.Now()
	for filter, attrs := range map[string][]string{
		"(objectClass=inetOrgPerson)": strings.Fields("entryUUID uid displayName givenName sn cn mail employeeNumber"),
		"(objectClass=groupOfNames)":  strings.Fields("entryUUID cn description mail member"),
	} {
		args := append([]string{"-x", "-LLL", "-o", "ldif-wrap=no", "-H", l.slapd.URL, "-D", slapdtest.RootDN,
			"-w", slapdtest.RootPassword, "-b", slapdtest.Suffix, "-E", "pr=1000/noprompt", filter}, attrs...)
		cmd := exec.CommandContext(l.Context(), "ldapsearch", args...)
		out, err := cmd.StdoutPipe()
		l.must(err)
		l.must(cmd.Start())
		_, err = io.Copy(io.Discard, out)
		l.must(err)
		l.must(cmd.Wait())
	}
	return time.Since(began)
}

// watchReads notes the reads of the tenant until the returned function is called.
func (l *lab) watchReads() (reads func() []*http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen = []*http.Request{}
	return func() []*http.Request {
		l.mu.Lock()
		defer l.mu.Unlock()
		out := l.seen
		l.seen = nil
		return out
	}
}

// bare makes the same reads with a loop that only parses the answers.
func (l *lab) bare(reads []*http.Request) time.Duration {
	l.Helper()
	began := time.Now()
	for _, r := range reads {
		req, err := http.NewRequestWithContext(l.Context(), http.MethodGet, "http://"+r.Host+r.URL.String(), nil)
		l.must(err)
		req.Header = r.Header
		resp, err := http.DefaultClient.Do(req)
		l.must(err)
		var page map[string]any
		err = json.NewDecoder(resp.Body).Decode(&page)
		resp.Body.Close()
		l.must(err)
	}
	return time.Since(began)
}

// resident is the most memory that a process ever had, in MB; zero where the system does not say.
func resident(pid string) float64 {
	data, _ := os.ReadFile("/proc/" + pid + "/status")
	for line := range strings.Lines(string(data)) {
		var kb float64
		if _, err := fmt.Sscanf(line, "VmHWM: %f kB", &kb); err == nil {
			return kb / 1024
		}
	}
	return 0
}

// stored is the memory of Redis, in bytes.
func (l *lab) stored() float64 {
	l.Helper()
	text, err := l.app.Redis.Info(l.Context(), "memory").Result()
	l.must(err)
	for line := range strings.Lines(text) {
		var bytes float64
		if _, err := fmt.Sscanf(line, "used_memory:%f", &bytes); err == nil {
			return bytes
		}
	}
	l.Fatal("Redis does not say how much memory it uses")
	return 0
}
