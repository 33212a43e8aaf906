package ldap

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Servers that share a name are tried in the same order whatever the order of the DNS answer. The next one is used
// while the first is down.
func TestServersWithOneNameAreTriedInAFixedOrder(t *testing.T) {
	t.Parallel()
	up := map[string]net.Listener{}
	var port string
	for tries := 0; len(up) < 2; tries++ { // until a port is free at both addresses
		first, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.2:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { first.Close() })
		_, port, _ = net.SplitHostPort(first.Addr().String())
		second, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", net.JoinHostPort("127.0.0.3", port))
		if err != nil && tries < 20 {
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { second.Close() })
		up["127.0.0.2"], up["127.0.0.3"] = first, second
	}
	srv := server{scheme: "ldap", addr: "dc.example.com:" + port}
	connected := func(order ...string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		conn, err := dial(ctx, func(context.Context, string, string) ([]netip.Addr, error) {
			var addrs []netip.Addr
			for _, o := range order {
				addrs = append(addrs, netip.MustParseAddr(o))
			}
			return addrs, nil
		}, srv, nil)
		if err != nil {
			return err.Error()
		}
		defer conn.Close()
		host, _, _ := net.SplitHostPort(conn.RemoteAddr().String())
		return host
	}
	for _, order := range [][]string{{"127.0.0.2", "127.0.0.3"}, {"127.0.0.3", "127.0.0.2"}} {
		if got := connected(order...); got != "127.0.0.2" {
			t.Errorf("DNS gives %v: connected to %s, want 127.0.0.2", order, got)
		}
	}
	// A process that another test starts has the listener, too, until its program is loaded.
	down := func(addr string) {
		up[addr].Close()
		for {
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", net.JoinHostPort(addr, port))
			if err != nil {
				return
			}
			conn.Close()
		}
	}
	down("127.0.0.2")
	if got := connected("127.0.0.3", "127.0.0.2"); got != "127.0.0.3" {
		t.Errorf("the first is down: connected to %s, want 127.0.0.3", got)
	}
	down("127.0.0.3")
	if got := connected("127.0.0.3", "127.0.0.2"); !strings.Contains(got, "127.0.0.2") ||
		!strings.Contains(got, "127.0.0.3") {
		t.Errorf("all are down: %s, want both addresses", got)
	}
}

func TestFixedOrderKeepsThePreferredFamily(t *testing.T) {
	t.Parallel()
	parse := func(all ...string) (out []netip.Addr) {
		for _, a := range all {
			out = append(out, netip.MustParseAddr(a))
		}
		return out
	}
	for _, tc := range [][2][]netip.Addr{
		{parse("fd00::2", "fd00::1", "10.0.0.2", "10.0.0.1"), parse("fd00::1", "fd00::2", "10.0.0.1", "10.0.0.2")},
		{parse("10.0.0.2", "fd00::1", "10.0.0.1", "10.0.0.2"), parse("10.0.0.1", "10.0.0.2", "fd00::1")},
	} {
		if diff := cmp.Diff(tc[1], fixedOrder(tc[0]), cmp.Comparer(func(a,
			b netip.Addr) bool {
			return a == b
		})); diff != "" {
			t.Errorf("fixedOrder(%v) (-want +got):\n%s", tc[0], diff)
		}
	}
}
