package source

import (
	"context"

	"rollcall/directory"
)

// Locator is a source that can look for one entry beyond what Read has in scope, and say which rule leaves it out. What it
// finds is evidence for people: nothing is ever provisioned from it.
//
// The search is bounded in size and time: it is no way to list a directory.
type Locator interface {
	Locate(ctx context.Context, w Wanted) (Location, error)
}

// Wanted says what to look for: one of its texts.
type Wanted struct {
	ID directory.ID
	// Or are other spellings of the ID.
	Or       []directory.ID
	DN       string
	Mail     string
	UserName string
	// Kind limits the search; zero looks for both.
	Kind directory.Kind
}

// Location is what a live directory answered.
type Location struct {
	// Server is the directory that was asked.
	Server string
	// Searched are the places where it was looked, in order: those in scope first. Where something was found, it was not
	// looked further.
	Searched []string
	// Unsearched are places that could not be searched, each with the reason.
	Unsearched []string
	// Incomplete says that one of them is a place where Read looks, or the only place that was asked for: that nothing was
	// found says nothing then.
	Incomplete bool
	// Sightings are what was found; none is an answer.
	Sightings []Sighting
}

// Sighting is one entry of a live directory.
type Sighting struct {
	// Ref has an empty ID where that is what cannot be read. Kind is the one whose rules the entry comes closest to.
	directory.Ref
	DN string
	// Rules are the rules of the source's scope, in the order in which they are applied.
	Rules []Rule
	// Entry is the entry as Read would give it, without members; nil where it cannot be decoded.
	Entry *directory.Entry
}

// Rule is one thing that an entry has to meet to be read.
type Rule struct {
	// Key is the configuration's: base_dn, user_object_filter, object_uniqueness_field, …
	Key     string `json:"key"`
	Setting string `json:"setting"`
	Met     bool   `json:"met"`
	// Detail says why the rule is not met.
	Detail string `json:"detail,omitempty"`
}

// Broken returns the first rule that is not met; nil for an entry in scope.
func (s *Sighting) Broken() *Rule {
	for i := range s.Rules {
		if !s.Rules[i].Met {
			return &s.Rules[i]
		}
	}
	return nil
}
