package metrics

import (
	"cmp"
	"context"
	"time"

	"rollcall/container"
	"rollcall/status"
)

// unscheduled replaces the interval of a source without a schedule. A provider then has a day to follow the source.
const unscheduled = 12 * time.Hour

// due returns the latest time for the next success, or zero if none is due. changed has, for each source, the end of
// the oldest run with changes that no success has followed.
func (s *State) due(ctx context.Context, c *Container, st *status.Standing,
	changed map[container.ID]time.Time) (time.Time, error) {
	if c.Gap == 0 && len(changed) == 0 {
		return time.Time{}, nil
	}
	from := st.CompletedAt
	if from.IsZero() {
		first, err := s.cfg.Status.FirstKnown(ctx, c.Name)
		if err != nil {
			return time.Time{}, err
		}
		if from = first; from.IsZero() {
			from = s.started
		}
	}
	if c.Gap > 0 {
		return from.Add(2 * c.Gap), nil
	}
	var due time.Time
	for source, at := range changed {
		if st.CompletedAt.IsZero() && at.Before(from) { // The change is older than this provider.
			at = from
		}
		due = earliest(due, at.Add(2*s.gapOf(source)))
	}
	return due, nil
}

func (s *State) gapOf(source container.ID) time.Duration {
	for i := range s.cfg.Containers {
		if c := &s.cfg.Containers[i]; c.Name == source && c.Gap > 0 {
			return c.Gap
		}
	}
	return unscheduled
}

type scanKey struct{ provider, source container.ID }

// scan is the state of the search for source runs that a provider has not seen. It is kept between scrapes, because
// such runs can be many while a provider is out of order.
type scan struct {
	followed, read time.Time // what it was made for
	newest         string    // the newest run that it knows
	changed, left  time.Time // the end of the oldest that changed something, and of the oldest with a departure
}

// unseen returns the events at the sources of a provider since the provider read them. changed has, for each source
// that the provider follows, the end of the oldest run with changes that no successful run followed. left is the end
// of the oldest run with a departure since the last plan of the provider, if the provider suspends accounts.
func (s *State) unseen(ctx context.Context, c *Container, st *status.Standing) (changed map[container.ID]time.Time,
	left time.Time, err error) {
	if !c.Follows && !c.Suspends {
		return nil, left, nil
	}
	followed := st.CompletedReadAt
	if followed.IsZero() { // Recorded before it was noted when a run read.
		followed = st.CompletedAt
	}
	read := st.ReadAt
	if read.IsZero() {
		read = followed
	}
	changed = map[container.ID]time.Time{}
	for _, source := range c.Sources {
		sc, err := s.scan(ctx, scanKey{c.Name, source}, followed, read)
		if err != nil {
			return nil, left, err
		}
		if c.Follows && !sc.changed.IsZero() {
			changed[source] = sc.changed
		}
		if c.Suspends && !read.IsZero() { // Before the first plan no account is to be suspended.
			left = earliest(left, sc.left)
		}
	}
	return changed, left, nil
}

// scan looks through the runs of a source, from the newest to what the provider has seen or the last scan knew.
func (s *State) scan(ctx context.Context, key scanKey, followed, read time.Time) (scan, error) {
	s.mu.Lock()
	last := s.scans[key]
	s.mu.Unlock()
	next := scan{followed: followed, read: read}
	known := last != nil && last.followed.Equal(followed) && last.read.Equal(read)
	if known {
		next.newest = last.newest
	}
	until := followed
	if read.Before(until) {
		until = read
	}
	newest := ""
	const page = 50
	for cursor, more := status.Cursor(0), true; more; {
		runs, rest, err := s.cfg.Status.List(ctx, key.source, cursor, page)
		if err != nil {
			return scan{}, err
		}
		for i := range runs {
			run := &runs[i]
			if run.State.Open() || run.DryRun {
				continue
			}
			if run.ID == next.newest || !run.FinishedAt.After(until) {
				rest = 0
				break
			}
			newest = cmp.Or(newest, run.ID)
			next.see(run)
		}
		cursor, more = rest, rest != 0
	}
	if newest != "" {
		next.newest = newest
	}
	if known { // What the last scan found is older.
		next.changed, next.left = earliest(last.changed, next.changed), earliest(last.left, next.left)
	}
	s.mu.Lock()
	s.scans[key] = &next
	s.mu.Unlock()
	return next, nil
}

// see notes a run that is older than all that were seen before.
func (sc *scan) see(run *status.Run) {
	made, gone := false, false
	for _, p := range run.Progress {
		if p.Succeeded == 0 {
			continue
		}
		made = true
		gone = gone || p.Object == status.User && (p.Change == status.Delete || p.Change == status.Deactivate)
	}
	if run.State == status.Completed && (made || run.Changed) && run.FinishedAt.After(sc.followed) {
		sc.changed = run.FinishedAt
	}
	if gone && run.FinishedAt.After(sc.read) {
		sc.left = run.FinishedAt
	}
}
