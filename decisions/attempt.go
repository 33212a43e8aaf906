package decisions

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"rollcall/container"
	"rollcall/fault"
	"rollcall/internal/stored"
)

// Attempt is one change of one entry that was tried at a remote side, and what became of it. It names fields and never has
// their values.
type Attempt struct {
	At time.Time `json:"at"`
	// RunID is the run that tried, or the object job where Job is set.
	RunID string `json:"run_id"`
	Job   bool   `json:"job,omitempty"`
	// Op is what the change does; see plan.Op.
	Op string `json:"op"`
	// Fields are the names of the fields that it sets.
	Fields []string `json:"fields,omitempty"`
	// Group is the id of the group, where the entry is the member of a membership change.
	Group string `json:"group,omitempty"`
	// RemoteID is the object's, and not there with Group, whose own the ledger has; RequestID is the remote side's name for
	// the call.
	RemoteID  string `json:"remote_id,omitempty"`
	RequestID string `json:"request_id,omitempty"`
	// FailKind is a fault.Kind and FailText the beginning of what went wrong; both are empty for a success.
	FailKind string `json:"fail_kind,omitempty"`
	FailText string `json:"fail_text,omitempty"`
}

// What is kept of attempts: the newest of each entry, for a while. maxAttemptFields and maxAttemptText bound one of them.
const (
	MaxAttempts      = 8
	keepAttempts     = 30 * day
	maxAttemptFields = 32
	maxAttemptText   = 200
	// mostPending is how many attempts wait for a Redis that is away; the oldest are dropped. attemptsAtOnce is how many
	// one pipeline writes.
	mostPending    = 10_000
	attemptsAtOnce = 500
)

// attemptKey is a list, newest first: "user/<id>" names the entry.
func attemptKey(c container.ID, entry string) string { return prefix(c) + "tried:" + entry }

// Attempts returns what was last tried for an entry ("user/<id>", as directory.Ref prints it), newest first.
func (s *Store) Attempts(ctx context.Context, c container.ID, entry string) ([]Attempt, error) {
	lines, err := s.rdb.LRange(ctx, attemptKey(c, entry), 0, -1).Result()
	if err != nil {
		return nil, redisFault("attempts", err)
	}
	out := make([]Attempt, 0, len(lines))
	for i, line := range lines {
		if i > 0 && line == lines[i-1] {
			continue // written twice, because the first answer was lost
		}
		a, err := unpackAttempt(line)
		if err != nil {
			return nil, fault.New(fault.Internal, "decisions: attempts", err)
		}
		out = append(out, a)
	}
	return out, nil
}

// Trail writes attempts of one container, many at once. It needs no lease: what was done was done, also by a worker that
// lost its run meanwhile. Add may be called concurrently.
type Trail struct {
	store     *Store
	container container.ID

	mu      sync.Mutex
	pending []tried

	flushing sync.Mutex
}

type tried struct{ entry, line string }

// Trail returns a trail of a container.
func (s *Store) Trail(c container.ID) *Trail { return &Trail{store: s, container: c} }

// Add keeps an attempt until the next Flush. Its time is now, where it has none.
func (t *Trail) Add(entry string, a Attempt) {
	if a.At.IsZero() {
		a.At = t.store.cfg.Now()
	}
	line := a.pack()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pending = append(t.pending, tried{entry, line})
	if over := len(t.pending) - mostPending; over > 0 {
		t.pending = slices.Delete(t.pending, 0, over)
	}
}

// Flush writes what was added. What cannot be written is kept for the next time.
func (t *Trail) Flush(ctx context.Context) error {
	t.flushing.Lock()
	defer t.flushing.Unlock()
	for {
		t.mu.Lock()
		some := slices.Clone(t.pending[:min(len(t.pending), attemptsAtOnce)])
		t.pending = slices.Delete(t.pending, 0, len(some))
		t.mu.Unlock()
		if len(some) == 0 {
			return nil
		}
		if err := t.write(ctx, some); err != nil {
			t.mu.Lock()
			t.pending = append(some, t.pending...)
			t.mu.Unlock()
			return err
		}
	}
}

func (t *Trail) write(ctx context.Context, some []tried) error {
	var order []string
	lines := map[string][]any{}
	for _, a := range some {
		if lines[a.entry] == nil {
			order = append(order, a.entry)
		}
		lines[a.entry] = append(lines[a.entry], a.line)
	}
	_, err := t.store.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, entry := range order {
			key := attemptKey(t.container, entry)
			p.LPush(ctx, key, lines[entry]...)
			p.LTrim(ctx, key, 0, MaxAttempts-1)
			p.PExpire(ctx, key, keepAttempts)
		}
		return nil
	})
	return redisFault("write attempts", err)
}

// An attempt is stored as one line of fields with tabs between them, because there are a few for every entry: JSON would
// take twice the room. Ids that are UUIDs, as most are, take 23 bytes in place of 36.
const (
	packedFields = 10
	packedJob    = "j"
)

// pack bounds the attempt and makes one line of it.
func (a Attempt) pack() string {
	job := ""
	if a.Job {
		job = packedJob
	}
	fields := a.Fields[:min(len(a.Fields), maxAttemptFields)]
	parts := [packedFields]string{
		strconv.FormatInt(a.At.UnixMilli(), 36), shortID(a.RunID), job, a.Op, strings.Join(fields, ","), shortID(a.Group),
		shortID(a.RemoteID), shortID(a.RequestID), a.FailKind, stored.Cut(a.FailText, maxAttemptText),
	}
	for i := range parts {
		parts[i] = strings.Map(oneLine, parts[i])
	}
	return strings.TrimRight(strings.Join(parts[:], "\t"), "\t")
}

func oneLine(r rune) rune {
	if r == '\t' || r == '\n' || r == '\r' {
		return ' '
	}
	return r
}

func unpackAttempt(line string) (Attempt, error) {
	var parts [packedFields]string
	n := 0
	for part := range strings.SplitSeq(line, "\t") {
		if n == packedFields {
			return Attempt{}, fmt.Errorf("an attempt has more than %d fields", packedFields)
		}
		parts[n], n = part, n+1
	}
	at, err := strconv.ParseInt(parts[0], 36, 64)
	if err != nil {
		return Attempt{}, fmt.Errorf("the time of an attempt: %w", err)
	}
	a := Attempt{
		At: time.UnixMilli(at).UTC(), RunID: longID(parts[1]), Job: parts[2] == packedJob, Op: parts[3], Group: longID(parts[5]),
		RemoteID: longID(parts[6]), RequestID: longID(parts[7]), FailKind: parts[8], FailText: parts[9],
	}
	if parts[4] != "" {
		a.Fields = strings.Split(parts[4], ",")
	}
	return a, nil
}

// uuidMark begins an id that was shortened. An id that begins with it by itself is never shortened, and gets a second one.
const uuidMark = "~"

// shortID shortens a UUID in its canonical form.
func shortID(id string) string {
	if u, err := uuid.Parse(id); err == nil && u.String() == id {
		return uuidMark + base64.RawURLEncoding.EncodeToString(u[:])
	}
	if strings.HasPrefix(id, uuidMark) {
		return uuidMark + id
	}
	return id
}

func longID(short string) string {
	rest, marked := strings.CutPrefix(short, uuidMark)
	if !marked || strings.HasPrefix(rest, uuidMark) {
		return rest
	}
	if raw, err := base64.RawURLEncoding.DecodeString(rest); err == nil && len(raw) == len(uuid.UUID{}) {
		return uuid.UUID(raw).String()
	}
	return rest
}
