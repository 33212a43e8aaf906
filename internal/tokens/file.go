package tokens

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
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
	// changed is closed when rights may have gone, and replaced. expires is the next end of a line.
	changed chan struct{}
	expires time.Time
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

// Open reads a tokens file. A file that others can write is refused, and so is one in which no line is right.
func Open(c FileConfig) (*File, error) {
	f := &File{path: c.Path, strict: c.Strict, every: c.Every, now: c.Now, changed: make(chan struct{})}
	f.every = cmp.Or(f.every, time.Second)
	if f.now == nil {
		f.now = time.Now
	}
	f.reload()
	f.expires = f.list.nextExpiry(f.now())
	if f.err != nil && f.list.Len() == 0 {
		return nil, f.err
	}
	return f, nil
}

// Lookup returns the identity of a presented token, by the file as it is now.
func (f *File) Lookup(token string) (Identity, bool) { return f.present().Lookup(token, f.now()) }

// Recall returns the identity of the token with this mark, by the file as it is now.
func (f *File) Recall(mark string) (Identity, bool) { return f.present().Recall(mark, f.now()) }

// Person returns the rights of a person with these values of the OpenID claim, by the file as it is now.
func (f *File) Person(values []string) (Identity, bool) { return f.present().Person(values, f.now()) }

// Changed returns a channel that is closed when an identity may have lost rights: the file has changed, or a line has
// expired. While File.Watch runs, this is within FileConfig.Every.
func (f *File) Changed() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changed
}

// Watch looks at the file until ctx ends, and calls each after every look.
func (f *File) Watch(ctx context.Context, each func()) {
	tick := time.NewTicker(f.every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			f.present()
			each()
		case <-ctx.Done():
			return
		}
	}
}

// present returns the file as it is now.
func (f *File) present() *List {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := f.now(); now.Sub(f.checked) >= f.every {
		before := f.list
		if f.reload(); f.list != before || !f.expires.IsZero() && !now.Before(f.expires) {
			close(f.changed)
			f.changed, f.expires = make(chan struct{}), f.list.nextExpiry(now)
		}
	}
	return f.list
}

// Err returns what is wrong with the file, or nil. A line that is wrong gives nothing, and the others work. If the
// whole file cannot be read, every token is refused, because a deleted token must not work again.
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

// patience is how long a missing file is waited for, because some editors rename a file before they write it anew.
const patience = 100 * time.Millisecond

// reload reads the file again if it has changed.
func (f *File) reload() {
	f.checked = f.now()
	info, err := os.Stat(f.path)
	if errors.Is(err, fs.ErrNotExist) && f.list != nil && f.list.Len() > 0 {
		time.Sleep(patience)
		info, err = os.Stat(f.path)
	}
	if err != nil {
		f.list, f.seen, f.err = &List{}, stamp{}, fmt.Errorf("read tokens: %w", err)
		return
	}
	seen := stamp{info.Size(), info.ModTime(), info.Mode()}
	if f.list != nil && seen == f.seen {
		return
	}
	var read bool
	f.list, f.warning, read, f.err = load(f.path, info.Mode(), f.strict)
	if f.seen = seen; !read { // A change of the owner does not show in the stamp.
		f.seen = stamp{}
	}
}

// load returns an empty list if the file cannot be used, and whether it was read.
func load(path string, mode fs.FileMode, strict bool) (list *List, warning string, read bool, err error) {
	const othersWrite, othersRead = 0o002, 0o004
	switch perm := mode.Perm(); {
	case mode.IsDir():
		return &List{}, "", true, fmt.Errorf("read tokens: %s is a directory", path)
	case perm&othersWrite != 0:
		return &List{}, "", true, fmt.Errorf("read tokens: every user can write %s (mode %04o): run chmod 0600 on it", path,
			perm)
	case perm&othersRead != 0 && strict:
		return &List{}, "", true, fmt.Errorf("read tokens: every user can read %s (mode %04o): run chmod 0600 on it", path,
			perm)
	case perm&othersRead != 0:
		warning = fmt.Sprintf("every user can read the tokens file %s (mode %04o): run chmod 0600 on it", path, perm)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return &List{}, "", false, fmt.Errorf("read tokens: %w", err)
	}
	if list, err = Parse(data); err != nil {
		err = fmt.Errorf("read tokens %s: %w", path, err)
	}
	return list, warning, true, err
}

// maxNames bounds the names that a Counter remembers.
const maxNames = 10_000

// Counter counts by name within a window of time. It is safe for concurrent use.
type Counter struct {
	window time.Duration

	mu     sync.Mutex
	counts map[string]int
	ends   time.Time
}

// NewCounter returns a Counter that begins anew after each window.
func NewCounter(window time.Duration) *Counter { return &Counter{window: window} }

// Count returns how often it was called with this name within the window, with this call.
func (c *Counter) Count(name string, now time.Time) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.After(c.ends) {
		c.counts, c.ends = map[string]int{}, now.Add(c.window)
	}
	if _, known := c.counts[name]; !known && len(c.counts) >= maxNames {
		c.forget()
	}
	c.counts[name]++
	return c.counts[name]
}

// forget makes room by half. The names with the highest counts stay, so that many other names do not clear a count.
func (c *Counter) forget() {
	names := slices.SortedFunc(maps.Keys(c.counts), func(a, b string) int { return cmp.Compare(c.counts[b], c.counts[a]) })
	for _, name := range names[maxNames/2:] {
		delete(c.counts, name)
	}
}
