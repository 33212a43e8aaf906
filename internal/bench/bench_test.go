// Package bench measures whole syncs, each beside a reference in the same run, because absolute times on shared
// machines mean little and ratios do. Timings live here and not in tests.
package bench

import (
	"bytes"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"rollcall/container"
	"rollcall/internal/boot"
	"rollcall/internal/config"
	"rollcall/internal/redistest"
	"rollcall/internal/slapdtest"
	"rollcall/jobs"
	simulator "rollcall/simulator/googleworkspace"
	"rollcall/status"
)

// lab is slapd, redis-server, a simulated tenant and what it takes to start runs.
type lab struct {
	slapd  *slapdtest.Server
	tenant *simulator.Tenant
	app    *boot.App
	client *jobs.Client
	file   string // the configuration
	redis  string // its URL
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

func newLab(b *testing.B, users, groups, members int, rate float64, quota simulator.Quota) *lab {
	b.Helper()
	l := &lab{
		slapd:  slapdtest.Start(b, slapdtest.Options{LDIF: slapdtest.Generate(users, groups, members)}),
		tenant: simulator.New(simulator.Config{Domains: []string{"example.org"}, Quota: quota}),
	}
	srv := httptest.NewServer(l.tenant.Handler())
	b.Cleanup(srv.Close)
	dir := b.TempDir()
	key, err := l.tenant.CredentialsJSON(srv.URL)
	must(b, err)
	must(b, os.WriteFile(filepath.Join(dir, "google.json"), key, 0o600))
	file := filepath.Join(dir, "rollcall.yaml")
	text := fmt.Sprintf(settings, l.slapd.URL, slapdtest.RootDN, l.slapd.PasswordFile, slapdtest.Suffix, srv.URL, rate)
	must(b, os.WriteFile(file, []byte(text), 0o600))
	cfg, _, err := config.Load(file, config.Options{})
	must(b, err)
	log, err := boot.NewLog(os.Stderr, "error", "text")
	must(b, err)
	l.file, l.redis = file, redistest.URL(b)
	l.app, err = boot.With(b.Context(), config.Process{RedisURL: l.redis}, cfg, os.Getenv, log)
	must(b, err)
	b.Cleanup(l.app.Close)
	l.client = jobs.NewClient(l.app.Redis, l.app.Status)
	return l
}

// work starts a worker in this process.
func (l *lab) work(b *testing.B) *lab {
	b.Helper()
	w, err := l.app.Worker("bench")
	must(b, err)
	must(b, w.Start(b.Context()))
	b.Cleanup(w.Shutdown)
	return l
}

func must(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// sync runs one full sync and returns how long its worker took.
func (l *lab) sync(b *testing.B, c container.ID) (status.Run, time.Duration) {
	b.Helper()
	run, err := l.client.StartRun(b.Context(), c, status.Full, false, "bench")
	must(b, err)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for run.State.Open() {
		<-tick.C
		run, err = l.app.Status.Get(b.Context(), c, run.ID)
		must(b, err)
	}
	if run.State != status.Completed || run.FailedChanges > 0 {
		b.Fatalf("run %s: %s, %d failed", run.State, run.FailReason, run.FailedChanges)
	}
	return run, run.FinishedAt.Sub(run.StartedAt)
}

// ldapsearch reads the same entries with OpenLDAP's own client.
func (l *lab) ldapsearch(b *testing.B) time.Duration {
	b.Helper()
	began := time.Now()
	for _, filter := range []string{"(objectClass=inetOrgPerson)", "(objectClass=groupOfNames)"} {
		cmd := exec.Command("ldapsearch", "-x", "-LLL", "-o", "ldif-wrap=no", "-H", l.slapd.URL, "-D", slapdtest.RootDN,
			"-w", slapdtest.RootPassword,
			"-b", slapdtest.Suffix, "-E", "pr=1000/noprompt", filter, "*", "entryUUID")
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, os.Stderr
		must(b, cmd.Run())
	}
	return time.Since(began)
}

// BenchmarkSourceUnchanged is a source sync of 10,000 users and 1,000 groups in which nothing changed.
func BenchmarkSourceUnchanged(b *testing.B) {
	l := newLab(b, 10_000, 1_000, 20, 39.2, simulator.Quota{}).work(b)
	l.sync(b, "ldap:corp")
	var ours, theirs time.Duration
	for b.Loop() {
		run, took := l.sync(b, "ldap:corp")
		if run.Read[status.User] != 10_000 {
			b.Fatalf("read %d users", run.Read[status.User])
		}
		ours += took
		theirs += l.ldapsearch(b)
	}
	b.ReportMetric(float64(ours.Milliseconds())/float64(b.N), "sync-ms")
	b.ReportMetric(float64(ours)/float64(theirs), "x-ldapsearch")
	b.ReportMetric(peak(b), "peak-MB")
}

// peak is the most memory that this process, slapd and redis-server not counted, ever had resident.
func peak(b *testing.B) float64 {
	return resident(b, "self")
}

// resident is the most memory that a process ever had, in MB.
func resident(b *testing.B, pid string) float64 {
	data, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		b.Logf("no peak memory on %s", runtime.GOOS)
		return 0
	}
	for line := range strings.Lines(string(data)) {
		var kb float64
		if _, err := fmt.Sscanf(line, "VmHWM: %f kB", &kb); err == nil {
			return kb / 1024
		}
	}
	return 0
}

// BenchmarkGoogleUnchanged counts the calls of a Google sync in which nothing changed, which are the list pages and
// at most five more.
func BenchmarkGoogleUnchanged(b *testing.B) {
	l := newLab(b, 2_000, 300, 20, 100_000, simulator.Quota{}).work(b)
	l.sync(b, "ldap:corp")
	for range 2 { // The second lists the groups that the first one filled.
		l.sync(b, "google_workspace:1")
	}
	calls := 0
	for b.Loop() {
		l.tenant.ResetCalls()
		l.sync(b, "google_workspace:1")
		c := l.tenant.Calls()
		calls += c.Reads + c.Writes
		if c.Writes > 0 {
			b.Fatalf("%d writes", c.Writes)
		}
	}
	pages := (2_000+1+499)/500 + (300+199)/200
	b.ReportMetric(float64(calls)/float64(b.N), "calls")
	b.ReportMetric(float64(pages), "list-pages")
}

// BenchmarkFirstProvisioning measures how long a first provisioning takes beside what the published quota allows, which
// is 40 calls and 10 new users a second.
func BenchmarkFirstProvisioning(b *testing.B) {
	const users, groups, members = 600, 60, 15
	for b.Loop() {
		b.StopTimer()
		l := newLab(b, users, groups, members, 39.2,
			simulator.Quota{QueriesPerSecond: 40, UserInsertsPerSecond: 10}).work(b)
		l.sync(b, "ldap:corp")
		l.tenant.ResetCalls()
		b.StartTimer()
		_, took := l.sync(b, "google_workspace:1")
		c := l.tenant.Calls()
		least := max(users/10., float64(c.Reads+c.Writes)/40)
		b.ReportMetric(least/took.Seconds(), "share-of-quota")
		b.ReportMetric(float64(c.Refused), "refused")
		b.ReportMetric(float64(c.Reads+c.Writes), "calls")
	}
}
