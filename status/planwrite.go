package status

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"rollcall/fault"
)

// draftTTL is how long a plan whose worker died while writing it stays.
const draftTTL = 10 * time.Minute

// SavePlan stores the plan of the run in place of an earlier one. Rows are named by their section, which begin one after
// another; of the head, Digest, Idle and Summary are the caller's. Of each section as many rows are kept as Config.MaxPlanRows
// and MaxPlanBytes allow; the head says what was left out. Old plans of the container make room. The error wraps
// ErrStale when the run is no longer ours.
func (r *Recorder) SavePlan(ctx context.Context, h PlanHead, rows iter.Seq2[string, any]) error {
	l := r.lease
	h.Container, h.RunID, h.DryRun, h.At = l.run.Container, l.run.ID, l.run.DryRun, l.store.cfg.Now().UTC()
	w := planWriter{store: l.store, head: h, key: planKey(h.Container, h.RunID) + ":" + uuid.NewString()}
	for section, row := range rows {
		if err := w.add(ctx, section, row); err != nil {
			return err
		}
	}
	if err := w.close(ctx); err != nil {
		return err
	}
	cfg := l.store.cfg
	return l.eval(ctx, "save plan", savePlanScript, ms(h.At), w.key, h.index(), cfg.MaxPlans, cfg.KeepPlans.Milliseconds(), cfg.MaxPlansBytes)
}

// planWriter writes a plan chunk by chunk under a key of its own: nobody sees it before it is complete.
type planWriter struct {
	store *Store
	head  PlanHead
	key   string

	chunk  []json.RawMessage
	chunks int
	bytes  int // of what is stored
	from   int // the bytes before the section
}

func (w *planWriter) add(ctx context.Context, section string, row any) error {
	if n := len(w.head.Sections); n == 0 || w.head.Sections[n-1].Name != section {
		w.head.Sections = append(w.head.Sections, PlanSection{Name: section})
		w.from = w.bytes
	}
	s := &w.head.Sections[len(w.head.Sections)-1]
	s.Total++
	full := s.Kept < s.Total-1 // once a row was left out, so are those that follow
	if full || s.Kept >= w.store.cfg.MaxPlanRows || w.bytes-w.from >= w.store.cfg.MaxPlanBytes {
		return nil
	}
	text, err := json.Marshal(row)
	if err != nil {
		return fault.New(fault.Internal, "status: save plan", err)
	}
	s.Kept++
	if w.chunk = append(w.chunk, text); len(w.chunk) < planChunk {
		return nil
	}
	return w.flush(ctx)
}

func (w *planWriter) flush(ctx context.Context) error {
	data, err := squeeze(w.chunk)
	if err != nil {
		return fault.New(fault.Internal, "status: save plan", err)
	}
	if err := w.set(ctx, chunkField(w.chunks), data); err != nil {
		return err
	}
	w.chunk, w.chunks, w.bytes = w.chunk[:0], w.chunks+1, w.bytes+len(data)
	return nil
}

func (w *planWriter) close(ctx context.Context) error {
	if len(w.chunk) > 0 {
		if err := w.flush(ctx); err != nil {
			return err
		}
	}
	if w.head.Sections == nil {
		w.head.Sections = []PlanSection{}
	}
	text, err := json.Marshal(w.head)
	if err != nil {
		return fault.New(fault.Internal, "status: save plan", fmt.Errorf("head: %w", err))
	}
	return w.set(ctx, "head", text, "bytes", w.bytes+len(text), "idle", flag(w.head.Idle))
}

func (w *planWriter) set(ctx context.Context, fields ...any) error {
	_, err := w.store.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.HSet(ctx, w.key, fields...)
		p.PExpire(ctx, w.key, draftTTL)
		return nil
	})
	return redisFault("save plan", err)
}
