package boot

import (
	"context"
	"strings"
	"time"

	"rollcall/directory"
	"rollcall/source"
)

// localOnce has what one explanation read of the local directory, by the sources that were read.
type localOnce struct {
	app  *App
	read map[string]*readOnce
}

func (l localOnce) of(slugs []string) source.Source {
	key := strings.Join(slugs, ",") // which no slug has
	if l.read[key] == nil {
		l.read[key] = &readOnce{Source: l.app.reader(slugs)}
	}
	return l.read[key]
}

// readOnce is a source that is read whole once, for those who ask one after the other and change nothing of it.
type readOnce struct {
	source.Source
	done     bool
	snapshot directory.Snapshot
	err      error
}

// Read implements source.Source.
func (r *readOnce) Read(ctx context.Context, q directory.Query) (directory.Snapshot, error) {
	if !q.All() {
		return r.Source.Read(ctx, q)
	}
	if !r.done {
		r.snapshot, r.err = r.Source.Read(ctx, q)
		r.done = true
	}
	return r.snapshot, r.err
}

// patience is how long the next tenant may take, for the answer to go out in time: those that do not answer must not keep what is
// known of the others.
func patience(ctx context.Context) time.Duration {
	end, bounded := ctx.Deadline()
	if !bounded {
		return askProvider
	}
	const rest = 10 * time.Second // to read the local directory, to plan and to answer
	return min(askProvider, time.Until(end)-rest)
}
