package mapping

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"rollcall/directory"
	"rollcall/internal/problem"
	"rollcall/plan"
)

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
			if f.Pattern.MatchString(name) {
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
	// Pattern matches the names of fields that the tenant's administrators define. Name then shows their form.
	Pattern *regexp.Regexp
	// Default is the expression that is used where the configuration says nothing; empty leaves the field alone.
	Default string
	// Required says that an empty value holds the entry.
	Required bool
	// MaxLength in characters (not bytes); 0 means no limit. A longer value holds the entry.
	MaxLength int
	// Check returns why the remote side never takes a value, with the vendor's page; nil takes every value. Such a value
	// holds the entry.
	Check func(value string) error
	// MultiLine says that the value may have several lines: CR, LF and TAB are allowed. Other control characters and bidi
	// overrides are never written.
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
