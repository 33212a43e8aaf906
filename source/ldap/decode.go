package ldap

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-ldap/ldap/v3"
	"golang.org/x/text/encoding/charmap"

	"rollcall/directory"
)

// record is an entry on its way into a snapshot.
type record struct {
	directory.Entry
	// norm is the normalised DN; key is equal for IDs that are one to the attribute's matching rule.
	norm, key string
	// problem says why the entry cannot be used.
	problem string
	// values are those of each membership attribute, of a group.
	values [][]string
	// sid is that of a group, or of a user's primary group; see primarySID.
	sid string
	// builtIn is set for an entry that is left out as a part of Active Directory.
	builtIn bool
	// partial is set where the server gave only the first values of an attribute (Active Directory's range retrieval).
	partial bool
}

// decoder turns the answers of one search into records. It belongs to one reading.
type decoder struct {
	scope *scope
	types *schema
	// slots maps attribute names, as the server spells them, to a place in values; -1 for what was not asked for.
	slots  map[string]int
	names  map[string]int // by the schema's key
	asked  []string       // by place, as it was asked for
	counts []int          // by place, how many entries have a value
	// having are, by place, some entries with a value of an attribute with members.
	having map[int][]directory.ID
	values [][]string
	raw    [][][]byte
	plan   []planned
	// The places of single attributes; -1 for one that the kind does not have.
	unique, conflict, class, sid, primary, critical, ownSID int
	member, dynamic                                         []int // the places of the membership attributes
	active                                                  [len(activityAttributes)]int
	// users is how many entries are accounts of Active Directory; hidden counts those without userAccountControl and
	// accountExpires.
	users  int
	hidden [2]int
}

// planned is an output with the places of its attributes.
type planned struct {
	name string
	from []int
	text []func([]byte) (string, error)
}

func newDecoder(s *scope, types *schema) *decoder {
	d := &decoder{scope: s, types: types, slots: map[string]int{}, names: map[string]int{}, sid: -1, primary: -1,
		critical: -1}
	for _, o := range s.outputs {
		p := planned{name: o.name}
		for _, attr := range o.from {
			p.from = append(p.from, d.slot(attr))
			p.text = append(p.text, d.binaryText(attr))
		}
		d.plan = append(d.plan, p)
	}
	d.unique = d.slot(s.unique.attr)
	for _, attr := range s.members {
		d.member = append(d.member, d.slot(attr))
	}
	if s.leaveBuiltIn {
		d.critical, d.ownSID = d.slot(criticalObject), d.slot(securityID)
	}
	if s.dynamic {
		for _, attr := range dynamicMembers {
			d.dynamic = append(d.dynamic, d.slot(attr))
		}
	}
	if s.primary {
		d.sid, d.primary = d.slot(securityID), d.slot(primaryGroup)
	}
	for i, attr := range activityAttributes {
		d.active[i] = -1
		if slices.Contains(s.activity, attr) {
			d.active[i] = d.slot(attr)
		}
	}
	d.conflict, d.class = d.slot(conflictAttribute), d.slot("objectClass")
	n := len(d.asked)
	d.values, d.raw, d.counts = make([][]string, n), make([][][]byte, n), make([]int, n)
	d.having = map[int][]directory.ID{}
	return d
}

// slot returns the place of a wanted attribute. All names of a type have one place; an attribute with options
// (cn;lang-de) is another one, and wanted only where it is named so.
func (d *decoder) slot(attr string) int {
	key := d.types.key(attr)
	if at, ok := d.names[key]; ok {
		return at
	}
	d.names[key] = len(d.asked)
	d.asked = append(d.asked, attr)
	return len(d.asked) - 1
}

// find returns the place of an attribute of an answer.
func (d *decoder) find(name string) int {
	at, ok := d.slots[name]
	if ok {
		return at
	}
	at, ok = d.names[d.types.key(name)]
	if !ok {
		at = -1
	}
	d.slots[strings.Clone(name)] = at
	return at
}

