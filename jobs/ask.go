package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"rollcall/fault"
	"rollcall/internal/redisfault"
)

// TypeAsk is the type of the tasks that have a question for a worker. Only workers have the credentials of directories
// and tenants.
const TypeAsk = "ask:v1"

// askWithin is how long a question waits for its answer if the asker sets no deadline.
const askWithin = 30 * time.Second

// maxAnswer is the largest answer, in bytes.
const maxAnswer = 16 << 20

// Answer answers the questions of one topic. The answer is encoded as JSON.
type Answer func(ctx context.Context, question json.RawMessage) (any, error)

// question is what is stored of a question. The task has only its id, because everyone with access to the dashboard of
// the queues can see tasks.
type question struct {
	Topic string          `json:"topic"`
	Text  json.RawMessage `json:"text"`
	// Within is the time that is left for the answer, in milliseconds.
	Within int64 `json:"within"`
	// Keep is how long the answer is kept, in milliseconds. It is zero if the asker waits for it.
	Keep int64 `json:"keep,omitempty"`
}

// reply is an answer, or the error in place of one.
type reply struct {
	Answer json.RawMessage `json:"answer,omitempty"`
	Failed bool            `json:"failed,omitempty"`
	Kind   fault.Kind      `json:"kind,omitempty"`
	Error  string          `json:"error,omitempty"`
	// After is when to ask again, in milliseconds.
	After int64 `json:"after,omitempty"`
}

func askKeys(id string) (asked, answered string) {
	return "rollcall:{ask:" + id + "}:question", "rollcall:{ask:" + id + "}:answer"
}

// loneAsker is how long an asker waits before it looks whether there is a worker. One that starts answers within it.
const loneAsker = 2 * time.Second

// Ask has a worker answer a question, and decodes the answer into answer. It fails with fault.Unavailable if no worker
// answers in time. The default time is 30 seconds.
func (c *Client) Ask(ctx context.Context, topic string, ask, answer any) error {
	within := askWithin
	if end, bounded := ctx.Deadline(); bounded {
		within = min(within, time.Until(end))
	}
	if within < time.Second {
		return fault.Errorf(fault.Unavailable, "%s: no time is left to ask a worker", topic)
	}
	within -= 250 * time.Millisecond // The asker needs a moment for the answer.
	id := uuid.NewString()
	if err := c.askFor(ctx, id, ask, question{Topic: topic, Within: within.Milliseconds()}, within); err != nil {
		return err
	}
	asked, answered := askKeys(id)
	first := min(within, loneAsker)
	found, err := c.rdb.BLPop(ctx, first, answered).Result()
	if errors.Is(err, redis.Nil) && first < within {
		var workers []string
		if workers, err = c.status.Workers(ctx); err == nil && len(workers) == 0 {
			c.rdb.Del(context.WithoutCancel(ctx), asked)
			return fault.Errorf(fault.Unavailable, "%s: no worker takes tasks: start one, or see why those that run "+
				"stand aside", topic)
		}
		found, err = c.rdb.BLPop(ctx, within-first, answered).Result()
	}
	if err != nil {
		c.rdb.Del(context.WithoutCancel(ctx), asked) // A worker that finds no question does nothing.
	}
	switch {
	case errors.Is(err, redis.Nil) || errors.Is(err, context.DeadlineExceeded):
		return fault.Errorf(fault.Unavailable, "%s: no worker answered within %s: start one, or ask again when the "+
			"workers have less to do", topic, within.Round(time.Second))
	case errors.Is(err, context.Canceled):
		return fault.New(fault.Unavailable, topic, err)
	case err != nil:
		return redisfault.Of("ask a worker", err)
	}
	return decode(topic, found[1], answer)
}

// decode reads an answer, or the error in place of one.
func decode(topic, text string, answer any) error {
	var r reply
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return fault.New(fault.Internal, topic, err)
	}
	if r.Failed {
		if !slices.Contains(fault.Kinds(), r.Kind) { // A newer worker, or another program, wrote it.
			r.Kind = fault.Internal
		}
		return &fault.Error{Kind: r.Kind, RetryAfter: max(0, time.Duration(r.After)*time.Millisecond),
			Err: errors.New(r.Error)}
	}
	if err := json.Unmarshal(r.Answer, answer); err != nil {
		return fault.New(fault.Internal, topic, err)
	}
	return nil
}

// askFor stores a question and puts its task into the queue. The question waits there for the given time.
func (c *Client) askFor(ctx context.Context, id string, ask any, q question, wait time.Duration) error {
	var err error
	if q.Text, err = json.Marshal(ask); err != nil {
		return fault.New(fault.Internal, q.Topic, err)
	}
	whole, err := json.Marshal(q)
	if err != nil {
		return fault.New(fault.Internal, q.Topic, err)
	}
	asked, _ := askKeys(id)
	if err := c.rdb.Set(ctx, asked, whole, wait).Err(); err != nil {
		return redisfault.Of("ask a worker", err)
	}
	_, err = c.asynq.EnqueueContext(ctx, asynq.NewTask(TypeAsk, []byte(id)), asynq.Queue(ObjectQueue),
		asynq.MaxRetry(0), asynq.Timeout(time.Duration(q.Within)*time.Millisecond))
	c.wake(ctx, ObjectQueue)
	return queueFault(err)
}

// answer answers a question. The task always ends well, because the asker alone has use for an error.
func (w *Worker) answer(ctx context.Context, task *asynq.Task) error {
	id := string(task.Payload())
	asked, answered := askKeys(id)
	text, err := w.cfg.Redis.GetDel(ctx, asked).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil // The asker waits no longer.
	}
	var q question
	if err == nil {
		err = json.Unmarshal(text, &q)
	}
	if err != nil {
		w.cfg.Log.WarnContext(ctx, "a question was lost", "err", err)
		return nil
	}
	keep := askWithin
	if q.Keep > 0 {
		keep = time.Duration(q.Keep) * time.Millisecond
		defer w.holdOpen(ctx, q.Topic, id)()
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(q.Within)*time.Millisecond)
	defer cancel()
	r := w.reply(ctx, q)
	whole, err := json.Marshal(r)
	if err == nil && len(whole) > maxAnswer {
		err = fmt.Errorf("the answer has %d bytes: at most %d are kept", len(whole), maxAnswer)
	}
	if err != nil {
		whole, _ = json.Marshal(reply{Failed: true, Kind: fault.Internal, Error: err.Error()})
	}
	ctx = context.WithoutCancel(ctx)
	_, err = w.cfg.Redis.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.RPush(ctx, answered, whole)
		pipe.Expire(ctx, answered, keep)
		return nil
	})
	if err != nil {
		w.cfg.Log.WarnContext(ctx, "an answer was lost", "topic", q.Topic, "err", err)
	}
	return nil
}

func (w *Worker) reply(ctx context.Context, q question) reply {
	f := w.cfg.Answers[q.Topic]
	err := error(nil)
	var out any
	if f == nil {
		err = fault.Errorf(fault.Unavailable, "the worker %s cannot answer %q: it is of another version than the API",
			w.cfg.Name, q.Topic)
	} else {
		out, err = f(ctx, q.Text)
	}
	var text []byte
	if err == nil {
		text, err = json.Marshal(out)
	}
	if err != nil {
		return reply{Failed: true, Kind: fault.KindOf(err), Error: fmt.Sprint(err),
			After: fault.RetryAfter(err).Milliseconds()}
	}
	return reply{Answer: text}
}
