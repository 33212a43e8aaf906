package bench

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"rollcall/container"
	"rollcall/directory"
	"rollcall/internal/slapdtest"
	"rollcall/internal/testclock"
	"rollcall/internal/testprocess"
	simulator "rollcall/simulator/googleworkspace"
	"rollcall/status"
)

// quotaRate is the default of max_requests_per_second, of the 40 calls a second that Google publishes.
const quotaRate = 39.2

// workers starts several workers.
func (l *lab) workers(n int) (stop func()) {
	var stops []func()
	for range n {
		_, stop := l.worker()
		stops = append(stops, stop)
	}
	return func() {
		for _, stop := range stops {
			stop()
		}
	}
}

// limit changes the rate of calls for workers that start later.
func (l *lab) limit(rate float64) {
	text, err := os.ReadFile(l.file)
	l.must(err)
	const key = "max_requests_per_second: "
	before, rest, _ := strings.Cut(string(text), key)
	_, after, _ := strings.Cut(rest, "\n")
	l.must(os.WriteFile(l.file, fmt.Appendf(nil, "%s%s%g\n%s", before, key, rate, after), 0o600))
}

// touch changes a person in the directory, syncs that person alone, and returns how long the sync took.
func (l *lab) touch(i int, name string) time.Duration {
	l.Helper()
	l.slapd.Set(l, slapdtest.UserDN(i), "givenName", name)
	ref := directory.Ref{Kind: directory.User, ID: directory.ID(slapdtest.UUID(i))}
	began := time.Now()
	id, err := l.client.StartObject(l.Context(), google, "corp", ref, "bench")
	l.must(err)
	job, err := l.app.Status.WaitJob(l.Context(), google, id, time.Minute)
	l.must(err)
	if job.Outcome != status.OutcomeUpdated {
		l.Fatalf("the sync of %s: %s %s", ref, job.State, job.Outcome)
	}
	return time.Since(began)
}

// contended measures syncs of single entries while a full sync of the same tenant uses the whole quota.
func contended(t *testing.T) row {
	const workers = 4
	users := min(*people, 1500)
	l := newLab(t, users, 1, 2, 100_000, simulator.Quota{})
	stop := l.workers(1)
	l.sync(corp, status.Full)
	l.sync(google, status.Full)
	l.touch(0, "Warm")
	l.tenant.ResetCalls()
	l.touch(0, "Alone")
	c := l.tenant.Calls()
	calls := c.Reads + c.Writes
	for i := range users {
		l.slapd.Set(l, slapdtest.UserDN(i), "sn", "Renamed")
	}
	l.sync(corp, status.Full)
	stop()
	l.limit(quotaRate)
	defer l.workers(workers)()
	run, err := l.client.StartRun(l.Context(), google, status.Full, false, "bench")
	l.must(err)
	open := func() (done int64, open bool) {
		now, err := l.app.Status.Get(l.Context(), google, run.ID)
		l.must(err)
		done, _ = now.Done()
		return done, now.State.Open()
	}
	testclock.Eventually(t, time.Minute, "the run writes", func() bool { done, _ := open(); return done > 0 })
	var took []time.Duration
	for i := range 10 * trials() {
		took = append(took, l.touch(users-1-i, fmt.Sprint("Touched", i)))
	}
	if _, is := open(); !is && *people >= 1000 {
		l.Error("the full sync ended before the single ones")
	}
	slices.Sort(took)
	over := func(d time.Duration) int64 {
		return max(0, (d - time.Duration(float64(calls)/quotaRate*float64(time.Second))).Milliseconds())
	}
	return row{fmt.Sprintf("one person while a full sync uses the quota, %d workers", workers),
		fmt.Sprintf("+ %d ms, p99 + %d ms", over(took[len(took)/2]), over(took[len(took)*99/100])),
		fmt.Sprintf("its %d calls, an interval of the quota for each", calls), "+ 100 ms, p99 + 1 s"}
}

// idle measures what workers without work cost Redis.
func (l *lab) idle() row {
	workers, lasts := 20, 20*time.Second
	if *people < 1000 {
		workers, lasts = 2, time.Second
	}
	defer l.workers(workers)()
	testclock.Eventually(l, time.Minute, "the workers run", func() bool {
		alive, err := l.app.Status.Workers(l.Context())
		return err == nil && len(alive) >= workers
	})
	before, began := l.redisTime(), time.Now()
	<-time.After(lasts)
	used := (l.redisTime() - before) / time.Since(began).Seconds()
	return row{fmt.Sprintf("Redis while %d workers are idle", workers), fmt.Sprintf("%.1f %% of a core", 100*used), "",
		"1 %"}
}

// redisTime is the processor time of Redis in seconds.
func (l *lab) redisTime() (sum float64) {
	text, err := l.app.Redis.Info(l.Context(), "cpu").Result()
	l.must(err)
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if name == "used_cpu_sys" || name == "used_cpu_user" {
			n, err := strconv.ParseFloat(value, 64)
			l.must(err)
			sum += n
		}
	}
	return sum
}

// apiMemory measures the API after requests for the status and the largest plans.
func (l *lab) apiMemory() row {
	program, addr := filepath.Join(l.TempDir(), "api"), testprocess.Addr(l)
	out, err := exec.CommandContext(l.Context(), "go", "build", "-o", program, "rollcall/cmd/api").CombinedOutput()
	if err != nil {
		l.Fatalf("go build: %v\n%s", err, out)
	}
	cmd := exec.CommandContext(l.Context(), program)
	cmd.Env = append(os.Environ(), "ROLLCALL_REDIS_URL="+l.redis, "ROLLCALL_CONFIG="+l.file, "ROLLCALL_LISTEN="+addr,
		"ROLLCALL_INSECURE_NO_TOKENS=true", "ROLLCALL_LOG_LEVEL=error")
	cmd.Stderr = os.Stderr
	l.must(cmd.Start())
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	url := "http://" + addr + "/api/v3"
	testclock.Eventually(l, time.Minute, "the API answers", func() bool {
		return get(l.Context(), http.DefaultClient, "http://"+addr+"/livez") == nil
	})
	for c, path := range map[container.ID]string{corp: "/sources/ldap/corp", google: "/providers/google_workspace/1"} {
		runs, _, err := l.app.Status.List(l.Context(), c, 0, 100)
		l.must(err)
		first := runs[len(runs)-1].ID
		for _, what := range []string{"status/", "plan/?run=" + first, "plan/?format=text&run=" + first} {
			l.must(get(l.Context(), http.DefaultClient, url+path+"/sync/"+what))
		}
	}
	return row{"peak memory of the API", fmt.Sprintf("%.0f MB", resident(strconv.Itoa(cmd.Process.Pid))),
		"the status and the largest plans, as JSON and as a table", "80 MB"}
}

// everywhere measures delta runs of the source and of both tenants after the change of one person.
func (l *lab) everywhere() row {
	defer l.workers(1)()
	all := []container.ID{corp, google, entra}
	for _, c := range all {
		l.sync(c, status.Full)
	}
	var took []time.Duration
	for i := range trials() {
		l.slapd.Set(l, slapdtest.UserDN(i), "givenName", fmt.Sprint("Everywhere", i))
		var sum time.Duration
		for _, c := range all {
			run, one := l.sync(c, status.Delta)
			if run.Mode != status.Delta {
				l.Errorf("the run of %s is a %s run", c, run.Mode)
			}
			sum += one
		}
		took = append(took, sum)
	}
	return row{"delta runs of the source and both tenants, one person changed",
		fmt.Sprintf("%d ms", median(took).Milliseconds()), "tenants without latency", "150 ms"}
}
