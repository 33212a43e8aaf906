package jobs

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"rollcall/decisions"
	"rollcall/fault"
	"rollcall/internal/redistest"
	"rollcall/status"
)

// same answers a question with itself.
func same(_ context.Context, question json.RawMessage) (any, error) { return question, nil }

// FuzzAsk has another program write the question that a worker takes, and the record and the answer that the API reads.
// The worker answers or does nothing, and what is read can be shown and has a known kind of error.
func FuzzAsk(f *testing.F) {
	for _, seed := range [][3]string{
		{`{"topic":"draft","text":1,"within":1000}`, `{"by":"ops","at":"2026-03-01T12:00:00Z"}`, `{"answer":"x"}`},
		{`{"topic":"other","within":9223372036854775807,"keep":1}`, `{}`, `{"failed":true,"kind":200,"error":"x"}`},
		{`{"topic":"draft","text":{},"within":-1,"keep":-9}`, `null`,
			`{"failed":true,"kind":5,"after":-9223372036854775808}`},
		{``, `{"at":"9999-12-31T23:59:59Z"}`, `{}`}, {`[]`, ``, `{"failed":true,"after":9223372036854775807}`},
	} {
		f.Add([]byte(seed[0]), []byte(seed[1]), []byte(seed[2]))
	}
	rdb := redistest.Mini(f)
	store := status.New(rdb, status.Config{})
	w, err := NewWorker(WorkerConfig{Redis: rdb, Status: store, Decisions: decisions.New(rdb, decisions.Config{}),
		Name: "worker", Containers: []Container{{Name: "ldap:corp"}}, Answers: map[string]Answer{"draft": same}})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(w.Shutdown)
	client := NewClient(rdb, store)
	const id = "7d444840-9dc0-11d1-b245-5ffdce74fad2"
	asked, answered := askKeys(id)
	f.Fuzz(func(t *testing.T, question, record, answer []byte) {
		ctx := t.Context()
		rdb.FlushDB(ctx)
		rdb.Set(ctx, asked, question, time.Minute)
		if err := w.answer(ctx, asynq.NewTask(TypeAsk, []byte(id))); err != nil {
			t.Errorf("answer() = %v, want the outcome on Redis only", err)
		}
		rdb.Set(ctx, recordKey(id), record, time.Minute)
		for _, text := range []string{string(answer), rdb.LIndex(ctx, answered, 0).Val()} {
			rdb.Del(ctx, answered)
			rdb.RPush(ctx, answered, text)
			var out any
			k, err := client.Kept(ctx, "draft", id, &out)
			if err != nil {
				continue
			}
			if _, err := json.Marshal([]any{k, out}); err != nil {
				t.Errorf("%q, %q cannot be shown: %v", record, text, err)
			}
			if k.Err != nil && (!slices.Contains(fault.Kinds(), fault.KindOf(k.Err)) || fault.RetryAfter(k.Err) < 0) {
				t.Errorf("%q is an error of kind %v after %v", text, fault.KindOf(k.Err), fault.RetryAfter(k.Err))
			}
		}
	})
}
