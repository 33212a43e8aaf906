package e2e

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
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

// TestWrongTokensSlowNoOther sends 500 wrong tokens a second from one process while another client works. Its answers
// take at most twice as long as without them, in the middle and at the 95th percentile. A busy machine may need several
// attempts for that.
func TestWrongTokensSlowNoOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{slapd: slapdtest.Options{LDIF: slapdtest.Generate(1, 0, 0)}, workers: -1})
	slow := []int{50, 95}
	for began := time.Now(); len(slow) > 0 && time.Since(began) < 3*time.Minute; {
		quiet := w.answers(200)
		stop := w.flood(500)
		from := time.Now()
		flooded := w.answers(200)
		took := time.Since(from)
		sent := float64(stop()) / took.Seconds()
		slow = slices.DeleteFunc([]int{50, 95}, func(p int) bool {
			without, with := percentile(quiet, p), percentile(flooded, p)
			t.Logf("p%d: %v, with %.0f wrong tokens a second %v", p, without, sent, with)
			return with <= 2*without && sent > 400
		})
	}
	if len(slow) > 0 {
		t.Errorf("wrong tokens slow another client by more than a factor of 2 at the percentiles %v", slow)
	}
}

// answers measures requests of a client with a right token, at most 100 a second.
func (w *world) answers(n int) (took []time.Duration) {
	w.Helper()
	tick := time.NewTicker(time.Second / 100)
	defer tick.Stop()
	for range n {
		<-tick.C
		began := time.Now()
		if code, data := w.call(http.MethodGet, corp, ""); code != http.StatusOK {
			w.Fatalf("a right token: %d %s", code, data)
		}
		took = append(took, time.Since(began))
	}
	return took
}

// flood sends wrong tokens at a rate until it is stopped, and returns how many there were.
func (w *world) flood(perSecond int) (stop func() int) {
	ctx, cancel := context.WithCancel(w.Context())
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 200}}
	var all sync.WaitGroup
	sent := 0
	all.Go(func() {
		tick := time.NewTicker(time.Second / time.Duration(perSecond))
		defer tick.Stop()
		for began := time.Now(); ctx.Err() == nil; <-tick.C {
			for due := int(time.Since(began).Seconds() * float64(perSecond)); sent < due; sent++ {
				token := fmt.Sprint("wrong-", sent)
				all.Go(func() { w.present(ctx, client, token) })
			}
		}
	})
	return func() int {
		cancel()
		all.Wait()
		client.CloseIdleConnections()
		return sent
	}
}

// present sends a request with a token and discards the answer.
func (w *world) present(ctx context.Context, client *http.Client, token string) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.base+"/api/v3"+corp, nil)
	if err != nil {
		return
	}
	r.Header.Set("Authorization", "Bearer "+token)
	if resp, err := client.Do(r); err == nil {
		_ = resp.Body.Close()
	}
}

func percentile(list []time.Duration, p int) time.Duration {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[len(sorted)*p/100]
}
