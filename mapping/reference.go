package mapping

import (
	"cmp"
	"encoding/hex"
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

// IsDN reports whether a value can be read as a DN.
func IsDN(value string) bool {
	parts, err := parseDN(value)
	return err == nil && len(parts) > 0
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
	return nil, errors.New("the address of the other entry is not known, or it is held or disabled: " +
		"the account keeps what it has")
}

// neighbours finds the accounts to which DNs lead.
type neighbours struct {
	// found are the places in the desired state, by source and DN; -1 for an entry that is out of scope.
	found map[[2]string]int
	// broken are entries that were seen and cannot be used.
	broken  map[string]bool
	partial bool
	desired []plan.Desired
	// bad has the entries that cannot be mapped, apart from fields that depend on others.
	bad []bool
}

// resolve returns the address of the account of an entry. It is not known where the entry is disabled, cannot be
// used or mapped, or was not read. The field then keeps the value that it has. An entry without an account has no
// address.
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
	return d.Address, d.Active && !n.bad[at]
}

// references fills in the fields that depend on other entries. places has the place of each entry in the desired
// state, and -1 for those that are out of scope. An entry that is held by it becomes a passive member.
func (v *evaluation) references(s *directory.Snapshot, places []int, passive []bool, r *Result) {
	if !v.References() {
		return
	}
	entries := s.Entries
	n := &neighbours{found: make(map[[2]string]int, len(entries)), broken: map[string]bool{}, partial: s.Partial,
		desired: r.Desired, bad: make([]bool, len(r.Desired))}
	for i := range r.Desired {
		n.bad[i] = r.Desired[i].Held == plan.BadMapping
	}
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

// rdn is one relative distinguished name. It has one attribute with its value, or several joined by "+" (RFC 4514,
// section 2.2).
type rdn []ava

// ava is an attribute type and value, unescaped.
type ava struct{ name, value string }

// parseDN parses a distinguished name, leaf first (RFC 4514). Like most servers it also takes blanks around
// separators, ";" in place of "," and values in quotes (RFC 2253, section 4).
func parseDN(dn string) ([]rdn, error) {
	if strings.TrimSpace(dn) == "" {
		return nil, nil
	}
	var out []rdn
	var cur rdn
	for rest := dn; ; {
		name, tail, ok := strings.Cut(rest, "=")
		name = strings.TrimSpace(name)
		if !ok || name == "" || strings.ContainsAny(name, ",+;\\\"") {
			return nil, fmt.Errorf("%q is no DN", dn)
		}
		value, n, err := parseValue(tail)
		if err != nil {
			return nil, fmt.Errorf("%q is no DN: %w", dn, err)
		}
		cur = append(cur, ava{name, value})
		if n == len(tail) {
			return append(out, cur), nil
		}
		if tail[n] != '+' {
			out, cur = append(out, cur), nil
		}
		rest = tail[n+1:]
	}
}

// parseValue reads one value up to its separator and returns it unescaped, with the number of bytes read.
func parseValue(s string) (value string, n int, err error) {
	var b strings.Builder
	quoted, keep := false, 0 // keep is how much of b survives the trimming of blanks at the end
	for n = len(s) - len(strings.TrimLeft(s, " ")); n < len(s); n++ {
		switch c := s[n]; {
		case c == '\\':
			used, err := unescape(&b, s[n+1:])
			if err != nil {
				return "", 0, err
			}
			n += used
			keep = b.Len()
		case c == '"':
			quoted = !quoted
			keep = b.Len()
		case !quoted && (c == ',' || c == '+' || c == ';'):
			return finishValue(b.String()[:keep]), n, nil
		default:
			b.WriteByte(c)
			if c != ' ' || quoted {
				keep = b.Len()
			}
		}
	}
	if quoted {
		return "", 0, errors.New("a quote is not closed")
	}
	return finishValue(b.String()[:keep]), n, nil
}

// unescape writes what follows a backslash, two hexadecimal digits or one character, and returns how much that was.
func unescape(b *strings.Builder, s string) (used int, err error) {
	if len(s) >= 2 {
		if octet, err := hex.DecodeString(s[:2]); err == nil {
			b.Write(octet)
			return 2, nil
		}
	}
	if s == "" {
		return 0, errors.New("it ends in a backslash")
	}
	b.WriteByte(s[0])
	return 1, nil
}

// finishValue makes the value valid UTF-8: "\\ff" may have brought in anything.
func finishValue(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// sameDN reports whether two DNs name the same entry; case and runs of blanks do not count.
func sameDN(a, b []rdn) bool { return slices.EqualFunc(a, b, sameRDN) }

// sameRDN takes each attribute of b for one of a, as their order does not count.
func sameRDN(a, b rdn) bool {
	left := slices.Clone(b)
	for _, x := range a {
		i := slices.IndexFunc(left, func(y ava) bool {
			return strings.EqualFold(x.name, y.name) && strings.EqualFold(squeeze(x.value), squeeze(y.value))
		})
		if i < 0 {
			return false
		}
		left = slices.Delete(left, i, i+1)
	}
	return len(left) == 0
}

func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }
