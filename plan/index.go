package plan

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"rollcall/directory"
)

// computer holds the indexes of one Compute.
type computer struct {
	in        *Input
	plan      Plan
	only      map[directory.Ref]bool
	desired   map[directory.Ref]*Desired
	anchored  map[directory.Ref][]*Object
	byRemote  map[string]*Object
	byAddress map[string][]*Object
	// deletedOf are the accounts that were deleted last and can still be restored. See undeleted.
	deletedOf                                            map[directory.Ref]*Deleted
	unusable, unsettled, outOfScope, unpinned, unordered map[directory.Ref]bool
	departed                                             map[directory.Ref]directory.Departure
	claims                                               map[string][]*Desired
	// target maps entries that have, or will have, a remote object to its remote id ("" until it is created).
	target map[directory.Ref]string
	// owner maps the remote ids of objects that are, or become, ours to their entries.
	owner map[string]directory.Ref
	// former maps entries that were created again to the objects that they had under their old ID. heir maps such an
	// object to its one new entry. disputed has the objects that several entries may have had. See recognise.
	former   map[directory.Ref][]*Object
	heir     map[*Object]*Desired
	disputed map[*Object]bool
	waves    map[directory.Ref]int
	// rejected are the values that the tenant refused lately, by their entries.
	rejected map[directory.Ref][]Rejection
	held     map[directory.Ref]bool
	// kept names entries with an account that a pin keeps from a due deletion. back are pins with an account to
	// restore, and returns names their entries.
	kept    map[directory.Ref]bool
	back    []Pin
	returns map[directory.Ref]bool
	// orders are those that stand.
	orders map[directory.Ref]*Order
}

func newComputer(in *Input) *computer {
	c := &computer{
		in: in, only: set(in.Only), unsettled: set(in.State.Unsettled), outOfScope: set(in.OutOfScope),
		desired:  make(map[directory.Ref]*Desired, len(in.Desired)),
		anchored: make(map[directory.Ref][]*Object, len(in.State.Objects)),
		byRemote: make(map[string]*Object, len(in.State.Objects)), byAddress: map[string][]*Object{},
		unusable: map[directory.Ref]bool{}, departed: map[directory.Ref]directory.Departure{},
		claims: map[string][]*Desired{}, deletedOf: restorable(in),
		target: map[directory.Ref]string{}, owner: map[string]directory.Ref{},
		former: map[directory.Ref][]*Object{}, heir: map[*Object]*Desired{}, disputed: map[*Object]bool{},
		waves: map[directory.Ref]int{}, held: map[directory.Ref]bool{}, kept: map[directory.Ref]bool{},
		orders: map[directory.Ref]*Order{}, unordered: map[directory.Ref]bool{},
		returns: map[directory.Ref]bool{}, rejected: map[directory.Ref][]Rejection{}, unpinned: map[directory.Ref]bool{},
	}
	for _, r := range in.Rejections {
		if in.Now.Before(r.At.Add(RejectionLife)) {
			c.rejected[r.Ref] = append(c.rejected[r.Ref], r)
		}
	}
	c.plan.Doubts = slices.Concat(in.Doubts, in.State.Doubts)
	c.plan.missing, c.plan.forgotten, c.plan.mirror = in.Missing, in.Forgotten, in.Capabilities.Mirror
	if in.Capabilities.Mirror {
		c.plan.coverage = in.Coverage
	}
	if len(in.Only) > 0 {
		c.plan.before, c.plan.since = in.Filled, in.Emptied
	}
	byRef := func(a, b Desired) int { return a.Ref.Compare(b.Ref) }
	if !slices.IsSortedFunc(in.Desired, byRef) {
		in.Desired = slices.SortedFunc(slices.Values(in.Desired), byRef)
	}
	for _, f := range in.Findings {
		c.unusable[f.Ref] = true
	}
	for _, h := range in.Unpinned {
		c.unusable[h.Ref], c.unpinned[h.Ref] = true, true
	}
	for _, h := range in.Unordered {
		c.unordered[h.Ref] = true
	}
	for _, d := range in.Departed {
		c.departed[d.Ref] = d
	}
	c.indexObjects()
	c.settle()
	c.pinned()
	c.ordered()
	c.indexDesired()
	c.nameless()
	c.recognise()
	for _, k := range directory.Kinds {
		n := in.State.Others.Of(k)
		c.plan.Counts.Anchored.add(k, n)
		c.plan.Counts.Desired.add(k, n)
	}
	c.plan.Counts.Anchored.Membership += in.State.Others.Membership
	c.plan.Counts.Desired.Membership += in.State.Others.Membership
	return c
}

func set(refs []directory.Ref) map[directory.Ref]bool {
	m := make(map[directory.Ref]bool, len(refs))
	for _, r := range refs {
		m[r] = true
	}
	return m
}

