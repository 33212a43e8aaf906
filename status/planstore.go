package status

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/container"
	"rollcall/fault"
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
		if err := expand([]byte(data), &rows); err != nil {
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
