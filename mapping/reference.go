package mapping

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"rollcall/directory"
	"rollcall/internal/problem"
	"rollcall/plan"
)

// addressOfName is the function that turns the DN of another entry into the address of its account.
const addressOfName = "address_of"

// errAddressOf refuses address_of where the address of another entry may not be known yet.
var errAddressOf = errors.New(addressOfName + " is for fields: an address, a filter, active and rekey_by depend on " +
	"their own entry alone")

// refers reports whether the expression asks for the address of another entry.
func (e *expression) refers() bool { return slices.Contains(e.variables, addressOfName) }

// References reports whether a field depends on another entry.
func (m *Mapping) References() bool {
	refers := func(f field) bool { return f.refers() }
	return slices.ContainsFunc(m.user.fields, refers) || slices.ContainsFunc(m.group.fields, refers)
}

// plainReference is an expression that gives a DN as it stands in the directory.
var plainReference = regexp.MustCompile(`^\s*ldap\.(?i:manager|secretary|owner|assistant)\s*$`)

// Warnings returns what is questionable about the mapping but not wrong, each with the path of its field.
func (m *Mapping) Warnings() (out []problem.Error) {
	for _, s := range []*side{&m.user, &m.group} {
		for i := range s.fields {
			if e := &s.fields[i].expression; plainReference.MatchString(e.source) {
				out = append(out, problem.Error{Field: e.path, Err: fmt.Errorf("%s gives the DN of another entry: write %s(%s) "+
					"for the address of its account", e.source, addressOfName, strings.TrimSpace(e.source))})
			}
		}
	}
	return out
}

// DNKey returns a text that is equal for equal DNs. Case and runs of blanks do not count.
func DNKey(dn string) string {
	parts, err := parseDN(dn)
	if err != nil {
		return strings.ToLower(strings.TrimSpace(dn))
	}
	var b strings.Builder
	for _, part := range parts {
		texts := make([]string, len(part))
		for i, a := range part {
			texts[i] = lower(a.name) + "=" + lower(squeeze(a.value))
		}
		slices.Sort(texts)
		for _, text := range texts {
			b.WriteString(text + "\x00")
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// addressOf is address_of for the loaded entry.
func (m *machine) addressOf(dn string) string {
	if strings.TrimSpace(dn) == "" {
		return ""
	}
	m.asked = append(m.asked, dn)
	address, known := "", false
	if m.resolve != nil {
		address, known = m.resolve(dn)
	}
	m.unsure = m.unsure || !known
	return address
}

// referred returns the value of a field that depends on another entry.
func referred(d *plan.Desired, name string) ([]string, error) {
	if d != nil {
		for _, a := range d.Fields {
			if a.Name == name {
				return a.Values, nil
			}
		}
	}
	return nil, errors.New("the address of the other entry is not known, or it is disabled: the account keeps what it has")
}

// neighbours finds the accounts to which DNs lead.
type neighbours struct {
	// found are the places in the desired state, by source and DN; -1 for an entry that is out of scope.
	found map[[2]string]int
	// broken are entries that were seen and cannot be used.
	broken  map[string]bool
	partial bool
	desired []plan.Desired
}

// resolve returns the address of the account of an entry. It is not known where the entry cannot be used, is disabled,
// or was not read. The field then keeps the value that it has. An entry without an account has no address.
func (n *neighbours) resolve(source, dn string) (address string, known bool) {
	key := DNKey(dn)
	at, ok := n.found[[2]string{source, key}]
	switch {
	case !ok:
		return "", !n.partial && !n.broken[key]
	case at < 0:
		return "", true
	}
	d := &n.desired[at]
	if d.Address == "" {
		return "", d.Held == plan.NoAddress || d.Held == plan.ForeignDomain
	}
	return d.Address, d.Active
}

// references fills in the fields that depend on other entries. places has the place of each entry in the desired
// state, and -1 for those that are out of scope. An entry that is held by it becomes a passive member.
func (v *evaluation) references(s *directory.Snapshot, places []int, passive []bool, r *Result) {
	if !v.References() {
		return
	}
	entries := s.Entries
	n := &neighbours{found: make(map[[2]string]int, len(entries)), broken: map[string]bool{}, partial: s.Partial,
		desired: r.Desired}
	for i := range entries {
		n.found[[2]string{entries[i].Source, DNKey(entries[i].DN)}] = places[i]
	}
	for _, f := range s.Findings {
		n.broken[DNKey(f.DN)] = true
	}
	r.References = map[directory.Ref][]string{}
	for i := range entries {
		if places[i] < 0 {
			continue
		}
		d, side := &r.Desired[places[i]], v.side(entries[i].Kind)
		if d.Ref != entries[i].Ref() || !slices.ContainsFunc(side.fields, func(f field) bool { return f.refers() }) {
			continue
		}
		v.entry = v.ordered(&entries[i])
		v.load(side, v.entry)
		v.asked, v.resolve = nil, func(dn string) (string, bool) { return n.resolve(d.Source, dn) }
		v.refer(side, d)
		passive[i] = passive[i] || d.Held != ""
		if len(v.asked) > 0 {
			slices.Sort(v.asked)
			r.References[d.Ref] = slices.Compact(v.asked)
		}
	}
}

// refer fills in the fields of one entry that depend on others.
func (v *evaluation) refer(s *side, d *plan.Desired) {
	h := holder{Desired: d}
	for i := range s.fields {
		f := &s.fields[i]
		if !f.refers() {
			continue
		}
		v.unsure = false
		values, err := v.field(f)
		switch {
		case v.unsure:
		case err == nil:
			at, _ := slices.BinarySearchFunc(d.Fields, f.Name,
				func(a directory.Attribute, name string) int { return cmp.Compare(a.Name, name) })
			d.Fields = slices.Insert(d.Fields, at, directory.Attribute{Name: f.Name, Values: values})
		case !v.withhold(&h, f.Name, &f.expression, f.Required, err):
			h.failed(&f.expression, err)
		}
	}
	if len(h.details) > 0 {
		if d.Detail != "" {
			h.details = append([]string{d.Detail}, h.details...)
		}
		h.finish()
	}
}
