package boot_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"rollcall/audit"
	"rollcall/directory"
	"rollcall/internal/boot"
	"rollcall/internal/config"
	"rollcall/internal/redistest"
	"rollcall/internal/secret"
	"rollcall/plan"
)

// The API learns from its audit log that decisions are gone from Redis, and notes it for workers that start later. It
// tells of a line of the log that was changed.
func TestTheAuditLogIsComparedAtTheStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := config.Process{RedisURL: redistest.URL(t), AuditFile: filepath.Join(dir, "audit.jsonl"),
		InsecureNoTokens: true, Listen: "127.0.0.1:0", DecisionsKeyFile: secret.File(filepath.Join(dir, "key"))}
	write(t, string(p.DecisionsKeyFile), strings.Repeat("key-", 16))
	said := make(lines, 100)
	start := func() *boot.App {
		app, err := boot.With(t.Context(), p, &config.Config{}, os.Getenv, slog.New(slog.NewTextHandler(said, nil)))
		if err != nil {
			t.Fatal(err)
		}
		return app
	}
	process := func() *boot.App {
		app := start()
		t.Cleanup(app.Close)
		return app
	}
	// broken starts an API and ends it after the first check, and returns whether it found the audit log broken.
	broken := func() bool {
		app := start()
		if _, err := app.API(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		said.wait(t, "the audit log is ")
		app.Close()
		families, err := app.Metrics.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == "rollcall_audit_broken" {
				return f.GetMetric()[0].GetGauge().GetValue() == 1
			}
		}
		t.Fatal("the metric is missing")
		return false
	}
	const c = "google_workspace:1"
	before := process()
	pin := plan.Pin{Ref: directory.Ref{Kind: directory.User, ID: "ann"}, Account: plan.StandsActive}
	if err := before.Decisions.Pin(t.Context(), c, []plan.Pin{pin}, nil); err != nil {
		t.Fatal(err)
	}
	log, err := audit.Open(t.Context(), audit.Config{Path: p.AuditFile, Heads: audit.RedisHeads{Redis: before.Redis}})
	if err != nil {
		t.Fatal(err)
	}
	for _, actor := range []string{"grace", "grace", "grace"} {
		if _, err := log.Write(t.Context(), audit.Record{Event: "sync/runs/revert", Actor: actor, Container: c,
			Outcome: audit.Done, Details: map[string]string{
				audit.DecisionsSequence: strconv.FormatInt(before.Decisions.Sequence(c), 10)}}, true); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if broken() {
		t.Error("an untouched log is broken")
	}
	if err := before.Redis.Del(t.Context(), "rollcall:{"+c+"}:seal", "rollcall:{"+c+"}:pins").Err(); err != nil {
		t.Fatal(err)
	}
	if kept, err := process().Decisions.Kept(t.Context(), c); err != nil || kept.Broken != "" {
		t.Errorf("before the API has started a worker reads %+v, %v", kept, err)
	}
	text, err := os.ReadFile(p.AuditFile)
	if err != nil {
		t.Fatal(err)
	}
	write(t, p.AuditFile, string(bytes.Replace(text, []byte("grace"), []byte("ghost"), 1)))
	if !broken() {
		t.Error("a changed line is not noticed")
	}
	if kept, err := process().Decisions.Kept(t.Context(), c); err != nil || !strings.Contains(kept.Broken, "is gone") {
		t.Errorf("after the API has started a worker reads %+v, %v, want the loss", kept, err)
	}
}

// lines receives what a process logs.
type lines chan string

// Write implements io.Writer.
func (l lines) Write(line []byte) (int, error) {
	l <- string(line)
	return len(line), nil
}

// wait waits for a line with a text.
func (l lines) wait(t *testing.T, text string) {
	t.Helper()
	patience := time.After(time.Minute)
	for {
		select {
		case line := <-l:
			if strings.Contains(line, text) {
				return
			}
		case <-patience:
			t.Fatalf("no line has %q", text)
		}
	}
}
