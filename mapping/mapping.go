// Package mapping turns the local directory into what one provider should have. It decides scope, resolves nested
// groups and evaluates the mapping expressions, before anything is compared.
//
// Expressions are written in expr-lang/expr and compiled when the configuration is read. They see an entry under
// SCIM's names (userName, givenName, …) and any attribute of the directory as ldap.<name> (one value) or
// ldap_all.<name> (all of them). Attributes reports which ones they name, and sources ask for no others.
package mapping

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"rollcall/directory"
	"rollcall/internal/problem"
	"rollcall/plan"
)

// Nested says what becomes of groups in groups.
type Nested string

// The ways to treat nested groups.
const (
	// Flatten gives a group all users that are in it through other groups, and no groups.
	Flatten Nested = "flatten"
	// Keep gives a group its direct members, groups too. Groups that contain each other are flattened among themselves.
	Keep Nested = "keep"
)

// The keys of the configuration, as problems name them.
const (
	UserKey        = "user_property_mappings"
	GroupKey       = "group_property_mappings"
	UserFilterKey  = "user_filter"
	GroupFilterKey = "group_filter"
	FilterGroupKey = "filter_group"
	ExcludeKey     = "exclude"
	RekeyKey       = "rekey_by"
	NestedKey      = "nested_groups"
)

// ActiveField is the key under which the configuration overrides who counts as active.
const ActiveField = "active"

// Options are what the configuration of one provider says.
type Options struct {
	// User and Group map a field to its expression; plan.AddressField is the address, ActiveField whether a user is
	// active.
	User, Group map[string]string
	// Domain is default_group_email_domain.
	Domain string
	// FilterGroup names a group by its ID, DN or cn. Only its members, nested ones too, are in scope as users.
	FilterGroup string
	// Exclude lists entries that are out of scope, by ID or by patterns of userName, cn (of groups), mail or DN.
	Exclude []string
	// UserFilter and GroupFilter are expressions that are true for what is in scope; empty takes everything.
	UserFilter, GroupFilter string
	// RekeyBy is the attribute or expression for the fact that outlives a re-created directory. It applies to users
	// only.
	RekeyBy string
	// NoAddress is what becomes of entries without an address. Where it is empty, NoAddressOf says so by the entry's
	// source.
	NoAddress   plan.Addressless
	NoAddressOf map[string]plan.Addressless
	// Nested is Flatten where it is empty.
	Nested Nested
}

// Mapping is a compiled configuration. It may be used from several goroutines at once.
type Mapping struct {
	user, group side
	domain      string
	filterGroup string
	exclude     excluder
	nested      Nested
	noAddress   plan.Addressless
	noAddressOf map[string]plan.Addressless
}

// side is what is compiled for one kind of entry.
type side struct {
	kind    directory.Kind
	address expression
	// checkAddress is the remote side's rule for addresses; nil takes every address.
	checkAddress func(address string) error
	active       *expression // users only
	filter       *expression
	rekey        expression
	fields       []field // sorted by name
	// variables and attributes are what the expressions read together.
	variables []Variable
	// attributes keeps every spelling, as expressions look names up in a map; sorted and unique.
	attributes []string
}

type field struct {
	Field
	expression
}

// The evidence for a re-created directory where the configuration says nothing. Groups have no number.
const (
	defaultUserRekey  = "coalesce(employeeNumber, mail)"
	defaultGroupRekey = "coalesce(mail, cn)"
)

// Compile compiles and checks every expression. The error joins everything that is wrong as problem.Error with the
// path of the field.
func Compile(spec Spec, opts Options) (*Mapping, error) {
	c := newCompiler(opts.Domain)
	m := &Mapping{
		domain: opts.Domain, filterGroup: strings.TrimSpace(opts.FilterGroup), nested: opts.Nested,
		noAddress: opts.NoAddress, noAddressOf: opts.NoAddressOf,
	}
	var errs []error
	switch m.nested {
	case "":
		m.nested = Flatten
	case Flatten, Keep:
	default:
		errs = append(errs, problem.Field(NestedKey, "%q is unknown: want %s or %s", m.nested, Flatten, Keep))
	}
	var err error
	m.exclude, err = newExcluder(opts.Exclude)
	errs = append(errs, err)
	m.user, err = c.side(directory.User, spec.User, spec.UserAddress, opts.User)
	errs = append(errs, err)
	m.group, err = c.side(directory.Group, spec.Group, spec.GroupAddress, opts.Group)
	errs = append(errs, err)
	m.user.filter, err = c.filter(UserFilterKey, opts.UserFilter)
	errs = append(errs, err)
	m.group.filter, err = c.filter(GroupFilterKey, opts.GroupFilter)
	errs = append(errs, err)
	m.user.rekey, err = c.compile(RekeyKey, RekeyKey, c.rekey(opts.RekeyBy), textResult)
	errs = append(errs, err)
	m.group.rekey, err = c.compile(RekeyKey, RekeyKey, defaultGroupRekey, textResult)
	errs = append(errs, err)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	m.user.checkAddress, m.group.checkAddress = spec.CheckUserAddress, spec.CheckGroupAddress
	m.user.collect()
	m.group.collect()
	return m, nil
}

