// Package testprocess runs the servers that tests need as child processes, which end with the tests. It also finds
// ports for them.
package testprocess

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// Process is a child that ends with us.
type Process struct {
	cmd  *exec.Cmd
	out  bytes.Buffer
	done chan struct{} // closed when the child is gone; err and out may be read then
	err  error
}

// Start runs a program.
func Start(name string, args ...string) (*Process, error) {
	p := &Process{cmd: exec.CommandContext(context.Background(), name, args...), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	p.cmd.SysProcAttr = DieWithParent()
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// WaitUntil asks ready again and again until it says yes, the child is gone or the time is up.
func (p *Process) WaitUntil(limit time.Duration, ready func() bool) error {
	deadline := time.After(limit)
	tick := time.NewTicker(3 * time.Millisecond)
	defer tick.Stop()
	for !ready() {
		select {
		case <-p.done:
			return fmt.Errorf("%s ended at once: %w\n%s", p.cmd.Path, p.err, p.out.String())
		case <-deadline:
			p.Kill()
			return fmt.Errorf("%s did not answer within %v\n%s", p.cmd.Path, limit, p.out.String())
		case <-tick.C:
		}
	}
	return nil
}

// Kill ends the child, which keeps nothing that a test needs, and waits for its end.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// End asks the child to end well, so that it writes what it has, and waits for its end.
func (p *Process) End() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	<-p.done
}

// Freeze stops the child until the returned function is called, which simulates a server that hangs.
func (p *Process) Freeze(t testing.TB) (thaw func()) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatalf("freeze: %v", err)
	}
	return func() { _ = p.cmd.Process.Signal(syscall.SIGCONT) }
}

// The ports lie below those that the kernel gives to outgoing connections and to listeners on port 0. Nothing takes
// one of them before the server does, or while the server restarts.
const (
	first = 10_000
	ports = 20_000
)

// Addr returns a loopback address with a free port.
func Addr(t testing.TB) string {
	t.Helper()
	var err error
	for range 100 {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(first+rand.IntN(ports)))
		var l net.Listener
		if l, err = (&net.ListenConfig{}).Listen(t.Context(), "tcp", addr); err == nil {
			_ = l.Close()
			return addr
		}
	}
	t.Fatalf("find a free port: %v", err)
	return ""
}

// Port returns a free port.
func Port(t testing.TB) string {
	t.Helper()
	_, port, _ := net.SplitHostPort(Addr(t))
	return port
}
