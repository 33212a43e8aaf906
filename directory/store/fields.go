package store

import (
	"slices"

	"rollcall/directory"
	"rollcall/plan"
)

// The facts of an entry that are no attributes travel among the fields under these names, which no attribute can have
// (RFC 4512, section 2.5), so that one diff sees all of them.
const (
	FieldDN     = plan.MirrorDN
	FieldSource = "@source"
)

// Desired turns what a source said into what its part of the local directory should hold.
func Desired(s directory.Snapshot) []plan.Desired {
	out := make([]plan.Desired, len(s.Entries))
	for i := range s.Entries {
		e := tidy(s.Entries[i])
		d := &out[i]
		*d = plan.Desired{
			Ref: e.Ref(), Label: e.Label(), Source: e.Source, Version: e.Digest(), Active: e.Active, Fields: fields(&e),
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
		return bare(a) ||
			slices.ContainsFunc(a.Values, empty)
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

// fields returns the entry's attributes and the other facts, sorted by name.
func fields(e *directory.Entry) directory.Attributes {
	out := make(directory.Attributes, 0, len(e.Attributes)+2)
	if e.DN != "" {
		out = append(out, directory.Attribute{Name: FieldDN, Values: []string{e.DN}})
	}
	out = append(out, directory.Attribute{Name: FieldSource, Values: []string{e.Source}})
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
