package jobs

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"rollcall/fault"
)

// TestAPanicShowsNoValue checks that neither asynq, which stores errors on Redis, nor the log gets the value of a
// panic.
func TestAPanicShowsNoValue(t *testing.T) {
	t.Parallel()
	k := newTicker(t, noon)
	w := k.worker(Container{Name: "ldap:corp"})
	t.Cleanup(w.Shutdown)
	var log bytes.Buffer
	w.cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	w.cfg.Now = func() time.Time { panic("hunter2") }
	err := w.handle(t.Context(), asynq.NewTask("unknown", nil))
	if err == nil || fault.KindOf(err) != fault.Internal || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("handle() = %v, want an internal error without the value", err)
	}
	if text := log.String(); strings.Contains(text, "hunter2") || !strings.Contains(text, "panic_internal_test.go") {
		t.Errorf("the log has %q, want the place and not the value", text)
	}
}
