package console

import (
	"sync"
	"time"

	"rollcall/container"
)

// memory keeps a value for each container, or for several, for a while, because the value is large or made of many
// parts.
type memory[T any] struct {
	mu   sync.Mutex
	kept map[container.ID]*remembered[T]
}

// remembered is one value. Several pages that ask for it at once wait for one reading.
type remembered[T any] struct {
	mu      sync.Mutex
	value   T
	version string
	read    time.Time
}

// get returns the value of a container. It is read where it is older than age or of another version.
func (m *memory[T]) get(id container.ID, version string, age time.Duration, read func() (T, error)) (T, error) {
	m.mu.Lock()
	if m.kept == nil {
		m.kept = map[container.ID]*remembered[T]{}
	}
	r := m.kept[id]
	if r == nil {
		r = &remembered[T]{}
		m.kept[id] = r
	}
	m.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.read.IsZero() && r.version == version && time.Since(r.read) < age {
		return r.value, nil
	}
	value, err := read()
	if err == nil {
		r.value, r.version, r.read = value, version, time.Now()
		time.AfterFunc(age, func() { m.forget(id, r) })
	}
	return value, err
}

// forget drops a value, unless another one took its place.
func (m *memory[T]) forget(id container.ID, r *remembered[T]) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.kept[id] == r {
		delete(m.kept, id)
	}
}
