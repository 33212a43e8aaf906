package explain

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"rollcall/decisions"
	"rollcall/directory"
	"rollcall/plan"
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
		return slices.ContainsFunc(e.Attributes.Values(directory.Mail),
			func(mail string) bool { return strings.EqualFold(mail, q.Value) })
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
	return strings.EqualFold(string(e.ID), q.Value) || strings.Contains(q.Value, "=") &&
		strings.EqualFold(e.DN, q.Value)
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

// unknown reports whether no directory has an entry for the query.
func unknown(in *Input) bool {
	seen := func(s SourceInput) bool { return s.Location != nil && len(s.Location.Sightings) > 0 }
	return in.Ref.ID == "" && len(in.Candidates) == 0 && !slices.ContainsFunc(in.Sources, seen)
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

// sourceOf explains the entry for one source.
func sourceOf(in *SourceInput, ref directory.Ref) Source {
	s := Source{
		Container: in.Container, ReadAt: MomentOf(in.ReadAt), CompletedAt: MomentOf(in.CompletedAt),
		Stored: in.Stored != nil,
		Live:   liveOf(in), Held: holds(in.Held, in.Decisions, ref),
	}
	if in.Writing != "" {
		s.Writing = &in.Writing
	}
	if in.Departure != nil {
		s.DepartedAt = MomentOf(in.Departure.Left)
	}
	s.Code, s.Verdict = judgeSource(in, ref)
	s.Verdict = fmt.Sprintf("%s: %s", in.Container, s.Verdict)
	if len(s.Held) > 0 {
		s.Verdict += fmt.Sprintf(" A guard holds its %s in the local directory (%s): %s", s.Held[0].Op, s.Held[0].Guard,
			approveWith(in.Container, &s.Held[0]))
	}
	return s
}

func liveOf(in *SourceInput) Live {
	l := Live{Problem: in.unanswered(), Searched: []string{}, Unsearched: []string{}, Rules: []source.Rule{}}
	l.Asked = in.Location != nil && l.Problem == ""
	if in.Location == nil {
		return l
	}
	l.Server = in.Location.Server
	l.Searched, l.Unsearched = append(l.Searched, in.Location.Searched...), append(l.Unsearched,
		in.Location.Unsearched...)
	if seen := in.sighting(); seen != nil {
		l.Present, l.DN, l.ID = true, seen.DN, string(seen.ID)
		l.Rules, l.LeftOut = append(l.Rules, seen.Rules...), seen.LeftOut
		l.Changed = changed(in.Stored, seen)
	}
	return l
}

// changed reports whether a live user differs from the stored one. It does not compare members and is always false
// for a group.
func changed(stored *directory.Entry, seen *source.Sighting) bool {
	return stored != nil && seen.Entry != nil && stored.Kind == directory.User && stored.Digest() != seen.Entry.Digest()
}

// judgeSource classifies the source. Rules that decide come first, missing knowledge comes last.
func judgeSource(in *SourceInput, ref directory.Ref) (SourceCode, string) {
	seen := in.sighting()
	if !in.Enabled {
		return Disabled, "the source is switched off (enabled: false) and is not read."
	}
	if seen != nil {
		if broken := seen.Broken(); broken != nil {
			return leftOut(in, seen, broken)
		}
	}
	if i := unusable(in, ref, seen); i >= 0 {
		text := fmt.Sprintf("the last sync of this source could not use it: %s. It stays so until the entry is "+
			"corrected.",
			strings.TrimSuffix(in.Held.Conflicts[i].Detail, "."))
		if in.Stored != nil {
			text += " The local directory keeps it as it was."
		}
		return Unusable, text
	}
	switch {
	case in.Stored != nil:
		return stored(in, seen)
	case !in.Completed:
		return NeverRead, "it was never read: no sync of this source has completed. Run it first." + there(seen)
	case seen != nil:
		return Joined, fmt.Sprintf("it is at %s, in scope, and not in the local directory yet: the source was last "+
			"read %s. The next sync of this source brings it.", seen.DN, when(in.ReadAt))
	case in.Departure != nil:
		return Departed, fmt.Sprintf("it left: the local directory has known that since %s.%s", when(in.Departure.Left),
			unasked(in))
	case in.unanswered() != "":
		return NotAsked, "the local directory does not have it, and the live one could not be asked: " +
			in.unanswered() + "."
	}
	return Absent, "neither the local directory nor the live one has it." + searched(in)
}

// unusable returns where the newest run of the source has the entry among those that it could not use, or -1.
func unusable(in *SourceInput, ref directory.Ref, seen *source.Sighting) int {
	return slices.IndexFunc(in.Held.Conflicts, func(c decisions.Conflict) bool {
		byID := ref.ID != "" && c.ID == string(ref.ID) && c.Kind == ref.Kind.String()
		return c.Reason == string(plan.Unusable) && (byID || seen != nil && c.ID == "" && seen.DN != "" &&
			strings.HasPrefix(c.Detail, seen.DN+":"))
	})
}

// codes maps the keys of rules to codes.
var codes = map[string]SourceCode{
	"base_dn": OutsideBase, "additional_user_dn": OutsideBase, "additional_group_dn": OutsideBase,
	"user_object_filter": FilteredOut, "group_object_filter": FilteredOut, "sync_users": NotWanted,
	"sync_groups": NotWanted,
}

func leftOut(in *SourceInput, seen *source.Sighting, broken *source.Rule) (SourceCode, string) {
	code := cmp.Or(codes[broken.Key], Unusable)
	text := fmt.Sprintf("it is left out by %s: %s.", broken.Key, broken.Detail)
	if code == Unusable {
		text = fmt.Sprintf("the entry %s cannot be used (%s): %s.", seen.DN, broken.Key, broken.Detail)
	}
	switch {
	case in.Stored != nil && strings.HasSuffix(broken.Key, "object_uniqueness_field"):
		text += " " + stays
	case in.Stored != nil:
		text += " The local directory still has it: the next sync of this source takes it out."
	case in.Departure != nil:
		text += " It left the local directory " + when(in.Departure.Left) + "."
	}
	return code, text
}

// stays says what a run does with a known entry that cannot be used.
const stays = "The next sync of this source leaves it in the local directory as it is, until the entry is repaired " +
	"or deleted."

func stored(in *SourceInput, seen *source.Sighting) (SourceCode, string) {
	at := "it was read at " + in.Stored.DN
	if !in.Stored.Active {
		at += ", where it is disabled"
	}
	if at += "; the source was last read " + when(in.ReadAt) + "."; !in.Completed {
		at += " No sync of this source has completed: run it again."
	}
	switch {
	case in.unanswered() != "" || in.Location == nil:
		return Read, at + unasked(in)
	case seen == nil && in.Other != nil && in.Other.ID == "":
		return Unusable, fmt.Sprintf("%s The live directory has no entry with its unique id, and %s has no readable "+
			"one and may be it. %s", at, in.Other.DN, stays)
	case seen == nil && in.Other != nil:
		return Read, fmt.Sprintf("%s It was created again: the live directory has %s with another unique id (%s). The "+
			"next sync of this source takes that over, and the providers ask before the account follows "+
			"(reanchor).", at,
			in.Other.DN, in.Other.ID)
	case seen == nil:
		text := at + " The live directory no longer has it: the next full sync of this source concludes that it left"
		if n := nameless(in, in.Stored.Kind); n > 0 { // They may show what no search finds.
			return Leaving, fmt.Sprintf("%s, unless it is one of the entries without a readable unique id (%d).", text, n)
		}
		return Leaving, text + "."
	case changed(in.Stored, seen):
		return Read, at + " It has changed in the live directory since: the next sync of this source brings that."
	}
	return Read, at
}

func there(seen *source.Sighting) string {
	if seen == nil {
		return ""
	}
	return " The live directory has it, at " + seen.DN + "."
}

func unasked(in *SourceInput) string {
	if in.unanswered() == "" {
		return ""
	}
	return " The live directory could not be asked: " + in.unanswered() + "."
}

func searched(in *SourceInput) string {
	if in.Location == nil || len(in.Location.Searched)+len(in.Location.Unsearched) == 0 {
		return ""
	}
	text := ""
	if list := in.Location.Searched; len(list) > 0 {
		text = " Searched on " + in.Location.Server + ": " + strings.Join(list, "; ") + "."
	}
	if list := in.Location.Unsearched; len(list) > 0 {
		text += " Not searched: " + strings.Join(list, "; ") + "."
	}
	return text
}

func when(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format(time.RFC3339)
}
