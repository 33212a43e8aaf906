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

// Input is all evidence about one entry.
type Input struct {
	Query Query
	Now   time.Time
	// Ref is the entry. Its ID is empty if the query matches none.
	Ref directory.Ref
	// Candidates are the matching entries if there are several. The other fields are empty then.
	Candidates []Candidate
	Sources    []SourceInput
	Providers  []ProviderInput
}

// Copy describes the local copy of a source.
type Copy struct {
	// Completed reports whether any sync completed. The times are those of the last one. Writing is the run that
	// writes now.
	Completed           bool
	ReadAt, CompletedAt time.Time
	Writing             string
}

// SourceInput is the evidence from one source.
type SourceInput struct {
	Container container.ID
	Enabled   bool
	Copy
	// Stored is the entry in the local directory, Departure its departure.
	Stored    *directory.Entry
	Departure *directory.Departure
	// Location is the answer of the live directory, LocateErr its error. Both are nil if the directory was not asked.
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

// unanswered returns the reason why the live directory did not answer; empty if it answered or was not asked.
func (s *SourceInput) unanswered() string {
	switch l := s.Location; {
	case s.LocateErr != nil:
		return s.LocateErr.Error()
	case l != nil && l.Incomplete && len(l.Sightings) == 0:
		return strings.Join(l.Unsearched, "; ")
	}
	return ""
}

// ProviderInput is the evidence from one provider.
type ProviderInput struct {
	Container container.ID
	Policy    plan.Policy
	// Hop is the engine's explanation of the entry.
	Hop      reconcile.Explanation
	Mapping  []mapping.Value
	Attempts []decisions.Attempt
	// Receipt is the receipt of the entry's departure, or nil.
	Receipt *decisions.Receipt
	// Order is the order that the user leaves, or nil.
	Order *plan.Order
	// Pause keeps everything from writing to the provider; nil if none does.
	Pause *decisions.Pause
	// GroupLabels are the names of the groups in the attempts.
	GroupLabels map[directory.ID]string
	Held        decisions.HeldSet
	Decisions   map[string]decisions.Decision
	// Off reports whether the provider is disabled. The other evidence is missing then.
	Off bool
	// Strangers are the remote objects with the address of the query, if no directory has that address.
	Strangers []plan.Object
	// Err is the reason why the provider gave no evidence.
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

// entryOf returns the stored entry, or the live one if there is no stored one.
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
			return &Entry{Ref: seen.Ref, Label: seen.DN, Source: s.Container.Name(), DN: seen.DN,
				Attributes: directory.Attributes{}}
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
		Ref: e.Ref(), Label: e.Label(), Source: e.Source, DN: dn, Active: e.Active, Stored: stored,
		Attributes: withoutSecrets(e.Attributes),
	}
}
