package simulate

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"rollcall/fault"
)

// The places where a fault can happen.
const (
	redisInTask = "redis, in a task" // a command of a run or an object job
	redisBeside = "redis, beside"    // any other command, such as the renewal of a lease
	atSource    = "source"
	atFeed      = "source, changes" // the question what changed
	atTenant    = "tenant"
)

// The faults.
const (
	failed    = "failed"    // no effect, and an error
	lost      = "lost"      // the effect, and an error
	twice     = "twice"     // the effect twice, as when a client repeats a command
	full      = "full"      // Redis is out of memory
	readOnly  = "read-only" // Redis is a replica
	delayed   = "delayed"   // the effect comes late
	answered  = "answered"  // the answer comes late
	hanging   = "hanging"   // no answer ever
	refused   = "refused"   // the tenant refuses the call
	throttled = "throttled" // the tenant is busy
	stale     = "stale"     // the directory answers from an older state
	short     = "short"     // a full read of the directory lacks an entry
)

// hazard is a fault of the calls from the nth one on at one place after an event.
type hazard struct {
	place, kind string
	nth, calls  int
	long        time.Duration
}

// hazards decides which calls fail.
type hazards struct {
	mu    sync.Mutex
	now   []hazard
	count map[string]int
}

func (h *hazards) set(all []hazard) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now, h.count = all, map[string]int{}
}

// next counts a call, and returns its fault.
func (h *hazards) next(place string) (kind string, long time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.count[place]++
	n := h.count[place]
	for _, z := range h.now {
		if z.place == place && n >= z.nth && n < z.nth+z.calls {
			return z.kind, z.long
		}
	}
	return "", 0
}

// staleBy is how many changes a directory with the fault is behind.
const staleBy = 2

// ago counts a call at a place, and returns how many changes the directory that answers is behind.
func (h *hazards) ago(place string) int {
	if kind, _ := h.next(place + " " + stale); kind != "" {
		return staleBy
	}
	return 0
}

var errDead = errors.New("the process is dead")

// gate stops the calls of a process that is paused or dead.
type gate struct {
	mu      sync.Mutex
	dead    bool
	stopped chan struct{} // closed when the process goes on; nil while it runs
}

// pass waits while the process is paused.
func (g *gate) pass() error {
	for {
		g.mu.Lock()
		dead, stopped := g.dead, g.stopped
		g.mu.Unlock()
		switch {
		case dead:
			time.Sleep(time.Second) // A loop that repeats failed calls at once would stop the time of the bubble.
			return errDead
		case stopped == nil:
			return nil
		}
		<-stopped
	}
}

func (g *gate) pause() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopped == nil {
		g.stopped = make(chan struct{})
	}
}

func (g *gate) resume() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopped != nil {
		close(g.stopped)
		g.stopped = nil
	}
}

func (g *gate) kill() {
	g.mu.Lock()
	g.dead = true
	g.mu.Unlock()
	g.resume()
}

// call makes one call to a source or a tenant, with its fault.
func call[T any](ctx context.Context, g *gate, h *hazards, place string, do func() (T, error)) (out T, err error) {
	if err := g.pass(); err != nil {
		return out, err
	}
	kind, long := h.next(place)
	switch kind {
	case failed:
		return out, fault.Errorf(fault.Unavailable, "503 backendError")
	case refused:
		return out, fault.Errorf(fault.Refused, "403 forbidden")
	case throttled:
		return out, &fault.Error{Kind: fault.Throttled, RetryAfter: long, Err: errors.New("429 too many requests")}
	case hanging:
		<-ctx.Done()
		return out, fault.Errorf(fault.Unavailable, "no answer: %w", ctx.Err())
	case delayed:
		time.Sleep(long)
	}
	out, err = do()
	if kind == answered {
		time.Sleep(long)
	}
	if err := g.pass(); err != nil {
		return out, err
	}
	if kind == lost {
		return out, fault.Errorf(fault.Unavailable, "connection reset")
	}
	return out, err
}

