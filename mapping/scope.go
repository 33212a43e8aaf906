package mapping

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/internal/problem"
	"rollcall/plan"
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
			doubts = append(doubts, fmt.Sprintf("%s %q contains %s, which cannot be read: who is in scope is not "+
				"known for sure", FilterGroupKey, m.filterGroup, g.ref(n)))
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
	return cmp.Or(e.DN, string(e.ID))
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

func (f Field) want() result {
	switch {
	case f.Bool:
		return flagResult
	case f.Many:
		return listResult
	}
	return textResult
}

func unknownField(key string, kind directory.Kind, spec []Field) string {
	known := []string{plan.AddressField}
	if kind == directory.User {
		known = append(known, ActiveField)
	}
	for _, f := range spec {
		known = append(known, f.Name)
	}
	slices.Sort(known)
	if near := problem.Nearest(key, known); near != "" {
		return fmt.Sprintf("unknown field: did you mean %s? Known are %s", near, strings.Join(known, ", "))
	}
	return "unknown field: known are " + strings.Join(known, ", ")
}

// Mapped returns the names of the fields that a configuration sets or that have a default, sorted. No other fields are
// read or written.
func Mapped(fields []Field, set map[string]string) []string {
	var names []string
	for _, f := range named(fields, set) {
		if _, ok := set[f.Name]; ok || f.Default != "" {
			names = append(names, f.Name)
		}
	}
	slices.Sort(names)
	return names
}

// named returns the fields, and one for each name that a field with a pattern matches.
func named(fields []Field, set map[string]string) []Field {
	out := fields
	for _, f := range fields {
		if f.Pattern == nil {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(set)) {
			own := slices.ContainsFunc(fields, func(f Field) bool { return f.Name == name })
			if !own && f.Pattern.MatchString(name) {
				f.Name = name
				out = append(slices.Clip(out), f)
			}
		}
	}
	return out
}

// Field describes one remote field that a mapping may set, in the provider's own words.
type Field struct {
	// Name is the provider's name: "name.givenName", "orgUnitPath".
	Name string
	// Pattern matches the names of fields that have no Field of their own. Name then shows their form.
	Pattern *regexp.Regexp
	// Default is the expression that is used where the configuration says nothing; empty leaves the field alone.
	Default string
	// Required says that an empty value holds the entry.
	Required bool
	// MaxLength in characters (not bytes); 0 means no limit. A longer value holds the entry.
	MaxLength int
	// Check returns why the remote side never takes a value, with the vendor's page; nil takes every value. Such a
	// value holds the entry.
	Check func(value string) error
	// MultiLine says that the value may have several lines: CR, LF and TAB are allowed. Other control characters and
	// bidi overrides are never written.
	MultiLine bool
	// Many says that the expression may give a list.
	Many bool
	// Addresses says that the values are further addresses of the account, in the form of proxyAddresses or as plain
	// addresses. The field has those in the tenant's domains, in lower case and without smtp:.
	Addresses bool
	// Bool says that the value is a truth. The expression gives true or false, or a text of the directory with that
	// meaning. The field holds "true" or "false".
	Bool bool
	// Doc is one line for docs/configuration.md.
	Doc string
}

// Spec is what a provider lets mappings set.
type Spec struct {
	User, Group []Field
	// UserAddress and GroupAddress are the default expressions of the address (plan.AddressField in the configuration).
	UserAddress, GroupAddress string
	// CheckUserAddress and CheckGroupAddress return why the remote side never takes an address, with the vendor's page;
	// nil takes every address. Such an address holds the entry.
	CheckUserAddress, CheckGroupAddress func(address string) error
}
