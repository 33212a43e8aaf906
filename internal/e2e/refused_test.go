package e2e

import (
	"bufio"
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rollcall/internal/slapdtest"
)

// An idle stream ends soon after its token has left the file.
func TestAnIdleStreamEndsWithItsToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{slapd: slapdtest.Options{LDIF: slapdtest.Generate(1, 0, 0)}, workers: -1})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.base+"/api/v3"+corp+"sync/events/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+w.reader)
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	if !lines.Scan() {
		t.Fatalf("the stream begins with %v", lines.Err())
	}
	path := filepath.Join(filepath.Dir(strings.TrimPrefix(w.env[1], "ROLLCALL_CONFIG=")), "tokens")
	first, _, _ := bytes.Cut(must(os.ReadFile(path)), []byte("\n"))
	if err := os.WriteFile(path, first, 0o600); err != nil {
		t.Fatal(err)
	}
	began, said := time.Now(), ""
	for lines.Scan() {
		said += lines.Text()
	}
	took := time.Since(began)
	t.Logf("the stream ended after %v", took)
	if !strings.Contains(said, "token is not valid any more") || took > 10*time.Second {
		t.Errorf("the stream ended after %v with %q, want well before its heartbeat of 15 s", took, said)
	}
}