// redisHook makes the commands of one process fail. It lets keys expire as time passes.
type redisHook struct {
	gate    *gate
	hazards *hazards
	server  *server
}

// server is the one Redis.
type server struct {
	mu sync.Mutex
	*miniredis.Miniredis
	last time.Time
}

// age lets keys expire. Miniredis walks over all keys for it, so it is not done for every command.
func (s *server) age() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d := time.Since(s.last); d >= 100*time.Millisecond {
		s.FastForward(d)
		s.last = time.Now()
	}
}

// idle reports whether a command of asynq would find nothing to do. It saves the time of such a script.
func (s *server) idle(args []any) bool {
	if len(args) < 4 || args[0] != "evalsha" {
		return false
	}
	key, _ := args[3].(string)
	for _, suffix := range []string{":pending", ":scheduled", ":retry", ":completed"} {
		if strings.HasPrefix(key, "asynq:{") && strings.HasSuffix(key, suffix) {
			return !s.Exists(key)
		}
	}
	return false
}

// nothing answers a command of asynq that finds nothing to do.
func nothing(cmd redis.Cmder) error {
	key, _ := cmd.Args()[3].(string)
	if c, is := cmd.(*redis.Cmd); is && !strings.HasSuffix(key, ":pending") {
		c.SetVal(int64(0))
		return nil
	}
	cmd.SetErr(redis.Nil)
	return redis.Nil
}

func (r redisHook) DialHook(next redis.DialHook) redis.DialHook { return next }

func (r redisHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if connects(cmd) {
			return next(ctx, cmd)
		}
		if err := r.gate.pass(); err != nil {
			cmd.SetErr(err)
			return err
		}
		if r.server.idle(cmd.Args()) {
			return nothing(cmd)
		}
		err := r.do(ctx, func() error { return next(ctx, cmd) })
		if err != nil && cmd.Err() == nil {
			cmd.SetErr(err)
		}
		return err
	}
}

func (r redisHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if connects(cmds[0]) {
			return next(ctx, cmds)
		}
		if err := r.gate.pass(); err != nil {
			return failAll(cmds, err)
		}
		err := r.do(ctx, func() error { return next(ctx, cmds) })
		if err != nil && cmds[0].Err() == nil {
			return failAll(cmds, err)
		}
		return err
	}
}

// connects reports whether a command belongs to the beginning of a connection. The client holds a mutex meanwhile.
func connects(cmd redis.Cmder) bool {
	return slices.Contains([]string{"hello", "client", "auth", "select"}, cmd.Name())
}

func failAll(cmds []redis.Cmder, err error) error {
	for _, c := range cmds {
		c.SetErr(err)
	}
	return err
}

// redisError is an error that Redis answers.
type redisError string

func (e redisError) Error() string { return string(e) }

// RedisError implements redis.Error.
func (redisError) RedisError() {}

// refusals are the answers to commands that are not carried out.
var refusals = map[string]error{
	failed:   &net.OpError{Op: "read", Net: "tcp", Err: io.ErrUnexpectedEOF},
	full:     redisError("OOM command not allowed when used memory > 'maxmemory'."),
	readOnly: redisError("READONLY You can't write against a read only replica."),
}

func (r redisHook) do(ctx context.Context, next func() error) error {
	r.server.age()
	place := redisBeside
	if _, is := asynq.GetTaskID(ctx); is {
		place = redisInTask
	}
	kind, long := r.hazards.next(place)
	if refusal := refusals[kind]; refusal != nil {
		time.Sleep(time.Millisecond)
		return refusal
	}
	switch kind {
	case delayed:
		time.Sleep(long)
		r.server.age()
	case twice:
		_ = next()
	}
	err := next()
	if kind == answered {
		time.Sleep(long)
	}
	if err := r.gate.pass(); err != nil {
		return err
	}
	if kind == lost && err == nil {
		return refusals[failed]
	}
	return err
}
