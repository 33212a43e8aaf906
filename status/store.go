package status

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/container"
	"rollcall/fault"
	"rollcall/internal/redisfault"
	"rollcall/internal/stored"
)

// Store reads and writes the runs and object jobs of all containers. It is safe for concurrent use and starts no
// goroutine.
type Store struct {
	rdb redis.UniversalClient
	cfg Config
}

// New returns a Store on rdb. It does not connect.
func New(rdb redis.UniversalClient, cfg Config) *Store {
	return &Store{rdb: rdb, cfg: cfg.withDefaults()}
}

// Config returns the configuration with its defaults.
func (s *Store) Config() Config { return s.cfg }

func prefix(c container.ID) string { return stored.Prefix(string(c)) }

const (
	// workersKey has a hash tag of its own, because it belongs to no container.
	workersKey = "rollcall:{workers}:alive"
	// writableKey is written to check whether Redis accepts writes.
	writableKey = "rollcall:{workers}:writable"
	// cancelChannel carries the ids of runs with workers that must stop.
	cancelChannel = "rollcall:cancel"
)

// eval runs a script on one container. The first element of its reply is a word, and data follows.
func (s *Store) eval(ctx context.Context, op string, sc *redis.Script, c container.ID, args ...any) (string, []string,
	error) {
	if err := c.Validate(); err != nil {
		return "", nil, err
	}
	out, err := sc.Run(ctx, s.rdb, []string{prefix(c)}, args...).StringSlice()
	if err != nil {
		return "", nil, redisFault(op, err)
	}
	if len(out) == 0 {
		return "", nil, fault.Errorf(fault.Internal, "status: %s: empty answer", op)
	}
	return out[0], out[1:], nil
}

// Writable reports whether Redis accepts writes. It writes a key of the workers and one of each container, because a
// Redis Cluster may have them on different nodes.
func (s *Store) Writable(ctx context.Context, containers ...container.ID) error {
	const kept = 10 * time.Second
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Set(ctx, writableKey, 1, kept)
		for _, c := range containers {
			p.Set(ctx, prefix(c)+"writable", 1, kept)
		}
		return nil
	})
	return redisFault("write", err)
}

// Answers reports whether Redis answers.
func (s *Store) Answers(ctx context.Context) error {
	return redisFault("ping", s.rdb.Ping(ctx).Err())
}

func redisFault(op string, err error) error { return redisfault.Of("status: "+op, err) }

func ms(t time.Time) int64 { return stored.Millis(t) }

func fromMS(s string) time.Time { return stored.Time(s) }

func parseInt(s string) int64 { return stored.Int(s) }

func pairs(flat []string) map[string]string { return stored.Pairs(flat) }

func cut(s string, n int) string { return stored.Cut(s, n) }

// keySize is the size of a key, in bytes.
const keySize = 32

// Key returns a random key by its name. All processes on one Redis share it, and the first call generates it. It
// signs page tokens. If Redis loses the key, earlier tokens are refused.
func (s *Store) Key(ctx context.Context, name string) ([]byte, error) {
	where := "rollcall:{keys}:" + name
	key, err := s.rdb.Get(ctx, where).Bytes()
	if errors.Is(err, redis.Nil) {
		fresh := make([]byte, keySize)
		_, _ = rand.Read(fresh) // never fails
		if err := s.rdb.SetNX(ctx, where, fresh, 0).Err(); err != nil {
			return nil, redisFault("key", err)
		}
		key, err = s.rdb.Get(ctx, where).Bytes() // ours, or that of who was faster
	}
	if err != nil {
		return nil, redisFault("key", err)
	}
	if len(key) != keySize {
		return nil, fault.Errorf(fault.Internal, "status: key %s has %d bytes", name, len(key))
	}
	return key, nil
}