// record decodes an entry. It has a DN, and an ID and a name where they can be read, even where it has a problem.
func (d *decoder) record(e *ldap.Entry, now time.Time) (rec record) {
	clear(d.values)
	clear(d.raw)
	for _, a := range e.Attributes {
		d.take(a, &rec)
	}
	for slot := range d.counts {
		d.counts[slot] += min(1, len(d.values[slot]))
	}
	rec.Kind, rec.DN = d.scope.kind, e.DN
	norm, err := NormalizeDN(e.DN)
	switch {
	case err != nil:
		rec.problem = "its DN cannot be read: " + err.Error()
	case !utf8.ValidString(e.DN):
		rec.problem = "its DN is " + notText([]byte(e.DN))
	}
	rec.norm = norm
	id, problem := d.scope.unique.of(d.raw[d.unique])
	if text := d.first(d.unique); text == string(id) {
		id = directory.ID(text) // One copy of it is enough.
	}
	rec.ID, rec.key = id, d.scope.unique.key(id)
	rec.blame(problem)
	if len(d.values[d.conflict]) > 0 || conflictName(e.DN) {
		rec.blame("it is a conflict object of replication: repair it in the directory, by merging it with the entry " +
			"of the same name or deleting it")
	}
	rec.Attributes, problem = d.attributes(e.DN)
	rec.blame(problem)
	rec.Active = true
	if d.scope.kind == directory.User {
		act := d.activity()
		rec.Active = act.active(now)
		if !d.scope.mapsActive {
			rec.blame(act.unreadable())
		}
		d.audit()
	}
	for i, at := range d.member {
		if few := d.having[at]; len(d.values[at]) > 0 && rec.ID != "" && len(few) < directory.MostListed {
			d.having[at] = append(few, rec.ID)
		}
		rec.values = append(rec.values, d.values[at])
		rec.blameMembers(d.scope.members[i], d.values[at])
	}
	rec.blame(d.dynamicGroup())
	rec.sid, rec.builtIn = d.primarySID(), d.builtIn()
	return rec
}

// activity returns the values by which the entry is active or not.
func (d *decoder) activity() (a activity) {
	for i, at := range d.active {
		if at >= 0 {
			a[i] = d.values[at]
		}
	}
	return a
}

// blame keeps the first problem.
func (r *record) blame(problem string) {
	r.problem = cmp.Or(r.problem, problem)
}

// dynamicGroup is the problem of a group with members that are given by a search alone. A server that adds the members
// itself shows them in a membership attribute.
func (d *decoder) dynamicGroup() string {
	for _, at := range d.member {
		if len(d.values[at]) > 0 {
			return ""
		}
	}
	for i, at := range d.dynamic {
		if len(d.values[at]) > 0 {
			return fmt.Sprintf("its members are given by %s, a search that Rollcall does not run: have the server "+
				"list them (dynlist), or leave the group out with group_object_filter", dynamicMembers[i])
		}
	}
	return ""
}

func (r *record) blameMembers(attr string, values []string) {
	for _, v := range values {
		if !utf8.ValidString(v) {
			r.blame(fmt.Sprintf("a value of its %s is %s", attr, notText([]byte(v))))
		}
	}
}

// audit counts the accounts of Active Directory that lack what the server gives to every account ([MS-SAMR], sections
// 3.1.1.8.1 and 3.1.1.8.10). Contacts have neither attribute.
func (d *decoder) audit() {
	classes := d.values[d.class]
	if len(classes) > 0 && !slices.ContainsFunc(classes, func(c string) bool { return strings.EqualFold(c, "user") }) {
		return
	}
	d.users++
	for i := range d.hidden {
		if at := d.active[i]; at >= 0 && len(d.values[at]) == 0 {
			d.hidden[i]++
		}
	}
}

func (d *decoder) first(slot int) string {
	if slot < 0 || len(d.values[slot]) == 0 {
		return ""
	}
	return d.values[slot][0]
}

