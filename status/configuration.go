package status

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/container"
)

// ErrSuperseded refuses a run to a worker while another live worker has a newer configuration of the container.
var ErrSuperseded = errors.New("another worker has a newer configuration")

// Configuration says which configuration of a container counts. Each configuration has a digest. A digest gets a
// generation when it is first seen, and keeps it. Among the digests of live workers the one with the highest generation
// counts, so that workers with different files do not undo each other's work.
type Configuration struct {
	// Digest is the digest that counts. It is empty while no live worker has the container.
	Digest     string
	Generation int64
	// Workers are the live workers with this digest, sorted. Superseded are those with another digest.
	Workers    []string
	Superseded []string
	// Digests are the digests of all live workers, sorted.
	Digests []string
}

// Counts reports whether a digest counts. Each counts while no live worker has the container.
func (c Configuration) Counts(digest string) bool { return c.Digest == "" || c.Digest == digest }

// Configure records for Config.WorkerTTL that a worker has a container, with the digest of its configuration. A worker
// calls it every few seconds.
func (s *Store) Configure(ctx context.Context, c container.ID, worker, digest string) (Configuration, error) {
	return s.configure(ctx, "claim", c, worker, digest)
}

// Unconfigure takes back what Configure recorded.
func (s *Store) Unconfigure(ctx context.Context, c container.ID, worker, digest string) error {
	_, err := s.configure(ctx, "leave", c, worker, digest)
	return err
}

// Configured returns which configuration of a container counts.
func (s *Store) Configured(ctx context.Context, c container.ID) (Configuration, error) {
	return s.configure(ctx, "look", c, "", "")
}

func (s *Store) configure(ctx context.Context, mode string, c container.ID, worker, digest string) (Configuration,
	error) {
	word, rest, err := s.eval(ctx, "configure", configScript, c, mode, cut(worker, maxName), digest,
		s.cfg.WorkerTTL.Milliseconds())
	if err != nil {
		return Configuration{}, err
	}
	return decodeConfiguration(word, rest[0], rest[1:]), nil
}

// decodeConfiguration returns the configuration that counts. Each of workers is a digest and a name.
func decodeConfiguration(digest, generation string, workers []string) Configuration {
	out := Configuration{Digest: digest, Generation: parseInt(generation)}
	for _, member := range workers {
		digest, name, _ := strings.Cut(member, " ")
		out.Digests = append(out.Digests, digest)
		if digest == out.Digest {
			out.Workers = append(out.Workers, name)
		} else {
			out.Superseded = append(out.Superseded, name)
		}
	}
	slices.Sort(out.Workers)
	slices.Sort(out.Superseded)
	slices.Sort(out.Digests)
	out.Digests = slices.Compact(out.Digests)
	return out
}

// Poll is the state of polling a source for changes.
type Poll struct {
	// At is the time of the last good poll. It is zero if there was none.
	At time.Time `json:"at,omitzero"`
	// Reason says why changes are not polled, or why the last poll failed. It is empty if the last poll was good.
	Reason string `json:"reason,omitempty"`
}

// Watch takes or renews the right to poll a source for a time. It reports false while another worker has it.
func (s *Store) Watch(ctx context.Context, c container.ID, worker string, ttl time.Duration) (bool, error) {
	word, _, err := s.eval(ctx, "watch", watchScript, c, cut(worker, maxName), ttl.Milliseconds())
	return err == nil && word == cut(worker, maxName), err
}

// Polled records the outcome of a poll. An empty reason is a good poll.
func (s *Store) Polled(ctx context.Context, c container.ID, reason string) error {
	fields := []any{"poll_reason", cut(reason, MaxFailReason)}
	if reason == "" {
		fields = append(fields, "poll_at", ms(s.cfg.Now()))
	}
	return redisFault("polled", s.rdb.HSet(ctx, prefix(c)+"meta", fields...).Err())
}

// Poll returns the state of polling a source.
func (s *Store) Poll(ctx context.Context, c container.ID) (Poll, error) {
	f, err := s.rdb.HMGet(ctx, prefix(c)+"meta", "poll_at", "poll_reason").Result()
	if err != nil {
		return Poll{}, redisFault("poll", err)
	}
	at, _ := f[0].(string)
	reason, _ := f[1].(string)
	return Poll{At: fromMS(at), Reason: reason}, nil
}

// Glance is the state of a container with the ids of its newest runs.
type Glance struct {
	Summary
	Configuration

	// Beside is the value of the other key; nil if there is none.
	Beside *string
	// Runs are the ids of the newest runs, the newest first.
	Runs []string
	// Version is different after each message of a run, also of a closed one.
	Version string
	// Text is equal for equal glances only.
	Text string
}

// glanceFields are the fields of meta that Glance reads: those of the last message, and those of a Summary.
var glanceFields = []string{"message_ms", "message_seq", "last_id", "last_at", "last_state", "last_failed", "last_held",
	"completed_id", "completed_at", "successful_id", "successful_at", "completed_read_at", "takes"}

