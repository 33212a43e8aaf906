// Package freeport finds ports for the servers that tests start as processes.
package freeport

import (
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

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
