package store

import (
	"context"
	"strconv"
	"time"

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
			"source %s: the local directory was lost or changed since its state was read: "+
				"sync the source again", p.container())
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
		return fault.Errorf(fault.Canceled, "source %s: %s has taken over from run %s", p.container(), named(answer[1]), run)
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
