package mapping

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"rollcall/directory"
	"rollcall/plan"
)

// Input is what Desire looks at.
type Input struct {
	// Snapshot is the local directory. For an object job it has the entry and every group, as scope and memberships need
	// the groups; members that it does not know are left out.
	Snapshot directory.Snapshot
	// Domains are the tenant's verified domains, in lower case; empty where the provider has no such thing.
	Domains []string
}

// Result is what one provider should have.
type Result struct {
	// Desired is sorted by Ref. A held entry says so and has what is known of it. A disabled user is not Active there
	// either, so that a leaver without a mail address can still be suspended.
	//
	// A mapped field that came out empty is among the Fields without values, because it is ours and should be empty.
	Desired []plan.Desired
	// OutOfScope is sorted by Ref; Decisions says of each, in the same order, why.
	OutOfScope []directory.Ref
	Decisions  []Decision
	// Cycles are the groups that contain themselves, directly or through others; sorted by Ref.
	Cycles []directory.Ref
	// References are the DNs of other entries, as they stand in the directory, on which fields of an entry depend.
	References map[directory.Ref][]string
	// Doubts are reasons why an entry may not have left the scope. They belong with the snapshot's.
	Doubts []string
}

// Desire maps a snapshot. The only error is a filter_group that does not name one group, of kind fault.Invalid;
// whatever is wrong with one entry holds that entry.
func (m *Mapping) Desire(in Input) (Result, error) {
	s := sorted(in.Snapshot)
	g := newGraph(&s)
	users, doubts, err := m.scope(g)
	if err != nil {
		return Result{}, err
	}
	r := Result{Doubts: doubts, Desired: make([]plan.Desired, 0, len(g.entries))}
	e := evaluation{machine: newMachine(m.domain), Mapping: m, domains: in.Domains}
	passive, places := make([]bool, len(g.entries)), make([]int, len(g.entries))
	var groups []int // where in r.Desired the groups are, with numbers
	var numbers []int32
	for i := range g.entries {
		entry := &g.entries[i]
		if i > 0 && entry.Ref() == g.entries[i-1].Ref() {
			r.twice(entry.Ref())
			places[i] = places[i-1]
			continue
		}
		d, out := e.desired(entry, users == nil || users[int32(i)])
		if out.Rule != "" {
			r.OutOfScope = append(r.OutOfScope, entry.Ref())
			r.Decisions = append(r.Decisions, out)
			passive[i], places[i] = true, -1
			continue
		}
		if d.Version = s.Versions[d.Ref]; d.Version == "" {
			d.Version = entry.Digest()
		}
		passive[i] = d.Held != "" || !d.Active
		if d.Kind == directory.Group {
			groups, numbers = append(groups, len(r.Desired)), append(numbers, int32(i))
		}
		places[i] = len(r.Desired)
		r.Desired = append(r.Desired, d)
	}
	e.references(&s, places, passive, &r)
	clusters := g.clusters()
	r.Cycles = g.cycles(clusters)
	for k, at := range groups {
		d := &r.Desired[at]
		var broken int32
		d.Members, broken = g.members(numbers[k], clusters, m.nested, passive)
		if broken != -1 && d.Held == "" {
			d.Held, d.Detail = plan.Unusable, fmt.Sprintf("it contains %s, whose members cannot be read", g.ref(broken))
		}
	}
	return r, nil
}

// twice holds an entry with an id that occurs twice, because the two cannot be told apart.
func (r *Result) twice(ref directory.Ref) {
	if n := len(r.Desired); n > 0 && r.Desired[n-1].Ref == ref {
		d := &r.Desired[n-1]
		d.Held, d.Detail = plan.Unusable, "two entries have the id "+string(ref.ID)
	}
}

// sorted returns the snapshot with its entries in the order that it promises.
func sorted(s directory.Snapshot) directory.Snapshot {
	compare := func(a, b directory.Entry) int { return a.Ref().Compare(b.Ref()) }
	if !slices.IsSortedFunc(s.Entries, compare) {
		s.Entries = slices.Clone(s.Entries)
		slices.SortStableFunc(s.Entries, compare)
	}
	return s
}

// evaluation maps one entry after the other.
type evaluation struct {
	*machine
	*Mapping
	domains []string
	// entry is the one that is mapped.
	entry *directory.Entry
}