// Glance reads the state of a container and the ids of its newest limit runs in one step. beside is another key of the
// container, which is read in the same step.
func (s *Store) Glance(ctx context.Context, c container.ID, limit int, beside string) (Glance, error) {
	args := []any{limit}
	for _, name := range glanceFields {
		args = append(args, name)
	}
	f, err := s.together(ctx, glanceScript, []string{prefix(c), beside}, args...)
	if err != nil {
		return Glance{}, redisFault("glance", err)
	}
	workers, values, runs := texts(f[4]), texts(f[5]), texts(f[6])
	meta := make(map[string]string, len(glanceFields))
	for i, name := range glanceFields {
		meta[name] = values[i]
	}
	digest, _ := f[2].(string)
	generation, _ := f[3].(string)
	g := Glance{Summary: decodeSummary(meta, f[0] == int64(1)),
		Configuration: decodeConfiguration(digest, generation, workers), Runs: runs,
		Version: values[0] + "-" + values[1]}
	text, there := f[1].(string)
	if there {
		g.Beside = &text
	}
	g.Text = strings.Join(slices.Concat(g.Workers, g.Superseded, values, runs, []string{digest, generation, text,
		fmt.Sprint(g.Live, there, len(g.Workers))}), "\n")
	return g, nil
}

// texts returns a list of a reply, with an empty text for nil.
func texts(reply any) []string {
	list, _ := reply.([]any)
	out := make([]string, len(list))
	for i, v := range list {
		out[i], _ = v.(string)
	}
	return out
}

// Runs returns runs of a container, and at most limit of the newest messages of each, in one round trip. A run that is
// gone has no ID, and is deleted from the index.
func (s *Store) Runs(ctx context.Context, c container.ID, ids []string, limit int) ([]Run, []MessagePage, error) {
	if len(ids) == 0 {
		return nil, nil, nil
	}
	limit = min(max(limit, 1), MaxList)
	records, logs := make([]*redis.MapStringStringCmd, len(ids)), make([]*redis.XMessageSliceCmd, len(ids))
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, id := range ids {
			records[i] = p.HGetAll(ctx, prefix(c)+"run:"+id)
			logs[i] = p.XRevRangeN(ctx, prefix(c)+"run:"+id+":log", "+", "-", int64(limit)+1)
		}
		return nil
	})
	if err != nil {
		return nil, nil, redisFault("runs", err)
	}
	runs, pages := make([]Run, len(ids)), make([]MessagePage, len(ids))
	for i, id := range ids {
		messages, more, err := messagePage(logs[i].Val(), limit, nil)
		if err != nil {
			return nil, nil, err
		}
		if runs[i], pages[i] = decodeRun(c, records[i].Val()), (MessagePage{messages, more != ""}); runs[i].ID == "" {
			_ = s.rdb.ZRem(ctx, prefix(c)+"runs", id).Err() // only tidies up
		}
	}
	return runs, pages, nil
}

const (
	// mostTogether is how many scripts one round trip has.
	mostTogether = 100
	// togetherTime limits a round trip, so that a dead connection delays the callers behind it for no longer.
	togetherTime = 2 * time.Second
)

// shared collects the scripts of callers who come while a round trip is under way. They share the next one.
type shared struct {
	mu      sync.Mutex
	waiting []asked
	busy    bool // a goroutine sends
}

// asked is a script that a caller waits for.
type asked struct {
	ctx  context.Context // the caller's: what no caller waits for any more is not sent
	cmd  *redis.SliceCmd
	done chan struct{}
}

// together runs a script in one round trip with those of other callers. It may be executed twice, and also where the
// context ended first.
func (s *Store) together(ctx context.Context, script *redis.Script, keys []string, args ...any) ([]any, error) {
	words := []any{"evalsha", script.Hash(), len(keys)}
	for _, key := range keys {
		words = append(words, key)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	a := asked{ctx, redis.NewSliceCmd(ctx, append(words, args...)...), make(chan struct{})}
	s.shared.mu.Lock()
	s.shared.waiting = append(s.shared.waiting, a)
	if !s.shared.busy {
		s.shared.busy = true
		go s.send()
	}
	s.shared.mu.Unlock()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-a.done:
	}
	if redis.HasErrorPrefix(a.cmd.Err(), "NOSCRIPT") {
		return script.Run(ctx, s.rdb, keys, args...).Slice()
	}
	return a.cmd.Result()
}

// send sends what waits until nothing does.
func (s *Store) send() {
	for {
		s.shared.mu.Lock()
		n := min(mostTogether, len(s.shared.waiting))
		some := slices.DeleteFunc(slices.Clone(s.shared.waiting[:n]), func(a asked) bool { return a.ctx.Err() != nil })
		s.shared.waiting = s.shared.waiting[n:]
		s.shared.busy = n > 0
		s.shared.mu.Unlock()
		switch {
		case n == 0:
			return
		case len(some) == 0:
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), togetherTime)
		_, _ = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error { // Each command has its own error.
			for _, a := range some {
				_ = p.Process(ctx, a.cmd)
			}
			return nil
		})
		cancel()
		for _, a := range some {
			close(a.done)
		}
	}
}
