package e2e

import (
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/internal/slapdtest"
)

// Every program ends within 20 seconds while Redis does not answer, in the middle of a run.
func TestAStopWhileRedisIsSilent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{slapd: slapdtest.Options{LDIF: slapdtest.Generate(40, 2, 3)}, workers: -1})
	reached := make(chan struct{}, 1)
	w.onRequest(func(method string) {
		if method == "directory.users.insert" {
			select {
			case reached <- struct{}{}:
			default:
			}
			time.Sleep(50 * time.Millisecond) // a slow tenant
		}
	})
	worker := spawn(t, "worker", w.env...)
	worker.says(t, "worker runs")
	w.sync(corp)
	w.start(google)
	<-reached
	silent := redis.NewClient(&redis.Options{Addr: w.addr, MaxRetries: -1})
	defer silent.Close()
	const pause = 60 * time.Second
	if err := silent.Do(t.Context(), "CLIENT", "PAUSE", strconv.FormatInt(pause.Milliseconds(), 10),
		"ALL").Err(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for _, p := range []*process{worker, w.api} {
		p.killed.Store(true) // It may end with an error.
		p.signal(t, syscall.SIGTERM)
	}
	for _, p := range []*process{w.api, worker} {
		select {
		case <-p.done:
		case <-time.After(40 * time.Second):
			p.kill()
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("%s took %v to stop, want at most 20 s", p.name, took)
		}
		t.Logf("%s stopped after %v", p.name, time.Since(began).Round(time.Millisecond))
	}
}
