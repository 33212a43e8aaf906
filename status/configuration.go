package status

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

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
