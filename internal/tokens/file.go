package tokens

import (
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"
)

// File is a tokens file that is read again when it has changed, so that a removed token stops working without a
// restart. It is safe for concurrent use.
type File struct {
	path   string
	strict bool
	every  time.Duration
	now    func() time.Time

	mu      sync.Mutex
	list    *List
	seen    stamp
	checked time.Time
	err     error
	warning string
}

// stamp tells one content of a file from the next.
type stamp struct {
	size int64
	time time.Time
	mode fs.FileMode
}

// FileConfig configures Open.
type FileConfig struct {
	Path string
	// Strict refuses a file that others can read; otherwise that is a warning.
	Strict bool
	// Every is how often, at most, the file is looked at; a second where it is zero.
	Every time.Duration
	// Now is the clock; time.Now where it is nil.
	Now func() time.Time
}

// Open reads a tokens file. A world-writable file is refused.
func Open(c FileConfig) (*File, error) {
	f := &File{path: c.Path, strict: c.Strict, every: c.Every, now: c.Now}
	if f.every == 0 {
		f.every = time.Second
	}
	if f.now == nil {
		f.now = time.Now
	}
	f.reload()
	if f.err != nil {
		return nil, f.err
	}
	return f, nil
}

// Lookup returns the identity of a presented token, by the file as it is now.
func (f *File) Lookup(token string) (Identity, bool) { return f.present().Lookup(token) }

// Recall returns the identity of the token with this mark, by the file as it is now.
func (f *File) Recall(mark string) (Identity, bool) { return f.present().Recall(mark) }

// present returns the file as it is now.
func (f *File) present() *List {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.now().Sub(f.checked) >= f.every {
		f.reload()
	}
	return f.list
}

// Err returns what is wrong with the file since it last changed, or nil. Until the file is mended, the tokens that
// were read before keep working, so that a slip of the editor does not lock every client out.
func (f *File) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// Warning says that others can read the file, or nothing.
func (f *File) Warning() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.warning
}

// reload reads the file again if it has changed.
func (f *File) reload() {
	f.checked = f.now()
	info, err := os.Stat(f.path)
	if err != nil {
		f.err = fmt.Errorf("read tokens: %w", err)
		return
	}
	seen := stamp{info.Size(), info.ModTime(), info.Mode()}
	if f.list != nil && seen == f.seen && f.err == nil {
		return
	}
	list, warning, err := load(f.path, info.Mode(), f.strict)
	f.err = err
	if err == nil {
		f.list, f.warning, f.seen = list, warning, seen
	}
}

func load(path string, mode fs.FileMode, strict bool) (list *List, warning string, err error) {
	const othersWrite, othersRead = 0o002, 0o004
	switch perm := mode.Perm(); {
	case mode.IsDir():
		return nil, "", fmt.Errorf("read tokens: %s is a directory", path)
	case perm&othersWrite != 0:
		return nil, "", fmt.Errorf("read tokens: %s may be written by everybody (mode %04o): run chmod 0600 on it", path,
			perm)
	case perm&othersRead != 0 && strict:
		return nil, "", fmt.Errorf("read tokens: %s may be read by everybody (mode %04o): run chmod 0600 on it", path, perm)
	case perm&othersRead != 0:
		warning = fmt.Sprintf("tokens file %s may be read by everybody (mode %04o): run chmod 0600 on it", path, perm)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, "", fmt.Errorf("read tokens: %w", err)
	}
	list, err = Parse(data)
	if err != nil {
		return nil, "", fmt.Errorf("read tokens %s: %w", path, err)
	}
	return list, warning, nil
}
