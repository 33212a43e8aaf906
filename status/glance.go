package status

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"rollcall/container"
)

// Glance is the state of a container with the ids of its newest runs.
type Glance struct {
	Summary
	Configuration

	// Beside is the value of the other key; nil if there is none.
	Beside *string
	// Runs are the ids of the newest runs, the newest first.
	Runs []string
	// Version is different after each message of a run, also of a closed one.
	Version string
	// Text is equal for equal glances only.
	Text string
}

// glanceFields are the fields of meta that Glance reads: those of the last message, and those of a Summary.
var glanceFields = []string{"message_ms", "message_seq", "last_id", "last_at", "last_state", "last_failed", "last_held",
	"completed_id", "completed_at", "successful_id", "successful_at", "completed_read_at", "takes"}

// Glance reads the state of a container and the ids of its newest limit runs in one step. beside is another key of the
// container, which is read in the same step.
func (s *Store) Glance(ctx context.Context, c container.ID, limit int, beside string) (Glance, error) {
	args := []any{limit}
	for _, name := range glanceFields {
		args = append(args, name)
	}
	f, err := s.together(ctx, glanceScript, []string{prefix(c), beside}, args...)
	if err != nil {
		return Glance{}, redisFault("glance", err)
	}
	workers, values, runs := texts(f[4]), texts(f[5]), texts(f[6])
	meta := make(map[string]string, len(glanceFields))
	for i, name := range glanceFields {
		meta[name] = values[i]
	}
	digest, _ := f[2].(string)
	generation, _ := f[3].(string)
	g := Glance{Summary: decodeSummary(meta, f[0] == int64(1)),
		Configuration: decodeConfiguration(digest, generation, workers), Runs: runs,
		Version: values[0] + "-" + values[1]}
	text, there := f[1].(string)
	if there {
		g.Beside = &text
	}
	g.Text = strings.Join(slices.Concat(g.Workers, g.Superseded, values, runs, []string{digest, generation, text,
		fmt.Sprint(g.Live, there, len(g.Workers))}), "\n")
	return g, nil
}

// texts returns a list of a reply, with an empty text for nil.
func texts(reply any) []string {
	list, _ := reply.([]any)
	out := make([]string, len(list))
	for i, v := range list {
		out[i], _ = v.(string)
	}
	return out
}

// Runs returns runs of a container, and at most limit of the newest messages of each, in one round trip. A run that is
// gone has no ID, and is deleted from the index.
func (s *Store) Runs(ctx context.Context, c container.ID, ids []string, limit int) ([]Run, []MessagePage, error) {
	if len(ids) == 0 {
		return nil, nil, nil
	}
	limit = min(max(limit, 1), MaxList)
	records, logs := make([]*redis.MapStringStringCmd, len(ids)), make([]*redis.XMessageSliceCmd, len(ids))
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, id := range ids {
			records[i] = p.HGetAll(ctx, prefix(c)+"run:"+id)
			logs[i] = p.XRevRangeN(ctx, prefix(c)+"run:"+id+":log", "+", "-", int64(limit)+1)
		}
		return nil
	})
	if err != nil {
		return nil, nil, redisFault("runs", err)
	}
	runs, pages := make([]Run, len(ids)), make([]MessagePage, len(ids))
	for i, id := range ids {
		messages, more, err := messagePage(logs[i].Val(), limit, nil)
		if err != nil {
			return nil, nil, err
		}
		if runs[i], pages[i] = decodeRun(c, records[i].Val()), (MessagePage{messages, more != ""}); runs[i].ID == "" {
			_ = s.rdb.ZRem(ctx, prefix(c)+"runs", id).Err() // only tidies up
		}
	}
	return runs, pages, nil
}