// take puts an attribute's values into their place. Some servers give one attribute in several parts.
func (d *decoder) take(a *ldap.EntryAttribute, rec *record) {
	name := a.Name
	if at := d.find(name); at >= 0 {
		d.put(at, a)
		return
	}
	base, _, last, ok := parseRange(name)
	if !ok {
		return
	}
	if at := d.find(base); at >= 0 {
		d.put(at, a)
		rec.partial = rec.partial || !last
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

// attributes builds the list in the order of the plan, which is sorted. A value that is not text is left out and named.
func (d *decoder) attributes(dn string) (out directory.Attributes, problem string) {
	out = make(directory.Attributes, 0, len(d.plan))
	for i := range d.plan {
		p := &d.plan[i]
		for j, slot := range p.from {
			v, bad := d.text(slot, p.text[j])
			if bad != "" && problem == "" {
				problem = fmt.Sprintf("its %s is %s", d.asked[slot], bad)
			}
			if len(v) > 0 {
				out = append(out, directory.Attribute{Name: p.name, Values: d.inOrder(v, slot, dn)})
				break
			}
		}
	}
	return out, problem
}

// text returns an attribute's values as text: empty ones are none. Of binary attributes it is base64, of which special
// knows better forms. Any other value that is not UTF-8 is bad (RFC 4517, section 3.3.6).
func (d *decoder) text(slot int, special func([]byte) (string, error)) (out []string, bad string) {
	values := d.values[slot]
	if special == nil {
		clean := true
		for _, v := range values {
			if !utf8.ValidString(v) {
				return nil, notText([]byte(v))
			}
			clean = clean && v != ""
		}
		if clean {
			return values, ""
		}
	}
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
	return out, ""
}

// inOrder returns a set of values in its one order: first the value by which the entry is called (RFC 4512, section
// 2.3.1), then the others in byte order.
func (d *decoder) inOrder(values []string, slot int, dn string) []string {
	if len(values) < 2 {
		return values
	}
	values = slices.Clone(values)
	slices.Sort(values)
	values = slices.Compact(values)
	for _, part := range ownRDN(dn) {
		if part.final || d.find(part.attr) != slot {
			continue
		}
		own := prepare(part.value)
		if at := slices.IndexFunc(values, func(v string) bool { return prepare(v) == own }); at > 0 {
			named := values[at]
			values = slices.Insert(slices.Delete(values, at, at+1), 0, named)
		}
	}
	return values
}

// notText describes a value that is not UTF-8, and what it would be in the encoding that is the usual cause.
func notText(raw []byte) string {
	const most = 60
	raw = raw[:min(len(raw), most)]
	guess, err := charmap.ISO8859_1.NewDecoder().Bytes(raw)
	if err != nil {
		return fmt.Sprintf("not UTF-8: %q", raw)
	}
	return fmt.Sprintf("not UTF-8: %q (ISO 8859-1? Then it reads %q. Write it to the directory as UTF-8)", raw, guess)
}

func base64Text(raw []byte) (string, error) { return base64.StdEncoding.EncodeToString(raw), nil }

// binaryText returns how the values of a binary attribute become text; nil for an attribute with text values.
func (d *decoder) binaryText(attr string) func([]byte) (string, error) {
	switch key := d.types.key(attr); key {
	case "objectguid":
		return guidText
	case "objectsid":
		return sidText
	default:
		if k := d.types.kind(attr); strings.HasSuffix(key, ";binary") || k != nil && k.binary {
			return base64Text
		}
	}
	return nil
}

// coverage returns how many entries have each attribute that was asked for.
func (d *decoder) coverage() []directory.Coverage {
	var out []directory.Coverage
	for _, attr := range d.scope.attrs {
		slot := d.find(attr)
		if slot < 0 || slices.ContainsFunc(out, func(c directory.Coverage) bool { return d.find(c.Name) == slot }) {
			continue
		}
		c := directory.Coverage{Kind: d.scope.kind, Name: attr, Entries: d.counts[slot]}
		for _, p := range d.plan {
			if slices.Contains(p.from, slot) {
				c.Attributes = append(c.Attributes, p.name)
				c.Members = c.Members || d.scope.logins && p.name == directory.UserName
				c.Activity = c.Activity || slices.ContainsFunc(d.scope.activeBy,
					func(name string) bool { return strings.EqualFold(name, p.name) })
			}
		}
		c.Activity = c.Activity || d.scope.kind == directory.User && slices.Contains(d.active[:], slot)
		if c.Lists = slices.Contains(d.member, slot); c.Lists && c.Entries <= directory.MostListed {
			c.Of = slices.Sorted(slices.Values(d.having[slot]))
		}
		c.Members = c.Members || c.Lists || slot == d.sid || slot == d.primary || slices.Contains(d.dynamic, slot)
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b directory.Coverage) int { return strings.Compare(a.Name, b.Name) })
	return out
}
