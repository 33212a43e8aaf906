package source

import (
	"context"

	"rollcall/directory"
)

// Locator is a source that can look for one entry beyond the scope of Read and report the rule that excludes it. Its
// results are evidence for an operator and are never provisioned.
//
// The search is bounded in size and time and cannot list a directory.
type Locator interface {
	Locate(ctx context.Context, w Wanted) (Location, error)
}

// Wanted says what to look for. Exactly one of its texts is set.
type Wanted struct {
	ID directory.ID
	// Or are other spellings of the ID.
	Or       []directory.ID
	DN       string
	Mail     string
	UserName string
	// Kind limits the search. Zero searches both kinds.
	Kind directory.Kind
}

// Location is the result of a search in a live directory.
type Location struct {
	// Server is the directory that was asked.
	Server string
	// Searched are the places that were searched, in order, with those in scope first. The search ends at the first
	// place with a result.
	Searched []string
	// Unsearched are places that could not be searched, each with the reason.
	Unsearched []string
	// Incomplete is set if one of the unsearched places is one that Read searches, or is the only requested place. An
	// empty result then proves nothing.
	Incomplete bool
	// Sightings are the entries that were found. No sightings is a valid result.
	Sightings []Sighting
}

// Sighting is one entry of a live directory.
type Sighting struct {
	// Ref has an empty ID if the ID cannot be read. Its Kind is the one with the rules that the entry comes closest
	// to.
	directory.Ref
	DN string
	// Rules are the rules of the source's scope, in the order in which they are applied.
	Rules []Rule
	// LeftOut lists the values of a group in scope that lead to no usable entry, the first 200 of them.
	LeftOut []LeftOut
	// Entry is the entry as Read would return it, without members. It is nil if the entry cannot be decoded.
	Entry *directory.Entry
}

// LeftOut is a membership value that leads to no usable entry.
type LeftOut struct {
	Value  string `json:"value"`
	Reason string `json:"reason"`
}

// Rule is one condition that an entry must meet to be read.
type Rule struct {
	// Key is the configuration key, such as base_dn, user_object_filter or object_uniqueness_field.
	Key     string `json:"key"`
	Setting string `json:"setting"`
	Met     bool   `json:"met"`
	// Detail says why the rule is not met.
	Detail string `json:"detail,omitempty"`
}

// Broken returns the first rule that is not met. It returns nil for an entry in scope.
func (s *Sighting) Broken() *Rule {
	for i := range s.Rules {
		if !s.Rules[i].Met {
			return &s.Rules[i]
		}
	}
	return nil
}
