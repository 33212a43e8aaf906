package bench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"rollcall/simulator/googleworkspace"
)

// BenchmarkCapacity measures the figures of docs/operations.md, Capacity, which are the memory of Redis and of a
// worker. The groups of the directory have ten members each, with one group to ten people. The largest size takes
// minutes:
//
//	go test ./internal/bench -run '^$' -bench Capacity -benchtime 1x -timeout 60m
func BenchmarkCapacity(b *testing.B) {
	for _, people := range []int{1_000, 10_000, 20_000, 100_000} {
		b.Run(strconv.Itoa(people), func(b *testing.B) {
			for b.Loop() {
				capacity(b, people)
			}
		})
	}
}

func capacity(b *testing.B, people int) {
	l := newLab(b, people, people/10, 10, 100_000, googleworkspace.Quota{})
	pid, stop := l.process(b)
	defer stop()
	empty := l.used(b)
	l.sync(b, "ldap:corp")
	b.ReportMetric(l.used(b)-empty, "redis-source-MB")
	b.ReportMetric(resident(b, pid), "worker-source-MB")
	l.sync(b, "google_workspace:1")
	b.ReportMetric(l.used(b)-empty, "redis-first-MB")
	b.ReportMetric(resident(b, pid), "worker-first-MB")
	l.sync(b, "google_workspace:1") // The groups that the first run filled are listed once.
	_, source := l.sync(b, "ldap:corp")
	search := l.ldapsearch(b)
	l.tenant.ResetCalls()
	_, idle := l.sync(b, "google_workspace:1")
	b.ReportMetric(float64(l.tenant.Calls().Reads), "calls-unchanged")
	b.ReportMetric(float64(source)/float64(search), "source-x-ldapsearch")
	b.ReportMetric(float64(idle)/float64(search), "google-x-ldapsearch")
	b.ReportMetric(l.used(b)-empty, "redis-MB")
	b.ReportMetric(resident(b, pid), "worker-MB")
}

// process starts the worker as people run it.
func (l *lab) process(b *testing.B) (pid string, stop func()) {
	b.Helper()
	program := filepath.Join(b.TempDir(), "worker")
	if out, err := exec.Command("go", "build", "-o", program, "rollcall/cmd/worker").CombinedOutput(); err != nil {
		b.Fatalf("go build: %v\n%s", err, out)
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), "ROLLCALL_REDIS_URL="+l.redis, "ROLLCALL_CONFIG="+l.file,
		"ROLLCALL_METRICS_LISTEN=off", "ROLLCALL_LOG_LEVEL=error")
	cmd.Stderr = os.Stderr
	must(b, cmd.Start())
	return strconv.Itoa(cmd.Process.Pid), func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
		_ = cmd.Wait()
	}
}

// used is the memory of Redis, in MB.
func (l *lab) used(b *testing.B) float64 {
	b.Helper()
	text, err := l.app.Redis.Info(b.Context(), "memory").Result()
	must(b, err)
	var bytes float64
	for line := range strings.Lines(text) {
		if _, err := fmt.Sscanf(line, "used_memory:%f", &bytes); err == nil {
			return bytes / (1 << 20)
		}
	}
	b.Fatal("Redis does not say how much memory it uses")
	return 0
}