// desired returns the entry as the provider should have it, or the decision that leaves it out.
func (v *evaluation) desired(e *directory.Entry, member bool) (plan.Desired, Decision) {
	s := v.side(e.Kind)
	d := plan.Desired{Ref: e.Ref(), Label: e.Label(), Source: e.Source, Active: e.Active || e.Kind == directory.Group}
	d.Disabled = !d.Active
	if pattern, out := v.exclude.match(e); out {
		return d, Decision{e.Ref(), ExcludeKey, pattern}
	}
	if e.Kind == directory.User && !member {
		return d, Decision{e.Ref(), FilterGroupKey, v.filterGroup}
	}
	e = v.ordered(e)
	d.Label = e.Label()
	v.load(s, e)
	v.entry = e
	h := holder{Desired: &d}
	if s.filter != nil {
		in, err := v.truth(s.filter)
		if err == nil && !in {
			return d, Decision{e.Ref(), s.filter.key, s.filter.source}
		}
		h.failed(s.filter, err)
	}
	if s.active != nil {
		active, err := v.truth(s.active)
		if err == nil {
			d.Active = active
		}
		h.failed(s.active, err)
	}
	if !d.Active {
		d.Why = plan.Disabled
	}
	v.fields(s, &h)
	v.address(s, &h)
	rekey, err := v.text(&s.rekey)
	h.failed(&s.rekey, err)
	d.Rekey = rekey
	h.finish()
	v.options(s, e, &d)
	return d, Decision{}
}

// address fills in the address.
func (v *evaluation) address(s *side, h *holder) {
	if s.address.program == nil {
		return
	}
	address, err := v.text(&s.address)
	if err != nil {
		h.failed(&s.address, err)
		return
	}
	address = strings.TrimSpace(lowerASCII(address))
	if address == "" {
		h.hold(plan.NoAddress, "the address came out empty: "+s.address.source)
		h.LeaveOut = cmp.Or(v.noAddress, v.noAddressOf[h.Source]) == plan.AddresslessLeaveOut
		return
	}
	if err := checkText(address, false); v.withhold(h, plan.AddressField, &s.address, true, err) {
		return
	}
	if reason, detail := checkAddress(address, v.domains); reason != "" {
		h.hold(reason, detail)
		return
	}
	if s.checkAddress != nil {
		if err := s.checkAddress(address); err != nil {
			h.failed(&s.address, err)
			return
		}
	}
	h.Address = address
}

// fields fills in the mapped fields.
func (v *evaluation) fields(s *side, h *holder) {
	h.Fields = make(directory.Attributes, 0, len(s.fields))
	for i := range s.fields {
		f := &s.fields[i]
		if f.refers() {
			continue // The others have to be known first.
		}
		values, err := v.field(f)
		if err != nil {
			if !v.withhold(h, f.Name, &f.expression, f.Required, err) {
				h.failed(&f.expression, err)
			}
			continue
		}
		h.Fields = append(h.Fields, directory.Attribute{Name: f.Name, Values: values})
	}
}

func (v *evaluation) field(f *field) ([]string, error) {
	if f.Bool {
		truth, err := v.truth(&f.expression)
		return []string{fmt.Sprint(truth)}, err
	}
	values, err := v.values(&f.expression, f.Many)
	if err != nil {
		return nil, err
	}
	if f.Addresses {
		values = furtherAddresses(values, v.domains)
	}
	if f.Required && len(values) == 0 {
		return nil, fmt.Errorf("it is required and came out empty: %s", f.source)
	}
	for _, value := range values {
		if err := checkText(value, f.MultiLine); err != nil {
			return nil, err
		}
		if n := utf8.RuneCountInString(value); f.MaxLength > 0 && n > f.MaxLength {
			return nil, fmt.Errorf("%s has %d characters, %d are allowed", quote(value), n, f.MaxLength)
		}
		if f.Check == nil {
			continue
		}
		if err := f.Check(value); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// holder collects why an entry is held.
type holder struct {
	*plan.Desired
	details []string
}

// failed holds the entry where an expression failed.
func (h *holder) failed(e *expression, err error) {
	if err != nil {
		h.hold(plan.BadMapping, e.path+": "+err.Error())
	}
}

// hold keeps the first reason and every detail; a bad mapping comes before a bad address.
func (h *holder) hold(reason plan.Reason, detail string) {
	h.Held = cmp.Or(h.Held, reason)
	h.details = append(h.details, detail)
}

func (h *holder) finish() { h.Detail = strings.Join(h.details, "; ") }
