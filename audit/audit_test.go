package audit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"rollcall/audit"
)

// heads keeps the heads in memory.
type heads struct {
	mu  sync.Mutex
	all map[string]audit.Head
	err error
}

func (h *heads) Load(_ context.Context, file string) (audit.Head, bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	head, known := h.all[file]
	return head, known, h.err
}

func (h *heads) Save(ctx context.Context, file string, head audit.Head) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if h.all == nil {
		h.all = map[string]audit.Head{}
	}
	h.all[file] = head
	return h.err
}

func open(t *testing.T, c audit.Config) *audit.Log {
	t.Helper()
	l, err := audit.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func write(t *testing.T, l *audit.Log, n int) {
	t.Helper()
	for i := range n {
		r := audit.Record{Event: "sync/cancel", Actor: "ops", Container: "ldap:corp", Outcome: audit.Done,
			Details: map[string]string{"run": fmt.Sprint(i)}}
		if _, err := l.Write(t.Context(), r, false); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAChainIsContinued(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	write(t, open(t, audit.Config{Path: path}), 3)
	write(t, open(t, audit.Config{Path: path}), 2)
	r, err := audit.Verify(path)
	if err != nil || r.Lines != 5 || r.Head.Sequence != 5 || r.Files != 1 {
		t.Errorf("report %+v, err %v; want 5 lines", r, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, err %v; want 0600", info.Mode(), err)
	}
}

func TestTheCheckOfALargeLogEndsWithItsProcess(t *testing.T) {
	t.Parallel()
	log := open(t, audit.Config{Path: filepath.Join(t.TempDir(), "audit.jsonl"), MaxSize: 300})
	write(t, log, 6)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := log.Verify(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v; want %v", err, context.Canceled)
	}
}

// Each single line is removed, changed or repeated in turn. The head that is kept elsewhere protects the last one.
func TestEveryChangeIsNoticed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, kept := filepath.Join(dir, "audit.jsonl"), &heads{}
	log := open(t, audit.Config{Path: path, Heads: kept})
	write(t, log, 6)
	if err := log.Verify(t.Context()); err != nil {
		t.Errorf("untouched: %v", err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(bytes.TrimSuffix(whole, []byte("\n")), []byte("\n"))
	lines[5] = append(lines[5], '\n')
	for i := range lines {
		for name, with := range map[string][]byte{
			"removed":  nil,
			"changed":  bytes.Replace(lines[i], []byte(`"ops"`), []byte(`"eve"`), 1),
			"repeated": bytes.Repeat(lines[i], 2),
		} {
			all := bytes.Join([][]byte{bytes.Join(lines[:i], nil), with, bytes.Join(lines[i+1:], nil)}, nil)
			if err := os.WriteFile(path, all, 0o600); err != nil {
				t.Fatal(err)
			}
			r, err := audit.Verify(path)
			if head := kept.all[path]; err == nil && r.Head == head {
				t.Errorf("line %d %s: not noticed", i+1, name)
			}
			var broken *audit.BreakError
			if name != "repeated" && !errors.As(log.Verify(t.Context()), &broken) {
				t.Errorf("line %d %s: the process does not notice", i+1, name)
			}
			if len(all) == len(whole) {
				continue
			}
			if _, err := log.Write(t.Context(), audit.Record{}, false); err == nil {
				t.Errorf("line %d %s: the process goes on", i+1, name)
			}
		}
	}
}

// The file is cut at its end between two starts. The next start records the loss, and the file verifies with it.
func TestALostEndIsRecorded(t *testing.T) {
	t.Parallel()
	for name, remaining := range map[string]int{"some lines": 2, "all lines": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path, kept := filepath.Join(t.TempDir(), "audit.jsonl"), &heads{}
			write(t, open(t, audit.Config{Path: path, Heads: kept}), 4)
			whole, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			rest := bytes.Join(bytes.SplitAfter(whole, []byte("\n"))[:remaining], nil)
			if err := os.WriteFile(path, rest, 0o600); err != nil {
				t.Fatal(err)
			}
			l := open(t, audit.Config{Path: path, Heads: kept})
			r, err := audit.Verify(path)
			if !l.Lost() || err != nil || len(r.Losses) != 1 || r.Losses[0].Details["seq"] != "4" {
				t.Errorf("report %+v, err %v; want one loss of record 4", r, err)
			}
			open(t, audit.Config{Path: path, Heads: kept})
			if again, err := audit.Verify(path); err != nil || again.Lines != r.Lines {
				t.Errorf("a further start wrote %d lines, err %v; want none", again.Lines-r.Lines, err)
			}
		})
	}
}

func TestFilesAreRotatedAndRemoved(t *testing.T) {
	t.Parallel()
	dir, now := t.TempDir(), time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	path := filepath.Join(dir, "audit.jsonl")
	l := open(t, audit.Config{Path: path, MaxSize: 600, Keep: 5 * time.Hour, Now: func() time.Time { return now }})
	for range 30 {
		write(t, l, 1)
		now = now.Add(time.Hour)
	}
	files, err := audit.Files(path)
	if err != nil || len(files) < 2 || len(files) > 6 {
		t.Errorf("%d files, err %v; want 2 to 6", len(files), err)
	}
	if r, err := audit.Verify(path); err != nil || r.Head.Sequence <= 30 {
		t.Errorf("report %+v, err %v; want more than 30 records with those of the removals", r, err)
	}
	if err := os.Remove(files[0]); err != nil {
		t.Fatal(err)
	}
	var broken *audit.BreakError
	if _, err := audit.Verify(path); !errors.As(err, &broken) || !strings.Contains(broken.Text, "no record says") {
		t.Errorf("an earlier file was removed by hand: err %v", err)
	}
}

// The file is renamed by another program, as logrotate does, or removed. The chain goes on in a new file.
func TestARemovedFileIsBegunAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l := open(t, audit.Config{Path: path})
	write(t, l, 2)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	write(t, l, 1)
	var broken *audit.BreakError
	if _, err := audit.Verify(path); !errors.As(err, &broken) {
		t.Errorf("err %v; want a break, as two records are gone", err)
	}
}

// While Redis is away the lines are written and their heads are not kept. That is no loss.
// TestAHangUpIsRecorded writes for a client that has hung up, whose wrong token must not go unrecorded. A deadline
// still ends the wait for the place where heads are kept.
func TestAHangUpIsRecorded(t *testing.T) {
	t.Parallel()
	kept := &heads{}
	l := open(t, audit.Config{Path: filepath.Join(t.TempDir(), "audit.log"), Heads: kept})
	gone, hangUp := context.WithCancel(t.Context())
	hangUp()
	if n, err := l.Write(gone, audit.Record{Event: "token refused"}, false); n != 1 || err != nil {
		t.Errorf("Write() after a hang-up = %d, %v, want the first record", n, err)
	}
	late, cancel := context.WithTimeout(t.Context(), -time.Second)
	defer cancel()
	if _, err := l.Write(late, audit.Record{Event: "token refused"}, false); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Write() after the deadline = %v, want it exceeded", err)
	}
}

func TestHeadsThatWereNotKept(t *testing.T) {
	t.Parallel()
	path, kept := filepath.Join(t.TempDir(), "audit.jsonl"), &heads{}
	l := open(t, audit.Config{Path: path, Heads: kept})
	write(t, l, 2)
	behind := kept.all[path]
	write(t, l, 3)
	kept.all[path] = behind
	open(t, audit.Config{Path: path, Heads: kept})
	if r, err := audit.Verify(path); err != nil || len(r.Losses) > 0 || r.Lines != 5 {
		t.Errorf("report %+v, err %v; want 5 lines and no loss", r, err)
	}
}

func TestWhatCannotBeRecorded(t *testing.T) {
	t.Parallel()
	path, kept := filepath.Join(t.TempDir(), "audit.jsonl"), &heads{}
	l := open(t, audit.Config{Path: path, Heads: kept})
	kept.err = errors.New("redis is away")
	if _, err := l.Write(t.Context(), audit.Record{Event: "sync", Outcome: audit.Begun}, true); err == nil {
		t.Error("the head was not kept, and Write returned no error")
	}
	kept.err = nil
	other := open(t, audit.Config{Path: path})
	write(t, other, 1)
	_, err := l.Write(t.Context(), audit.Record{Event: "sync", Outcome: audit.Begun}, true)
	if err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("err %v; want the other process named", err)
	}
	if _, err := audit.Verify(path); err != nil {
		t.Error(err)
	}
}

