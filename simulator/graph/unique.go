package graph

import "strings"

// uniqueIndex maps each value that must be unique to the object that has it.
type uniqueIndex map[string]map[string]*object

// What has to be unique. A deleted item frees its names and keeps its immutable id.
const (
	byUPN       = "userPrincipalName"
	byImmutable = "onPremisesImmutableId"
	byProxy     = "proxyAddresses"
	byUnique    = "uniqueName"
	byNickname  = "mailNickname" // of mail-enabled groups
	byTemplate  = "roleTemplateId"
)

func newUniqueIndex() uniqueIndex {
	u := uniqueIndex{}
	for _, name := range []string{byUPN, byImmutable, byProxy, byUnique, byNickname, byTemplate} {
		u[name] = map[string]*object{}
	}
	return u
}

// find returns the object that has a value, or nil.
func (u uniqueIndex) find(name, value string) *object {
	if name != byImmutable {
		value = strings.ToLower(value)
	}
	return u[name][value]
}

// each calls do for every unique value among the properties.
func (u uniqueIndex) each(k *kind, props map[string]any, do func(name, value string)) {
	switch k {
	case userKind:
		for _, name := range []string{byUPN, byImmutable} {
			if value, _ := props[name].(string); value != "" {
				do(name, value)
			}
		}
	case groupKind:
		if value, _ := props[byUnique].(string); value != "" {
			do(byUnique, value)
		}
		if enabled, _ := props["mailEnabled"].(bool); enabled {
			do(byNickname, textOf(props, byNickname))
		}
	case roleKind:
		do(byTemplate, textOf(props, byTemplate))
	}
	proxies, _ := props[byProxy].([]string)
	for _, address := range proxies {
		do(byProxy, address)
	}
}

// taken returns the first property with a value that another object has, or "".
func (u uniqueIndex) taken(o *object, k *kind, props map[string]any) string {
	conflict := ""
	u.each(k, props, func(name, value string) {
		if holder := u.find(name, value); holder != nil && holder != o && conflict == "" {
			conflict = name
		}
	})
	return conflict
}

func (u uniqueIndex) claim(o *object, props map[string]any) {
	u.each(o.kind, props, func(name, value string) {
		if name != byImmutable {
			value = strings.ToLower(value)
		}
		u[name][value] = o
	})
}

// release frees the values; the immutable id only if all is set.
func (u uniqueIndex) release(o *object, props map[string]any, all bool) {
	u.each(o.kind, props, func(name, value string) {
		if name == byImmutable && !all || u.find(name, value) != o {
			return
		}
		if name != byImmutable {
			value = strings.ToLower(value)
		}
		delete(u[name], value)
	})
}

func textOf(props map[string]any, name string) string {
	s, _ := props[name].(string)
	return s
}

func flagOf(props map[string]any, name string) bool {
	b, _ := props[name].(bool)
	return b
}
