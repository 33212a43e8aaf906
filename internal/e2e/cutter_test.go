package e2e

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// cutter is a proxy that closes a connection once the server has sent so many bytes over it. It can also be silent, or
// close and refuse every connection.
type cutter struct {
	after, seen atomic.Int64

	mu    sync.Mutex
	still chan struct{} // closed when the silence ends; nil without one
	down  bool
	open  map[net.Conn]bool
}

// listen starts the proxy of an address and returns its own.
func (c *cutter) listen(t testing.TB, to string) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c.open = map[net.Conn]bool{}
	var done sync.WaitGroup
	t.Cleanup(func() { _ = l.Close(); c.silence(false); c.cut(true); done.Wait() })
	done.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.DialTimeout("tcp", to, time.Second)
			if err != nil || !c.joins(client, server) {
				_ = client.Close()
				if err == nil {
					_ = server.Close()
				}
				continue
			}
			done.Go(func() { _, _ = io.Copy(gated{server, c}, client); _ = server.Close() })
			done.Go(func() { c.pass(client, server); c.leaves(client, server) })
		}
	})
	return l.Addr().String()
}

// joins reports whether a new connection is let through.
func (c *cutter) joins(ends ...net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, end := range ends {
		if !c.down {
			c.open[end] = true
		}
	}
	return !c.down
}

func (c *cutter) leaves(ends ...net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, end := range ends {
		_ = end.Close()
		delete(c.open, end)
	}
}

func (c *cutter) pass(client io.Writer, server io.Reader) {
	if limit := c.after.Load(); limit > 0 {
		server = io.LimitReader(server, limit)
	}
	n, _ := io.Copy(gated{client, c}, server)
	c.seen.Add(n)
}

// gated holds what is written during a silence.
type gated struct {
	io.Writer
	*cutter
}

// Write implements io.Writer.
func (g gated) Write(b []byte) (int, error) {
	g.mu.Lock()
	still := g.still
	g.mu.Unlock()
	if still != nil {
		<-still
	}
	return g.Writer.Write(b)
}

// silence holds all traffic, or lets it go on.
func (c *cutter) silence(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case on && c.still == nil:
		c.still = make(chan struct{})
	case !on && c.still != nil:
		close(c.still)
		c.still = nil
	}
}

// cut closes all connections and lets no new one through, or ends that.
func (c *cutter) cut(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down = on; on {
		for end := range c.open {
			_ = end.Close()
		}
	}
}
