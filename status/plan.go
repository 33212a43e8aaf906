package status

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"rollcall/container"
	"rollcall/fault"
	"rollcall/internal/stored"
)

// planChunk is how many rows of a plan are compressed together: reading a page expands one or two chunks, however long
// the plan.
const planChunk = 500

// PlanHead says what a run planned, without the rows.
type PlanHead struct {
	Container container.ID `json:"container"`
	RunID     string       `json:"run_id"`
	DryRun    bool         `json:"dry_run"`
	Digest    string       `json:"digest"`
	// At is when the plan was made; a run that was resumed planned again.
	At time.Time `json:"at"`
	// Idle says that there is nothing to apply. Such plans do not displace others.
	Idle bool `json:"idle"`
	// Summary is the plan in numbers: of all of it, also where rows were left out.
	Summary json.RawMessage `json:"summary"`
	// Sections are the rows, in order.
	Sections []PlanSection `json:"sections"`

	// Earlier is how many plans with something to apply the run had before this one: it was resumed as often.
	Earlier int `json:"-"`

	key  string
	text string // as it is stored: says whether the plan is still the same
}

// PlanSection is a run of rows of one kind.
type PlanSection struct {
	Name string `json:"row"`
	// Total is how many rows the plan had, Kept how many of them are stored, the first ones.
	Total int `json:"total"`
	Kept  int `json:"kept"`
}

// Rows returns how many rows are stored.
func (h PlanHead) Rows() (n int) {
	for _, s := range h.Sections {
		n += s.Kept
	}
	return n
}

// Complete reports whether every row is stored.
func (h PlanHead) Complete() bool {
	for _, s := range h.Sections {
		if s.Kept < s.Total {
			return false
		}
	}
	return true
}

func planKey(c container.ID, runID string) string { return prefix(c) + "run:" + runID + ":plan" }

// The indexes of a container's plans: those with something to apply, and the others. Each has its own bound, so that a
// hundred quiet runs do not displace the plan that changed something.
const (
	planIndex     = "plans"
	idlePlanIndex = "plans:idle"
)

func (h PlanHead) index() string {
	if h.Idle {
		return idlePlanIndex
	}
	return planIndex
}

// Plan returns what a run planned, or fault.NotFound: it has no plan yet, or none any more.
func (s *Store) Plan(ctx context.Context, c container.ID, runID string) (PlanHead, error) {
	return s.planAt(ctx, planKey(c, runID), runID)
}

// EarlierPlan returns the nth plan that a run had, from 1 to h.Earlier.
func (s *Store) EarlierPlan(ctx context.Context, h PlanHead, n int) (PlanHead, error) {
	return s.planAt(ctx, fmt.Sprintf("%s:%d", planKey(h.Container, h.RunID), n), h.RunID)
}

func (s *Store) planAt(ctx context.Context, key, runID string) (PlanHead, error) {
	found, err := s.rdb.HMGet(ctx, key, "head", "earlier").Result()
	if err != nil {
		return PlanHead{}, redisFault("plan", err)
	}
	text, there := found[0].(string)
	if !there {
		return PlanHead{}, fault.Errorf(fault.NotFound, "plan of run %q: not found", runID)
	}
	h := PlanHead{key: key, text: text}
	if err := json.Unmarshal([]byte(text), &h); err != nil {
		return PlanHead{}, fault.New(fault.Internal, "status: plan", err)
	}
	earlier, _ := found[1].(string)
	h.Earlier = int(parseInt(earlier))
	return h, nil
}

// NewestPlan returns the newest plan of a container, or fault.NotFound.
func (s *Store) NewestPlan(ctx context.Context, c container.ID) (PlanHead, error) {
	cmds := [2]*redis.ZSliceCmd{}
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, index := range []string{planIndex, idlePlanIndex} {
			cmds[i] = p.ZRevRangeWithScores(ctx, prefix(c)+index, 0, 0)
		}
		return nil
	})
	if err != nil {
		return PlanHead{}, redisFault("newest plan", err)
	}
	var newest redis.Z
	for _, cmd := range cmds {
		if z := cmd.Val(); len(z) > 0 && z[0].Score > newest.Score {
			newest = z[0]
		}
	}
	id, _ := newest.Member.(string)
	return s.Plan(ctx, c, id)
}

// PlanRows returns at most limit rows of a plan from a number on, as they were stored. The error is fault.Conflict when
// the run has planned again since the head was read.
func (s *Store) PlanRows(ctx context.Context, h PlanHead, from, limit int) ([]json.RawMessage, error) {
	to := min(from+limit, h.Rows())
	if from < 0 || from >= to {
		return []json.RawMessage{}, nil
	}
	fields := []string{"head"}
	for n := from / planChunk; n <= (to-1)/planChunk; n++ {
		fields = append(fields, chunkField(n))
	}
	found, err := s.rdb.HMGet(ctx, h.key, fields...).Result()
	if err != nil {
		return nil, redisFault("plan rows", err)
	}
	if found[0] != h.text {
		return nil, fault.Errorf(fault.Conflict, "the run has planned again, or its plan is no longer kept")
	}
	var out []json.RawMessage
	for _, v := range found[1:] {
		data, _ := v.(string)
		var rows []json.RawMessage
		if err := stored.Unpack([]byte(data), &rows); err != nil {
			return nil, fault.New(fault.Internal, "status: plan rows", err)
		}
		out = append(out, rows...)
	}
	skip := from % planChunk
	if len(out) < skip+to-from {
		return nil, fault.Errorf(fault.Internal, "status: plan of run %s has %d rows too few", h.RunID, skip+to-from-len(out))
	}
	return out[skip : skip+to-from], nil
}

func chunkField(n int) string { return fmt.Sprintf("c%d", n) }

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
	data, err := stored.Pack(w.chunk)
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
