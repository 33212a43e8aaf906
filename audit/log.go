package audit

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Heads keeps the head of the chain of a file outside of the file.
type Heads interface {
	// Load returns the head of a file, and false if none is known.
	Load(ctx context.Context, file string) (Head, bool, error)
	Save(ctx context.Context, file string, h Head) error
}

// Config configures Open.
type Config struct {
	// Path is the file. If it is empty, the lines are written to Writer.
	Path   string
	Writer io.Writer
	// MaxSize is the size in bytes beyond which a new file is begun; 64 MiB by default.
	MaxSize int64
	// Keep is the age at which an earlier file is deleted; a year by default.
	Keep time.Duration
	// Heads may be nil.
	Heads Heads
	// Now is the clock; time.Now by default.
	Now func() time.Time
}

// Log writes records. It is safe for concurrent use.
type Log struct {
	cfg Config

	mu   sync.Mutex
	file *os.File
	size int64
	head Head
	lost bool
}

const defaultMaxSize, defaultKeep = 64 << 20, 365 * 24 * time.Hour

// Open opens the file, or creates it with mode 0600, and continues its chain. A file that does not end with the line
// that was written last gets a record of the loss and goes on; Open returns no error for it.
func Open(ctx context.Context, c Config) (*Log, error) {
	c.MaxSize = cmp.Or(c.MaxSize, defaultMaxSize)
	c.Keep = cmp.Or(c.Keep, defaultKeep)
	if c.Now == nil {
		c.Now = time.Now
	}
	l := &Log{cfg: c, head: Head{Chain: uuid.NewString()}}
	if c.Path == "" {
		return l, nil
	}
	if err := l.open(); err != nil {
		return nil, err
	}
	end, found, err := last(l.file, l.size)
	if err != nil {
		return nil, fmt.Errorf("audit file %s: %w", c.Path, err)
	}
	if found {
		l.head = end
	}
	return l, l.compare(ctx)
}

// compare compares the end of the file with the head that was kept.
func (l *Log) compare(ctx context.Context) error {
	if l.cfg.Heads == nil {
		return nil
	}
	kept, known, err := l.cfg.Heads.Load(ctx, l.cfg.Path)
	if err != nil {
		return fmt.Errorf("audit file %s: read its kept head: %w", l.cfg.Path, err)
	}
	if !known || kept == l.head {
		return nil
	}
	// The process may have died between a line and its head, or the heads may not have been kept for a while.
	if has, err := Has(l.cfg.Path, kept); err != nil || has {
		return err
	}
	l.lost = true
	_, err = l.Write(ctx, Record{Event: Lost, Outcome: Failed, Details: map[string]string{
		"chain": kept.Chain, "seq": strconv.FormatInt(kept.Sequence, 10), "hash": kept.Hash,
	}}, true)
	return err
}

// Lost reports whether lines were missing at the end of the file when it was opened.
func (l *Log) Lost() bool { return l.lost }

// Write appends a record and returns its sequence. durable waits until the line is on the disk. Sequence, Chain, Time
// and Previous are set here. A client that hangs up prevents no record of what it tried, so only the deadline of ctx
// counts.
func (l *Log) Write(ctx context.Context, r Record, durable bool) (int64, error) {
	end, limited := ctx.Deadline()
	if ctx = context.WithoutCancel(ctx); limited {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, end)
		defer cancel()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.rotate(ctx); err != nil {
		return 0, err
	}
	return l.append(ctx, r, durable)
}

func (l *Log) append(ctx context.Context, r Record, durable bool) (int64, error) {
	r.Sequence, r.Chain, r.Previous = l.head.Sequence+1, l.head.Chain, l.head.Hash
	r.Time = l.cfg.Now().UTC()
	text, head, err := r.line()
	if err != nil {
		return 0, fmt.Errorf("audit: %w", err)
	}
	text = append(text, '\n')
	if l.file == nil {
		if _, err := l.cfg.Writer.Write(text); err != nil {
			return 0, fmt.Errorf("audit: %w", err)
		}
		l.head = head
		return r.Sequence, nil
	}
	if err := l.put(text, durable); err != nil {
		return 0, err
	}
	l.head = head
	if l.cfg.Heads == nil {
		return r.Sequence, nil
	}
	if err := l.cfg.Heads.Save(ctx, l.cfg.Path, head); err != nil {
		return 0, fmt.Errorf("audit: keep the head of %s: %w", l.cfg.Path, err)
	}
	return r.Sequence, nil
}

