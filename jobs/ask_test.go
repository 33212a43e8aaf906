package jobs_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/decisions"
	"rollcall/fault"
	"rollcall/internal/redistest"
	"rollcall/jobs"
	"rollcall/status"
)

// answering starts a worker that answers questions and looks into its queues once in a minute only.
func answering(t *testing.T, rdb redis.UniversalClient, answers map[string]jobs.Answer) *jobs.Client {
	t.Helper()
	st := status.New(rdb, status.Config{})
	w, err := jobs.NewWorker(jobs.WorkerConfig{Redis: rdb, Status: st, Decisions: decisions.New(rdb, decisions.Config{}),
		Name: "w", Answers: answers, TaskCheckInterval: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Shutdown)
	return jobs.NewClient(rdb, st)
}

// TestAWorkerAnswersAtOnce checks that an idle worker is woken, because its next poll is a minute away.
func TestAWorkerAnswersAtOnce(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t)
	client := answering(t, rdb, map[string]jobs.Answer{
		"double": func(_ context.Context, text json.RawMessage) (any, error) {
			var n int
			err := json.Unmarshal(text, &n)
			return 2 * n, err
		},
		"refuse": func(context.Context, json.RawMessage) (any, error) {
			return nil, &fault.Error{Kind: fault.Throttled, RetryAfter: 3 * time.Second, Err: errors.New("too much")}
		},
	})
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	for n := range 5 {
		var got int
		if err := client.Ask(ctx, "double", n, &got); err != nil || got != 2*n {
			t.Fatalf("Ask(%d) = %d, %v", n, got, err)
		}
	}
	err := client.Ask(ctx, "refuse", nil, nil)
	if fault.KindOf(err) != fault.Throttled || fault.RetryAfter(err) != 3*time.Second || err.Error() != "too much" {
		t.Errorf("Ask() = %v (%v, %v), want the worker's error with its kind and pause", err, fault.KindOf(err),
			fault.RetryAfter(err))
	}
	if err := client.Ask(ctx, "sing", nil, nil); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("Ask() of an unknown topic = %v, want that it is unavailable", err)
	}
	if keys := rdb.Keys(t.Context(), "rollcall:{ask:*").Val(); len(keys) > 0 {
		t.Errorf("questions and answers are left: %v", keys)
	}
}

// TestAQuestionWithoutAWorker checks the message, and that a worker which comes later has nothing to answer.
func TestAQuestionWithoutAWorker(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t)
	client := jobs.NewClient(rdb, status.New(rdb, status.Config{}))
	ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
	defer cancel()
	err := client.Ask(ctx, "double", 1, nil)
	if fault.KindOf(err) != fault.Unavailable {
		t.Fatalf("Ask() = %v, want that no worker answered", err)
	}
	var asked atomic.Int64
	later := answering(t, rdb, map[string]jobs.Answer{
		"double": func(context.Context, json.RawMessage) (any, error) { asked.Add(1); return 0, nil },
		"now":    func(context.Context, json.RawMessage) (any, error) { return fmt.Sprint(asked.Load()), nil },
	})
	var got string
	if err := later.Ask(t.Context(), "now", nil, &got); err != nil || got != "0" {
		t.Errorf("the late worker answered %s old questions (%v), want none", got, err)
	}
}
