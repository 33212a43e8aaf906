package store

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"slices"

	"rollcall/directory"
	"rollcall/fault"
	packed "rollcall/internal/stored"
	"rollcall/plan"
)

// record is an entry as builds of format 1 stored it, as JSON.
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

// wellKnown are the attributes that most entries have. They are stored as their places in this list plus one, so that
// it may only grow at its end. Other names are stored as a zero and a text.
var wellKnown = []string{directory.UserName, directory.DisplayName, directory.GivenName, directory.FamilyName,
	directory.CommonName, directory.Mail, directory.EmployeeNumber, directory.Description}

// encode returns an entry as it is stored. It is compact, because groups have members by the ten thousand, and says
// which version it is, because it is not read in the same moment as its token.
func encode(e *directory.Entry, digest string, readAt int64) []byte {
	active := byte(0)
	if e.Active {
		active = 1
	}
	b := packed.AppendID([]byte{packed.Compact, active}, digest)
	b = packed.AppendText(binary.AppendVarint(b, readAt), e.DN)
	b = binary.AppendUvarint(b, uint64(len(e.Attributes)))
	for _, a := range e.Attributes {
		at := slices.Index(wellKnown, a.Name) + 1
		if b = binary.AppendUvarint(b, uint64(at)); at == 0 { //nolint:gosec // a place in a list
			b = packed.AppendText(b, a.Name)
		}
		b = binary.AppendUvarint(b, uint64(len(a.Values)))
		for _, v := range a.Values {
			b = packed.AppendText(b, v)
		}
	}
	for _, kind := range directory.Kinds {
		n, at := uint64(0), len(b)
		for _, m := range e.Members {
			if m.Kind == kind {
				b, n = packed.AppendID(b, string(m.ID)), n+1
			}
		}
		b = slices.Insert(b, at, binary.AppendUvarint(nil, n)...)
	}
	return b
}

// encodeHead is encode for a group without its members.
func encodeHead(e *directory.Entry, digest string, readAt int64) []byte {
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
	s := &stored{Entry: directory.Entry{Kind: kind, ID: directory.ID(id), Source: d.source}}
	read := d.first
	if packed.IsCompact(text) {
		read = d.compact
	}
	if err := read(s, text); err != nil {
		return nil, fault.Errorf(fault.Internal, "local directory: %s/%s of source %s: %w", kind, id, d.source, err)
	}
	return s, nil
}

// compact reads what encode wrote.
func (d *decoder) compact(s *stored, text string) error {
	r := packed.NewReader(text)
	bits := r.Uint()
	if bits > 1 {
		return errors.New("it says what a later version knows")
	}
	s.Active, s.digest, s.readAt, s.DN = bits == 1, r.ID(), r.Int(), r.Text()
	s.Attributes = make(directory.Attributes, 0, r.Count())
	for range cap(s.Attributes) {
		a := directory.Attribute{}
		switch at := r.Uint(); {
		case at == 0:
			a.Name = d.name(r.Text())
		case at <= uint64(len(wellKnown)):
			a.Name = wellKnown[at-1]
		default:
			return errors.New("an attribute has a number of a later version")
		}
		a.Values = make([]string, r.Count())
		for i := range a.Values {
			a.Values[i] = r.Text()
		}
		if len(a.Values) > 0 {
			s.Attributes = append(s.Attributes, a)
		}
	}
	for _, kind := range directory.Kinds {
		n := r.Count()
		s.Members = slices.Grow(s.Members, n)
		for range n {
			s.Members = append(s.Members, directory.Ref{Kind: kind, ID: d.member(directory.ID(r.ID()))})
		}
	}
	return r.Err()
}

// first reads a record of format 1.
func (d *decoder) first(s *stored, text string) error {
	var r record
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return err
	}
	s.digest, s.readAt, s.DN, s.Active, s.Attributes = r.Digest, r.ReadAt, r.DN, r.Active, d.attributes(r.Attributes)
	if n := len(r.Users) + len(r.Groups); n > 0 {
		s.Members = make([]directory.Ref, 0, n)
	}
	for _, id := range r.Users {
		s.Members = append(s.Members, directory.Ref{Kind: directory.User, ID: d.member(id)})
	}
	for _, id := range r.Groups {
		s.Members = append(s.Members, directory.Ref{Kind: directory.Group, ID: d.member(id)})
	}
	return nil
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
		from := len(values)
		values = append(values, list[1:]...)
		out = append(out, directory.Attribute{Name: d.name(list[0]), Values: values[from:len(values):len(values)]})
	}
	return out
}

// name returns the one copy of an attribute's name.
func (d *decoder) name(name string) string {
	one, ok := d.names[name]
	if !ok {
		one = name
		d.names[name] = name
	}
	return one
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

// setFields makes the fields of a change the entry's, which is the inverse of what Desired does. The values are taken
// over, not copied.
func setFields(e *directory.Entry, fields []plan.FieldChange) {
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
