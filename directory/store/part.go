package store

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/semaphore"

	"rollcall/container"
	"rollcall/directory"
	"rollcall/fault"
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

	turns *semaphore.Weighted // one to write side by side, everyTurn to write alone

	mu        sync.Mutex
	seen      *glimpse // the part when its state was last read, or nil
	run       string   // the run that Begin bound, or "" for an object job
	committed bool     // that run has ended
	readAt    int64    // when the source was read, in microseconds; zero before Begin
	// proved are the entries that an object job or delta run may delete.
	proved map[directory.Ref]bool
}

var _ provider.Provider = (*Part)(nil)

// New returns the part of a source. It does not connect.
func New(cfg Config) *Part {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.KeepGone = cmp.Or(cfg.KeepGone, 400*24*time.Hour)
	return &Part{
		rdb: cfg.Redis, slug: cfg.Slug, keys: keysOf(cfg.Slug), now: cfg.Now, keep: cfg.KeepGone, birth: rand.Text(),
		turns: semaphore.NewWeighted(everyTurn),
	}
}

// container is what people call the source.
func (p *Part) container() string { return container.Source(p.slug).String() }

// Capabilities implements provider.Provider. What is absent from the source is deleted here at once, and remembered.
func (p *Part) Capabilities() plan.Capabilities {
	return plan.Capabilities{BatchSize: 2000, Concurrency: 2, Mirror: true}
}

// everyTurn is more than the number of batches side by side.
const everyTurn = 1 << 16

// keys are the keys of one part.
type keys struct{ meta, user, group, digest, gone, head, find, buckets, oldNames, oldIndex string }

func keysOf(slug string) keys {
	k := func(name string) string { return "rollcall:{" + container.Source(slug).String() + "}:dir:" + name }
	return keys{k("meta"), k("user"), k("group"), k("digest"), k("gone"), k("head"), k("find"), k("buckets"), k("name"),
		k("index")}
}

// all returns the keys in the order in which the script that writes has them.
func (k keys) all() []string {
	return []string{k.meta, k.user, k.group, k.digest, k.gone, k.find, k.buckets, k.head}
}

// older returns the keys of the indexes of earlier versions.
func (k keys) older() []string { return []string{k.oldNames, k.oldIndex} }

// bucket returns the key of one bucket of the index.
func (k keys) bucket(digits string) string { return k.find + ":" + digits }

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
	// Run is the run that is writing the part, or died writing it; empty when the part is complete.
	Run string
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
		Generation: g.generation, Run: g.run, ReadAt: fromMicros(g.readAt),
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

// edit carries out changes of one entry in memory. Members are gathered and merged at the end, so that adding a
// thousand members to a group of ten thousand costs eleven thousand steps.
type edit struct {
	ref    directory.Ref
	source string
	job    bool             // an object job, which concludes no departure
	entry  *directory.Entry // nil where there is none
	left   bool             // it was deleted
	joins  map[directory.Ref]bool
}

var errNotThere = fault.New(fault.NotFound, "local directory", errors.New("the entry is not there"))

// apply carries out one change. An error leaves the entry as it was.
func (x *edit) apply(c *plan.Change) error {
	switch c.Op {
	case plan.Create:
		return x.create(c)
	case plan.Delete:
		if x.job {
			return fault.Errorf(fault.Unsafe, "local directory: an object job never concludes that an entry left")
		}
		x.left = x.left || x.entry != nil
		x.entry, x.joins = nil, nil
		return nil
	case plan.RemoveMember:
		if x.entry == nil {
			return nil
		}
	case plan.Update, plan.Restore, plan.Suspend, plan.AddMember:
		if x.entry == nil {
			return errNotThere
		}
	default:
		return fault.Errorf(fault.Internal, "local directory: %s is no operation of a mirror", c.Op)
	}
	switch c.Op {
	case plan.Update:
		e := *x.entry
		e.Attributes = e.Attributes.Clone()
		return x.set(e, c.Fields)
	case plan.Restore, plan.Suspend:
		e := *x.entry
		e.Active = c.Op == plan.Restore
		x.entry = &e
		return nil
	default:
		return x.member(c)
	}
}

// create makes the entry. Where the entry exists already, its fields become those of the change, because a run that
// died before it received the answer repeats the request.
func (x *edit) create(c *plan.Change) error {
	if x.ref.ID == "" || strings.ContainsAny(string(x.ref.ID), "\n\x00") {
		return fault.Errorf(fault.Invalid, "local directory: %q cannot be the id of an entry", x.ref.ID)
	}
	e := directory.Entry{Kind: x.ref.Kind, ID: x.ref.ID, Source: x.source, Active: !c.Inactive}
	if x.entry != nil {
		e.Members = x.entry.Members
	}
	setAll(&e, c.Sets)
	return x.set(e, c.Fields)
}

func (x *edit) set(e directory.Entry, fields []plan.FieldChange) error {
	setFields(&e, fields)
	if e.Source != x.source {
		return fault.Errorf(fault.Internal, "local directory: an entry of source %q in the part of source %q", e.Source,
			x.source)
	}
	x.entry, x.left = &e, false
	return nil
}

func (x *edit) member(c *plan.Change) error {
	var ref directory.Ref
	if c.Member != nil {
		ref = *c.Member
	} else {
		var err error
		if ref, err = refOf(c.MemberRemoteID); err != nil {
			return fault.New(fault.Internal, "local directory", err)
		}
	}
	if x.joins == nil {
		x.joins = map[directory.Ref]bool{}
	}
	x.joins[ref] = c.Op == plan.AddMember
	return nil
}

// done merges the members and returns the entry, or nil.
func (x *edit) done() *directory.Entry {
	if x.entry == nil || len(x.joins) == 0 {
		return x.entry
	}
	var joins []directory.Ref
	for m, in := range x.joins {
		if in {
			joins = append(joins, m)
		}
	}
	slices.SortFunc(joins, directory.Ref.Compare)
	members := make([]directory.Ref, 0, len(x.entry.Members)+len(joins))
	for _, m := range x.entry.Members {
		if _, named := x.joins[m]; named {
			continue
		}
		for len(joins) > 0 && joins[0].Compare(m) < 0 {
			members, joins = append(members, joins[0]), joins[1:]
		}
		members = append(members, m)
	}
	e := *x.entry
	e.Members = append(members, joins...)
	if len(e.Members) == 0 {
		e.Members = nil
	}
	x.entry, x.joins = &e, nil
	return x.entry
}
