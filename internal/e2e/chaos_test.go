package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"rollcall/internal/slapdtest"
	"rollcall/internal/testclock"
	simulator "rollcall/simulator/googleworkspace"
)

var (
	chaosSeed   = flag.Uint64("chaos.seed", 1, "the seed of TestChaos")
	chaosRounds = flag.Int("chaos.rounds", 4, "how many troubles TestChaos makes")
)

// chaos is a world with two tenants in which processes are killed and stopped, and the network fails.
type chaos struct {
	*entraWorld

	rng *rand.Rand
	// directory, toGoogle and toGraph are the ways of all workers, ways those of each worker to Redis, and apiWay that
	// of the API.
	directory, toGoogle, toGraph, apiWay *cutter
	ways                                 []*cutter
	// api is held to restart the API.
	api sync.RWMutex
	mu  sync.Mutex
	// accepted are the places of jobs that were answered with 202. answered counts posts that were answered with their
	// outcome, and refused those that were not accepted.
	accepted          []string
	answered, refused atomic.Int64
	// left are the people who left, as they were.
	left map[string]person
	// joined is how many people joined.
	joined int
}

const (
	chaosPeople = 60
	// chaosStaying is the number of people who do not leave.
	chaosStaying = chaosPeople - 3 // The limits hold more.
	chaosGroups  = 6
)

// TestChaos makes trouble at random while people join, leave and change, full syncs of a directory and two tenants run,
// and single objects are posted without a pause. Workers, the API and Redis are killed or stand still, Redis refuses
// writes, and connections to Redis, the directory and the tenants break or fall silent. No accepted job is lost, no
// account has a twin, nothing is written more than once, and both tenants are as the directory says in the end.
// `make chaos` makes more trouble, and repeats a seed.
func TestChaos(t *testing.T) {
	t.Parallel()
	c := newChaos(t)
	ctx, stop := context.WithCancel(t.Context())
	var background sync.WaitGroup
	background.Go(func() { c.post(ctx) })
	background.Go(func() { c.startRuns(ctx) })
	before, e := c.world.directory(), c.editor()
	var troubles []int
	for round := range *chaosRounds {
		c.day(e, round)
		if len(troubles) == 0 { // Each kind comes once before one comes again.
			troubles = c.rng.Perm(kindsOfTrouble)
		}
		c.trouble(round, troubles[0])
		troubles = troubles[1:]
	}
	stop()
	background.Wait()
	c.onRequest(nil)
	c.settle(before)
	c.outcomes()
	t.Logf("seed %d: %d troubles, %d posts answered at once, %d accepted, %d refused", *chaosSeed, *chaosRounds,
		c.answered.Load(), len(c.accepted), c.refused.Load())
}

func newChaos(t *testing.T) *chaos {
	t.Helper()
	c := &chaos{
		rng: rand.New(rand.NewPCG(*chaosSeed, 0)), left: map[string]person{},
		directory: &cutter{}, toGoogle: &cutter{}, toGraph: &cutter{}, apiWay: &cutter{},
	}
	o := entraOptions{
		options: options{
			slapd: slapdtest.Options{LDIF: slapdtest.Generate(chaosPeople, chaosGroups, 10)}, workers: -1,
			env: []string{"ROLLCALL_OBJECT_WAIT=50ms"}, source: []string{"request_timeout: 2s", "connect_timeout: 2s"},
			redis: []string{"--appendonly", "yes", "--appendfsync", "always", "--enable-debug-command", "yes"},
			uri: func(s *slapdtest.Server) string {
				return "ldap://" + c.directory.listen(t, strings.TrimPrefix(s.URL, "ldap://"))
			},
			apiRedis: func(url string) string { return "redis://" + c.apiWay.listen(t, strings.TrimPrefix(url, "redis://")) },
			way:      func(url string) string { return "http://" + c.toGoogle.listen(t, strings.TrimPrefix(url, "http://")) },
		},
		way: func(url string) string { return "https://" + c.toGraph.listen(t, strings.TrimPrefix(url, "https://")) },
	}
	c.entraWorld = newEntraWorld(t, o)
	for i := range 3 {
		c.ways, c.workers = append(c.ways, nil), append(c.workers, nil)
		c.replace(i)
	}
	c.all()
	c.tenant.ResetCalls()
	c.graph.ResetCalls()
	c.onRequest(func(string) { time.Sleep(3 * time.Millisecond) })
	return c
}

// day changes the directory. One person leaves on each of the first days, and one joins on most.
func (c *chaos) day(e *editor, n int) {
	c.Helper()
	for range 5 {
		e.set(slapdtest.UserDN(c.rng.IntN(chaosStaying)), "title", "Director "+time.Now().Format(time.StampMicro))
	}
	if leaver := chaosStaying + n; leaver < chaosPeople {
		c.left[slapdtest.UUID(leaver)] = c.world.directory().People[slapdtest.UUID(leaver)]
		e.remove(slapdtest.UserDN(leaver))
	}
	if c.joined < chaosPeople {
		dn := e.person(chaosPeople+c.joined, "")
		e.member(slapdtest.GroupDN(n%chaosGroups), dn, true)
		c.joined++
	}
}

// trouble makes one kind of trouble and returns when it is over.
func (c *chaos) trouble(round, kind int) {
	c.Helper()
	i := c.rng.IntN(len(c.workers))
	pause := time.Duration(c.rng.IntN(2000)) * time.Millisecond
	most := 18 // seconds, and so longer than a lease now and then
	if *chaosRounds < kindsOfTrouble {
		most = 5
	}
	long := time.Duration(2+c.rng.IntN(most)) * time.Second
	c.Logf("round %d: trouble %d with worker %d after %s, for %s", round, kind, i, pause, long)
	steps := c.steps(i)[kind]
	for _, step := range steps {
		time.Sleep(pause)
		step()
		pause = long / time.Duration(max(1, len(steps)-1))
	}
}

