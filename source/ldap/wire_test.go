package ldap_test

import (
	"io"
	"net"
	"strings"
	"testing"
)

// cutAfter returns the URI of a proxy before a server that drops each connection after so many bytes of answers.
func cutAfter(t testing.TB, uri string, limit int64) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go cut(client, strings.TrimPrefix(uri, "ldap://"), limit)
		}
	}()
	return "ldap://" + l.Addr().String()
}

func cut(client net.Conn, address string, limit int64) {
	defer client.Close()
	server, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer server.Close()
	go func() { _, _ = io.Copy(server, client) }()
	_, _ = io.CopyN(client, server, limit)
}
