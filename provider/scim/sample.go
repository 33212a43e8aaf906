package scim

import (
	"sync"
)

// sample decides which writes are read back: the first ones of each kind, and then a part of them. It also knows to
// which groups members were added, and whether the server shows members. It is safe for concurrent use.
type sample struct {
	mu    sync.Mutex
	count map[string]int
	with  map[string]bool
	// members is set where the server showed members of any group.
	members bool
}

const (
	sampleFirst = 3
	sampleEvery = 20
)

func (s *sample) due(what string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count == nil {
		s.count = map[string]int{}
	}
	s.count[what]++
	n := s.count[what]
	return n <= sampleFirst || n%sampleEvery == 0
}

func (s *sample) join(groupID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.with == nil {
		s.with = map[string]bool{}
	}
	s.with[groupID] = true
}

func (s *sample) joined(groupID string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.with[groupID]
}

// shows notes that the server showed members of a group.
func (s *sample) shows() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.members = true
}

// shown reports whether the server ever showed members of a group.
func (s *sample) shown() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.members
}
