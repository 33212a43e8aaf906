package store

import (
	"errors"
	"slices"
	"strings"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
)

// edit carries out changes of one entry in memory. Members are gathered and merged at the end, so that adding a
// thousand members to a group of ten thousand costs eleven thousand steps.
type edit struct {
	ref    directory.Ref
	source string
	job    bool             // an object job, which concludes no departure
	entry  *directory.Entry // nil where there is none
	left   bool             // it was deleted
	joins  map[directory.Ref]bool
}

var errNotThere = fault.New(fault.NotFound, "local directory", errors.New("the entry is not there"))

// apply carries out one change. An error leaves the entry as it was.
func (x *edit) apply(c *plan.Change) error {
	switch c.Op {
	case plan.Create:
		return x.create(c)
	case plan.Delete:
		if x.job {
			return fault.Errorf(fault.Unsafe, "local directory: an object job never concludes that an entry left")
		}
		x.left = x.left || x.entry != nil
		x.entry, x.joins = nil, nil
		return nil
	case plan.RemoveMember:
		if x.entry == nil {
			return nil
		}
	case plan.Update, plan.Restore, plan.Suspend, plan.AddMember:
		if x.entry == nil {
			return errNotThere
		}
	default:
		return fault.Errorf(fault.Internal, "local directory: %s is no operation of a mirror", c.Op)
	}
	switch c.Op {
	case plan.Update:
		return x.update(c)
	case plan.Restore, plan.Suspend:
		e := *x.entry
		e.Active = c.Op == plan.Restore
		x.entry = &e
		return nil
	default:
		return x.member(c)
	}
}

// create makes the entry. Where the entry exists already, its fields become those of the change, because a run that
// died before it received the answer repeats the request.
func (x *edit) create(c *plan.Change) error {
	if x.ref.ID == "" || strings.Contains(string(x.ref.ID), "\n") {
		return fault.Errorf(fault.Invalid, "local directory: %q cannot be the id of an entry", x.ref.ID)
	}
	e := directory.Entry{Kind: x.ref.Kind, ID: x.ref.ID, Source: x.source, Active: !c.Inactive}
	if x.entry != nil {
		e.Members = x.entry.Members
	}
	return x.set(e, c.Fields)
}

func (x *edit) update(c *plan.Change) error {
	e := *x.entry
	e.Attributes = e.Attributes.Clone()
	return x.set(e, c.Fields)
}

func (x *edit) set(e directory.Entry, fields []plan.FieldChange) error {
	SetFields(&e, fields)
	if e.Source != x.source {
		return fault.Errorf(fault.Internal, "local directory: an entry of source %q in the part of source %q", e.Source,
			x.source)
	}
	x.entry, x.left = &e, false
	return nil
}

func (x *edit) member(c *plan.Change) error {
	var ref directory.Ref
	if c.Member != nil {
		ref = *c.Member
	} else {
		var err error
		if ref, err = refOf(c.MemberRemoteID); err != nil {
			return fault.New(fault.Internal, "local directory", err)
		}
	}
	if x.joins == nil {
		x.joins = map[directory.Ref]bool{}
	}
	x.joins[ref] = c.Op == plan.AddMember
	return nil
}

// done merges the members and returns the entry, or nil.
func (x *edit) done() *directory.Entry {
	if x.entry == nil || len(x.joins) == 0 {
		return x.entry
	}
	var joins []directory.Ref
	for m, in := range x.joins {
		if in {
			joins = append(joins, m)
		}
	}
	slices.SortFunc(joins, directory.Ref.Compare)
	members := make([]directory.Ref, 0, len(x.entry.Members)+len(joins))
	for _, m := range x.entry.Members {
		if _, spoken := x.joins[m]; spoken {
			continue
		}
		for len(joins) > 0 && joins[0].Compare(m) < 0 {
			members, joins = append(members, joins[0]), joins[1:]
		}
		members = append(members, m)
	}
	e := *x.entry
	e.Members = append(members, joins...)
	if len(e.Members) == 0 {
		e.Members = nil
	}
	x.entry, x.joins = &e, nil
	return x.entry
}
