package slapdtest

import (
	"bytes"
	"fmt"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// process is a child that ends with us.
type process struct {
	cmd  *exec.Cmd
	out  bytes.Buffer
	done chan struct{} // closed when the child is gone; err and out may be read then
	err  error
}

func startProcess(name string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(name, args...), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	p.cmd.SysProcAttr = dieWithParent()
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// waitUntil asks ready again and again until it says yes, the child is gone or the time is up.
func (p *process) waitUntil(limit time.Duration, ready func() bool) error {
	deadline := time.After(limit)
	tick := time.NewTicker(3 * time.Millisecond)
	defer tick.Stop()
	for !ready() {
		select {
		case <-p.done:
			return fmt.Errorf("%s ended at once: %w\n%s", p.cmd.Path, p.err, p.out.String())
		case <-deadline:
			p.kill()
			return fmt.Errorf("%s did not answer within %v\n%s", p.cmd.Path, limit, p.out.String())
		case <-tick.C:
		}
	}
	return nil
}

// kill ends the child, which keeps nothing that a test needs, and waits for its end.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

func (p *process) freeze(t testing.TB) (thaw func()) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatalf("freeze: %v", err)
	}
	return func() { _ = p.cmd.Process.Signal(syscall.SIGCONT) }
}
