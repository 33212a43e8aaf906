package explain

import (
	"strings"
	"time"

	"rollcall/container"
	"rollcall/decisions"
	"rollcall/directory"
	"rollcall/mapping"
	"rollcall/plan"
	"rollcall/reconcile"
	"rollcall/source"
)

// Input is everything that was gathered about one entry.
type Input struct {
	Query Query
	Now   time.Time
	// Ref is the entry; its ID is empty where the query finds none.
	Ref directory.Ref
	// Candidates are several entries that the query names: there is nothing else then.
	Candidates []Candidate
	Sources    []SourceInput
	Providers  []ProviderInput
}

// Copy says how the local copy of a source stands.
type Copy struct {
	// Completed says that a sync has completed; the times are those of the last one. Writing is the run that writes now.
	Completed           bool
	ReadAt, CompletedAt time.Time
	Writing             string
}

// SourceInput is what was gathered of one source.
type SourceInput struct {
	Container container.ID
	Enabled   bool
	Copy
	// Stored is what the local directory has of the entry, Departure when it left.
	Stored    *directory.Entry
	Departure *directory.Departure
	// Location is what the live directory answered; LocateErr why it did not. Neither is there where it was not asked.
	Location  *source.Location
	LocateErr error
	Held      decisions.HeldSet
	Decisions map[string]decisions.Decision
}

// sighting returns the live entry.
func (s *SourceInput) sighting() *source.Sighting {
	if s.Location == nil || len(s.Location.Sightings) == 0 {
		return nil
	}
	return &s.Location.Sightings[0]
}

// unanswered says why the live directory did not answer; empty where it did, or was not asked.
func (s *SourceInput) unanswered() string {
	switch l := s.Location; {
	case s.LocateErr != nil:
		return s.LocateErr.Error()
	case l != nil && l.Incomplete && len(l.Sightings) == 0:
		return strings.Join(l.Unsearched, "; ")
	}
	return ""
}

// ProviderInput is what was gathered of one provider.
type ProviderInput struct {
	Container container.ID
	Policy    plan.Policy
	// Hop is what the engine says of the entry.
	Hop      reconcile.Explanation
	Mapping  []mapping.Value
	Attempts []decisions.Attempt
	// GroupLabels are the names of the groups among the attempts.
	GroupLabels map[directory.ID]string
	Held        decisions.HeldSet
	Decisions   map[string]decisions.Decision
	// Off says that the provider is switched off: nothing was gathered of it.
	Off bool
	// Strangers are the remote objects that have the address which was asked for, where no directory knows it.
	Strangers []plan.Object
	// Err says why nothing could be gathered of the provider.
	Err error
}

// Of explains an entry.
func Of(in Input) Document {
	d := Document{
		Query: in.Query, At: Moment(in.Now), Candidates: in.Candidates, Sources: []Source{}, Providers: []Provider{},
	}
	if d.Candidates == nil {
		d.Candidates = []Candidate{}
	}
	for i := range in.Sources {
		d.Sources = append(d.Sources, sourceOf(&in.Sources[i], in.Ref))
	}
	d.Entry = entryOf(&in)
	for i := range in.Providers {
		d.Providers = append(d.Providers, providerOf(&in.Providers[i], &in, d.Sources))
	}
	d.conclude(&in)
	return d
}

// entryOf returns the entry as the local directory has it, else as a live one does.
func entryOf(in *Input) *Entry {
	for i := range in.Sources {
		if e := in.Sources[i].Stored; e != nil {
			return shown(e, e.DN, true)
		}
	}
	for i := range in.Sources {
		s := &in.Sources[i]
		seen := s.sighting()
		switch {
		case seen == nil:
		case seen.Entry != nil:
			return shown(seen.Entry, seen.DN, false)
		default:
			return &Entry{Ref: seen.Ref, Label: seen.DN, Source: s.Container.Name(), DN: seen.DN, Attributes: directory.Attributes{}}
		}
	}
	for i := range in.Sources {
		if d := in.Sources[i].Departure; d != nil {
			return &Entry{Ref: d.Ref, Label: d.Label, Source: d.Source, Attributes: directory.Attributes{}}
		}
	}
	return nil
}

func shown(e *directory.Entry, dn string, stored bool) *Entry {
	return &Entry{
		Ref: e.Ref(), Label: e.Label(), Source: e.Source, DN: dn, Active: e.Active, Stored: stored, Attributes: withoutSecrets(e.Attributes),
	}
}
