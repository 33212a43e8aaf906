package ldap

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-ldap/ldap/v3"

	"rollcall/directory"
)

// record is an entry on its way into a snapshot.
type record struct {
	directory.Entry
	// norm is the normalised DN.
	norm string
	// values are the membership attribute's, of a group.
	values []string
	// rest lists attributes of which the server gave only the first values.
	rest []partial
}

// partial is an attribute that came as name;range=a-b (Active Directory's range retrieval).
type partial struct {
	name string
	next int
}

// decoder turns the answers of one search into records. It belongs to one reading.
type decoder struct {
	scope *scope
	// slots maps attribute names, as the server spells them, to a place in values; -1 for what nobody asked for.
	slots  map[string]int
	names  map[string]int // lower case
	count  int
	values [][]string
	raw    [][][]byte
	plan   []planned
	unique int
	member int
	active [5]int
}

// planned is an output with the slots of its attributes.
type planned struct {
	name string
	from []int
	text []func([]byte) (string, error)
}

func newDecoder(s *scope) *decoder {
	d := &decoder{scope: s, slots: map[string]int{}, names: map[string]int{}, member: -1}
	for _, o := range s.outputs {
		p := planned{name: o.name}
		for _, attr := range o.from {
			p.from = append(p.from, d.slot(attr))
			p.text = append(p.text, binaryText(attr))
		}
		d.plan = append(d.plan, p)
	}
	d.unique = d.slot(s.unique.attr)
	if s.members != "" {
		d.member = d.slot(s.members)
	}
	for i, attr := range activityAttributes {
		d.active[i] = d.slot(attr)
	}
	d.values, d.raw = make([][]string, d.count), make([][][]byte, d.count)
	return d
}

// slot returns the place of a wanted attribute. Names are compared without case (RFC 4512, section 2.5); an attribute
// with options (cn;lang-de) is another one, and wanted only where it is named so.
func (d *decoder) slot(attr string) int {
	key := strings.ToLower(attr)
	if at, ok := d.names[key]; ok {
		return at
	}
	d.names[key] = d.count
	d.count++
	return d.count - 1
}

// find returns the place of an attribute of an answer.
func (d *decoder) find(name string) int {
	at, ok := d.slots[name]
	if ok {
		return at
	}
	at, ok = d.names[strings.ToLower(name)]
	if !ok {
		at = -1
	}
	d.slots[strings.Clone(name)] = at
	return at
}

// record decodes an entry. The second result says why it cannot be used; the record has a DN even then.
func (d *decoder) record(e *ldap.Entry, now time.Time) (rec record, problem string) {
	clear(d.values)
	clear(d.raw)
	for _, a := range e.Attributes {
		d.take(a, &rec)
	}
	rec.Kind, rec.DN = d.scope.kind, e.DN
	norm, err := NormalizeDN(e.DN)
	if err != nil {
		return rec, "its DN cannot be read: " + err.Error()
	}
	rec.norm = norm
	if rec.ID, problem = d.scope.unique.of(d.raw[d.unique]); problem != "" {
		return rec, problem
	}
	rec.Attributes = d.attributes()
	rec.Active = true
	if d.scope.kind == directory.User {
		act := activity{d.first(d.active[0]), d.first(d.active[1]), d.first(d.active[2]), d.first(d.active[3]), d.first(d.active[4])}
		rec.Active = act.active(now)
	}
	if d.member >= 0 {
		rec.values = d.values[d.member]
	}
	return rec, ""
}

func (d *decoder) first(slot int) string {
	if v := d.values[slot]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// take puts an attribute's values into their place. Some servers give one attribute in several parts.
func (d *decoder) take(a *ldap.EntryAttribute, rec *record) {
	name := a.Name
	if at := d.find(name); at >= 0 {
		d.put(at, a)
		return
	}
	base, next, last, ok := parseRange(name)
	if !ok {
		return
	}
	at := d.find(base)
	if at < 0 {
		return
	}
	d.put(at, a)
	if !last {
		rec.rest = append(rec.rest, partial{base, next})
	}
}

func (d *decoder) put(at int, a *ldap.EntryAttribute) {
	if d.values[at] == nil {
		d.values[at], d.raw[at] = a.Values, a.ByteValues
		return
	}
	d.values[at] = slices.Concat(d.values[at], a.Values)
	d.raw[at] = slices.Concat(d.raw[at], a.ByteValues)
}

// attributes builds the list in the order of the plan, which is sorted.
func (d *decoder) attributes() directory.Attributes {
	out := make(directory.Attributes, 0, len(d.plan))
	for i := range d.plan {
		p := &d.plan[i]
		for j, slot := range p.from {
			if v := d.text(slot, p.text[j]); len(v) > 0 {
				out = append(out, directory.Attribute{Name: p.name, Values: v})
				break
			}
		}
	}
	return out
}

// text returns an attribute's values as text: empty ones are none, and what is not text is given in base64.
func (d *decoder) text(slot int, special func([]byte) (string, error)) []string {
	values := d.values[slot]
	clean := special == nil
	for _, v := range values {
		clean = clean && v != "" && utf8.ValidString(v)
	}
	if clean {
		return values
	}
	if special == nil && slices.ContainsFunc(values, func(v string) bool { return !utf8.ValidString(v) }) {
		special = base64Text
	}
	var out []string
	for _, raw := range d.raw[slot] {
		if len(raw) == 0 {
			continue
		}
		text := string(raw)
		if special != nil {
			var err error
			if text, err = special(raw); err != nil {
				text, _ = base64Text(raw)
			}
		}
		out = append(out, text)
	}
	return out
}

func base64Text(raw []byte) (string, error) { return base64.StdEncoding.EncodeToString(raw), nil }

// binaryText returns how an attribute becomes text that is never text by itself; nil for all others.
func binaryText(attr string) func([]byte) (string, error) {
	switch name := strings.ToLower(attr); {
	case name == "objectguid":
		return guidText
	case name == "objectsid":
		return sidText
	case name == "ms-ds-consistencyguid", name == "jpegphoto", name == "thumbnailphoto", strings.HasSuffix(name, ";binary"):
		return base64Text
	}
	return nil
}

// parseRange reads "member;range=0-1499" or "member;range=1500-*" ([MS-ADTS], section 3.1.1.3.1.3.3). next is where to go
// on.
func parseRange(name string) (base string, next int, last, ok bool) {
	base, options, found := strings.Cut(name, ";")
	if !found {
		return "", 0, false, false
	}
	for option := range strings.SplitSeq(options, ";") {
		if len(option) < 6 || !strings.EqualFold(option[:6], "range=") {
			continue
		}
		_, to, ok := strings.Cut(option[6:], "-")
		if !ok {
			return "", 0, false, false
		}
		if to == "*" {
			return base, 0, true, true
		}
		end, err := strconv.Atoi(to)
		return base, end + 1, false, err == nil
	}
	return "", 0, false, false
}

// extend adds the values that range retrieval fetched later.
func (d *decoder) extend(rec *record, attr string, values [][]byte) {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = string(v)
	}
	at := d.find(attr)
	if at == d.member {
		rec.values = slices.Concat(rec.values, texts)
	}
	d.values[at], d.raw[at] = texts, values
	for i := range d.plan {
		p := &d.plan[i]
		if j := slices.Index(p.from, at); j >= 0 {
			rec.Attributes = rec.Attributes.Set(p.name, slices.Concat(rec.Attributes.Values(p.name), d.text(at, p.text[j]))...)
		}
	}
}