func (c *computer) indexObjects() {
	byAnchor := func(a, b Object) int {
		if r := a.Ref.Compare(b.Ref); r != 0 {
			return r
		}
		return strings.Compare(a.RemoteID, b.RemoteID)
	}
	if !slices.IsSortedFunc(c.in.State.Objects, byAnchor) {
		c.in.State.Objects = slices.SortedFunc(slices.Values(c.in.State.Objects), byAnchor)
	}
	for i := range c.in.State.Objects {
		o := &c.in.State.Objects[i]
		if o.Anchored() {
			c.anchored[o.Ref] = append(c.anchored[o.Ref], o)
			c.plan.Counts.Anchored.add(o.Kind, 1)
		} else {
			c.plan.Counts.Foreign.add(o.Kind, 1)
		}
		if o.RemoteID != "" {
			c.byRemote[o.RemoteID] = o
		}
		for _, a := range append([]string{o.Address}, o.Aliases...) {
			if a != "" && !slices.Contains(c.byAddress[a], o) {
				c.byAddress[a] = append(c.byAddress[a], o)
			}
		}
	}
	for ref, objects := range c.anchored {
		// The remote ids of a mirror are the names of its entries; see memberRef.
		if len(objects) == 1 && !c.in.Capabilities.Mirror {
			c.target[ref] = objects[0].RemoteID
			c.owner[objects[0].RemoteID] = ref
		}
	}
}

func (c *computer) indexDesired() {
	for i := range c.in.Desired {
		d := &c.in.Desired[i]
		c.desired[d.Ref] = d
		if d.Active {
			c.plan.Counts.Desired.add(d.Kind, 1)
		}
		// A disabled entry without an account does not reserve its address.
		if d.Held == "" && d.Address != "" && (d.Active || len(c.anchored[d.Ref]) > 0) {
			c.claims[d.Address] = append(c.claims[d.Address], d)
		}
	}
}

// concerns reports whether the plan is about the entry. A full plan is about all of them.
func (c *computer) concerns(ref directory.Ref) bool { return len(c.only) == 0 || c.only[ref] }

// ValueType is the type of a field's values in a tenant. The zero value takes any text.
type ValueType string

// The types of values besides text.
const (
	TruthValue  ValueType = "true or false"
	WholeValue  ValueType = "a whole number"
	NumberValue ValueType = "a number"
	DateValue   ValueType = "a date, such as 2026-05-31"
)

// Form is the form of a field that only the tenant knows, such as a field that its administrators defined.
type Form struct {
	Field string
	// Missing says why no value of the field can be written, and what to do. Such a field is left alone.
	Missing string
	Type    ValueType
	// Many says that the field has several values.
	Many bool
}

// Values returns the values as the tenant keeps them, or why it would refuse them.
func (f *Form) Values(values []string) ([]string, error) {
	if f.Missing != "" && len(values) > 0 {
		return nil, fmt.Errorf("%s", f.Missing)
	}
	if len(values) > 1 && !f.Many {
		return nil, fmt.Errorf("the field has one value in the tenant, and the mapping gives %d: map one of them",
			len(values))
	}
	out := make([]string, 0, len(values))
	for _, v := range values {
		kept, ok := f.Type.canonical(strings.TrimSpace(v))
		if !ok {
			return nil, fmt.Errorf("the field takes %s in the tenant, and %q is none: correct the mapping or the entry",
				f.Type, v)
		}
		out = append(out, kept)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// canonical returns a value in the only form in which values of the type are compared and written.
func (t ValueType) canonical(v string) (string, bool) {
	switch t {
	case TruthValue:
		v = strings.ToLower(v)
		return v, v == "true" || v == "false"
	case WholeValue:
		n, err := strconv.ParseInt(v, 10, 64)
		return strconv.FormatInt(n, 10), err == nil
	case NumberValue:
		n, err := strconv.ParseFloat(v, 64)
		text := strconv.FormatFloat(n, 'f', -1, 64)
		return text, err == nil && !strings.ContainsAny(text, "IN") // No infinity, and no NaN.
	case DateValue:
		_, err := time.Parse(time.DateOnly, v)
		return v, err == nil
	}
	return v, true
}

// form returns the form of a field, or nil where the provider's own list of fields says everything.
func (c *computer) form(field string) *Form {
	for i := range c.in.State.Forms {
		if f := &c.in.State.Forms[i]; f.Field == field {
			return f
		}
	}
	return nil
}

// asKept returns the values of a field in the tenant's form. Values that the tenant would refuse are as they were.
func (c *computer) asKept(field string, values []string) []string {
	if f := c.form(field); f != nil {
		if kept, err := f.Values(values); err == nil {
			return kept
		}
	}
	return values
}

// writable returns the fields of a new account without those that the tenant does not have, and names these. They keep
// no account from being created.
func (c *computer) writable(d *Desired, fields []FieldChange) []FieldChange {
	if len(c.in.State.Forms) == 0 {
		return fields
	}
	return slices.DeleteFunc(fields, func(f FieldChange) bool {
		form := c.form(f.Name)
		return form != nil && form.Missing != "" && c.rejects(d, f.Name, f.After)
	})
}
