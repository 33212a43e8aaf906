package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/internal/slapdtest"
)

var (
	chaosSeed   = flag.Uint64("chaos.seed", 1, "the seed of TestChaos")
	chaosRounds = flag.Int("chaos.rounds", 4, "how many kills and stops TestChaos makes")
)

// chaos is a world whose processes are killed and stopped.
type chaos struct {
	*world

	rng *rand.Rand
	// api is held to restart the API.
	api sync.RWMutex
	mu  sync.Mutex
	// accepted are the places of jobs that were answered with 202. answered counts posts that were answered with their
	// outcome, and refused those that were not accepted.
	accepted          []string
	answered, refused atomic.Int64
}

const chaosPeople = 60

// TestChaos kills, stops and terminates workers, the API and Redis at random, while full syncs run and single objects
// are posted without a pause. No accepted job is lost, no account has a twin, no person loses an account or a
// membership, and everything is as the directory says in the end. `make chaos` makes more trouble, and repeats a seed.
func TestChaos(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{
		slapd: slapdtest.Options{LDIF: slapdtest.Generate(chaosPeople, 6, 10)}, workers: 3,
		env:   []string{"ROLLCALL_OBJECT_WAIT=50ms"},
		redis: []string{"--appendonly", "yes", "--appendfsync", "always", "--enable-debug-command", "yes"},
	})
	c := &chaos{world: w, rng: rand.New(rand.NewPCG(*chaosSeed, 0))}
	w.both()
	w.tenant.ResetCalls()
	w.onRequest(func(string) { time.Sleep(3 * time.Millisecond) })
	ctx, stop := context.WithCancel(t.Context())
	var background sync.WaitGroup
	background.Go(func() { c.post(ctx) })
	background.Go(func() { c.startRuns(ctx) })
	e := w.editor()
	for round := range *chaosRounds {
		for range 5 {
			e.set(slapdtest.UserDN(c.rng.IntN(chaosPeople)), "title", "Director "+time.Now().Format(time.StampMicro))
		}
		c.trouble(round)
	}
	stop()
	background.Wait()
	w.onRequest(nil)
	c.settle()
	c.outcomes()
	t.Logf("seed %d: %d kills and stops, %d posts answered at once, %d accepted, %d refused", *chaosSeed, *chaosRounds,
		c.answered.Load(), len(c.accepted), c.refused.Load())
}

// trouble makes one kind of trouble and returns when it is over.
func (c *chaos) trouble(round int) {
	c.Helper()
	i := c.rng.IntN(len(c.workers))
	victim := c.workers[i]
	pause := time.Duration(c.rng.IntN(2000)) * time.Millisecond
	time.Sleep(pause)
	what := c.rng.IntN(5)
	c.Logf("round %d: trouble %d with worker %d after %s", round, what, i, pause)
	switch what {
	case 0, 1: // kill -9, and another worker in its place
		victim.kill()
		c.replace(i)
	case 2: // SIGTERM
		victim.stop(c)
		c.replace(i)
	case 3: // A worker stands still until long after its lease has ended.
		victim.signal(c, syscall.SIGSTOP)
		time.Sleep(time.Duration(2+c.rng.IntN(18)) * time.Second)
		victim.signal(c, syscall.SIGCONT)
	case 4: // Redis crashes and starts again with its append-only file, and the API is killed.
		c.crashRedis(1000)
		c.api.Lock()
		c.world.api.kill()
		eventually(c, time.Minute, "Redis is back", func() bool { return c.redis.Ping(c.Context()).Err() == nil })
		c.startAPI()
		c.api.Unlock()
	}
}

// replace starts a worker in the place of one that has ended.
func (c *chaos) replace(i int) {
	c.Helper()
	p := launch(c, "worker", c.env...)
	p.says(c, "worker runs")
	c.workers[i] = p
}

