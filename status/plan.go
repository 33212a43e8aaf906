package status

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"rollcall/container"
	"rollcall/fault"
	"rollcall/internal/stored"
)

// planChunk is the number of rows in one compressed chunk. To read a page, one or two chunks are expanded.
const planChunk = 500

// PlanHead describes the plan of a run without its rows.
type PlanHead struct {
	Container container.ID `json:"container"`
	RunID     string       `json:"run_id"`
	DryRun    bool         `json:"dry_run"`
	Digest    string       `json:"digest"`
	// At is when the plan was made. A resumed run plans again.
	At time.Time `json:"at"`
	// Idle reports whether there is nothing to apply. An idle plan does not displace other plans.
	Idle bool `json:"idle"`
	// Summary has the totals of the whole plan, including rows that are not stored.
	Summary json.RawMessage `json:"summary"`
	// Sections describe the rows, in order.
	Sections []PlanSection `json:"sections"`

	// Earlier is the number of earlier plans of this run with something to apply. The run was resumed after each.
	Earlier int `json:"-"`

	key  string
	text string // as it is stored: says whether the plan is still the same
}

// PlanSection is a sequence of rows of one kind.
type PlanSection struct {
	Name string `json:"row"`
	// Total is the number of rows in the plan. Kept is the number of stored rows, which are the first ones.
	Total int `json:"total"`
	Kept  int `json:"kept"`
}

// Rows returns the number of stored rows.
func (h PlanHead) Rows() (n int) {
	for _, s := range h.Sections {
		n += s.Kept
	}
	return n
}

// Complete reports whether every row is stored.
func (h PlanHead) Complete() bool {
	return !slices.ContainsFunc(h.Sections, func(s PlanSection) bool { return s.Kept < s.Total })
}

func planKey(c container.ID, runID string) string { return prefix(c) + "run:" + runID + ":plan" }

// The indexes of a container's plans. Plans with changes and idle plans have separate limits, so that a hundred idle
// plans do not displace a plan with changes.
const (
	planIndex      = "plans"
	deltaPlanIndex = "plans:delta"
	idlePlanIndex  = "plans:idle"
)

func (h PlanHead) index() string {
	if h.Idle {
		return idlePlanIndex
	}
	return planIndex
}

// Plan returns the plan of a run. The error is fault.NotFound if the run has no plan yet, or if its plan was deleted.
func (s *Store) Plan(ctx context.Context, c container.ID, runID string) (PlanHead, error) {
	return s.planAt(ctx, planKey(c, runID), runID)
}

// EarlierPlan returns the nth plan of a run, from 1 to h.Earlier.
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

// PlanRows returns at most limit stored rows of a plan, beginning with row from. The error is fault.Conflict if the
// run has planned again since the head was read.
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
		if err := stored.Unpack([]byte(data), &rows, maxChunk); err != nil {
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

// maxChunk is the largest size of a chunk of rows, in bytes.
const maxChunk = 256 << 20

func chunkField(n int) string { return fmt.Sprintf("c%d", n) }

// draftTTL is how long an incomplete plan is kept after its worker died.
const draftTTL = 10 * time.Minute

// SavePlan stores the plan of the run and replaces an earlier one. Each row comes with the name of its section, and
// the sections follow one another. The caller sets Digest, Idle and Summary of the head.
//
// Config.MaxPlanRows and MaxPlanBytes limit the stored rows of each section, and the head reports what is missing.
// Old plans of the container are deleted to make room. The error wraps ErrStale if the run belongs to another worker.
func (r *Recorder) SavePlan(ctx context.Context, h PlanHead, rows iter.Seq2[string, any]) error {
	l := r.lease
	h.Container, h.RunID, h.DryRun, h.At = l.run.Container, l.run.ID, l.run.DryRun, l.store.cfg.Now().UTC()
	w := planWriter{store: l.store, head: h, key: planKey(h.Container, h.RunID) + ":" + uuid.NewString(),
		chunk: []byte{'['}}
	for section, row := range rows {
		if err := w.add(ctx, section, row); err != nil {
			return err
		}
	}
	if err := w.close(ctx); err != nil {
		return err
	}
	cfg := l.store.cfg
	index, most := h.index(), cfg.MaxPlans
	if l.run.Mode == Delta {
		index, most = deltaPlanIndex, cfg.MaxDeltas
	}
	return l.eval(ctx, "save plan", savePlanScript, ms(h.At), w.key, index, most,
		cfg.KeepPlans.Milliseconds(), cfg.MaxPlansBytes)
}

// planWriter writes a plan in chunks under a temporary key. Readers see the plan only after it is complete.
type planWriter struct {
	store *Store
	head  PlanHead
	key   string

	chunk  []byte // a JSON array of rows that is not closed
	rows   int    // in the chunk
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
	text, err := textOf(row)
	if err != nil {
		return fault.New(fault.Internal, "status: save plan", err)
	}
	s.Kept++
	w.rows++
	if w.chunk = append(append(w.chunk, text...), ','); w.rows < planChunk {
		return nil
	}
	return w.flush(ctx)
}

// textOf returns a row as JSON. That of a row which makes it by itself is not checked and copied once more.
func textOf(row any) ([]byte, error) {
	if m, ok := row.(json.Marshaler); ok {
		return m.MarshalJSON()
	}
	return json.Marshal(row)
}

func (w *planWriter) flush(ctx context.Context) error {
	w.chunk[len(w.chunk)-1] = ']' // in place of the last comma
	data, err := stored.PackText(w.chunk)
	if err != nil {
		return fault.New(fault.Internal, "status: save plan", err)
	}
	if err := w.set(ctx, chunkField(w.chunks), data); err != nil {
		return err
	}
	w.chunk, w.rows, w.chunks, w.bytes = w.chunk[:1], 0, w.chunks+1, w.bytes+len(data)
	return nil
}

func (w *planWriter) close(ctx context.Context) error {
	if w.rows > 0 {
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