const kindsOfTrouble = 16

// steps returns the steps of each kind of trouble with a worker. Time passes between them.
func (c *chaos) steps(worker int) [kindsOfTrouble][]func() {
	victim, way := c.workers[worker], c.ways[worker]
	kill := func() {
		victim.kill()
		c.replace(worker)
	}
	return [...][]func(){
		{kill},
		{kill},
		{func() { victim.stop(c); c.replace(worker) }},
		c.still(victim),
		{c.crashWithAPI},
		c.redisIs("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0"),
		c.redisIs("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"),
		{func() { way.silence(true) }, func() { way.silence(false) }},
		{func() { way.cut(true) }, func() { way.cut(false) }},
		gone(c.directory),
		gone(c.toGoogle),
		gone(c.toGraph),
		gone(c.apiWay),
		c.still(c.world.api),
		// Connections to the tenants break, before and after a tenant has done what it was asked to.
		c.tenantsHave(0.2, simulator.Fault{Effect: simulator.Drop}, simulator.Fault{Effect: simulator.LoseAnswer}),
		c.tenantsHave(0.9, simulator.Fault{Status: http.StatusServiceUnavailable}),
	}
}

// still has a process stand still.
func (c *chaos) still(p *process) []func() {
	return []func(){func() { p.signal(c, syscall.SIGSTOP) }, func() { p.signal(c, syscall.SIGCONT) }}
}

// crashWithAPI has Redis crash and start again with its append-only file, and kills the API.
func (c *chaos) crashWithAPI() {
	c.crashRedis(1000)
	c.api.Lock()
	defer c.api.Unlock()
	c.world.api.kill()
	testclock.Eventually(c, time.Minute, "Redis is back", func() bool { return c.redis.Ping(c.Context()).Err() == nil })
	c.startAPI()
}

// redisIs has Redis do two commands: its memory is full, or it is a replica, until the second one.
func (c *chaos) redisIs(begin, end string) []func() {
	return []func(){func() { c.command(begin) }, func() { c.command(end) }}
}

// gone has a server not answer, and then refuse connections.
func gone(way *cutter) []func() {
	return []func(){
		func() { way.silence(true) },
		func() { way.cut(true); way.silence(false) },
		func() { way.cut(false) },
	}
}

// tenantsHave plants faults in both tenants.
func (c *chaos) tenantsHave(probability float64, faults ...simulator.Fault) []func() {
	plant := func() {
		for _, f := range faults {
			f.Probability = probability
			c.tenant.Inject(f)
			c.graph.Inject(f)
		}
	}
	return []func(){plant, func() { c.tenant.ClearFaults(); c.graph.ClearFaults() }}
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
	for n := 0; ctx.Err() == nil; n++ {
		body, _ := json.Marshal(map[string]string{"sync_object_model": modelUser,
			"sync_object_id": slapdtest.UUID(rng.IntN(chaosStaying))})
		c.api.RLock()
		place, ok := c.postOne(ctx, []string{google, entra}[n%2], string(body))
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
func (c *chaos) postOne(ctx context.Context, provider, body string) (place string, ok bool) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+"/api/v3"+provider+"sync/object/",
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
		place := []string{corp, google, entra}[n%3]
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

// settle waits until no run is open, and compares the tenants with the directory.
func (c *chaos) settle(before state) {
	c.Helper()
	places := []string{corp, google, entra}
	for range 2 {
		for _, place := range places {
			testclock.Eventually(c, 2*time.Minute, "no run is open", func() bool {
				return !slices.ContainsFunc(places, func(p string) bool { return c.status(p).IsRunning })
			})
			c.finish(place)
		}
	}
	c.converged(c.left)
	c.graphConverged(c.left, 0)
	joined, gone := memberChanges(before, c.world.directory())
	made := c.writes()
	maps.Copy(made, c.graphWrites())
	for _, often := range []string{
		"directory.users.update", "directory.users.signOut", "users.update", "users.revokeSignInSessions",
	} {
		delete(made, often)
	}
	if diff := cmp.Diff(map[string]int{
		"directory.users.insert": c.joined, "directory.members.insert": joined, "directory.members.delete": gone,
		"users.create": c.joined, "members.add": joined, "members.remove": gone,
	}, made); diff != "" {
		c.Errorf("what was made once (-want +got):\n%s", diff)
	}
}

// outcomes reads the record of every accepted job.
func (c *chaos) outcomes() {
	c.Helper()
	ctx := c.Context()
	failed := 0
	for _, place := range c.accepted {
		var job struct {
			State, Outcome string
			Reason         string `json:"fail_reason"`
		}
		testclock.Eventually(c, 3*time.Minute, "job "+place+" has an outcome", func() bool {
			c.get(strings.TrimPrefix(place, "/api/v3"), &job)
			return job.Outcome != ""
		})
		if job.Outcome == "failed" {
			failed++
			c.Logf("job %s failed: %s", place, job.Reason)
		}
	}
	if failed > 0 {
		c.Errorf("%d of %d accepted jobs failed", failed, len(c.accepted))
	}
	// The task of a worker that was killed stays active until its lease has ended.
	testclock.Eventually(c, 2*time.Minute, "no task is active", func() bool {
		n, err := c.redis.LLen(ctx, "asynq:{objects}:active").Result()
		return err == nil && n == 0 || errors.Is(err, redis.Nil)
	})
}
