package status

import (
	"context"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/redis/go-redis/v9"

	"rollcall/container"
	"rollcall/fault"
	"rollcall/internal/redisfault"
)

// Store reads and changes the runs and object jobs of all containers. It is safe for concurrent use and has no
// goroutine of its own.
type Store struct {
	rdb redis.UniversalClient
	cfg Config
}

// New returns a Store on rdb. It does not connect.
func New(rdb redis.UniversalClient, cfg Config) *Store {
	return &Store{rdb: rdb, cfg: cfg.withDefaults()}
}

// Config returns the configuration with its defaults filled in.
func (s *Store) Config() Config { return s.cfg }

// prefix is what every key of a container begins with. The braces are the hash tag.
func prefix(c container.ID) string { return "rollcall:{" + string(c) + "}:" }

const (
	// workersKey has a hash tag of its own: it belongs to no container.
	workersKey = "rollcall:{workers}:alive"
	// cancelChannel carries the ids of runs whose workers must stop.
	cancelChannel = "rollcall:cancel"
)

// eval runs a script on one container. Its first answer is a word, what follows is data.
func (s *Store) eval(ctx context.Context, op string, sc *redis.Script, c container.ID, args ...any) (string, []string, error) {
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

func redisFault(op string, err error) error { return redisfault.Of("status: "+op, err) }

func ms(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMS(s string) time.Time {
	n := parseInt(s)
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMilli(n).UTC()
}

// parseInt reads an integer that a script may have written as a float; anything else is zero.
func parseInt(s string) int64 {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n
	}
	f, _ := strconv.ParseFloat(s, 64)
	return int64(f)
}

// cut shortens s to at most n characters.
func cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}
