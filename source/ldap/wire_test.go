package ldap_test

import (
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/internal/slapdtest"
)

// wire is a proxy before a server that counts the bytes of its answers and can drop a connection after some of them.
type wire struct {
	URI     string
	address string
	// limit is after how many bytes of answers the next connection is dropped; none when it is 0.
	limit atomic.Int64
	// stall is after how many bytes connections fall silent; never when it is 0. stalled is called then.
	stall   atomic.Int64
	stalled atomic.Pointer[func()]
	// answered is how many bytes the last connection was answered.
	answered atomic.Int64
}

func newWire(t testing.TB, uri string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	w := &wire{URI: "ldap://" + l.Addr().String(), address: strings.TrimPrefix(uri, "ldap://")}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go w.carry(client)
		}
	}()
	return w
}

func (w *wire) carry(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", w.address)
	if err != nil {
		return
	}
	defer server.Close()
	w.answered.Store(0)
	go func() { _, _ = io.Copy(server, client) }()
	answers := io.Reader(server)
	if limit := w.limit.Load(); limit > 0 {
		answers = io.LimitReader(server, limit)
	}
	stall := w.stall.Load()
	if stall > 0 {
		answers = io.LimitReader(server, stall)
	}
	_, _ = io.Copy(client, io.TeeReader(answers, counter{&w.answered}))
	if stall > 0 {
		if f := w.stalled.Load(); f != nil {
			(*f)()
		}
		_, _ = io.Copy(io.Discard, client) // until the client gives up
	}
}

type counter struct{ n *atomic.Int64 }

func (c counter) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return len(p), nil
}

// TestEveryCutFails drops the connection at cuts all over a read and wants an error from every one of them.
func TestEveryCutFails(t *testing.T) {
	t.Parallel()
	server := slapdtest.Start(t, slapdtest.Options{LDIF: slapdtest.Generate(60, 4, 5)})
	w := newWire(t, server.URL)
	c := config(server)
	c.ServerURI, c.PageSize = w.URI, 20
	s := open(t, c)
	for name, refs := range map[string][]directory.Ref{"everything": nil, "by ref": {user(3), group(1)}} {
		w.limit.Store(0)
		if snap := read(t, s, refs...); len(snap.Entries) == 0 {
			t.Fatalf("%s: the uncut read is empty", name)
		}
		whole := w.answered.Load()
		step := max(whole/150, 1)
		for limit := int64(1); limit < whole; limit += step {
			w.limit.Store(limit)
			snap, err := s.Read(t.Context(), directory.Query{Refs: refs})
			if err == nil || fault.KindOf(err) != fault.Unavailable || len(snap.Entries) > 0 {
				t.Fatalf("%s, cut after %d of %d bytes: %d entries, error %v, want none and one of kind unavailable", name, limit,
					whole, len(snap.Entries), err)
			}
		}
		w.limit.Store(whole - 1)
		if _, err := s.Read(t.Context(), directory.Query{Refs: refs}); err == nil {
			t.Errorf("%s, cut before the last byte: no error", name)
		}
	}
}
