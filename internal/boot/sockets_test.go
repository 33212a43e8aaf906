package boot_test

import (
	"bufio"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"rollcall/internal/config"
	"rollcall/internal/secret"
)

// patience is how long a test waits for what the server does on its own. The longest limit of the server is 30 seconds.
const patience = 3 * time.Minute

// dial opens a connection to the API.
func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

// post is the head of a request that has a body.
const post = "POST /leave/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"

// TestLargeRequestsAreRefused sends what is too large or too deep, with a length, in chunks and in headers. Each gets a
// response of its own kind.
func TestLargeRequestsAreRefused(t *testing.T) {
	t.Parallel()
	addr := serve(t, config.Process{})
	large := `{"entry":"` + strings.Repeat("x", 2<<20) + `"}`
	deep := strings.Repeat(`{"entry":`, 20000) + "1" + strings.Repeat("}", 20000)
	wide := `{"entry":"u","` + strings.Repeat("x", 1000) + `":[` + strings.Repeat("[],", 100000) + "[]]}"
	for name, request := range map[string]string{
		"a large body":     fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", post, len(large), large),
		"large chunks":     fmt.Sprintf("%sTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", post, len(large), large),
		"a deep body":      fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", post, len(deep), deep),
		"deep arrays":      fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", post, 500000, strings.Repeat("[", 500000)),
		"a wide body":      fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", post, len(wide), wide),
		"a large header":   post + "X-Large: " + strings.Repeat("x", 200<<10) + "\r\n\r\n",
		"many headers":     post + strings.Repeat("X-Many: "+strings.Repeat("x", 100)+"\r\n", 2000) + "\r\n",
		"two lengths":      post + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
		"a length of both": post + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"a bad chunk":      post + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n{}\r\n0\r\n\r\n",
	} {
		c := dial(t, addr)
		var sent sync.WaitGroup
		sent.Go(func() { _, _ = io.WriteString(c, request) }) // The server may respond, and close, before the end.
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Errorf("%s: no response: %v", name, err)
		} else if resp.StatusCode < 400 || resp.StatusCode >= 500 {
			t.Errorf("%s: %s, want 4xx", name, resp.Status)
		}
		_ = c.Close()
		sent.Wait()
	}
}

// TestSlowClientsAreCut checks that headers and bodies that trickle, and connections without a word, end by themselves.
// Other clients are served all the time.
func TestSlowClientsAreCut(t *testing.T) {
	t.Parallel()
	addr := serve(t, config.Process{})
	var all sync.WaitGroup
	slow := func(begin string) {
		c := dial(t, addr)
		if _, err := io.WriteString(c, begin); err != nil {
			t.Fatal(err)
		}
		if begin != "" {
			go func() {
				for tick := time.Tick(200 * time.Millisecond); ; <-tick { // A slow client, not a wait.
					if _, err := io.WriteString(c, "x"); err != nil {
						return
					}
				}
			}()
		}
		all.Go(func() {
			if _, err := io.Copy(io.Discard, c); err != nil && os.IsTimeout(err) {
				t.Errorf("a connection that sent %.40q is open after %v", begin, patience)
			}
		})
	}
	for range 400 {
		slow("")
	}
	slow("GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
	slow("GET /livez")
	slow(post + "Content-Length: 100000\r\n\r\n{\"entry\":\"")
	slow(post + "Transfer-Encoding: chunked\r\n\r\n186a0\r\n{\"entry\":\"")
	resp, err := http.Get("http://" + addr + "/livez")
	if err != nil {
		t.Fatalf("another client is not served: %v", err)
	}
	if resp.Body.Close(); resp.StatusCode != http.StatusOK {
		t.Errorf("another client gets %s", resp.Status)
	}
	all.Wait()
}

// TestRequestsOverHTTP2 sends the same by HTTP/2.
func TestRequestsOverHTTP2(t *testing.T) {
	t.Parallel()
	dir, ca := t.TempDir(), newIssuer(t)
	file := func(name string) string { return filepath.Join(dir, name) }
	ca.issue(t, 2, file("server.pem"), file("server.key"))
	if err := os.WriteFile(file("ca.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw}),
		0o600); err != nil {
		t.Fatal(err)
	}
	addr := serve(t, config.Process{TLSCertFile: file("server.pem"), TLSKeyFile: secret.File(file("server.key"))})
	c := http.Client{Timeout: patience, Transport: &http.Transport{ForceAttemptHTTP2: true,
		TLSClientConfig: &tls.Config{RootCAs: ca.pool, MinVersion: tls.VersionTLS12}}}
	t.Cleanup(c.CloseIdleConnections)
	forever, end := io.Pipe()
	t.Cleanup(func() { _ = end.Close() })
	for name, body := range map[string]io.Reader{
		"a large body":           strings.NewReader(`{"entry":"` + strings.Repeat("x", 2<<20) + `"}`),
		"a deep body":            strings.NewReader(strings.Repeat("[", 500000)),
		"a body that never ends": io.MultiReader(strings.NewReader(`{"entry":"`), forever),
	} {
		began := time.Now()
		resp, err := c.Post("https://"+addr+"/leave/", "application/json", body)
		if name == "a body that never ends" {
			_ = end.Close() // The client waits for its end.
		}
		if err != nil && name != "a body that never ends" || os.IsTimeout(err) {
			t.Errorf("%s: %v after %v", name, err, time.Since(began))
		}
		if err != nil {
			continue // The stream was reset.
		}
		if resp.Body.Close(); resp.ProtoMajor != 2 || resp.StatusCode < 400 || resp.StatusCode >= 500 {
			t.Errorf("%s: %s by %s, want 4xx by HTTP/2", name, resp.Status, resp.Proto)
		}
	}
}
