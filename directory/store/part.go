package store

import (
	"context"
	"crypto/rand"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/container"
	"rollcall/directory"
	"rollcall/plan"
	"rollcall/provider"
)

// Config describes one source's part of the local directory.
type Config struct {
	// Redis is where the local directory is.
	Redis redis.UniversalClient
	// Slug is the source's: "corp" of ldap:corp.
	Slug string
	// Now is the clock for times that people read, such as departures and starts of runs. Default time.Now.
	Now func() time.Time
	// KeepGone is how long it is remembered that an entry left. It must exceed every provider's grace period.
	// Default 400 days.
	KeepGone time.Duration
}

// Part is one source's part of the local directory, as one run or one object job writes it: Begin binds it. It is cheap
// to make; runs and jobs do not share one. Within them it is safe for concurrent use.
type Part struct {
	rdb  redis.UniversalClient
	slug string
	keys keys
	now  func() time.Time
	keep time.Duration
	// birth is what the part's data is marked with if this is its first write ever.
	birth string

	turns sync.RWMutex // held to write alone, shared to write side by side

	mu        sync.Mutex
	seen      *glimpse // the part when its state was last read, or nil
	run       string   // the run that Begin bound, or "" for an object job
	committed bool     // that run has ended
	readAt    int64    // when the source was read, in microseconds; zero before Begin
}

var _ provider.Provider = (*Part)(nil)

// New returns the part of a source. It does not connect.
func New(cfg Config) *Part {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.KeepGone == 0 {
		cfg.KeepGone = 400 * 24 * time.Hour
	}
	return &Part{
		rdb: cfg.Redis, slug: cfg.Slug, keys: keysOf(cfg.Slug), now: cfg.Now, keep: cfg.KeepGone, birth: rand.Text(),
	}
}

// Slug returns the slug of the source.
func (p *Part) Slug() string { return p.slug }

// container is what people call the source.
func (p *Part) container() string { return container.Source(p.slug).String() }

// Capabilities implements provider.Provider. What is absent from the source is deleted here at once, and remembered.
func (p *Part) Capabilities() plan.Capabilities {
	return plan.Capabilities{BatchSize: 2000, Concurrency: 2, Mirror: true}
}

// keys are the keys of one part.
type keys struct{ meta, user, group, digest, gone, name string }

func keysOf(slug string) keys {
	k := func(name string) string { return "rollcall:{" + container.Source(slug).String() + "}:dir:" + name }
	return keys{k("meta"), k("user"), k("group"), k("digest"), k("gone"), k("name")}
}

// all returns the keys in the order in which the scripts have them.
func (k keys) all() []string { return []string{k.meta, k.user, k.group, k.digest, k.gone, k.name} }

// entries returns the key of the entries of one kind.
func (k keys) entries(kind directory.Kind) string {
	if kind == directory.User {
		return k.user
	}
	return k.group
}

// Status is what the part says of itself.
type Status struct {
	// Generation rises with every completed run that changed something; zero if none has ever completed.
	Generation int64
	// Run is the run that is writing the part, or died writing it; empty when the part is complete. Since is when it
	// began.
	Run   string
	Since time.Time
	// ReadAt is when the source was read for the last run that began.
	ReadAt time.Time
	// CompletedAt is when the last run completed, and CompletedReadAt when the source was read for it.
	CompletedAt, CompletedReadAt time.Time
	// Users, Groups and Gone count the stored entries and the tombstones of those that left.
	Users, Groups, Gone int
}

// Ready reports whether the part is complete, so that providers may read it.
func (s Status) Ready() bool { return s.Generation > 0 && s.Run == "" }

// Status returns what the part says of itself. It costs the same for any number of entries.
func (p *Part) Status(ctx context.Context) (Status, error) {
	g, err := p.glimpse(ctx)
	if err != nil {
		return Status{}, err
	}
	return Status{
		Generation: g.generation, Run: g.run, Since: fromMicros(g.since), ReadAt: fromMicros(g.readAt),
		CompletedAt: fromMicros(g.completedAt), CompletedReadAt: fromMicros(g.completedRead), Users: g.users,
		Groups: g.groups, Gone: g.gone,
	}, nil
}

func micros(t time.Time) int64 { return t.UnixMicro() }

func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
