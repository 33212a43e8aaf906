package simulate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/anishathalye/porcupine"
	"pgregory.net/rapid"

	"rollcall/status"
)

// action is what a worker does in a history of one lease: op, after a pause.
type action struct {
	op    string // acquire, check, lock, unlock, hand back, finish
	pause time.Duration
}

// question and reply are what porcupine sees of a call. A reply of maybe leaves open whether the call had an effect.
type question struct {
	worker int
	op     string
	epoch  int64
	// call and end are when the call began and ended.
	call, end time.Duration
}

const (
	yes   = "yes"
	no    = "no"
	maybe = "maybe"
)

// tenure is the state of the model: who has the run, and who has the lock of its entry. No worker is -1. The tenures of
// one worker are told apart by their number, because a worker may acquire the run twice.
type tenure struct {
	holder, number int
	epoch          int64
	over           bool
	locker, lockNo int
	locked         time.Duration // when the lock was taken, at the earliest; it ends a minute later
	// released is the worker that released the run last. It may say so again, as after a lost response.
	released int
}

// leaseModel says what a lease with a lock must look like from outside. A lease may expire at any time, so that others
// may acquire the run. But a worker whose check succeeds has the run, and so has one that locks, hands back or
// finishes.
var leaseModel = porcupine.NondeterministicModel{
	Init: func() []any { return []any{tenure{holder: -1, epoch: 1, locker: -1, released: -1}} },
	Step: func(state, input, output any) []any {
		s, q, a := state.(tenure), input.(question), output.(string)
		after, ok := s.step(q)
		switch {
		case ok && (a == maybe || a == no && q.op == "unlock"): // A repeated unlock finds no lock any more.
			return []any{s, after}
		case a == maybe:
			return []any{s}
		case a == no: // A worker may learn late or not at all that it could have gone on.
			return []any{s}
		case !ok:
			return nil
		}
		return []any{after}
	},
	Equal: func(a, b any) bool { return a == b },
}

// step returns the state after a call that succeeded, and whether it may succeed.
func (s tenure) step(q question) (tenure, bool) {
	mine := s.holder == q.worker && !s.over
	if (q.op == "hand back" || q.op == "finish") && s.released == q.worker {
		return s, true
	}
	switch q.op {
	case "acquire":
		ok := !s.over && q.epoch == s.epoch
		s.holder, s.number = q.worker, s.number+1
		if s.released == q.worker {
			s.released = -1
		}
		return s, ok
	case "check":
		return s, mine
	case "lock":
		ok := mine && (s.locker != q.worker || s.lockNo != s.number || q.end-s.locked >= time.Minute)
		s.locker, s.lockNo, s.locked = q.worker, s.number, q.call
		return s, ok
	case "unlock":
		ok := s.locker == q.worker
		s.locker = -1
		return s, ok
	case "hand back":
		s.holder, s.epoch, s.released = -1, s.epoch+1, q.worker
		return s, mine
	}
	s.over, s.released = true, q.worker
	return s, mine
}

// TestLeaseIsLinearizable carries out histories of workers that acquire one run, lock an entry, hand back and finish,
// while Redis fails and workers stand still. Each history must be one that some order of the calls explains.
func TestLeaseIsLinearizable(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var plans [3][]action
		for i := range plans {
			plans[i] = rapid.SliceOfN(rapid.Custom(drawAction), 2, 8).Draw(rt, "actions")
		}
		faults := rapid.SliceOfN(rapid.Custom(drawRedisHazard), 0, 3).Draw(rt, "faults")
		stops := rapid.SliceOfN(rapid.IntRange(0, 60), 3, 3).Draw(rt, "stops")
		rapid.SyncTest(rt, func(rt *rapid.T) {
			events, err := contend(plans[:], faults, stops)
			if err != nil {
				rt.Fatal(err)
			}
			if !porcupine.CheckOperations(leaseModel.ToModel(), events) {
				for _, e := range events {
					rt.Logf("%v..%v %+v = %v", time.Duration(e.Call), time.Duration(e.Return), e.Input, e.Output)
				}
				rt.Fatal("no order of the calls explains the history")
			}
		})
	})
}

func drawAction(t *rapid.T) action {
	return action{
		op: rapid.SampledFrom([]string{"acquire", "check", "lock", "check", "unlock", "hand back",
			"finish"}).Draw(t, "op"),
		pause: time.Duration(rapid.SampledFrom([]int{0, 0, 1, 4, 11, 16, 30}).Draw(t, "pause")) * time.Second,
	}
}

func drawRedisHazard(t *rapid.T) hazard {
	return hazard{
		place: redisBeside, kind: rapid.SampledFrom([]string{failed, lost, twice, delayed, answered}).Draw(t, "kind"),
		nth: rapid.IntRange(1, 40).Draw(t, "nth"), calls: rapid.SampledFrom([]int{1, 3, 20}).Draw(t, "calls"),
		long: time.Duration(rapid.SampledFrom([]int{1, 6, 12, 20}).Draw(t, "long")) * time.Second,
	}
}

