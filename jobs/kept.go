package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"rollcall/fault"
	"rollcall/internal/redisfault"
)

// A question with an answer that is kept is asked with Submit, and Kept reads what became of it. At most one such
// question of a topic is open. A key with the id of the question says so. It expires when no worker takes the question
// in time, or when the worker dies. Then the question has failed.

const (
	// submitWait is how long a question waits for a worker.
	submitWait = 2 * time.Minute
	// openFor is how long a question stays open after its worker was last heard of.
	openFor = 30 * time.Second
)

// KeptState is the state of a question with an answer that is kept.
type KeptState string

// The states. The last two are final.
const (
	KeptQueued  KeptState = "queued"
	KeptRunning KeptState = "running"
	KeptDone    KeptState = "done"
	KeptFailed  KeptState = "failed"
)

// Kept is a question with an answer that is kept.
type Kept struct {
	ID string    `json:"-"`
	By string    `json:"by"`
	At time.Time `json:"at"`

	State KeptState `json:"-"`
	// Err says why the question failed.
	Err error `json:"-"`
}

// Submission is a question for a worker.
type Submission struct {
	Topic string
	Ask   any
	By    string
	At    time.Time
	// Within is how long the answer may take, and Keep how long it is kept.
	Within, Keep time.Duration
}

func openKey(topic string) string { return "rollcall:{ask:" + topic + "}:open" }
func recordKey(id string) string  { return "rollcall:{ask:" + id + "}:record" }

func keptFault(err error) error {
	if errors.Is(err, redis.Nil) {
		return nil
	}
	return redisfault.Of("ask a worker", err)
}

// Submit asks a question. It fails with fault.Conflict while another one of the topic is open.
func (c *Client) Submit(ctx context.Context, s Submission) (Kept, error) {
	k := Kept{ID: uuid.NewString(), By: s.By, At: s.At, State: KeptQueued}
	record, err := json.Marshal(k)
	if err != nil {
		return k, fault.New(fault.Internal, s.Topic, err)
	}
	free, err := c.rdb.SetNX(ctx, openKey(s.Topic), k.ID, submitWait).Result()
	switch {
	case err != nil:
		return k, keptFault(err)
	case !free:
		return k, fault.Errorf(fault.Conflict, "another %s is being made: wait for its end", s.Topic)
	}
	err = keptFault(c.rdb.Set(ctx, recordKey(k.ID), record, s.Keep).Err())
	if err == nil { // The question is gone before the open key is.
		err = c.askFor(ctx, k.ID, s.Ask, question{Topic: s.Topic, Within: s.Within.Milliseconds(),
			Keep: s.Keep.Milliseconds()}, submitWait-openFor)
	}
	if err != nil {
		_ = setOpen(context.WithoutCancel(ctx), c.rdb, s.Topic, k.ID, 0) // Else it expires.
	}
	return k, err
}

// openScript keeps a topic open for a question, or closes it. A topic that another question took meanwhile stays with
// that one.
var openScript = redis.NewScript(`
local now = redis.call('GET', KEYS[1])
if now and now ~= ARGV[1] then return 0 end
if ARGV[2] == '0' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end
return 1`)

// setOpen keeps a topic open for a question. Zero closes it.
func setOpen(ctx context.Context, rdb redis.Scripter, topic, id string, within time.Duration) error {
	return openScript.Run(ctx, rdb, []string{openKey(topic)}, id, within.Milliseconds()).Err()
}

// Kept returns what became of a question, and decodes its answer into answer. It fails with fault.NotFound for a
// question that is no longer kept. The error of a question that failed is in the Kept.
func (c *Client) Kept(ctx context.Context, topic, id string, answer any) (Kept, error) {
	k := Kept{ID: id}
	gone := fault.Errorf(fault.NotFound, "%s: it is not kept", topic)
	if uuid.Validate(id) != nil {
		return k, gone
	}
	// The worker writes the answer before it gives up the open key, so the open key is read first.
	open, err := c.rdb.Get(ctx, openKey(topic)).Result()
	if err := keptFault(err); err != nil {
		return k, err
	}
	asked, answered := askKeys(id)
	var record, text *redis.StringCmd
	var waits *redis.IntCmd
	_, err = c.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		record, text, waits = pipe.Get(ctx, recordKey(id)), pipe.LIndex(ctx, answered, 0), pipe.Exists(ctx, asked)
		return nil
	})
	if err := keptFault(err); err != nil {
		return k, err
	}
	if err := json.Unmarshal([]byte(record.Val()), &k); err != nil {
		return k, gone
	}
	switch {
	case text.Err() == nil:
		k.State = KeptDone
		if k.Err = decode(topic, text.Val(), answer); k.Err != nil {
			k.State = KeptFailed
		}
	case open == id && waits.Val() > 0:
		k.State = KeptQueued
	case open == id:
		k.State = KeptRunning
	default:
		k.State, k.Err = KeptFailed, fault.Errorf(fault.Unavailable,
			"no worker took it within %s, or its worker died: start a worker and ask again", submitWait-openFor)
	}
	return k, nil
}

// holdOpen keeps a question open until the returned function is called.
func (w *Worker) holdOpen(ctx context.Context, topic, id string) (end func()) {
	hold := func(ctx context.Context) {
		if err := setOpen(ctx, w.cfg.Redis, topic, id, openFor); err != nil {
			w.cfg.Log.WarnContext(ctx, "a question is not held open", "topic", topic, "err", err)
		}
	}
	hold(ctx)
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(openFor / 3) //nolint:mnd // so that two attempts may fail
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				hold(ctx)
			}
		}
	}()
	return func() {
		cancel()
		<-done
		if err := setOpen(context.WithoutCancel(ctx), w.cfg.Redis, topic, id, 0); err != nil {
			w.cfg.Log.WarnContext(ctx, "a question stays open for a moment", "topic", topic, "err", err)
		}
	}
}
