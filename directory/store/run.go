package store

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"rollcall/directory"
	"rollcall/fault"
)

// Begin marks the start of writing and the time at which the source was read for it.
//
// A run has a name. Its part is marked dirty, which keeps providers out until Commit. The mark of a run that died is
// taken over. A second Begin of the same run and read does nothing. Begin comes after Read and before the first
// write. It fails with fault.Unavailable if the part is no longer what Read saw, or was lost, and with fault.Canceled
// if a run with a newer read has begun.
//
// An object job has no name and sets no mark. It needs a Part of its own. On the Part of a running run it gets
// fault.Internal, because its writes could not be told from the run's.
func (p *Part) Begin(ctx context.Context, run string, readAt time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := micros(readAt)
	if readAt.IsZero() {
		return fault.Errorf(fault.Internal, "local directory: begin of run %q: when was the source read?", run)
	}
	if run == "" {
		if p.run != "" && !p.committed {
			return fault.Errorf(fault.Internal,
				"local directory: begin of an object job on the Part of run %s: make one for each", p.run)
		}
		p.run, p.readAt = "", at
		return nil
	}
	birth, generation, seq := "*", int64(0), int64(0)
	if p.seen != nil {
		birth, generation, seq = p.seen.birth, p.seen.generation, p.seen.seq
	}
	out, err := beginScript.Run(ctx, p.rdb, []string{p.keys.meta}, run, at, micros(p.now()), p.birth, birth, generation,
		seq).StringSlice()
	if err != nil {
		return redisFault("begin", err)
	}
	switch out[0] {
	case "ok":
		p.run, p.readAt, p.committed = run, at, false
		return nil
	case "newer":
		return fault.Errorf(fault.Canceled, "source %s: %s has read it since and writes the local directory now",
			p.container(), named(out[1]))
	default:
		return fault.Errorf(fault.Unavailable,
			"source %s: the local directory was lost or changed since its state was read: sync the source again",
			p.container())
	}
}

// Proved implements reconcile.Prover.
func (p *Part) Proved(refs ...directory.Ref) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.proved = make(map[directory.Ref]bool, len(refs))
	for _, ref := range refs {
		p.proved[ref] = true
	}
}

// Commit ends the writing of a run, so that providers may read the part. It reports whether anything changed since
// the last Commit, object jobs included. It fails with fault.Canceled if another run has taken over, and with
// fault.Unavailable if the mark was lost with Redis; the part then stays as it is. An object job needs no Commit.
func (p *Part) Commit(ctx context.Context, run string) (changed bool, err error) {
	p.mu.Lock()
	bound, readAt := p.run, p.readAt
	p.mu.Unlock()
	if run == "" || bound != run {
		return false, fault.Errorf(fault.Internal, "local directory: commit of run %q, and run %q began", run, bound)
	}
	out, err := commitScript.Run(ctx, p.rdb, []string{p.keys.meta}, run, readAt, micros(p.now())).StringSlice()
	if err != nil {
		return false, redisFault("commit", err)
	}
	if out[0] != "ok" {
		return false, p.fenced(run, out)
	}
	p.mu.Lock()
	p.committed = true
	p.mu.Unlock()
	trimmed, _ := strconv.ParseInt(out[2], 10, 64)
	if now := p.now(); now.Sub(time.UnixMicro(trimmed)) >= 24*time.Hour {
		_ = p.trim(ctx, now) // The next day's run tries again.
	}
	return out[1] == "1", nil
}

// Clock returns Redis' time, always later than any time that it returned for this part before. Begin takes that time,
// read right before the source. The clocks of workers differ; this one does not.
func (p *Part) Clock(ctx context.Context) (time.Time, error) {
	us, err := clockScript.Run(ctx, p.rdb, []string{p.keys.meta}).Int64()
	if err != nil {
		return time.Time{}, redisFault("clock", err)
	}
	return fromMicros(us), nil
}

// fenced says why a script refused the run.
func (p *Part) fenced(run string, answer []string) error {
	switch answer[0] {
	case "taken":
		return fault.Errorf(fault.Canceled, "source %s: %s has taken over from run %s", p.container(), named(answer[1]),
			run)
	case "stale":
		return errNewer
	default:
		return fault.Errorf(fault.Unavailable,
			"source %s: the mark of run %s is gone, and perhaps more of the local directory: "+
				"sync the source again", p.container(), run)
	}
}

// named returns a run's id for people.
func named(run string) string {
	if run == "" {
		return "another run"
	}
	return "run " + run
}

// tombstone is what is kept of an entry that left, namely the time and enough to name and find it.
type tombstone struct {
	Left   time.Time `json:"left"`
	ReadAt int64     `json:"read_at"` // microseconds
	Label  string    `json:"label"`
	DN     string    `json:"dn,omitempty"`
	// Names are the names that lead here; see names.
	Names []string `json:"names,omitempty"`
}

