package googleworkspace

import (
	"maps"
	"slices"
	"strings"

	admin "google.golang.org/api/admin/directory/v1"

	"rollcall/directory"
	"rollcall/plan"
)

// scalar is a field with a single value.
type scalar struct {
	path string // in the `fields` parameter
	get  func(*admin.User) string
	// set puts a value into a request. An empty value clears the field.
	set func(*admin.User, string)
}

var scalars = map[string]scalar{
	"name.givenName":   nameField("GivenName", func(n *admin.UserName) *string { return &n.GivenName }),
	"name.familyName":  nameField("FamilyName", func(n *admin.UserName) *string { return &n.FamilyName }),
	"name.displayName": nameField("DisplayName", func(n *admin.UserName) *string { return &n.DisplayName }),
	"orgUnitPath":      textField("orgUnitPath", "OrgUnitPath", func(u *admin.User) *string { return &u.OrgUnitPath }),
	"recoveryEmail": textField("recoveryEmail", "RecoveryEmail",
		func(u *admin.User) *string { return &u.RecoveryEmail }),
	"recoveryPhone": textField("recoveryPhone", "RecoveryPhone",
		func(u *admin.User) *string { return &u.RecoveryPhone }),
	"includeInGlobalAddressList": {
		path: "includeInGlobalAddressList",
		get: func(u *admin.User) string {
			if u.IncludeInGlobalAddressList {
				return "true"
			}
			return "false"
		},
		set: func(u *admin.User, value string) {
			u.IncludeInGlobalAddressList = strings.EqualFold(strings.TrimSpace(value), "true")
			u.ForceSendFields = append(u.ForceSendFields, "IncludeInGlobalAddressList")
		},
	},
}

func textField(path, goName string, at func(*admin.User) *string) scalar {
	return scalar{
		path: path,
		get:  func(u *admin.User) string { return *at(u) },
		set: func(u *admin.User, value string) {
			if *at(u) = value; value == "" {
				u.NullFields = append(u.NullFields, goName)
			}
		},
	}
}

// nameField is a part of the name. Google merges the parts, so that each may be sent alone.
func nameField(goName string, at func(*admin.UserName) *string) scalar {
	return scalar{
		path: "name", // as a whole, because a server may keep only the last of several sub-selections
		get: func(u *admin.User) string {
			if u.Name == nil {
				return ""
			}
			return *at(u.Name)
		},
		set: func(u *admin.User, value string) {
			if u.Name == nil {
				u.Name = &admin.UserName{}
			}
			if *at(u.Name) = value; value == "" {
				u.Name.NullFields = append(u.Name.NullFields, goName)
			}
		},
	}
}

// slot is a field that is a member of one element of an array.
type slot struct {
	array  string
	member string
	// matches reports whether an element can hold the slot's value.
	matches func(map[string]any) bool
	// first reports whether an element is preferred among several that match. Nil prefers the first one.
	first func(map[string]any) bool
	// beside is set where Google shows several values, so that our value is added and does not replace another.
	beside bool
	// base is the content of a new element besides the member.
	base map[string]any
}

func typed(array, kind, member string) slot {
	return slot{
		array: array, member: member, base: map[string]any{"type": kind},
		matches: func(e map[string]any) bool { return text(e, "type") == kind },
	}
}

func phone(kind string) slot {
	s := typed("phones", kind, "value")
	s.beside = true
	return s
}

// organization is a member of the primary organization, which the admin console shows.
func organization(member string) slot {
	primary := func(e map[string]any) bool { p, _ := e["primary"].(bool); return p }
	return slot{
		array: "organizations", member: member, first: primary, base: map[string]any{"primary": true},
		matches: func(e map[string]any) bool {
			t := text(e, "type")
			return primary(e) || (t == "" || t == "work") && text(e, "customType") == ""
		},
	}
}

func desk(member string) slot {
	s := typed("locations", "desk", member)
	s.base["area"] = "desk" // Google requires it, and the admin console writes the same.
	return s
}

var slots = map[string]slot{
	"organizations.title":       organization("title"),
	"organizations.department":  organization("department"),
	"organizations.costCenter":  organization("costCenter"),
	"organizations.description": organization("description"),
	"organizations.name":        organization("name"),
	"phones.work":               phone("work"),
	"phones.mobile":             phone("mobile"),
	"phones.home":               phone("home"),
	"externalIds.organization":  typed("externalIds", "organization", "value"),
	"relations.manager":         typed("relations", "manager", "value"),
	"addresses.work":            typed("addresses", "work", "formatted"),
	"locations.buildingId":      desk("buildingId"),
	"locations.floorName":       desk("floorName"),
	"locations.deskCode":        desk("deskCode"),
}