func TestOpenRefusesWhatIsNoLog(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"another file": "sources: {}\n", "cut off": `{"seq":1`} {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := audit.Open(t.Context(), audit.Config{Path: path}); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: err %v; want the file named", name, err)
		}
	}
}

func TestWithoutAFile(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	write(t, open(t, audit.Config{Writer: &out}), 2)
	if n := strings.Count(out.String(), "\n"); n != 2 {
		t.Errorf("%d lines, want 2", n)
	}
}

func FuzzVerify(f *testing.F) {
	var out bytes.Buffer
	l, err := audit.Open(f.Context(), audit.Config{Writer: &out})
	if err != nil {
		f.Fatal(err)
	}
	if _, err := l.Write(f.Context(), audit.Record{Event: "sync", Outcome: audit.Begun}, false); err != nil {
		f.Fatal(err)
	}
	f.Add(out.Bytes())
	f.Add(append(bytes.TrimSuffix(out.Bytes(), []byte("\n")), " {}\n"...))
	f.Add([]byte(`{"seq":9223372036854775807,"chain":"\u001b[2J","previous":"x","event":"audit file removed"}` + "\n{\n"))
	f.Add([]byte(`{"time":"` + strings.Repeat("2026", 1000) + `"}` + "\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "a")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		report, err := audit.Verify(path)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\x1b\x00\n\u202e") || len(err.Error()) > 2000 {
				t.Errorf("Verify() = %.500q, want one short line", err)
			}
			return
		}
		if found, err := audit.Has(path, report.Head); report.Lines > 0 && (!found || err != nil) {
			t.Errorf("Has(%+v) = %v, %v after Verify()", report.Head, found, err)
		}
		if bytes.Count(data, []byte("\n")) != report.Lines {
			t.Errorf("Verify() = %d lines of %q", report.Lines, data)
		}
	})
}

// during calls a function when a check asks whether it should go on.
type during struct {
	context.Context
	once func()
}

// Err implements context.Context.
func (d during) Err() error {
	d.once()
	return d.Context.Err()
}

// TestFilesAreRemovedDuringACheck checks that a file that becomes too old while a log is checked is no break.
func TestFilesAreRemovedDuringACheck(t *testing.T) {
	t.Parallel()
	path, now := filepath.Join(t.TempDir(), "audit"), time.Now()
	l := open(t, audit.Config{Path: path, MaxSize: 500, Keep: time.Hour, Now: func() time.Time { return now }})
	for range 3 {
		write(t, l, 3)
		now = now.Add(time.Minute)
	}
	before, err := audit.Files(path)
	if err != nil {
		t.Fatal(err)
	}
	remove := sync.OnceFunc(func() {
		now = now.Add(2 * time.Hour)
		write(t, l, 3)
	})
	if err := l.Verify(during{t.Context(), remove}); err != nil {
		t.Errorf("Verify() = %v while files are removed, want nil", err)
	}
	if _, err := os.Stat(before[0]); err == nil {
		t.Errorf("%s is still there; the test has to remove it", before[0])
	}
}
