package boot

import (
	"context"
	"encoding/base64"
	"slices"
	"strings"

	"github.com/google/uuid"

	"rollcall/directory"
	"rollcall/explain"
	"rollcall/provider/entra"
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

// known finds the entry in the local directory: by its id in one of its spellings, its DN or mail address among users and groups;
// by a name among the users, and where none of them has it among the groups.
func (x *explainer) known(ctx context.Context, q explain.Query) ([]stored, error) {
	for _, text := range spellings(q) {
		q.Value = text
		out, err := x.spelt(ctx, q)
		if err != nil || len(out) > 0 {
			return out, err
		}
	}
	return nil, nil
}

func (x *explainer) spelt(ctx context.Context, q explain.Query) ([]stored, error) {
	var out []stored
	for _, kind := range directory.Kinds {
		if q.By == explain.ByUserName && slices.ContainsFunc(out, func(s stored) bool { return s.entry != nil }) {
			break
		}
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

// spellings returns what a query may mean: the text itself, and of an id what people have in hand for it. Windows writes GUIDs in
// braces, Entra has them as onPremisesImmutableId, in base64: by us of the canonical text, by others of an objectGUID's bytes.
func spellings(q explain.Query) []string {
	out := []string{q.Value}
	if q.By != explain.ByID {
		return out
	}
	if u, err := uuid.Parse(q.Value); err == nil {
		out = append(out, u.String())
	}
	if id, is := entra.ID(q.Value); is {
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
		called := []string{directory.UserName}
		if e.Kind == directory.Group {
			called = []string{directory.CommonName, directory.DisplayName}
		}
		return slices.ContainsFunc(called, func(name string) bool { return strings.EqualFold(e.Attributes.Get(name), q.Value) })
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

// nobody reports whether no directory knows whom a query names.
func nobody(in *explain.Input) bool {
	return in.Ref.ID == "" && len(in.Candidates) == 0 && !anySeen(in.Sources)
}

// wanted says what to ask a live directory for: by the entry's id once it is known.
func wanted(q explain.Query, ref directory.Ref) source.Wanted {
	switch {
	case ref.ID != "":
		return source.Wanted{ID: ref.ID, Kind: ref.Kind}
	case q.By == explain.ByEmail:
		return source.Wanted{Mail: q.Value}
	case q.By == explain.ByUserName:
		return source.Wanted{UserName: q.Value}
	}
	texts := spellings(q)
	if len(texts) == 1 && isDN(q.Value) {
		return source.Wanted{DN: q.Value}
	}
	w := source.Wanted{ID: directory.ID(q.Value)}
	for _, text := range texts[1:] {
		w.Or = append(w.Or, directory.ID(text))
	}
	return w
}

func isDN(text string) bool {
	_, err := ldap.NormalizeDN(text)
	return err == nil && strings.Contains(text, "=")
}
