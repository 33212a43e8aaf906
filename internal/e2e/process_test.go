package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"rollcall/internal/testclock"
	"rollcall/internal/testprocess"
)

// process is one of the two programs, or another that a test needs, under way.
type process struct {
	name string
	cmd  *exec.Cmd
	log  string
	done chan struct{} // closed when it is over; err may be read then
	err  error
	// killed is set when its death is the test's doing.
	killed atomic.Bool
}

// launch starts a program with this environment and no other. At the end of the test it is asked to stop, and has to do
// so well; its log is shown if the test failed.
func launch(t testing.TB, name string, env ...string) *process {
	t.Helper()
	p := spawn(t, name, env...)
	t.Cleanup(func() { p.stop(t) })
	return p
}

// spawn starts a program that the test itself waits for.
func spawn(t testing.TB, name string, env ...string) *process {
	t.Helper()
	return begin(t, name, exec.Command(program(t, name)), append([]string{"ROLLCALL_METRICS_LISTEN=off"}, env...))
}

// begin starts a command with this environment and no other.
func begin(t testing.TB, name string, cmd *exec.Cmd, env []string) *process {
	t.Helper()
	p := &process{name: name, cmd: cmd, log: filepath.Join(t.TempDir(), name+".log"), done: make(chan struct{})}
	out, err := os.Create(p.log)
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.SysProcAttr = out, out, testprocess.DieWithParent()
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, env...)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		_ = out.Close()
		close(p.done)
	}()
	t.Cleanup(func() { p.show(t) })
	return p
}

// show prints the end of the log of a failed test, and looks for what must never be in one.
func (p *process) show(t testing.TB) {
	text, _ := os.ReadFile(p.log)
	for _, never := range []string{"panic:", "DATA RACE", "PRIVATE KEY", "root-secret", "reader-secret", "Bearer "} {
		if bytes.Contains(text, []byte(never)) {
			t.Errorf("the log of %s has %q", p.name, never)
		}
	}
	if !t.Failed() {
		return
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	const most = 60
	t.Logf("%s (pid %d) said:\n%s", p.name, p.cmd.Process.Pid, strings.Join(lines[max(0, len(lines)-most):], "\n"))
}

// kill is kill -9. It returns when the process is gone.
func (p *process) kill() {
	p.killed.Store(true)
	_ = p.cmd.Process.Kill()
	<-p.done
}

// signal sends one.
func (p *process) signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatalf("signal %v to %s: %v", s, p.name, err)
	}
}

// stop asks the process to end and expects it to do so in time and without an error.
func (p *process) stop(t testing.TB) {
	t.Helper()
	if p.killed.Load() {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		if p.err != nil && !p.killed.Load() {
			t.Errorf("%s ended with %v", p.name, p.err)
		}
	case <-time.After(2 * time.Minute):
		p.kill()
		t.Errorf("%s did not stop within two minutes", p.name)
	}
	p.killed.Store(true)
}

// says waits for a log line with this message and returns it.
func (p *process) says(t testing.TB, msg string) map[string]any {
	t.Helper()
	var line map[string]any
	testclock.Eventually(t, 3*time.Minute, p.name+" says "+msg, func() bool {
		if line = p.find(msg); line != nil {
			return true
		}
		select {
		case <-p.done:
			t.Fatalf("%s ended: %v", p.name, p.err)
		default:
		}
		return false
	})
	return line
}

func (p *process) find(msg string) map[string]any {
	text, _ := os.ReadFile(p.log)
	for raw := range bytes.Lines(text) {
		var line map[string]any
		if json.Unmarshal(raw, &line) == nil && line["msg"] == msg {
			return line
		}
	}
	return nil
}

// worker returns the name under which a worker is known.
func (p *process) worker(t testing.TB) string {
	t.Helper()
	return p.says(t, "worker runs")["worker"].(string)
}
