package decisions

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/container"
	"rollcall/fault"
	"rollcall/internal/stored"
)

const (
	purposePause = "pause"
	// pausedWithin is how late a process may notice a pause. An end is noticed at once.
	pausedWithin = time.Second
)

// Pause keeps everything from writing to a container until a person resumes it. Reads and plans go on.
type Pause struct {
	Container container.ID `json:"container"`
	// By is the name of the token.
	By string    `json:"by"`
	At time.Time `json:"at"`
}

// Text says who paused the container, since when, and how it goes on.
func (p *Pause) Text() string {
	return "paused by " + p.By + " since " + p.At.UTC().Format(time.RFC3339) + "; resume with `rollcall resume " +
		string(p.Container) + "`"
}

// PausedError is the error of a write to a container that is paused. Its kind is fault.Canceled.
type PausedError struct{ Pause Pause }

// Error implements error.
func (e *PausedError) Error() string { return e.Pause.Text() }

// PauseKey is the key of the pause of a container, for those who read it together with other keys.
func PauseKey(c container.ID) string { return prefix(c) + "pause" }

// Pause pauses a container, and returns the pause that stands. That is an earlier one where there is one.
func (s *Store) Pause(ctx context.Context, c container.ID, by string) (Pause, error) {
	if err := c.Validate(); err != nil {
		return Pause{}, err
	}
	keys, err := s.keys()
	if err != nil {
		return Pause{}, err
	}
	p := Pause{Container: c, By: stored.Cut(by, maxName), At: s.cfg.Now().UTC()}
	text, err := sealed(keys, purposePause, c, p)
	if err != nil {
		return Pause{}, fault.New(fault.Internal, "decisions: pause", err)
	}
	made, err := s.rdb.SetNX(ctx, PauseKey(c), text, 0).Result()
	if err != nil || made {
		return p, redisFault("pause", err)
	}
	earlier, err := s.PauseOf(ctx, c)
	if err == nil && earlier == nil { // It ended at this moment.
		err = fault.Errorf(fault.Conflict, "%s was resumed at the same time: pause it again", c)
	}
	if err != nil {
		return Pause{}, err
	}
	return *earlier, nil
}

// Resume ends the pause of a container, and reports whether there was one.
func (s *Store) Resume(ctx context.Context, c container.ID) (bool, error) {
	n, err := s.rdb.Del(ctx, PauseKey(c)).Result()
	return n > 0, redisFault("resume", err)
}

// PauseOf returns the pause of a container, or nil.
func (s *Store) PauseOf(ctx context.Context, c container.ID) (*Pause, error) {
	text, err := s.rdb.Get(ctx, PauseKey(c)).Result()
	if errors.Is(err, redis.Nil) {
		return nil, nil //nolint:nilnil // No pause is no error.
	}
	if err != nil {
		return nil, redisFault("pause", err)
	}
	return s.ReadPause(c, text)
}

// ReadPause returns the pause that is recorded at PauseKey. A record that is not signed or was changed pauses, too,
// because a write that waits harms less than one that a person wanted to stop.
func (s *Store) ReadPause(c container.ID, text string) (*Pause, error) {
	keys, err := s.keys()
	if err != nil {
		return nil, err
	}
	var p Pause
	problem := notReadable
	if len(text) <= maxRecord {
		problem = opened(keys, purposePause, c, text, &p)
	}
	if problem == "" && p.Container != c {
		problem = notTheSame
	}
	if problem != "" {
		p.By = "an unknown program (the record " + problem + ")"
	}
	p.Container = c
	return &p, nil
}

// Paused fails with a PausedError while a container is paused. It asks Redis at most once a second as long as the
// container is not paused, and each time while it is. An answer that took longer than that is not news any more: it
// asks again.
func (s *Store) Paused(ctx context.Context, c container.ID) error {
	fresh := func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return time.Since(s.free[c]) < pausedWithin
	}
	for !fresh() {
		began := time.Now()
		p, err := s.PauseOf(ctx, c)
		if err != nil {
			return err
		}
		if p != nil {
			return fault.New(fault.Canceled, "", &PausedError{*p})
		}
		s.mu.Lock()
		s.free[c] = began
		s.mu.Unlock()
	}
	return nil
}
