package store

import (
	"encoding/json"
	"slices"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
)

// record is an entry as it is stored. It is compact, because groups have members by the ten thousand, and says
// which version it is, because it is not read in the same moment as its token.
type record struct {
	Digest string `json:"digest"`
	ReadAt int64  `json:"read_at"` // microseconds
	DN     string `json:"dn,omitempty"`
	Active bool   `json:"active,omitempty"`
	// Attributes are lists of a name and its values.
	Attributes [][]string     `json:"attributes,omitempty"`
	Users      []directory.ID `json:"users,omitempty"`
	Groups     []directory.ID `json:"groups,omitempty"`
}

func encode(e *directory.Entry, digest string, readAt int64) ([]byte, error) {
	r := record{Digest: digest, ReadAt: readAt, DN: e.DN, Active: e.Active,
		Attributes: make([][]string, len(e.Attributes))}
	for i, a := range e.Attributes {
		r.Attributes[i] = append([]string{a.Name}, a.Values...)
	}
	for _, m := range e.Members {
		if m.Kind == directory.User {
			r.Users = append(r.Users, m.ID)
		} else {
			r.Groups = append(r.Groups, m.ID)
		}
	}
	return json.Marshal(r)
}

// encodeHead is encode for a group without its members.
func encodeHead(e *directory.Entry, digest string, readAt int64) ([]byte, error) {
	head := *e
	head.Members = nil
	return encode(&head, digest, readAt)
}

// stored is a record read.
type stored struct {
	directory.Entry
	digest string
	readAt int64
}

// decoder reads records of one part. It keeps one copy of each attribute's name. It is for one goroutine.
type decoder struct {
	source string
	names  map[string]string
	// ids, where it is not nil, keeps one copy of each member's ID: people are in ten groups each.
	ids map[directory.ID]directory.ID
}

func (p *Part) decoder() *decoder { return &decoder{source: p.slug, names: map[string]string{}} }

func (d *decoder) decode(kind directory.Kind, id, text string) (*stored, error) {
	var r record
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return nil, fault.Errorf(fault.Internal, "local directory: %s/%s of source %s: %w", kind, id, d.source, err)
	}
	s := &stored{digest: r.Digest, readAt: r.ReadAt}
	s.Entry = directory.Entry{Kind: kind, ID: directory.ID(id), Source: d.source, DN: r.DN, Active: r.Active}
	s.Attributes = d.attributes(r.Attributes)
	if n := len(r.Users) + len(r.Groups); n > 0 {
		s.Members = make([]directory.Ref, 0, n)
	}
	for _, id := range r.Users {
		s.Members = append(s.Members, directory.Ref{Kind: directory.User, ID: d.member(id)})
	}
	for _, id := range r.Groups {
		s.Members = append(s.Members, directory.Ref{Kind: directory.Group, ID: d.member(id)})
	}
	return s, nil
}

// attributes returns lists of a name and its values as attributes, which share one array of values.
func (d *decoder) attributes(lists [][]string) directory.Attributes {
	n := 0
	for _, list := range lists {
		n += max(0, len(list)-1)
	}
	values := make([]string, 0, n)
	out := make(directory.Attributes, 0, len(lists))
	for _, list := range lists {
		if len(list) < 2 {
			continue
		}
		name, ok := d.names[list[0]]
		if !ok {
			name = list[0]
			d.names[name] = name
		}
		from := len(values)
		values = append(values, list[1:]...)
		out = append(out, directory.Attribute{Name: name, Values: values[from:len(values):len(values)]})
	}
	return out
}

func (d *decoder) member(id directory.ID) directory.ID {
	if d.ids == nil {
		return id
	}
	one, ok := d.ids[id]
	if !ok {
		one = id
		d.ids[id] = id
	}
	return one
}

// The facts of an entry that are no attributes travel among the fields under these names, so that one diff sees all of
// them. No attribute can have such a name (RFC 4512, section 2.5).
const (
	FieldDN     = plan.MirrorDN
	FieldSource = "@source"
)

// Desired turns what a source said into what its part of the local directory should hold.
func Desired(s directory.Snapshot) []plan.Desired {
	out := make([]plan.Desired, len(s.Entries))
	var source []string // that of the entries before, which most have
	for i := range s.Entries {
		e := tidy(s.Entries[i])
		if len(source) == 0 || source[0] != e.Source {
			source = []string{e.Source}
		}
		d := &out[i]
		*d = plan.Desired{
			Ref: e.Ref(), Label: e.Label(), Source: e.Source, Version: e.Digest(), Active: e.Active,
			Fields: fields(&e, source),
		}
		if !e.Active {
			d.Why = plan.Disabled
		}
		if len(e.Members) > 0 {
			d.Members = make([]plan.Member, len(e.Members))
			for j, m := range e.Members {
				d.Members[j].Ref = m
			}
		}
	}
	return out
}

// tidy returns the entry as it is stored, without empty values.
func tidy(e directory.Entry) directory.Entry {
	empty := func(v string) bool { return v == "" }
	bare := func(a directory.Attribute) bool { return len(a.Values) == 0 }
	if !slices.ContainsFunc(e.Attributes, func(a directory.Attribute) bool {
		return bare(a) || slices.ContainsFunc(a.Values, empty)
	}) {
		return e
	}
	e.Attributes = e.Attributes.Clone()
	for i := range e.Attributes {
		e.Attributes[i].Values = slices.DeleteFunc(e.Attributes[i].Values, empty)
	}
	e.Attributes = slices.DeleteFunc(e.Attributes, bare)
	return e
}

// fields returns the entry's attributes and the other facts, sorted by name. source is the name of its source.
func fields(e *directory.Entry, source []string) directory.Attributes {
	out := make(directory.Attributes, 0, len(e.Attributes)+2)
	if e.DN != "" {
		out = append(out, directory.Attribute{Name: FieldDN, Values: []string{e.DN}})
	}
	out = append(out, directory.Attribute{Name: FieldSource, Values: source})
	out = append(out, e.Attributes...)
	if !slices.IsSortedFunc(out, byName) {
		slices.SortFunc(out, byName)
	}
	return out
}

func byName(a, b directory.Attribute) int {
	switch {
	case a.Name < b.Name:
		return -1
	case a.Name > b.Name:
		return 1
	}
	return 0
}

// setAll gives a new entry the fields that Desired made of it. They are sorted, and none is empty.
func setAll(e *directory.Entry, fields directory.Attributes) {
	for i, f := range fields {
		switch f.Name {
		case FieldDN:
			e.DN = f.Values[0]
		case FieldSource:
			e.Source = f.Values[0]
		default:
			if e.Attributes == nil {
				e.Attributes = make(directory.Attributes, 0, len(fields)-i)
			}
			e.Attributes = append(e.Attributes, f)
		}
	}
}

// SetFields makes the fields of a change the entry's, which is the inverse of what Desired does. The values are taken
// over, not copied.
func SetFields(e *directory.Entry, fields []plan.FieldChange) {
	for _, f := range fields {
		value := ""
		if len(f.After) > 0 {
			value = f.After[0]
		}
		switch f.Name {
		case FieldDN:
			e.DN = value
		case FieldSource:
			e.Source = value
		default:
			e.Attributes = e.Attributes.Set(f.Name, f.After...)
		}
	}
}
