package googleworkspace

import (
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
		path: "name(" + strings.ToLower(goName[:1]) + goName[1:] + ")",
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

// touchesArrays reports whether one of the fields is in an array. Such a write needs the present account.
func touchesArrays(fields []plan.FieldChange) bool {
	return slices.ContainsFunc(fields, func(f plan.FieldChange) bool { _, ok := slots[f.Name]; return ok })
}