// post asks for the sync of single objects until ctx ends, and keeps the ids of accepted jobs.
func (c *chaos) post(ctx context.Context) {
	rng := rand.New(rand.NewPCG(*chaosSeed, 1))
	for ctx.Err() == nil {
		body, _ := json.Marshal(map[string]string{"sync_object_model": modelUser,
			"sync_object_id": slapdtest.UUID(rng.IntN(chaosPeople))})
		c.api.RLock()
		place, ok := c.postOne(ctx, string(body))
		c.api.RUnlock()
		switch {
		case !ok:
			c.refused.Add(1)
			time.Sleep(50 * time.Millisecond)
		case place != "":
			c.mu.Lock()
			c.accepted = append(c.accepted, place)
			c.mu.Unlock()
		default:
			c.answered.Add(1)
		}
	}
}

// postOne posts one object. place is where the outcome of an accepted job will be; empty where the answer had it.
func (c *chaos) postOne(ctx context.Context, body string) (place string, ok bool) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+"/api/v3"+google+"sync/object/",
		strings.NewReader(body))
	if err != nil {
		return "", false
	}
	r.Header.Set("Authorization", "Bearer "+c.token)
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", false
	}
	defer resp.Body.Close()
	return resp.Header.Get("Location"), resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusAccepted
}

// startRuns starts runs again and again. One that is refused, because another is live, is no matter.
func (c *chaos) startRuns(ctx context.Context) {
	for n := 0; ctx.Err() == nil; n++ {
		c.api.RLock()
		place := []string{corp, google}[n%2]
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+"/api/v3"+place+"sync/", nil)
		if err == nil {
			r.Header.Set("Authorization", "Bearer "+c.token)
			if resp, err := http.DefaultClient.Do(r); err == nil {
				_ = resp.Body.Close()
			}
		}
		c.api.RUnlock()
		time.Sleep(500 * time.Millisecond)
	}
}

// settle waits until no run is open, and compares the tenant with the directory.
func (c *chaos) settle() {
	c.Helper()
	for range 2 {
		eventually(c, 2*time.Minute, "no run is open", func() bool {
			return !c.status(corp).IsRunning && !c.status(google).IsRunning
		})
		c.finish(corp)
		eventually(c, 2*time.Minute, "no run is open", func() bool { return !c.status(google).IsRunning })
		c.finish(google)
	}
	c.converged(nil)
	made := c.writes()
	if n := made["directory.users.delete"] + made["directory.groups.delete"] + made["directory.members.delete"] +
		made["directory.users.insert"] + made["directory.groups.insert"]; n > 0 {
		c.Errorf("only titles changed, and accounts, groups or memberships were made or deleted: %v", made)
	}
	if n := len(c.tenant.Users()) - 1; n != chaosPeople {
		c.Errorf("the tenant has %d users, want %d", n, chaosPeople)
	}
}

// outcomes reads the record of every accepted job.
func (c *chaos) outcomes() {
	c.Helper()
	ctx := c.Context()
	failed := 0
	for _, place := range c.accepted {
		id := place[strings.LastIndex(strings.TrimSuffix(place, "/"), "/")+1:]
		id = strings.TrimSuffix(id, "/")
		var job struct {
			State, Outcome string
			Reason         string `json:"fail_reason"`
		}
		eventually(c, 3*time.Minute, "job "+id+" has an outcome", func() bool {
			c.get(google+"sync/objects/"+id+"/", &job)
			return job.Outcome != ""
		})
		if job.Outcome == "failed" {
			failed++
			c.Logf("job %s failed: %s", id, job.Reason)
		}
	}
	if failed > 0 {
		c.Errorf("%d of %d accepted jobs failed", failed, len(c.accepted))
	}
	// The task of a worker that was killed stays active until its lease has ended.
	eventually(c, 2*time.Minute, "no task is active", func() bool {
		n, err := c.redis.LLen(ctx, "asynq:{objects}:active").Result()
		return err == nil && n == 0 || errors.Is(err, redis.Nil)
	})
}
