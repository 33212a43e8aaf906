package ldap

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// parseRange reads "member;range=0-1499" or "member;range=1500-*" ([MS-ADTS], section 3.1.1.3.1.3.3). next is where
// to go on.
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
	if field := slices.Index(d.member, at); field >= 0 {
		rec.values[field] = slices.Concat(rec.values[field], texts)
		rec.blameMembers(d.scope.members[field], texts)
	}
	d.values[at], d.raw[at] = texts, values
	for i := range d.plan {
		p := &d.plan[i]
		if j := slices.Index(p.from, at); j >= 0 {
			more, bad := d.text(at, p.text[j])
			if bad != "" {
				rec.blame(fmt.Sprintf("its %s is %s", attr, bad))
			}
			all := d.inOrder(slices.Concat(rec.Attributes.Values(p.name), more), at, rec.DN)
			rec.Attributes = rec.Attributes.Set(p.name, all...)
		}
	}
}
