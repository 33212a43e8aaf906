package mapping

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/internal/problem"
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

// excluder leaves entries out by ID, or by patterns of userName, cn (of groups), mail or DN; case does not count.
type excluder []string

func newExcluder(patterns []string) (excluder, error) {
	var out excluder
	var errs []error
	for _, p := range patterns {
		folded := fold(p)
		if strings.Contains(folded, "=") {
			// A DN: a backslash is the DN's own, and not there to quote the pattern.
			folded = strings.ReplaceAll(folded, `\`, `\\`)
		}
		if _, err := path.Match(folded, ""); err != nil || strings.TrimSpace(p) == "" {
			errs = append(errs, problem.Field(ExcludeKey, "%q is no pattern", p))
			continue
		}
		out = append(out, folded)
	}
	return out, errors.Join(errs...)
}

// fold makes case not count, and lets * match a slash as it does anything else.
func fold(s string) string { return strings.ReplaceAll(strings.ToLower(s), "/", "\x00") }

// unfold makes a pattern readable again.
func unfold(p string) string {
	return strings.ReplaceAll(strings.ReplaceAll(p, "\x00", "/"), `\\`, `\`)
}

// match returns the pattern that takes the entry out, in lower case, and whether there is one.
func (x excluder) match(e *directory.Entry) (string, bool) {
	if len(x) == 0 {
		return "", false
	}
	name := directory.UserName
	if e.Kind == directory.Group {
		name = directory.CommonName
	}
	texts := append([]string{string(e.ID), e.DN, e.Attributes.Get(name)}, e.Attributes.Values(directory.Mail)...)
	for _, text := range texts {
		text = fold(text)
		for _, p := range x {
			if ok, err := path.Match(p, text); text != "" && ok && err == nil {
				return unfold(p), true
			}
		}
	}
	return "", false
}
