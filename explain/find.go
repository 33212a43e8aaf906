package explain

import (
	"context"
	"encoding/base64"
	"slices"
	"strings"

	"github.com/google/uuid"

	"rollcall/directory"
	"rollcall/source"
)

// match is an entry of the local directory, or a departed entry.
type match struct {
	ref       directory.Ref
	slug      string
	entry     *directory.Entry
	departure *directory.Departure
}

// known finds the entry in the local directory. An id, in any of its spellings, a DN or a mail address is searched
// among users and groups. A name is searched among the users first, and among the groups if no user has it.
func (x *Explainer) known(ctx context.Context, q Query) ([]match, error) {
	for _, text := range x.spellings(q) {
		q.Value = text
		out, err := x.spelt(ctx, q)
		if err != nil || len(out) > 0 {
			return out, err
		}
	}
	return nil, nil
}

func (x *Explainer) spelt(ctx context.Context, q Query) ([]match, error) {
	var out []match
	for _, kind := range directory.Kinds {
		if q.By == ByUserName && slices.ContainsFunc(out, func(s match) bool { return s.entry != nil }) {
			break
		}
		for i := range x.cfg.Sources {
			some, err := inSource(ctx, &x.cfg.Sources[i], kind, q)
			if err != nil {
				return nil, err
			}
			out = append(out, some...)
		}
	}
	return oneOfEach(out), nil
}

// spellings returns the possible meanings of a query: the text itself and, for an id, its other spellings. Windows
// writes GUIDs in braces, and some tools show the bytes of an objectGUID in base64. Providers have spellings of their
// own.
func (x *Explainer) spellings(q Query) []string {
	out := []string{q.Value}
	if q.By != ByID {
		return out
	}
	if u, err := uuid.Parse(q.Value); err == nil {
		out = append(out, u.String())
	}
	if id := x.cfg.AnchorID(q.Value); id != "" {
		out = append(out, string(id))
	}
	if raw, err := base64.StdEncoding.DecodeString(q.Value); err == nil && len(raw) == len(uuid.UUID{}) {
		slices.Reverse(raw[:4]) // The first three groups of an objectGUID are little-endian.
		slices.Reverse(raw[4:6])
		slices.Reverse(raw[6:8])
		out = append(out, uuid.UUID(raw).String())
	}
	return slices.Compact(out)
}

func inSource(ctx context.Context, s *SourceAccess, kind directory.Kind, q Query) ([]match, error) {
	refs, err := s.Find(ctx, kind, q.Value)
	if err != nil {
		return nil, err
	}
	var out []match
	for _, ref := range refs {
		e, d, err := s.Entry(ctx, ref)
		if err != nil {
			return nil, err
		}
		if e == nil && d == nil || e != nil && !names(e, q) {
			continue
		}
		out = append(out, match{ref, s.Container.Name(), e, d})
	}
	return out, nil
}

// names reports whether the query names the entry.
func names(e *directory.Entry, q Query) bool {
	switch q.By {
	case ByEmail:
		for _, mail := range e.Attributes.Values(directory.Mail) {
			if strings.EqualFold(mail, q.Value) {
				return true
			}
		}
		return false
	case ByUserName:
		called := []string{directory.UserName}
		if e.Kind == directory.Group {
			called = []string{directory.CommonName, directory.DisplayName}
		}
		return slices.ContainsFunc(called, func(name string) bool {
			return strings.EqualFold(e.Attributes.Get(name), q.Value)
		})
	case ByID:
	}
	return strings.EqualFold(string(e.ID), q.Value) || strings.Contains(q.Value, "=") && strings.EqualFold(e.DN, q.Value)
}

// oneOfEach removes departed entries if a present entry has the name, and duplicates from several sources.
func oneOfEach(in []match) []match {
	here := false
	for _, s := range in {
		here = here || s.entry != nil
	}
	var out []match
	seen := map[directory.Ref]bool{}
	for _, s := range in {
		if (s.entry == nil && here) || seen[s.ref] {
			continue
		}
		seen[s.ref] = true
		out = append(out, s)
	}
	return out
}

func candidates(found []match) []Candidate {
	var out []Candidate
	for _, s := range found {
		c := Candidate{Ref: s.ref, Source: s.slug}
		if s.entry != nil {
			c.Label, c.DN = s.entry.Label(), s.entry.DN
		} else {
			c.Label = s.departure.Label
		}
		out = append(out, c)
	}
	return out
}

// seen returns the entry that the live directories have for the query, or several candidates.
func seen(sources []SourceInput) (directory.Ref, []Candidate) {
	var out []Candidate
	ids := map[directory.Ref]bool{}
	for i := range sources {
		s := &sources[i]
		if s.Location == nil {
			continue
		}
		for _, one := range s.Location.Sightings {
			c := Candidate{Ref: one.Ref, Label: one.DN, Source: s.Container.Name(), DN: one.DN}
			if one.Entry != nil {
				c.Label = one.Entry.Label()
			}
			if one.ID == "" || !ids[one.Ref] {
				out = append(out, c)
			}
			ids[one.Ref] = true
		}
	}
	switch len(out) {
	case 0:
		return directory.Ref{}, nil
	case 1:
		return out[0].Ref, nil
	}
	return directory.Ref{}, out
}

func anySeen(sources []SourceInput) bool {
	for i := range sources {
		if l := sources[i].Location; l != nil && len(l.Sightings) > 0 {
			return true
		}
	}
	return false
}

// unknown reports whether no directory has an entry for the query.
func unknown(in *Input) bool {
	return in.Ref.ID == "" && len(in.Candidates) == 0 && !anySeen(in.Sources)
}

// wanted returns the query for a live directory. It uses the entry's id if the id is known.
func (x *Explainer) wanted(q Query, ref directory.Ref) source.Wanted {
	switch {
	case ref.ID != "":
		return source.Wanted{ID: ref.ID, Kind: ref.Kind}
	case q.By == ByEmail:
		return source.Wanted{Mail: q.Value}
	case q.By == ByUserName:
		return source.Wanted{UserName: q.Value}
	}
	texts := x.spellings(q)
	if len(texts) == 1 && x.cfg.IsDN(q.Value) {
		return source.Wanted{DN: q.Value}
	}
	w := source.Wanted{ID: directory.ID(q.Value)}
	for _, text := range texts[1:] {
		w.Or = append(w.Or, directory.ID(text))
	}
	return w
}