// arrays are the arrays of a user that contain slots, with the names of the Go fields.
var arrays = map[string]struct {
	goName string
	at     func(*admin.User) *any
}{
	"addresses":     {"Addresses", func(u *admin.User) *any { return &u.Addresses }},
	"externalIds":   {"ExternalIds", func(u *admin.User) *any { return &u.ExternalIds }},
	"locations":     {"Locations", func(u *admin.User) *any { return &u.Locations }},
	"organizations": {"Organizations", func(u *admin.User) *any { return &u.Organizations }},
	"phones":        {"Phones", func(u *admin.User) *any { return &u.Phones }},
	"relations":     {"Relations", func(u *admin.User) *any { return &u.Relations }},
}

// readFields returns the mapped fields of a user. From arrays it returns only our elements.
func readFields(u *admin.User, m marks, names []string) directory.Attributes {
	out := make(directory.Attributes, 0, len(names))
	for _, name := range names {
		if name == plan.AliasesField {
			if list := readAliases(u, m); len(list) > 0 {
				out = append(out, directory.Attribute{Name: name, Values: list})
			}
			continue
		}
		if isCustom(name) {
			if values := readCustom(u, name); len(values) > 0 {
				out = append(out, directory.Attribute{Name: name, Values: values})
			}
			continue
		}
		value := ""
		if s, ok := scalars[name]; ok {
			value = s.get(u)
		} else if s, ok := slots[name]; ok {
			list := elements(*arrays[s.array].at(u))
			if i := s.ours(list, m.owned[name]); i >= 0 {
				value = text(list[i], s.member)
			}
		}
		if value != "" {
			out = append(out, directory.Attribute{Name: name, Values: []string{value}})
		}
	}
	slices.SortFunc(out, func(a, b directory.Attribute) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// paths returns the `fields` parameter for the named fields.
func paths(names []string) []string {
	var out []string
	for _, name := range names {
		p := scalars[name].path
		if s, ok := slots[name]; ok {
			p = s.array
		} else if isCustom(name) {
			p = "customSchemas"
		}
		if p != "" && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}

// after returns the new value of a field, or "" to clear it.
func after(f plan.FieldChange) string {
	if len(f.After) == 0 {
		return ""
	}
	return f.After[0]
}

// touchesArrays reports whether one of the fields is in an array, is a custom field, or has aliases. Such a write
// needs the present account.
func touchesArrays(fields []plan.FieldChange) bool {
	return slices.ContainsFunc(fields, func(f plan.FieldChange) bool {
		_, ok := slots[f.Name]
		return ok || isCustom(f.Name) || f.Name == plan.AliasesField
	})
}

// candidates returns the elements that match the slot, the preferred ones first.
func (s slot) candidates(list []map[string]any) []int {
	var out []int
	for i, e := range list {
		if s.matches(e) && !isMark(e) {
			out = append(out, i)
		}
	}
	if s.first != nil {
		slices.SortStableFunc(out, func(a, b int) int {
			switch x, y := s.first(list[a]), s.first(list[b]); {
			case x == y:
				return 0
			case x:
				return -1
			}
			return 1
		})
	}
	return out
}

// ours returns the element with the value of our digest, or -1.
func (s slot) ours(list []map[string]any, owned string) int {
	if owned == "" {
		return -1
	}
	for _, i := range s.candidates(list) {
		if v := text(list[i], s.member); v != "" && digest(v) == owned {
			return i
		}
	}
	return -1
}

// place returns the element that a value of ours replaces, or -1 for a new element.
func (s slot) place(list []map[string]any, owned, value string) int {
	if i := s.ours(list, owned); i >= 0 {
		return i
	}
	all := s.candidates(list)
	for _, i := range all {
		if v := text(list[i], s.member); v != "" && digest(v) == digest(value) {
			return i
		}
	}
	if len(all) > 0 && !s.beside {
		return all[0]
	}
	return -1
}

// write returns the list with the slot's value. It does not modify the elements of the old list.
func (s slot) write(list []map[string]any, owned, value string) []map[string]any {
	list = slices.Clone(list)
	if value != "" {
		if i := s.place(list, owned, value); i >= 0 {
			list[i] = maps.Clone(list[i])
			list[i][s.member] = value
			return list
		}
		e := maps.Clone(s.base)
		e[s.member] = value
		return append(list, e)
	}
	i := s.ours(list, owned)
	if i < 0 {
		return list // The elements are foreign.
	}
	list[i] = maps.Clone(list[i])
	delete(list[i], s.member)
	if s.hollow(list[i]) {
		return slices.Delete(list, i, i+1)
	}
	return list
}

// hollow reports whether an element has nothing left besides its type and flags.
func (s slot) hollow(e map[string]any) bool {
	for name, v := range e {
		_, isBase := s.base[name]
		if !isBase && name != "type" && name != "customType" && name != "primary" && v != "" && v != nil {
			return false
		}
	}
	return true
}
