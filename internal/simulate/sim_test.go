package simulate

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"

	"rollcall/container"
	"rollcall/decisions"
	"rollcall/directory"
	"rollcall/jobs"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/status"
)

// sim is one history under way.
type sim struct {
	past    *past
	tenant  *tenant
	redis   *server
	hazards *hazards
	policy  plan.Policy
	delta   bool // the directory tells what changed
	covers  bool
	// approval is require_approval of the provider.
	approval provider.Approval

	api     *process
	workers []*process
	gone    sync.WaitGroup // workers that were killed and end in the background
	named   int

	mu sync.Mutex
	// reads are when a task of the source began to read the directory, copies the oldest such time for the copy that a
	// task of the provider read.
	reads, copies map[string]time.Time
	accepted      map[string]bool // object jobs without an outcome
	// orders are the orders to leave that stand, ordered the users who ever had one.
	orders  []order
	ordered map[directory.Ref]bool
	pauses  []pause  // of the provider
	kept    snapshot // of Redis
	began   time.Time
	log     []string
}

// setup is how a history begins.
type setup struct {
	people, groups int
	skews          []time.Duration // one worker each
	marks          bool
	deletes        bool
	delta          bool
	covers         bool // the directory counts who has a title
	approval       provider.Approval
}

const (
	refusedName = "bad"
	bossName    = "boss"
	otherName   = "other"
)

func newSim(begin setup) *sim {
	m := miniredis.NewMiniRedis()
	past := &past{souls: map[directory.ID]int{}}
	s := &sim{
		past: past, redis: &server{Miniredis: m, last: time.Now()}, hazards: &hazards{count: map[string]int{}},
		tenant: &tenant{past: past, accounts: map[string]*account{}, marks: begin.marks},
		policy: provider.Settings{}.Policy(), reads: map[string]time.Time{}, copies: map[string]time.Time{},
		accepted: map[string]bool{}, ordered: map[directory.Ref]bool{}, delta: begin.delta,
		covers: begin.covers, approval: begin.approval,
		began: time.Now(),
	}
	if begin.deletes {
		s.policy.UserDeleteAction = plan.ActionDelete
	}
	s.tenant.foreign(bossName, true)
	s.tenant.foreign(otherName, false)
	var c company
	for i := range begin.people {
		c.people = append(c.people, newPerson(i, 0))
	}
	for i := range begin.groups {
		g := group{id: directory.ID(fmt.Sprintf("g%d.0", i)), name: fmt.Sprint("crew", i), members: map[int]bool{}}
		for k := range begin.people {
			if (k+i)%2 == 0 {
				g.members[k] = true
			}
		}
		c.groups = append(c.groups, g)
	}
	past.set(c)
	s.api = s.newProcess("api", 0)
	s.api.api = s.api.newAPI()
	for _, skew := range begin.skews {
		s.hireWorker(skew)
	}
	return s
}

func newPerson(i, n int) person {
	p := person{id: directory.ID(fmt.Sprintf("u%02d.%d", i, n)), name: fmt.Sprintf("n%02d", i), title: "staff",
		present: true, active: true}
	if i%2 == 0 {
		p.number = fmt.Sprint(1000 + i)
	}
	return p
}

// close ends every process.
func (s *sim) close() {
	s.hazards.set(nil)
	for _, p := range s.workers {
		p.kill()
		s.gone.Go(p.leave)
	}
	s.gone.Wait()
	s.api.end()
	s.redis.Close()
	time.Sleep(10 * time.Minute) // Calls that nothing waits for any more end, too. Time stands still after the end.
}

func (s *sim) note(format string, args ...any) {
	s.log = append(s.log, fmt.Sprintf("%s ", time.Since(s.began).Round(time.Millisecond))+fmt.Sprintf(format, args...))
}

func (s *sim) hireWorker(skew time.Duration) {
	p := s.newProcess(fmt.Sprint("w", s.named), skew)
	s.named++
	p.start()
	s.workers = append(s.workers, p)
}

// dismiss ends a worker, as SIGTERM or SIGKILL does.
func (s *sim) dismiss(i int, kill bool) {
	p := s.workers[i]
	s.workers = slices.Delete(s.workers, i, i+1)
	if kill {
		p.kill()
		s.gone.Go(p.leave)
		return
	}
	p.resume()
	p.leave()
}

// restartAll ends all workers, lets time pass, and starts as many with the present configuration.
func (s *sim) restartAll(away time.Duration) {
	n := max(1, len(s.workers))
	for len(s.workers) > 0 {
		s.dismiss(0, false)
	}
	_ = s.stillThere() // A record is kept for a week after its outcome.
	time.Sleep(away)
	for range n {
		s.hireWorker(0)
	}
}

func (s *sim) noteRead(task string, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if earlier, ok := s.reads[task]; !ok || at.Before(earlier) {
		s.reads[task] = at
	}
}

// noteCopy notes the oldest read of the directory that the copy which a task reads now may come from.
func (s *sim) noteCopy(task string) {
	s.mu.Lock()
	_, noted := s.copies[task]
	if !noted {
		s.copies[task] = s.began
	}
	s.mu.Unlock()
	if noted {
		return
	}
	// Redis may pause here. The lock is free meanwhile, because time stands still while a goroutine waits for a lock.
	runs, _, err := s.rawStatus().List(context.Background(), corp, 0, 100)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, run := range runs { // the newest first
		if run.State != status.Completed || run.DryRun {
			continue
		}
		for read, at := range s.reads {
			if strings.HasPrefix(read, run.ID+":") && at.After(s.copies[task]) {
				s.copies[task] = at
			}
		}
		return
	}
}

