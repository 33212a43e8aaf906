package discoverytest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// loose are the schemas of fields that the document calls "any" and describes elsewhere, either for each element of
// an array or for one object. An entry that the document does not have is not checked.
var loose = map[string]struct {
	schema string
	array  bool
}{
	"User.addresses": {"UserAddress", true}, "User.emails": {"UserEmail", true},
	"User.externalIds": {"UserExternalId", true},
	"User.ims":         {"UserIm", true}, "User.keywords": {"UserKeyword", true}, "User.languages": {"UserLanguage", true},
	"User.locations": {"UserLocation", true}, "User.organizations": {"UserOrganization", true},
	"User.phones":        {"UserPhone", true},
	"User.posixAccounts": {"UserPosixAccount", true}, "User.relations": {"UserRelation", true},
	"User.sshPublicKeys": {"UserSshPublicKey", true}, "User.websites": {"UserWebsite", true},
	"User.gender": {"UserGender", false}, "User.notes": {"UserAbout", false},
	"Aliases.aliases": {"Alias", false}, // its elements are "any"
}

// isElement says whether a schema is one of those that stand for "any".
func isElement(schema string) bool {
	for _, known := range loose {
		if known.schema == schema {
			return schema != "Alias"
		}
	}
	return false
}

// value checks one value against its schema. method is the id of the method for a value in a request, and empty for
// one in a response.
func (s site) value(path string, want *schema, value any, method string) {
	s.c.t.Helper()
	name := want.Ref
	want = s.c.doc.resolve(want)
	if want == nil || value == nil && method != "" {
		return // null clears a field
	}
	switch want.Type {
	case "object":
		s.object(path, name, want, value, method)
	case "array":
		list, ok := value.([]any)
		if !ok {
			s.wrong(path, "an array", value)
			return
		}
		for i, item := range list {
			s.value(fmt.Sprintf("%s[%d]", path, i), s.element(path, want.Items), item, method)
		}
	case "string":
		s.text(path, want, value)
	case "boolean":
		if _, ok := value.(bool); !ok {
			s.wrong(path, "a boolean", value)
		}
	case "integer", "number":
		s.number(path, want, value)
	case "any":
		s.any(path, value, method)
	default:
		s.report("%s: the document has the type %q, which this check does not know", path, want.Type)
	}
}

func (s site) wrong(path, want string, value any) {
	s.c.t.Helper()
	s.report("%s: want %s, got %s", path, want, encoded(value))
}

func encoded(value any) string {
	data, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(data)
}

func (s site) object(path, name string, want *schema, value any, method string) {
	s.c.t.Helper()
	fields, ok := value.(map[string]any)
	if !ok {
		s.wrong(path, "an object", value)
		return
	}
	if name != "" {
		path = name // "User.name" and not "Users.users[3].name": short, and what `loose` is keyed by
	}
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		at := path + "." + field
		prop := want.Properties[field]
		if prop == nil {
			prop = want.AdditionalProperties
		}
		switch {
		case prop == nil && isElement(name) && s.c.foreign(at, method == ""):
			continue
		case prop == nil:
			s.report("%s: unknown field", at)
			continue
		case method != "" && prop.readOnly():
			s.report("%s: read-only field in a request", at)
		case field == "kind" && prop.Default != "" && method == "" && fields[field] != prop.Default:
			s.report("%s: want %q, got %s", at, prop.Default, encoded(fields[field]))
		}
		s.value(at, prop, fields[field], method)
	}
	if method == "" {
		return
	}
	for _, field := range slices.Sorted(maps.Keys(want.Properties)) {
		if slices.Contains(want.Properties[field].Annotations.Required, method) && fields[field] == nil {
			s.report("%s.%s: required, and absent", path, field)
		}
	}
}

// element returns the schema of an array's elements, for "any" the one that is known.
func (s site) element(path string, items *schema) *schema {
	if known, ok := loose[path]; ok && items.Type == "any" && s.c.doc.Schemas[known.schema] != nil {
		return &schema{Ref: known.schema}
	}
	return items
}

func (s site) any(path string, value any, method string) {
	s.c.t.Helper()
	known, ok := loose[path]
	if !ok || s.c.doc.Schemas[known.schema] == nil {
		return
	}
	want := &schema{Ref: known.schema}
	if known.array {
		want = &schema{Type: "array", Items: want}
	}
	s.value(path, want, value, method)
}

func (s site) text(path string, want *schema, value any) {
	s.c.t.Helper()
	text, ok := value.(string)
	if !ok {
		s.wrong(path, "a string", value)
		return
	}
	if len(want.Enum) > 0 && !slices.Contains(want.Enum, text) {
		s.report("%s: %q is none of %v", path, text, want.Enum)
	}
	var err error
	switch want.Format {
	case "int64":
		_, err = strconv.ParseInt(text, 10, 64)
	case "uint64":
		_, err = strconv.ParseUint(text, 10, 64)
	case "date-time", "google-datetime":
		_, err = time.Parse(time.RFC3339, text)
	case "date":
		_, err = time.Parse(time.DateOnly, text)
	}
	if err != nil {
		s.report("%s: %q is no %s", path, text, want.Format)
	}
}

func (s site) number(path string, want *schema, value any) {
	s.c.t.Helper()
	n, ok := value.(json.Number)
	if !ok {
		s.wrong(path, "a number", value)
		return
	}
	if want.Type == "integer" {
		if _, err := strconv.ParseInt(n.String(), 10, 32); err != nil {
			s.wrong(path, "a 32-bit integer", value)
		}
	}
}
