package store

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"rollcall/directory"
	"rollcall/fault"
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
	r := record{Digest: digest, ReadAt: readAt, DN: e.DN, Active: e.Active, Attributes: make([][]string, len(e.Attributes))}
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
}

func (p *Part) decoder() *decoder { return &decoder{source: p.slug, names: map[string]string{}} }

func (d *decoder) decode(kind directory.Kind, id, text string) (*stored, error) {
	var r record
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return nil, fault.Errorf(fault.Internal, "local directory: %s/%s of source %s: %w", kind, id, d.source, err)
	}
	s := &stored{digest: r.Digest, readAt: r.ReadAt}
	s.Entry = directory.Entry{Kind: kind, ID: directory.ID(id), Source: d.source, DN: r.DN, Active: r.Active}
	s.Attributes = make(directory.Attributes, 0, len(r.Attributes))
	for _, a := range r.Attributes {
		if len(a) == 0 {
			return nil, fault.Errorf(fault.Internal, "local directory: %s/%s of source %s: an attribute has no name", kind, id, d.source)
		}
		s.Attributes = append(s.Attributes, directory.Attribute{Name: d.intern(a[0]), Values: a[1:]})
	}
	if n := len(r.Users) + len(r.Groups); n > 0 {
		s.Members = make([]directory.Ref, 0, n)
	}
	for _, id := range r.Users {
		s.Members = append(s.Members, directory.Ref{Kind: directory.User, ID: id})
	}
	for _, id := range r.Groups {
		s.Members = append(s.Members, directory.Ref{Kind: directory.Group, ID: id})
	}
	return s, nil
}

func (d *decoder) intern(name string) string {
	if one, ok := d.names[name]; ok {
		return one
	}
	name = strings.Clone(name)
	d.names[name] = name
	return name
}

// names returns what the entry can be found by besides its ID, sorted and unique, in lower case and with its kind.
func names(e *directory.Entry) []string {
	list := append([]string{e.DN}, e.Attributes.Values(directory.Mail)...)
	if e.Kind == directory.User {
		list = append(list, e.Attributes.Get(directory.UserName))
	} else { // A person's full name tells nobody apart.
		list = append(list, e.Attributes.Get(directory.CommonName), e.Attributes.Get(directory.DisplayName))
	}
	out := list[:0]
	for _, name := range list {
		if name = nameField(e.Kind, name); name != "" {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// nameField returns the field of the name index under which a name is found, or "" for no name.
func nameField(kind directory.Kind, name string) string {
	if name = strings.ToLower(strings.TrimSpace(name)); name == "" {
		return ""
	}
	return fmt.Sprintf("%s/%s", kind, name)
}