func (s *sim) copiedAt(task string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at, ok := s.copies[task]; ok {
		return at
	}
	return s.began
}

// rawStatus reads Redis without faults.
func (s *sim) rawStatus() *status.Store { return s.api.status }

// start asks the API for a run.
func (s *sim) start(c container.ID) {
	_, err := s.api.client.StartRun(context.Background(), c, status.Full, false, "tester")
	s.note("start %s: %v", c, err)
}

// object asks the API for the sync of one entry.
func (s *sim) object(kind directory.Kind, of directory.ID) {
	ref := directory.Ref{Kind: kind, ID: of}
	id, err := s.api.client.StartObject(context.Background(), cloud, "corp", ref, "tester")
	s.note("object %s: %s %v", ref, id, err)
	if err == nil {
		s.accepted[id] = true
	}
}

// approve decides about held changes: all, or each second.
func (s *sim) approve(c container.ID, all bool, verdict plan.Verdict) int {
	ctx := context.Background()
	set, err := s.api.decisions.Held(ctx, c)
	if err != nil || len(set.Changes) == 0 {
		return 0
	}
	var chosen []decisions.HeldChange
	for i, change := range set.Changes {
		if all || i%2 == 0 {
			chosen = append(chosen, change)
		}
	}
	_, err = s.api.decisions.Decide(ctx, c, string(verdict), "tester", chosen)
	if err == nil && verdict == plan.Approved {
		_, err = s.api.client.StartApproved(ctx, c, "tester")
	}
	for _, h := range chosen {
		s.note("%s at %s: %s %s %s: %v", verdict, c, h.Op, h.ID, h.Member, err)
	}
	return len(chosen)
}

// undo takes back the newest run of the provider that can be taken back.
func (s *sim) undo() {
	ctx := context.Background()
	runs, _, err := s.api.status.List(ctx, cloud, 0, 5)
	if err != nil {
		return
	}
	for _, run := range runs {
		if undo, err := s.api.client.StartRevert(ctx, cloud, run.ID, false, "tester"); err == nil {
			s.note("undo %s by %s", run.ID, undo.ID)
			return
		}
	}
}

// lift ends all pins.
func (s *sim) lift() {
	ctx := context.Background()
	pins, err := s.api.decisions.Pins(ctx, cloud)
	if err != nil {
		return
	}
	var refs []directory.Ref
	for _, p := range pins {
		refs = append(refs, p.Ref)
	}
	if len(refs) > 0 {
		_ = s.api.decisions.Pin(ctx, cloud, nil, refs)
	}
}

// quiet waits until no run is open and no task waits. It reports whether that came to be.
func (s *sim) quiet() bool {
	for range 3600 {
		time.Sleep(2 * time.Second)
		if !s.busy() {
			return true
		}
	}
	return false
}

// busy reports whether a run is open or a task waits.
func (s *sim) busy() bool {
	busy := false
	for _, key := range []string{"pending", "active", "scheduled", "retry"} {
		busy = busy || s.redis.Exists("asynq:{"+jobs.ObjectQueue+"}:"+key) ||
			s.redis.Exists("asynq:{"+jobs.FullQueue+"}:"+key)
	}
	for _, c := range []container.ID{corp, cloud} {
		_, live, err := s.api.status.Live(context.Background(), c)
		busy = busy || live || err != nil
	}
	return busy
}

// snapshot is what Redis has.
type snapshot map[string]func(*miniredis.Miniredis)

// save copies what Redis has.
func (s *server) save() snapshot {
	out := snapshot{}
	for _, key := range s.Keys() {
		ttl := s.TTL(key)
		set := s.copyOf(key)
		out[key] = func(m *miniredis.Miniredis) {
			set(m)
			if ttl > 0 {
				m.SetTTL(key, ttl)
			}
		}
	}
	return out
}

// copyOf returns what writes a key again.
func (s *server) copyOf(key string) func(*miniredis.Miniredis) {
	switch s.Type(key) {
	case "string":
		v, _ := s.Get(key)
		return func(m *miniredis.Miniredis) { _ = m.Set(key, v) }
	case "list":
		v, _ := s.List(key)
		return func(m *miniredis.Miniredis) { _, _ = m.Push(key, v...) }
	case "set":
		v, _ := s.Members(key)
		return func(m *miniredis.Miniredis) { _, _ = m.SAdd(key, v...) }
	case "zset":
		v, _ := s.SortedSet(key)
		return func(m *miniredis.Miniredis) {
			for member, score := range v {
				_, _ = m.ZAdd(key, score, member)
			}
		}
	case "hash":
		fields, _ := s.HKeys(key)
		var pairs []string
		for _, f := range fields {
			pairs = append(pairs, f, s.HGet(key, f))
		}
		return func(m *miniredis.Miniredis) { m.HSet(key, pairs...) }
	case "stream":
		entries, _ := s.Stream(key)
		return func(m *miniredis.Miniredis) {
			for _, e := range entries {
				_, _ = m.XAdd(key, e.ID, e.Values)
			}
		}
	}
	panic("a key of an unknown type: " + key)
}

// restore gives Redis an older state.
func (s *sim) restore(kept snapshot) {
	s.redis.FlushAll()
	for _, set := range kept {
		set(s.redis.Miniredis)
	}
	s.tenant.mu.Lock()
	defer s.tenant.mu.Unlock()
	s.tenant.forgot = time.Now()
}