// side compiles the fields of one kind.
func (c *compiler) side(kind directory.Kind, spec []Field, address string, mapped map[string]string) (side, error) {
	s := side{kind: kind}
	table := UserKey
	if kind == directory.Group {
		table = GroupKey
	}
	path := func(key string) string { return table + "." + key }
	spec = named(spec, mapped)
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(mapped)) {
		known := slices.ContainsFunc(spec, func(f Field) bool { return f.Name == key })
		if !known && key != plan.AddressField && (key != ActiveField || kind != directory.User) {
			errs = append(errs, problem.Field(path(key), "%s", unknownField(key, kind, spec)))
		}
	}
	if source, ok := mapped[plan.AddressField]; ok {
		address = source
	}
	if address != "" {
		var err error
		s.address, err = c.compile(plan.AddressField, path(plan.AddressField), address, textResult)
		errs = append(errs, err)
	}
	if source, ok := mapped[ActiveField]; ok && kind == directory.User {
		active, err := c.compile(ActiveField, path(ActiveField), source, flagResult)
		errs = append(errs, err)
		s.active = &active
	}
	for _, f := range spec {
		source, ok := mapped[f.Name]
		if !ok {
			source = f.Default
		}
		if !ok && source == "" {
			continue
		}
		e, err := c.compile(f.Name, path(f.Name), source, f.want())
		errs = append(errs, err)
		s.fields = append(s.fields, field{f, e})
	}
	slices.SortFunc(s.fields, func(a, b field) int { return strings.Compare(a.Name, b.Name) })
	return s, errors.Join(errs...)
}

func (c *compiler) filter(key, source string) (*expression, error) {
	if source == "" {
		return nil, nil // no filter, no error
	}
	e, err := c.compile(key, key, source, truthResult)
	return &e, err
}

var attributeName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]*$`)

// rekey takes a plain name that is no variable as that of an attribute.
func (c *compiler) rekey(source string) string {
	if source = strings.TrimSpace(source); source == "" {
		return defaultUserRekey
	}
	if attributeName.MatchString(source) && !slices.Contains(c.names, source) {
		return `ldap["` + source + `"]`
	}
	return source
}

// collect unites what the side's expressions read.
func (s *side) collect() {
	var names, attributes []string
	for _, e := range s.expressions() {
		names = append(names, e.variables...)
		attributes = append(attributes, e.attributes...)
	}
	for _, v := range Variables() {
		if v.get != nil && slices.Contains(names, v.Name) {
			s.variables = append(s.variables, v)
		}
	}
	slices.Sort(attributes)
	s.attributes = slices.Compact(attributes)
}

// expressions returns all that the side has.
func (s *side) expressions() []*expression {
	all := []*expression{&s.rekey}
	if s.address.program != nil {
		all = append(all, &s.address)
	}
	if s.active != nil {
		all = append(all, s.active)
	}
	if s.filter != nil {
		all = append(all, s.filter)
	}
	for i := range s.fields {
		all = append(all, &s.fields[i].expression)
	}
	return all
}

// FilterGroup returns the ID, DN or name of the group that limits the scope; empty if none does.
func (m *Mapping) FilterGroup() string { return m.filterGroup }

// Attributes returns the names of the attributes that expressions read as ldap.<name> or ldap_all.<name>, sorted. Names
// that differ only in case come once.
func (m *Mapping) Attributes() []string {
	byName := map[string]string{}
	for _, s := range []*side{&m.user, &m.group} {
		for _, name := range s.attributes {
			if _, ok := byName[strings.ToLower(name)]; !ok {
				byName[strings.ToLower(name)] = name
			}
		}
	}
	return slices.Sorted(maps.Values(byName))
}

// Activity reports whether the mapping uses active, the directory's own way to disable an account. by has the sorted
// names of the attributes by which the mapping of the field active decides.
func (m *Mapping) Activity() (own bool, by []string) {
	if m.user.active == nil {
		return true, nil
	}
	own = slices.ContainsFunc(m.user.expressions(), func(e *expression) bool {
		return slices.Contains(e.variables, ActiveField)
	})
	for _, v := range Variables() {
		switch {
		case !slices.Contains(m.user.active.variables, v.Name) || v.get == nil:
		case v.Name == "mails":
			by = append(by, directory.Mail)
		case !slices.Contains([]string{"id", "dn", "source", ActiveField}, v.Name):
			by = append(by, v.Name)
		}
	}
	by = append(by, m.user.active.attributes...)
	slices.Sort(by)
	return own, slices.Compact(by)
}

func (m *Mapping) side(kind directory.Kind) *side {
	if kind == directory.Group {
		return &m.group
	}
	return &m.user
}

// Digest returns a short text that is equal for equal scopes and mappings. It changes with the configuration of what
// a provider should have.
func (m *Mapping) Digest() string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %q %q\n", m.domain, m.filterGroup, m.exclude, m.nested)
	if m.noAddress != "" || len(m.noAddressOf) > 0 {
		fmt.Fprintf(h, "%q %q\n", m.noAddress, m.noAddressOf)
	}
	for _, s := range []*side{&m.user, &m.group} {
		for _, e := range s.expressions() {
			fmt.Fprintf(h, "%s %q %q\n", s.kind, e.path, e.source)
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:12])
}