// contender is one worker of a history.
type contender struct {
	*process

	number int
	run    status.Run
	lease  *status.Lease
	unlock status.Unlock
}

// contend carries out a history and returns its calls. A worker stands still for ten seconds from its stop on, in
// seconds; zero is never.
func contend(plans [][]action, faults []hazard, stops []int) ([]porcupine.Operation, error) {
	s := &sim{
		past: &past{epochs: []epoch{{}}}, hazards: &hazards{count: map[string]int{}},
		redis: &server{Miniredis: miniredis.NewMiniRedis(), last: time.Now()},
	}
	defer s.redis.Close()
	api := s.newProcess("api", 0)
	defer api.end()
	run, err := api.status.Start(context.Background(), status.StartRequest{Container: cloud})
	if err != nil {
		return nil, err
	}
	began := time.Now()
	var mu sync.Mutex
	var events []porcupine.Operation
	var all sync.WaitGroup
	s.hazards.set(faults)
	for i, plan := range plans {
		c := &contender{process: s.newProcess(fmt.Sprint("w", i), 0), number: i, run: run}
		if stops[i] > 0 {
			time.AfterFunc(time.Duration(stops[i])*time.Second, c.pause)
			time.AfterFunc(time.Duration(stops[i]+10)*time.Second, c.resume)
		}
		all.Go(func() {
			defer c.end()
			for _, a := range plan {
				time.Sleep(a.pause)
				_ = c.gate.pass()
				call := time.Since(began)
				q := question{worker: i, op: a.op, epoch: c.epoch(a.op), call: call}
				answer := c.do(a.op)
				end := time.Since(began)
				q.end = end
				if answer == maybe {
					end = 24 * time.Hour // The effect may come later.
				}
				mu.Lock()
				events = append(events, porcupine.Operation{ClientId: i, Input: q, Output: answer, Call: int64(call),
					Return: int64(end)})
				mu.Unlock()
			}
			if c.lease != nil {
				c.lease.Close()
			}
		})
	}
	all.Wait()
	time.Sleep(time.Minute) // for timers of stops
	// A client has one call at a time. The calls after one with an open outcome are those of another client.
	return reclaim(events), nil
}

// reclaim gives the calls after one with an open outcome to new clients.
func reclaim(events []porcupine.Operation) []porcupine.Operation {
	id := map[int]int{}
	next := len(events)
	slices.SortStableFunc(events, func(a, b porcupine.Operation) int { return int(a.Call - b.Call) })
	for i := range events {
		client := events[i].ClientId
		if mapped, ok := id[client]; ok {
			events[i].ClientId = mapped
		}
		if events[i].Output == maybe {
			id[client], next = next, next+1
		}
	}
	return events
}

// epoch returns the epoch under which the worker would acquire the run. The task has it, as far as this worker knows.
func (c *contender) epoch(op string) int64 {
	if op != "acquire" {
		return 0
	}
	if run, err := c.sim.peek(c.run.ID); err == nil {
		c.run = run
	}
	return c.run.Epoch
}

// peek reads a run without a fault.
func (s *sim) peek(id string) (status.Run, error) {
	epoch := s.redis.HGet("rollcall:{"+string(cloud)+"}:run:"+id, "epoch")
	if epoch == "" {
		return status.Run{}, errors.New("no such run")
	}
	var n int64
	_, err := fmt.Sscan(epoch, &n)
	return status.Run{ID: id, Container: cloud, Epoch: n}, err
}

func (c *contender) do(op string) string {
	ctx := context.Background()
	if op == "acquire" {
		if c.lease != nil {
			c.lease.Close() // It ends the renewals, and leaves the lease to expire.
			c.lease, c.unlock = nil, nil
		}
		lease, err := c.status.Acquire(ctx, cloud, c.run.ID, c.run.Epoch, c.name)
		if err == nil {
			c.lease = lease
		}
		return answerOf(err)
	}
	if c.lease == nil {
		return no
	}
	switch op {
	case "check":
		if c.lease.Check(ctx) != nil {
			return no
		}
		return yes
	case "lock":
		unlock, ok, err := c.status.Lock(ctx, cloud, c.lease.Fence(), "user/1")
		if err == nil && !ok {
			return no
		}
		if err == nil {
			c.unlock = unlock
		}
		return answerOf(err)
	case "unlock":
		if c.unlock == nil {
			return no
		}
		unlock := c.unlock
		c.unlock = nil
		return answerOf(unlock(ctx))
	case "hand back":
		_, err := c.lease.HandBack(ctx)
		return answerOf(err)
	}
	_, err := c.lease.Finish(ctx, status.End{State: status.Completed})
	return answerOf(err)
}

func answerOf(err error) string {
	switch {
	case err == nil:
		return yes
	case errors.Is(err, status.ErrStale):
		return no
	}
	return maybe
}
