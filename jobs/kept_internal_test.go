package jobs

import (
	"log/slog"
	"testing"

	"rollcall/internal/redistest"
)

// TestLaw18AWorkerThatWasSilentEndsNoOtherQuestion has a worker that was silent until its question expired, and another
// question of the topic since. What the worker does then concerns only its own question.
func TestLaw18AWorkerThatWasSilentEndsNoOtherQuestion(t *testing.T) {
	t.Parallel()
	w := &Worker{cfg: WorkerConfig{Redis: redistest.Start(t), Log: slog.New(slog.DiscardHandler)}}
	open := func() string { return w.cfg.Redis.Get(t.Context(), openKey("draft")).Val() }
	end := w.holdOpen(t.Context(), "draft", "first")
	if got := open(); got != "first" {
		t.Errorf("the open question is %q, want the first", got)
	}
	w.cfg.Redis.Set(t.Context(), openKey("draft"), "second", submitWait)
	again := w.holdOpen(t.Context(), "draft", "first")
	for what, end := range map[string]func(){"the worker was heard of again": func() {}, "it ended": end, "twice": again} {
		if end(); open() != "second" {
			t.Errorf("after %s the open question is %q, want the second", what, open())
		}
	}
	end = w.holdOpen(t.Context(), "draft", "second")
	if end(); open() != "" {
		t.Errorf("the topic is open for %q after the end of its question", open())
	}
}
