package boot

import (
	"context"
	"strings"

	"github.com/google/uuid"

	"rollcall/directory"
	"rollcall/explain"
	"rollcall/source"
	"rollcall/source/ldap"
)

// stored is an entry of the local directory, or one that left it.
type stored struct {
	ref       directory.Ref
	slug      string
	entry     *directory.Entry
	departure *directory.Departure
}

// known finds the entry in the local directory: by its id or DN of either kind, else among the users.
func (x *explainer) known(ctx context.Context, q explain.Query) ([]stored, error) {
	kinds := []directory.Kind{directory.User}
	if q.By == explain.ByID {
		kinds = directory.Kinds[:]
	}
	var out []stored
	for _, kind := range kinds {
		for i := range x.app.Config.Sources.LDAP {
			slug := x.app.Config.Sources.LDAP[i].Slug
			some, err := x.inPart(ctx, slug, kind, q)
			if err != nil {
				return nil, err
			}
			out = append(out, some...)
		}
	}
	return oneOfEach(out), nil
}

func (x *explainer) inPart(ctx context.Context, slug string, kind directory.Kind, q explain.Query) ([]stored, error) {
	found, err := x.app.reader([]string{slug}).Find(ctx, kind, q.Value)
	if err != nil {
		return nil, err
	}
	var out []stored
	for _, m := range found {
		e, d, err := x.part(slug).Entry(ctx, m.Ref)
		if err != nil {
			return nil, err
		}
		if e == nil && d == nil || e != nil && !names(e, q) {
			continue
		}
		out = append(out, stored{m.Ref, slug, e, d})
	}
	return out, nil
}

// names reports whether the query names the entry by what it says.
func names(e *directory.Entry, q explain.Query) bool {
	switch q.By {
	case explain.ByEmail:
		for _, mail := range e.Attributes.Values(directory.Mail) {
			if strings.EqualFold(mail, q.Value) {
				return true
			}
		}
		return false
	case explain.ByUserName:
		return strings.EqualFold(e.Attributes.Get(directory.UserName), q.Value)
	case explain.ByID:
	}
	return strings.EqualFold(string(e.ID), q.Value) || strings.Contains(q.Value, "=") && strings.EqualFold(e.DN, q.Value)
}

// oneOfEach drops who left where somebody is there, and an entry that several sources have: each source says so itself.
func oneOfEach(in []stored) []stored {
	here := false
	for _, s := range in {
		here = here || s.entry != nil
	}
	var out []stored
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

func candidates(found []stored) []explain.Candidate {
	var out []explain.Candidate
	for _, s := range found {
		c := explain.Candidate{Ref: s.ref, Source: s.slug}
		if s.entry != nil {
			c.Label, c.DN = s.entry.Label(), s.entry.DN
		} else {
			c.Label = s.departure.Label
		}
		out = append(out, c)
	}
	return out
}

// seen returns whom the live directories know by the query: one, or several to choose from.
func seen(sources []explain.SourceInput) (directory.Ref, []explain.Candidate) {
	var out []explain.Candidate
	ids := map[directory.Ref]bool{}
	for i := range sources {
		s := &sources[i]
		if s.Location == nil {
			continue
		}
		for _, one := range s.Location.Sightings {
			c := explain.Candidate{Ref: one.Ref, Label: one.DN, Source: s.Container.Name(), DN: one.DN}
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

func anySeen(sources []explain.SourceInput) bool {
	for i := range sources {
		if l := sources[i].Location; l != nil && len(l.Sightings) > 0 {
			return true
		}
	}
	return false
}

// wanted says what to ask a live directory for: by the entry's id once it is known.
func wanted(q explain.Query, ref directory.Ref) source.Wanted {
	switch {
	case ref.ID != "":
		return source.Wanted{ID: ref.ID, Kind: ref.Kind}
	case q.By == explain.ByEmail:
		return source.Wanted{Mail: q.Value, Kind: directory.User}
	case q.By == explain.ByUserName:
		return source.Wanted{UserName: q.Value, Kind: directory.User}
	case isDN(q.Value):
		return source.Wanted{DN: q.Value}
	case uuid.Validate(q.Value) == nil:
		return source.Wanted{ID: directory.ID(strings.ToLower(q.Value))}
	}
	return source.Wanted{ID: directory.ID(q.Value)}
}

func isDN(text string) bool {
	_, err := ldap.NormalizeDN(text)
	return err == nil && strings.Contains(text, "=")
}