// put appends a line to the file. A line that was written in part is cut off again.
func (l *Log) put(text []byte, durable bool) error {
	info, err := l.file.Stat()
	switch {
	case err != nil:
		return fmt.Errorf("audit: %w", err)
	case info.Size() != l.size:
		return fmt.Errorf("audit: %s has %d bytes, want %d: another process writes it; give each process a file of its own "+
			"and restart this one", l.cfg.Path, info.Size(), l.size)
	}
	if _, err := l.file.Write(text); err != nil {
		return errors.Join(fmt.Errorf("audit: %w", err), l.file.Truncate(l.size))
	}
	l.size += int64(len(text))
	if !durable {
		return nil
	}
	if err := l.file.Sync(); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	return nil
}

// Close closes the file.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}

func (l *Log) open() error {
	f, err := os.OpenFile(l.cfg.Path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(fmt.Errorf("audit: %w", err), f.Close())
	}
	l.file, l.size = f, info.Size()
	return nil
}

// stampFormat is the part of a file's name that says when the file ended. It sorts by time.
const stampFormat = "20060102T150405.000000Z"

// rotate begins a new file if the present one is full, or if it was renamed or removed. It deletes files that are too
// old and records that.
func (l *Log) rotate(ctx context.Context) error {
	if l.file == nil {
		return nil
	}
	there, err := os.Stat(l.cfg.Path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("audit: %w", err)
	}
	open, statErr := l.file.Stat()
	if statErr != nil {
		return fmt.Errorf("audit: %w", statErr)
	}
	same := err == nil && os.SameFile(there, open)
	if same && l.size < l.cfg.MaxSize {
		return nil
	}
	if same {
		if err := os.Rename(l.cfg.Path, l.freeName()); err != nil {
			return fmt.Errorf("audit: %w", err)
		}
	}
	if err := errors.Join(l.file.Close(), l.open()); err != nil {
		return err
	}
	return l.prune(ctx)
}

// freeName returns a name for the file, which ends now. No earlier file has it, even if the clock stands.
func (l *Log) freeName() string {
	for at := l.cfg.Now().UTC(); ; at = at.Add(time.Microsecond) {
		name := l.cfg.Path + "-" + at.Format(stampFormat)
		if _, err := os.Lstat(name); err != nil {
			return name
		}
	}
}

// prune deletes earlier files that ended before Keep. The record is written first.
func (l *Log) prune(ctx context.Context) error {
	earlier, err := Files(l.cfg.Path)
	if err != nil {
		return err
	}
	for _, path := range earlier[:len(earlier)-1] {
		ended, err := time.Parse(stampFormat, strings.TrimPrefix(path, l.cfg.Path+"-"))
		if err != nil || l.cfg.Now().Sub(ended) < l.cfg.Keep {
			continue
		}
		end, err := lastOf(path)
		if err != nil {
			return err
		}
		_, err = l.append(ctx, Record{Event: Removed, Outcome: Done, Details: map[string]string{
			"file": filepath.Base(path), "chain": end.Chain, "seq": strconv.FormatInt(end.Sequence, 10), "hash": end.Hash,
		}}, true)
		if err != nil {
			return err
		}
		if err := os.Remove(path); err != nil {
			return fmt.Errorf("audit: %w", err)
		}
	}
	return nil
}

// Files returns the files of a log, the earliest first. The last one is path itself.
func Files(path string) ([]string, error) {
	escaped := strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
	all, err := filepath.Glob(escaped + "-*Z")
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	slices.Sort(all)
	return append(all, path), nil
}

func lastOf(path string) (Head, error) {
	f, err := os.Open(path)
	if err != nil {
		return Head{}, fmt.Errorf("audit: %w", err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return Head{}, fmt.Errorf("audit: %w", err)
	}
	h, _, err := last(f, info.Size())
	if err != nil {
		return Head{}, fmt.Errorf("audit file %s: %w", path, err)
	}
	return h, nil
}

// maxLine is the largest size of a line, in bytes.
const maxLine = 1 << 20

// last returns the head of the chain at the end of a file, and false if the file is empty.
func last(f io.ReaderAt, size int64) (Head, bool, error) {
	if size == 0 {
		return Head{}, false, nil
	}
	from := max(0, size-maxLine)
	tail := make([]byte, size-from)
	if _, err := f.ReadAt(tail, from); err != nil {
		return Head{}, false, err
	}
	text, whole := bytes.CutSuffix(tail, []byte("\n"))
	if !whole {
		return Head{}, false, errors.New("the last line is cut off: move the file away, and a new one is begun")
	}
	text = text[bytes.LastIndexByte(text, '\n')+1:]
	r, err := parse(text)
	if err != nil {
		return Head{}, false, fmt.Errorf("the last line: %w: move the file away, and a new one is begun", err)
	}
	return Head{Chain: r.Chain, Sequence: r.Sequence, Hash: digest(text)}, true, nil
}
