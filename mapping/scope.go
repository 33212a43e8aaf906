package mapping

import (
	"fmt"
	"strings"

	"rollcall/directory"
	"rollcall/fault"
)

// Decision says why an entry is out of scope.
type Decision struct {
	directory.Ref
	// Rule is the key of the configuration that decided, such as exclude, filter_group, user_filter or group_filter.
	Rule string
	// Setting is the value of that key, such as the pattern, the group, or the expression that is false.
	Setting string
}

// scope finds the users that filter_group lets in. A nil map lets in all users. Doubts are what is unknown about it.
func (m *Mapping) scope(g *graph) (in map[int32]bool, doubts []string, err error) {
	if m.filterGroup == "" {
		return nil, nil, nil
	}
	root, err := m.findFilterGroup(g)
	if err != nil {
		return nil, nil, err
	}
	in = map[int32]bool{}
	for _, n := range g.reach(root) {
		if g.isBroken(n) {
			doubts = append(doubts, fmt.Sprintf("%s %q contains %s, which cannot be read: who is in scope is not known for sure",
				FilterGroupKey, m.filterGroup, g.ref(n)))
		}
		for _, u := range g.users[n] {
			in[u] = true
		}
	}
	return in, doubts, nil
}

// findFilterGroup finds the group by its ID, else by its DN, else by its cn. Anything but exactly one group is a
// mistake in the configuration and stops the run, because an empty scope would make every account a leaver.
func (m *Mapping) findFilterGroup(g *graph) (int32, error) {
	want, dnErr := parseDN(m.filterGroup)
	tests := []func(e *directory.Entry) bool{
		func(e *directory.Entry) bool { return strings.EqualFold(string(e.ID), m.filterGroup) },
		func(e *directory.Entry) bool {
			if dnErr != nil || len(e.DN) == 0 {
				return false
			}
			have, err := parseDN(e.DN)
			return err == nil && sameDN(have, want)
		},
		func(e *directory.Entry) bool {
			return strings.EqualFold(e.Attributes.Get(directory.CommonName), m.filterGroup) ||
				strings.EqualFold(e.Attributes.Get(directory.DisplayName), m.filterGroup)
		},
	}
	for _, is := range tests {
		var found []int32
		for i := range g.entries {
			if e := &g.entries[i]; e.Kind == directory.Group && is(e) {
				found = append(found, int32(i))
			}
		}
		switch len(found) {
		case 0:
			continue
		case 1:
			return found[0], nil
		}
		return 0, fault.Errorf(fault.Invalid, "%s: %q names %d groups (%s, %s, …): write the DN or the id of one",
			FilterGroupKey, m.filterGroup, len(found), describe(&g.entries[found[0]]), describe(&g.entries[found[1]]))
	}
	return 0, fault.Errorf(fault.Invalid, "%s: no group has the id, DN or cn %q", FilterGroupKey, m.filterGroup)
}

func describe(e *directory.Entry) string {
	if e.DN != "" {
		return e.DN
	}
	return string(e.ID)
}