func (p *Part) tombstone(name, text string) (*tombstone, error) {
	var t tombstone
	if err := json.Unmarshal([]byte(text), &t); err != nil {
		return nil, fault.Errorf(fault.Internal, "local directory: tombstone of %s of source %s: %w", name, p.slug, err)
	}
	return &t, nil
}

// tombstones returns those of some entries, nil for one that never left, and their texts.
func (p *Part) tombstones(ctx context.Context, refs []directory.Ref) ([]*tombstone, error) {
	fields := fieldsOf(refs)
	texts, err := p.texts(ctx, p.keys.gone, fields, tokensAtOnce)
	if err != nil {
		return nil, err
	}
	out := make([]*tombstone, len(refs))
	for i, text := range texts {
		if text == "" {
			continue
		}
		if out[i], err = p.tombstone(fields[i], text); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (t *tombstone) departure(ref directory.Ref, source string) directory.Departure {
	return directory.Departure{Ref: ref, Source: source, Left: t.Left, Label: t.Label}
}

// trim forgets entries that left long ago.
func (p *Part) trim(ctx context.Context, now time.Time) error {
	var args []any
	n := 0
	flush := func() error {
		head := []any{micros(now), n}
		keys := append([]string{p.keys.gone, p.keys.meta, p.keys.find}, p.keys.older()...)
		err := trimScript.Run(ctx, p.rdb, keys, append(head, args...)...).Err()
		args, n = nil, 0
		return redisFault("trim", err)
	}
	err := p.graves(ctx, func(ref directory.Ref, t *tombstone, text string) error {
		if now.Sub(t.Left) <= p.keep {
			return nil
		}
		args, n = append(args, ref.String(), text, len(t.Names)), n+1
		for _, member := range indexNames(t.Names, ref.ID) {
			args = append(args, member)
		}
		if n < writesAtOnce {
			return nil
		}
		return flush()
	})
	if err != nil {
		return err
	}
	if err := flush(); err != nil {
		return err
	}
	return p.trimFormer(ctx, now)
}

// merge makes one snapshot of what the parts answered.
func merge(q directory.Query, shares []share) directory.Snapshot {
	var all []*stored
	for _, s := range shares {
		all = append(all, s.entries...)
	}
	if len(shares) > 1 {
		slices.SortStableFunc(all, func(a, b *stored) int { return a.Ref().Compare(b.Ref()) })
	}
	s := directory.Snapshot{
		Entries: make([]directory.Entry, 0, len(all)), Versions: make(map[directory.Ref]string, len(all)),
	}
	named := make(map[directory.Ref]bool)
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].Ref() == all[0].Ref() {
			n++
		}
		if n == 1 {
			s.Entries = append(s.Entries, all[0].Entry)
			s.Versions[all[0].Ref()] = all[0].digest
		} else {
			named[all[0].Ref()] = true
			s.Findings = append(s.Findings, claimed(all[:n]))
		}
		all = all[n:]
	}
	s.Departed = departed(shares, func(ref directory.Ref) bool {
		_, here := s.Versions[ref]
		return here || named[ref]
	})
	s.Absent = absent(q.Refs, s.Versions, named)
	return s
}

// claimed is the finding for an entry that several sources have.
func claimed(list []*stored) directory.Finding {
	problem := "sources"
	for i, e := range list {
		if i > 0 {
			problem += " and"
		}
		problem += fmt.Sprintf(" ldap:%s (%s)", e.Source, e.DN)
	}
	return directory.Finding{
		Ref: list[0].Ref(), DN: list[0].DN, Problem: problem +
			" have an entry with this id: take it out of the scope of all but one",
	}
}

// departed merges the departures of the sources. An entry that another source has has not left, and an entry that
// several sources lost left with the last of them.
func departed(shares []share, here func(directory.Ref) bool) []directory.Departure {
	var out []directory.Departure
	for _, s := range shares {
		for _, d := range s.departed {
			if !here(d.Ref) {
				out = append(out, d)
			}
		}
	}
	slices.SortFunc(out, func(a, b directory.Departure) int {
		return cmp.Or(a.Ref.Compare(b.Ref), b.Left.Compare(a.Left), cmp.Compare(a.Source, b.Source))
	})
	return slices.CompactFunc(out, func(a, b directory.Departure) bool { return a.Ref == b.Ref })
}

// absent returns what was asked for and is not there.
func absent(refs []directory.Ref, versions map[directory.Ref]string, named map[directory.Ref]bool) []directory.Ref {
	var out []directory.Ref
	for _, ref := range refs {
		if _, here := versions[ref]; !here && !named[ref] {
			out = append(out, ref)
		}
	}
	slices.SortFunc(out, directory.Ref.Compare)
	return slices.Compact(out)
}
