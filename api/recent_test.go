package api_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"rollcall/api"
	"rollcall/container"
	"rollcall/status"
)

// TestKeptRowsAreThoseOfRedis compares, after each step of a random history, the sync status of an API that has
// answered before with that of one that has kept nothing.
func TestKeptRowsAreThoseOfRedis(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		h := newHarness(t, nil, func(c *api.Config) {
			c.Notice = func(_ container.ID, found status.Configuration) string { return found.Digest }
		})
		h.history(rand.New(rand.NewPCG(seed, 0)))
	}
}

// history makes random steps and compares after each of them.
func (h *harness) history(rnd *rand.Rand) {
	h.t.Helper()
	ctx := h.t.Context()
	var lease *status.Lease // of the last run that a worker took
	var run status.Run
	ignore := func(error) {} // Not each step is possible at each time.
	say := func() {
		if lease != nil {
			lease.Recorder().Log(status.Message{Event: fmt.Sprint("message ", rnd.Int()), Level: status.Warning})
			lease.Recorder().Succeeded(status.User, status.Update, 1)
			ignore(lease.Recorder().Flush(ctx))
		}
	}
	end := func(e status.End) {
		if lease != nil {
			_, err := lease.Finish(ctx, e)
			ignore(err)
		}
	}
	steps := map[string]func(){
		"start": func() {
			if started, err := h.store.Start(ctx, status.StartRequest{Container: corp, DryRun: rnd.IntN(4) == 0}); err == nil {
				run = started
			}
		},
		"acquire": func() {
			if taken, err := h.store.Acquire(ctx, corp, run.ID, run.Epoch, "worker-1"); err == nil {
				lease = taken
				h.t.Cleanup(taken.Close)
			}
		},
		"say":      say, // also after the end of the run
		"complete": func() { end(status.End{State: status.Completed}) },
		"fail":     func() { end(status.End{State: status.Failed, FailKind: "denied", FailReason: "no"}) },
		"cancel":   func() { _, err := h.store.Cancel(ctx, corp, "ops"); ignore(err) },
		"lose":     func() { h.lose(corp) },
		"reap":     func() { _, err := h.store.Reap(ctx, containers, true); ignore(err) },
		"pause":    func() { _, err := h.decisions.Pause(ctx, corp, "ops"); ignore(err) },
		"resume":   func() { _, err := h.decisions.Resume(ctx, corp); ignore(err) },
		"configure": func() {
			_, err := h.store.Configure(ctx, corp, "worker-1", fmt.Sprint("digest", rnd.IntN(2)))
			ignore(err)
		},
		"pass": func() { h.clock.Advance(time.Duration(rnd.IntN(100)) * time.Second) },
		"expire": func() {
			ignore(h.rdb.Del(ctx, "rollcall:{ldap:corp}:run:"+run.ID).Err())
			h.clock.Advance(time.Minute) // as long as rows are kept
		},
	}
	names := []string{"start", "start", "acquire", "say", "say", "complete", "fail", "cancel", "lose", "reap", "pause",
		"resume", "configure", "pass", "expire"}
	for i := range 150 {
		name := names[rnd.IntN(len(names))]
		steps[name]()
		other := *h
		a, err := api.New(h.cfg)
		if err != nil {
			h.t.Fatal(err)
		}
		other.api = a
		read := func() string { return other.get(paths[corp] + "sync/status/").want(http.StatusOK).Body.String() }
		for before, after := read(), ""; ; before = after { // A lease renews what a step has removed, once it is subscribed.
			got := h.get(paths[corp] + "sync/status/").want(http.StatusOK).Body.String()
			if after = read(); got == before || got == after {
				break
			} else if before == after {
				h.t.Fatalf("step %d, %s: the answer is\n%s\nwant\n%s", i, name, got, after)
			}
		}
	}
}
