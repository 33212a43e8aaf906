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
	simulator "rollcall/simulator/googleworkspace"
)

var (
	chaosSeed   = flag.Uint64("chaos.seed", 1, "the seed of TestChaos")
	chaosRounds = flag.Int("chaos.rounds", 4, "how many troubles TestChaos makes")
)

// chaos is a world in which processes are killed and stopped, and the network fails.
type chaos struct {
	*world

	rng *rand.Rand
	// directory is the way to slapd, ways are those of the workers to Redis.
	directory *cutter
	ways      []*cutter
	// api is held to restart the API.
	api sync.RWMutex
	mu  sync.Mutex
	// accepted are the places of jobs that were answered with 202. answered counts posts that were answered with their
	// outcome, and refused those that were not accepted.
	accepted          []string
	answered, refused atomic.Int64
}

const chaosPeople = 60

// TestChaos makes trouble at random while full syncs run and single objects are posted without a pause. Workers, the
// API and Redis are killed or stand still, Redis refuses writes, and connections to Redis, the directory and the tenant
// break or fall silent. No accepted job is lost, no account has a twin, no person loses an account or a membership, and
// everything is as the directory says in the end. `make chaos` makes more trouble, and repeats a seed.
func TestChaos(t *testing.T) {
	t.Parallel()
	c := &chaos{rng: rand.New(rand.NewPCG(*chaosSeed, 0)), directory: &cutter{}}
	w := newWorld(t, options{
		slapd: slapdtest.Options{LDIF: slapdtest.Generate(chaosPeople, 6, 10)}, workers: -1,
		env: []string{"ROLLCALL_OBJECT_WAIT=50ms"}, source: []string{"request_timeout: 2s", "connect_timeout: 2s"},
		redis: []string{"--appendonly", "yes", "--appendfsync", "always", "--enable-debug-command", "yes"},
		uri: func(s *slapdtest.Server) string {
			return "ldap://" + c.directory.listen(t, strings.TrimPrefix(s.URL, "ldap://"))
		},
	})
	c.world = w
	for i := range 3 {
		c.ways, w.workers = append(c.ways, nil), append(w.workers, nil)
		c.replace(i)
	}
	w.both()
	w.tenant.ResetCalls()
	w.onRequest(func(string) { time.Sleep(3 * time.Millisecond) })
	ctx, stop := context.WithCancel(t.Context())
	var background sync.WaitGroup
	background.Go(func() { c.post(ctx) })
	background.Go(func() { c.startRuns(ctx) })
	e := w.editor()
	var troubles []int
	for round := range *chaosRounds {
		for range 5 {
			e.set(slapdtest.UserDN(c.rng.IntN(chaosPeople)), "title", "Director "+time.Now().Format(time.StampMicro))
		}
		if len(troubles) == 0 { // Each kind comes once before one comes again.
			troubles = c.rng.Perm(kindsOfTrouble)
		}
		c.trouble(round, troubles[0])
		troubles = troubles[1:]
	}
	stop()
	background.Wait()
	w.onRequest(nil)
	c.settle()
	c.outcomes()
	t.Logf("seed %d: %d troubles, %d posts answered at once, %d accepted, %d refused", *chaosSeed, *chaosRounds,
		c.answered.Load(), len(c.accepted), c.refused.Load())
}

const kindsOfTrouble = 11

// trouble makes one kind of trouble and returns when it is over.
func (c *chaos) trouble(round, kind int) {
	c.Helper()
	i := c.rng.IntN(len(c.workers))
	victim, way := c.workers[i], c.ways[i]
	pause := time.Duration(c.rng.IntN(2000)) * time.Millisecond
	most := 18 // seconds, and so longer than a lease now and then
	if *chaosRounds < kindsOfTrouble {
		most = 5
	}
	long := time.Duration(2+c.rng.IntN(most)) * time.Second
	time.Sleep(pause)
	c.Logf("round %d: trouble %d with worker %d after %s, for %s", round, kind, i, pause, long)
	switch kind {
	case 0, 1: // kill -9, and another worker in its place
		victim.kill()
		c.replace(i)
	case 2: // SIGTERM
		victim.stop(c)
		c.replace(i)
	case 3: // A worker stands still.
		victim.signal(c, syscall.SIGSTOP)
		time.Sleep(long)
		victim.signal(c, syscall.SIGCONT)
	case 4: // Redis crashes and starts again with its append-only file, and the API is killed.
		c.crashRedis(1000)
		c.api.Lock()
		c.world.api.kill()
		eventually(c, time.Minute, "Redis is back", func() bool { return c.redis.Ping(c.Context()).Err() == nil })
		c.startAPI()
		c.api.Unlock()
	case 5: // Memory is full.
		c.command("CONFIG SET maxmemory 1")
		time.Sleep(long)
		c.command("CONFIG SET maxmemory 0")
	case 6: // Redis becomes a replica, and a master again.
		c.command("REPLICAOF 127.0.0.1 1")
		time.Sleep(long)
		c.command("REPLICAOF NO ONE")
	case 7: // One worker gets no answer from Redis.
		way.silence(true)
		time.Sleep(long)
		way.silence(false)
	case 8: // One worker cannot reach Redis.
		way.cut(true)
		time.Sleep(long)
		way.cut(false)
	case 9: // The directory does not answer, and then refuses connections.
		c.directory.silence(true)
		time.Sleep(long / 2)
		c.directory.cut(true)
		c.directory.silence(false)
		time.Sleep(long / 2)
		c.directory.cut(false)
	case 10: // Connections to the tenant break, before and after it has done what it was asked to.
		for _, effect := range []simulator.Effect{simulator.Drop, simulator.LoseAnswer} {
			c.tenant.Inject(simulator.Fault{Effect: effect, Probability: 0.2})
		}
		time.Sleep(long)
		c.tenant.ClearFaults()
	}
}

// replace starts a worker in the place of one that has ended, with a way of its own to Redis.
func (c *chaos) replace(i int) {
	c.Helper()
	c.ways[i] = &cutter{}
	p := launch(c, "worker", append(c.env, "ROLLCALL_REDIS_URL=redis://"+c.ways[i].listen(c, c.addr))...)
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
