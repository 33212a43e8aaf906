package explain

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"rollcall/container"
	"rollcall/decisions"
	"rollcall/directory"
	"rollcall/internal/secret"
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
	// Other is a live entry with the DN, mail address or login name of Stored, where the live directory has no entry
	// with its id. Its own id is another one that is not known, or cannot be read.
	Other     *source.Sighting
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

// withoutSecrets removes the values of attributes that are secret by their name.
func withoutSecrets(in directory.Attributes) directory.Attributes {
	out := make(directory.Attributes, len(in))
	for i, a := range in {
		if out[i] = a; plan.Secret(a.Name) {
			out[i].Values = []string{secret.Redacted}
		}
	}
	return out
}

// values returns the mapped values without secrets, and the names of the hidden fields. A value is secret by the name
// of its field or of an attribute in its expression.
func values(in []mapping.Value) (out []mapping.Value, hidden map[string]bool) {
	out, hidden = make([]mapping.Value, len(in)), map[string]bool{}
	for i, v := range in {
		if plan.Secret(v.Field) || plan.Secret(v.Expression) {
			hidden[v.Field] = true
			if len(v.Values) > 0 {
				v.Values = []string{secret.Redacted}
			}
			if v.Problem != "" {
				v.Problem = secret.Redacted
			}
		}
		out[i] = v
	}
	return out, hidden
}

// censored removes the error text of a mapping that failed on a secret value, because the text may quote the value.
// The problems of the other fields take its place.
func censored(in *ProviderInput, ref directory.Ref, values []mapping.Value) *ProviderInput {
	var known []string
	for _, v := range values {
		if v.Problem != "" {
			known = append(known, v.Field+": "+v.Problem)
		}
	}
	text := cmp.Or(strings.Join(known, "; "), secret.Redacted)
	out := *in
	if d := in.Hop.Desired; d != nil && d.Detail != "" {
		safe := *d
		safe.Detail = text
		out.Hop.Desired = &safe
	}
	out.Hop.Apply.Held = slices.Clone(in.Hop.Apply.Held)
	for i := range out.Hop.Apply.Held {
		if h := &out.Hop.Apply.Held[i]; h.Ref == ref && h.Reason == plan.BadMapping {
			h.Detail = text
		}
	}
	return &out
}

// rows returns the rows of a plan without the values of hidden fields.
func rows(apply, held plan.Plan, hidden map[string]bool) []plan.Row {
	out := []plan.Row{}
	for row := range plan.Rows(apply, held) {
		for i, f := range row.Change.Fields {
			if !hidden[f.Name] {
				continue
			}
			fields := append([]plan.FieldChange{}, row.Change.Fields...)
			fields[i] = plan.FieldChange{Name: f.Name, Before: redacted(f.Before), After: redacted(f.After)}
			row.Change.Fields = fields
		}
		out = append(out, row)
	}
	return out
}

func redacted(values []string) []string {
	if len(values) == 0 {
		return nil
	}
	return []string{secret.Redacted}
}

// waiting returns what a held set says about other entries.
func waiting(set decisions.HeldSet, decided map[string]decisions.Decision, of directory.Ref) reconcile.Waiting {
	w := reconcile.Waiting{Held: map[directory.Ref]plan.Brake{}, Members: map[directory.ID]int{},
		Settled: map[directory.Ref]bool{}}
	for _, c := range set.Conflicts {
		ref, _ := plan.ParseRef(c.Kind + "/" + c.ID)
		w.Settled[ref] = true
	}
	var updates plan.Plan
	for i := range set.Changes {
		c := &set.Changes[i]
		ref := c.Ref()
		_, is := decided[c.Fingerprint]
		brake := brakeOf(c)
		if fields := c.Changed(); fields != nil && !is && ref != of && c.Op == plan.Update.String() {
			updates.Changes = append(updates.Changes, plan.Change{Op: plan.Update, Ref: ref, Fields: fields})
		}
		switch {
		case brake == "" || ref == of || c.Member == string(of.ID):
		case brake == plan.BrakeMembers && !is:
			w.Members[ref.ID]++
		case brake == plan.BrakeMembers:
		case is:
			w.Settled[ref] = true
		default:
			w.Held[ref] = brake
		}
	}
	w.Emptied = updates.Emptied()
	return w
}

// brakeOf returns the brake that counts a held change.
func brakeOf(c *decisions.HeldChange) plan.Brake {
	switch c.Op {
	case plan.Suspend.String(), plan.Delete.String():
		return plan.BrakeLeave
	case plan.RemoveMember.String():
		return plan.BrakeMembers
	case plan.Restore.String(), plan.Undelete.String():
		return plan.BrakeReactivate
	}
	switch plan.Rule(c.Guard) {
	case plan.RuleReactivate:
		return plan.BrakeReactivate
	case plan.RuleRename:
		return plan.BrakeRename
	}
	return ""
}
