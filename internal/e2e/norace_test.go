//go:build !race

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"rollcall/internal/slapdtest"
)

const underRace = false

// TestWrongTokensSlowNoOther sends 500 wrong tokens a second from one process while another client works. Its answers
// take at most twice as long as without them, in the middle and at the 95th percentile. A busy machine may need several
// attempts for that. Under the race detector the measure would be that of the detector.
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
