package simulate

import (
	"context"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/hibiken/asynq"

	"rollcall/directory"
	"rollcall/directory/store"
	"rollcall/jobs"
	"rollcall/ledger"
	"rollcall/reconcile"
	"rollcall/source"
)

// pollEvery is the time between two polls of the directory.
const pollEvery = 20 * time.Second

// feedPort is a directory that can tell what changed.
type feedPort struct{ directoryPort }

var _ source.Delta = feedPort{}

// Changes implements source.Delta.
func (f feedPort) Changes(ctx context.Context, since source.Cursor) (source.Changes, error) {
	ago := f.sim.hazards.ago(atFeed)
	if task, ok := asynq.GetTaskID(ctx); ok {
		f.sim.noteRead(task, f.sim.past.since(ago))
	}
	return call(ctx, &f.gate, f.sim.hazards, atFeed, func() (source.Changes, error) {
		return f.sim.past.changes(since, ago), nil
	})
}

// Holders implements source.Delta.
func (f feedPort) Holders(ctx context.Context, entries []directory.Entry) ([]directory.Ref, error) {
	return call(ctx, &f.gate, f.sim.hazards, atFeed, func() (refs []directory.Ref, err error) {
		c, version := f.sim.past.at(0)
		for _, e := range c.snapshot(version).Entries {
			if slices.ContainsFunc(entries, func(m directory.Entry) bool { return slices.Contains(e.Members, m.Ref()) }) {
				refs = append(refs, e.Ref())
			}
		}
		return refs, nil
	})
}

// changes returns what changed since a cursor, as a directory that is so many changes old tells it.
func (p *past) changes(since source.Cursor, ago int) (out source.Changes) {
	c, version := p.at(ago)
	now := c.snapshot(version)
	out.Next = source.Cursor{Position: now.Position, Scope: "corp", Cookie: []byte(strconv.Itoa(version))}
	from, err := strconv.Atoi(string(since.Cookie))
	switch {
	case since.IsZero() || err != nil:
		out.Whole = "there is no cursor"
		return out
	case from > version:
		out.Whole = "the server is older than the cursor"
		return out
	}
	p.mu.Lock()
	before := p.epochs[from].snapshot(from)
	p.mu.Unlock()
	was := map[directory.Ref]directory.Entry{}
	for _, e := range before.Entries {
		was[e.Ref()] = e
	}
	for _, e := range now.Entries {
		if old, known := was[e.Ref()]; !known || !reflect.DeepEqual(old, e) {
			out.Refs = append(out.Refs, e.Ref())
		}
		delete(was, e.Ref())
	}
	for _, e := range before.Entries {
		if _, gone := was[e.Ref()]; gone {
			out.Gone = append(out.Gone, source.Gone{Ref: e.Ref(), Proof: "is deleted"})
		}
	}
	return out
}

// feed adds what a source tells about single entries to both hops, and the polls of the directory where it has them.
func (p *process) feed(c *reconcile.Config, part *store.Part, first, second *ledger.Redis) {
	c.Local = store.NewReader(part)
	if c.Pending = second; c.Container == string(corp) {
		if c.Pending = first; p.sim.delta {
			c.Source = feedPort{directoryPort{p}}
		}
		c.Followers = []reconcile.Follower{{Pending: second}}
	}
}

// watch says how the directory is polled; nil where it is not.
func (p *process) watch(part *store.Part, first *ledger.Redis) *jobs.Watch {
	if !p.sim.delta {
		return nil
	}
	return &jobs.Watch{
		Source: feedPort{directoryPort{p}}, Every: pollEvery,
		Cursor: func(ctx context.Context) (source.Cursor, error) {
			facts, err := first.Facts(ctx)
			return facts.Cursor, err
		},
		Left: func(ctx context.Context, ref directory.Ref) (bool, error) {
			_, left, err := part.Entry(ctx, ref)
			return left != nil, err
		},
	}
}
