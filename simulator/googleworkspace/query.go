package googleworkspace

import "strings"

// clause is one part of a search, with field, operator and value.
type clause struct {
	field, op, value string
	prefix           bool // value* : the field begins with it
}

// searchField says how a field can be searched and which values of a document are compared.
type searchField struct {
	ops    string // "=" or "=:" ; ":*" allows the prefix form
	values func(doc map[string]any) []string
}

// userQuery are the documented fields of a users search that this tenant supports.
var userQuery = map[string]searchField{
	"email":            {"=:*", userAddresses},
	"name":             {"=:", func(d map[string]any) []string { return []string{nameOf(d, "fullName")} }},
	"givenName":        {"=:*", func(d map[string]any) []string { return []string{nameOf(d, "givenName")} }},
	"familyName":       {"=:*", func(d map[string]any) []string { return []string{nameOf(d, "familyName")} }},
	"isAdmin":          {"=", func(d map[string]any) []string { return []string{truth(d, "isAdmin")} }},
	"isDelegatedAdmin": {"=", func(d map[string]any) []string { return []string{truth(d, "isDelegatedAdmin")} }},
	"isSuspended":      {"=", func(d map[string]any) []string { return []string{truth(d, "suspended")} }},
	"isArchived":       {"=", func(d map[string]any) []string { return []string{truth(d, "archived")} }},
	"externalId":       {"=:", func(d map[string]any) []string { return elementValues(d, "externalIds") }},
	"phone":            {"=", func(d map[string]any) []string { return elementValues(d, "phones") }},
	"orgUnitPath":      {"=", unitsAbove},
	"": {":", func(d map[string]any) []string {
		return append(userAddresses(d), nameOf(d, "givenName"), nameOf(d, "familyName"))
	}},
}

// groupQuery are the fields of a groups search. memberKey stands alone and is served from an index.
var groupQuery = map[string]searchField{
	"email": {"=*", func(d map[string]any) []string { return []string{str(d, "email")} }},
	"name":  {"=*", func(d map[string]any) []string { return []string{str(d, "name")} }},
}

func nameOf(doc map[string]any, part string) string {
	name, _ := doc["name"].(map[string]any)
	return str(name, part)
}

func truth(doc map[string]any, field string) string {
	if boolean(doc, field) {
		return "true"
	}
	return "false"
}

func userAddresses(doc map[string]any) []string {
	list := []string{str(doc, "primaryEmail")}
	aliases, _ := doc["aliases"].([]any)
	for _, a := range aliases {
		list = append(list, a.(string))
	}
	return list
}

func elementValues(doc map[string]any, field string) []string {
	var list []string
	for _, e := range elements(doc, field) {
		list = append(list, str(e, "value"))
	}
	return list
}

// unitsAbove lists a user's organizational unit and all units above it, because a search covers the whole branch.
func unitsAbove(doc map[string]any) []string {
	list := []string{"/"}
	for p := str(doc, "orgUnitPath"); p != "" && p != "/"; p = p[:strings.LastIndex(p, "/")] {
		list = append(list, p)
	}
	return list
}

// parseQuery turns a search into a test of documents. Clauses are joined by AND. Undocumented and unsupported clauses
// are refused.
func parseQuery(query string, fields map[string]searchField) (func(map[string]any) bool, *apiError) {
	clauses, ok := parseClauses(query)
	if !ok {
		return nil, invalid("Invalid Input: query")
	}
	for _, c := range clauses {
		f, known := fields[c.field]
		if !known || c.prefix && !strings.Contains(f.ops, "*") || !c.prefix && !strings.Contains(f.ops, c.op) {
			return nil, invalid("Invalid Input: query")
		}
	}
	return func(doc map[string]any) bool {
		for _, c := range clauses {
			if !c.matches(fields[c.field].values(doc)) {
				return false
			}
		}
		return true
	}, nil
}

func (c clause) matches(values []string) bool {
	want := strings.ToLower(c.value)
	for _, v := range values {
		v = strings.ToLower(v)
		if c.op == "=" && v == want || c.prefix && strings.HasPrefix(v, want) || c.op == ":" && !c.prefix &&
			strings.Contains(v, want) {
			return true
		}
	}
	return false
}

// parseClauses splits "name:'A B' email:x*"; single quotes hold blanks, \' is a quote inside them.
func parseClauses(query string) ([]clause, bool) {
	var clauses []clause
	for rest := strings.TrimSpace(query); rest != ""; rest = strings.TrimSpace(rest) {
		c := clause{op: ":"}
		if end := strings.IndexAny(rest, "=: '"); end >= 0 && (rest[end] == '=' || rest[end] == ':') {
			c.field, c.op, rest = rest[:end], rest[end:end+1], rest[end+1:]
			if c.field == "" {
				return nil, false
			}
		}
		var ok bool
		if c.value, rest, ok = quoted(rest); !ok {
			return nil, false
		}
		if v, cut := strings.CutSuffix(c.value, "*"); cut && c.op == ":" {
			c.value, c.prefix = v, true
		}
		if c.value == "" {
			return nil, false
		}
		clauses = append(clauses, c)
	}
	return clauses, true
}

// quoted reads one value from the beginning.
func quoted(s string) (value, rest string, ok bool) {
	if !strings.HasPrefix(s, "'") {
		value, rest, _ = strings.Cut(s, " ")
		return value, rest, true
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case s[i] == '\'':
			rest = s[i+1:]
			if strings.HasPrefix(rest, "*") {
				return b.String() + "*", rest[1:], true
			}
			return b.String(), rest, true
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", false
}
