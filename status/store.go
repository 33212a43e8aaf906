package status

import (
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"rollcall/container"
	"rollcall/fault"
	"rollcall/internal/redisfault"
	"rollcall/internal/stored"
)

// Store reads and writes the runs and object jobs of all containers. It is safe for concurrent use. A goroutine
// runs while together has something to send.
type Store struct {
	rdb    redis.UniversalClient
	cfg    Config
	shared shared
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
	return redisfault.Run(ctx, s.rdb, "status: "+op, sc, prefix(c), args...)
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

//go:embed lua/*.lua
var luaFiles embed.FS

// The scripts on one container. Each includes the helpers of prelude.lua. KEYS[1] is the key prefix of the container.
var (
	startScript    = redisfault.Script(luaFiles, "base", "prelude", "start")
	acquireScript  = redisfault.Script(luaFiles, "base", "prelude", "acquire")
	renewScript    = redisfault.Script(luaFiles, "base", "prelude", "renew")
	releaseScript  = redisfault.Script(luaFiles, "base", "prelude", "release")
	cancelScript   = redisfault.Script(luaFiles, "base", "prelude", "cancel")
	bumpScript     = redisfault.Script(luaFiles, "base", "prelude", "bump")
	reapScript     = redisfault.Script(luaFiles, "base", "prelude", "reap")
	flushScript    = redisfault.Script(luaFiles, "base", "prelude", "flush")
	plannedScript  = redisfault.Script(luaFiles, "base", "prelude", "planned")
	savePlanScript = redisfault.Script(luaFiles, "base", "prelude", "save_plan")
	leaverScript   = redisfault.Script(luaFiles, "base", "prelude", "leaver")
	widenScript    = redisfault.Script(luaFiles, "base", "prelude", "widen")
	lockScript     = redisfault.Script(luaFiles, "base", "prelude", "lock")
	unlockScript   = redisfault.Script(luaFiles, "base", "prelude", "unlock")
	jobAddScript   = redisfault.Script(luaFiles, "base", "prelude", "job_add")
	jobSetScript   = redisfault.Script(luaFiles, "base", "prelude", "job_set")
	enterScript    = redisfault.Script(luaFiles, "base", "prelude", "enter")
	leaveScript    = redisfault.Script(luaFiles, "base", "prelude", "leave")
	markScript     = redisfault.Script(luaFiles, "base", "prelude", "mark")
	watchScript    = redisfault.Script(luaFiles, "base", "prelude", "watch")
	configScript   = redisfault.Script(luaFiles, "base", "prelude", "configure")
	glanceScript   = redisfault.Script(luaFiles, "base", "glance")

	beatScript = redisfault.Script(luaFiles, "beat")
)

// Beat records that a worker is alive for Config.WorkerTTL. A worker calls it every few seconds. Beat returns the
// names of all live workers. Queued and deferred runs are kept live only while there is one.
func (s *Store) Beat(ctx context.Context, worker string) ([]string, error) {
	return s.beat(ctx, "beat", worker)
}

// Retire records that a worker has stopped.
func (s *Store) Retire(ctx context.Context, worker string) error {
	_, err := s.beat(ctx, "retire", worker)
	return err
}

// Workers returns the names of the live workers, sorted by their last beat.
func (s *Store) Workers(ctx context.Context) ([]string, error) {
	return s.beat(ctx, "list", "")
}

// Format is the version of the data on Redis that this build writes. It grows when an older build would misread data.
// Format 2 has entries and links in compact form. A worker raises the format on Redis with its first beat; an API or a
// command does not, so that a new one can be tried beside old workers.
const Format = 2

const formatKey = "rollcall:{workers}:format"

// CheckFormat refuses data of a newer format, which this build might misread. All data without a recorded format has
// the first.
func (s *Store) CheckFormat(ctx context.Context) error {
	found, err := s.rdb.Get(ctx, formatKey).Int()
	switch {
	case errors.Is(err, redis.Nil):
		return nil
	case err != nil:
		return redisFault("format", err)
	case found > Format:
		return fault.Errorf(fault.Invalid,
			"Redis has data of format %d, and this build reads up to %d: run the newer build, "+
				"or give this one an empty Redis", found, Format)
	}
	return nil
}

// dataKey identifies the data of this Redis. It is lost together with everything else.
const dataKey = "rollcall:{workers}:data"

// Data returns an id of the data on Redis. It changes when Redis has lost its data.
func (s *Store) Data(ctx context.Context) (string, error) {
	id, err := s.rdb.Get(ctx, dataKey).Result()
	if errors.Is(err, redis.Nil) {
		if err = s.rdb.SetNX(ctx, dataKey, uuid.NewString(), 0).Err(); err == nil {
			id, err = s.rdb.Get(ctx, dataKey).Result()
		}
	}
	return id, redisFault("data", err)
}

func (s *Store) beat(ctx context.Context, mode, worker string) ([]string, error) {
	names, err := beatScript.Run(ctx, s.rdb, []string{workersKey, formatKey}, mode, cut(worker, maxName),
		s.cfg.WorkerTTL.Milliseconds(), Format).StringSlice()
	return names, redisFault(mode, err)
}

// Mark is a note in the record of a container about work that must follow. Its value is the id of the run that
// caused it.
type Mark string

// The marks.
const (
	// Follow is set at a source before a run writes there, and cleared after the providers were started. Without the
	// mark, a run that died after its last write would leave the providers behind, because the next run finds no
	// change.
	Follow Mark = "follow"
	// Again is set at a provider that had a live run when its source changed. The provider runs once more afterwards. A
	// run that left something to the next one sets it, too, with its own id.
	Again Mark = "again"
	// AgainDelta is like Again, for a delta run.
	AgainDelta Mark = "again_delta"
	// Fired is the last firing of a container's schedule.
	Fired Mark = "fired"
)

// Marked returns the value of a mark; empty if it is not set.
func (s *Store) Marked(ctx context.Context, c container.ID, m Mark) (string, error) {
	return s.mark(ctx, c, "get", m, "")
}

// SetMark sets a mark.
func (s *Store) SetMark(ctx context.Context, c container.ID, m Mark, value string) error {
	_, err := s.mark(ctx, c, "set", m, value)
	return err
}

// ClearMark clears a mark if it still has this value. A later value belongs to another run.
func (s *Store) ClearMark(ctx context.Context, c container.ID, m Mark, value string) error {
	_, err := s.mark(ctx, c, "clear", m, value)
	return err
}

func (s *Store) mark(ctx context.Context, c container.ID, op string, m Mark, value string) (string, error) {
	word, _, err := s.eval(ctx, op+" mark", markScript, c, op, string(m), value)
	return word, err
}

// decodeRun decodes a run from the fields of its hash. A run without fields has no ID.
func decodeRun(c container.ID, f map[string]string) Run {
	return Run{
		ID:        f["id"],
		Container: c,
		Mode:      Mode(f["mode"]),
		DryRun:    f["dry_run"] == "1",
		Trigger:   Trigger{Kind: TriggerKind(f["trigger"]), By: f["by"], Of: f["of"]},
		State:     State(f["state"]),

		CreatedAt:      fromMS(f["created_at"]),
		StartedAt:      fromMS(f["started_at"]),
		FinishedAt:     fromMS(f["finished_at"]),
		DeferredUntil:  fromMS(f["deferred_until"]),
		DeferReason:    f["defer_reason"],
		Outage:         Outage{Times: parseInt(f["outages"]), Since: fromMS(f["outage_since"])},
		ExpiresAt:      fromMS(f["expires_at"]),
		KeptUntil:      fromMS(f["kept_until"]),
		LastProgressAt: fromMS(f["last_progress_at"]),

		Worker:  f["worker"],
		Epoch:   parseInt(f["epoch"]),
		Resumes: parseInt(f["resumes"]),

		Progress:      decodeProgress(f),
		Read:          decodeRead(f),
		Held:          parseInt(f["held"]),
		FailedChanges: parseInt(f["failed"]),
		Faults:        decodeFaults(f),
		Calls:         parseInt(f["calls"]),
		Messages:      parseInt(f["messages"]),
		PlanDigest:    f["plan_digest"],
		ReadAt:        fromMS(f["read_at"]),
		Changed:       f["changed"] == "1",
		PlannedAt:     fromMS(f["planned_at"]),
		Takes:         time.Duration(parseInt(f["takes"])) * time.Millisecond,

		FailReason:  f["fail_reason"],
		FailKind:    f["fail_kind"],
		CancelledBy: f["cancelled_by"],
		Paused:      f["paused"],

		Cursor:     Cursor(parseInt(f["seq"])),
		doneAtPlan: parseInt(f["done_at_plan"]),
	}
}

// Counters are fields of the hash. The fields s:user:create, f:user:create and e:user:create count successful, failed
// and expected changes. The field k:conflict counts failures by the kind of error, and r:user counts entries that
// were read.
func counter(letter string, o ObjectType, c ChangeType) string {
	return strings.Join([]string{letter, string(o), string(c)}, ":")
}

func decodeProgress(f map[string]string) []Progress {
	out := []Progress{}
	for _, o := range ObjectTypes() {
		for _, c := range ChangeTypes() {
			p := Progress{
				Object: o, Change: c,
				Succeeded: parseInt(f[counter("s", o, c)]),
				Failed:    parseInt(f[counter("f", o, c)]),
				Expected:  parseInt(f[counter("e", o, c)]),
			}
			if p.Succeeded != 0 || p.Failed != 0 || p.Expected != 0 {
				out = append(out, p)
			}
		}
	}
	return out
}

func decodeRead(f map[string]string) map[ObjectType]int64 {
	var out map[ObjectType]int64
	for _, o := range ObjectTypes() {
		if n := parseInt(f["r:"+string(o)]); n != 0 {
			if out == nil {
				out = map[ObjectType]int64{}
			}
			out[o] = n
		}
	}
	return out
}

func decodeFaults(f map[string]string) map[string]int64 {
	var out map[string]int64
	for name, n := range f {
		if kind, ok := strings.CutPrefix(name, "k:"); ok {
			if out == nil {
				out = map[string]int64{}
			}
			out[kind] = parseInt(n)
		}
	}
	return out
}

func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}
