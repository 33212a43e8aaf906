package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"rollcall/internal/slapdtest"
	"rollcall/internal/testclock"
)

// post asks for the sync of one user, again while the service has no time for it, and returns the id of the accepted
// job.
func (w *world) post(id string) (job string) {
	w.Helper()
	body, _ := json.Marshal(map[string]any{"sync_object_model": modelUser, "sync_object_id": id})
	code, data, err := w.try(http.MethodPost, google+"sync/object/", string(body))
	for began := time.Now(); code == http.StatusServiceUnavailable && time.Since(began) < 3*time.Minute; {
		code, data, err = w.try(http.MethodPost, google+"sync/object/", string(body))
	}
	if err != nil || code != http.StatusAccepted {
		w.Errorf("sync of %s = %d %s, %v; want 202", id, code, data, err)
		return ""
	}
	var answer struct{ Messages []event }
	w.decode(data, &answer)
	job, _ = answer.Messages[0].Attributes["job_id"].(string)
	return job
}

// Many clients post jobs while the worker is stopped, and the worker is killed in the middle of its work. Each job that
// was accepted has one outcome in the end, and none failed.
func TestEachAcceptedJobHasAnOutcome(t *testing.T) {
	t.Parallel()
	const people, clients = 20, 50
	each := 60
	if underRace {
		each = 20
	}
	w := newWorld(t, options{slapd: slapdtest.Options{LDIF: slapdtest.Generate(people, 2, 3)},
		env: []string{"ROLLCALL_OBJECT_WAIT=1ms"}})
	w.both()
	w.workers[0].signal(t, syscall.SIGSTOP)
	var mu sync.Mutex
	var ids []string
	var posting sync.WaitGroup
	for client := range clients {
		posting.Go(func() {
			for n := range each {
				if job := w.post(slapdtest.UUID((client + n) % people)); job != "" {
					mu.Lock()
					ids = append(ids, job)
					mu.Unlock()
				}
			}
		})
	}
	posting.Wait()
	if len(ids) != clients*each {
		t.Fatalf("%d of %d jobs were accepted", len(ids), clients*each)
	}
	w.workers[0].signal(t, syscall.SIGCONT)
	testclock.Eventually(t, 3*time.Minute, "some jobs have ended", func() bool {
		return w.redis.ZCard(t.Context(),
			doneJobs).Val() > 100
	})
	w.workers[0].kill()
	w.startWorker()
	w.ended(ids, "unchanged")
}

// ended waits until these jobs have ended, and fails the test unless each has one of the outcomes.
func (w *world) ended(ids []string, outcomes ...string) {
	w.Helper()
	ctx := w.Context()
	testclock.Eventually(w, 10*time.Minute, "all jobs have ended", func() bool {
		return w.redis.ZCard(ctx, "rollcall:{google_workspace:1}:jobs:open").Val() == 0
	})
	var bad []string
	for _, id := range ids {
		f := w.redis.HMGet(ctx, "rollcall:{google_workspace:1}:job:"+id, "state", "outcome", "fail_reason").Val()
		if outcome, _ := f[1].(string); f[0] != "done" || !slices.Contains(outcomes, outcome) {
			bad = append(bad, fmt.Sprint(id, f))
		}
	}
	if len(bad) > 0 {
		w.Errorf("%d jobs did not end well: %s", len(bad), strings.Join(bad[:min(5, len(bad))], "\n"))
	}
}

const doneJobs = "rollcall:{google_workspace:1}:jobs:done"
