// Package rfctest checks answers of SCIM servers against RFC 7643, RFC 7644 and RFC 9865. The schemas are those of
// github.com/elimity-com/scim, which has no part of the simulator.
package rfctest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/elimity-com/scim/schema"
)

// The URNs of messages and extensions that answers have.
const (
	listMessage  = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
	errorMessage = "urn:ietf:params:scim:api:messages:2.0:Error"
)

// attribute is the definition of an attribute (RFC 7643, section 7).
type attribute struct {
	Name, Type            string
	MultiValued, Required bool
	SubAttributes         []attribute
}

func text(name string) attribute { return attribute{Name: name, Type: "string"} }

// common are the attributes of every resource (RFC 7643, section 3.1).
var common = []attribute{
	{Name: "schemas", Type: "reference", MultiValued: true, Required: true}, text("id"), text("externalId"),
	{Name: "meta", Type: "complex", Required: true, SubAttributes: []attribute{
		{Name: "resourceType", Type: "string", Required: true}, {Name: "created", Type: "dateTime"},
		{Name: "lastModified", Type: "dateTime"}, {Name: "location", Type: "reference", Required: true}, text("version")}},
}

// messages are the forms of lists (RFC 7644, section 3.4.2, and RFC 9865, section 2) and errors (section 3.12).
var messages = map[string][]attribute{
	listMessage: {common[0], {Name: "totalResults", Type: "integer"}, {Name: "itemsPerPage", Type: "integer"},
		{Name: "startIndex", Type: "integer"}, text("nextCursor"), text("previousCursor"),
		{Name: "Resources", Type: "any", MultiValued: true}},
	errorMessage: {common[0], {Name: "status", Type: "string", Required: true}, text("scimType"), text("detail")},
}

// scimTypes are the detail codes of errors (RFC 7644, table 9, and RFC 9865, section 3).
var scimTypes = []string{"", "invalidFilter", "tooMany", "uniqueness", "mutability", "invalidSyntax", "invalidPath",
	"noTarget", "invalidValue", "invalidVers", "sensitive", "invalidCursor", "expiredCursor", "invalidCount"}

// Checker knows the schemas. More extensions can be added to it.
type Checker struct{ schemas map[string][]attribute }

// New returns a Checker of the schemas of RFC 7643.
func New() *Checker {
	c := &Checker{schemas: map[string][]attribute{}}
	for _, s := range []schema.Schema{schema.CoreUserSchema(), schema.CoreGroupSchema(), schema.ExtensionEnterpriseUser(),
		schema.Definition(), schema.ResourceTypeSchema(), schema.ServiceProviderConfigSchema()} {
		raw, _ := json.Marshal(s) // It is a constant.
		var def struct {
			ID         string
			Attributes []attribute
		}
		_ = json.Unmarshal(raw, &def)
		c.schemas[def.ID] = def.Attributes
	}
	config := "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"
	flag := func(name string) attribute { return attribute{Name: name, Type: "boolean", Required: true} }
	number := func(name string) attribute { return attribute{Name: name, Type: "integer"} }
	c.schemas[config] = append(c.schemas[config], attribute{Name: "pagination", Type: "complex", // RFC 9865, section 4
		SubAttributes: []attribute{flag("cursor"), flag("index"), text("defaultPaginationMethod"),
			number("defaultPageSize"), number("maxPageSize"), number("cursorTimeout")}})
	return c
}

// Extend adds an extension with attributes that are texts.
func (c *Checker) Extend(urn string, names ...string) {
	for _, name := range names {
		c.schemas[urn] = append(c.schemas[urn], text(name))
	}
}

// Check returns what is wrong with an answer.
func (c *Checker) Check(method string, status int, header http.Header, body []byte) (wrong []string) {
	if len(body) == 0 {
		if status == http.StatusOK || status >= http.StatusBadRequest {
			return []string{fmt.Sprintf("a %d has no body", status)}
		}
		return nil
	}
	if kind := header.Get("Content-Type"); kind != "application/scim+json" {
		wrong = append(wrong, fmt.Sprintf("Content-Type is %q", kind))
	}
	var v map[string]any
	if err := json.Unmarshal(body, &v); err != nil {
		return append(wrong, "the body is not an object: "+err.Error())
	}
	urns, _ := v["schemas"].([]any)
	message := ""
	if len(urns) == 1 {
		message, _ = urns[0].(string)
	}
	switch {
	case (message == errorMessage) != (status >= http.StatusMultipleChoices):
		wrong = append(wrong, fmt.Sprintf("a %d has the schemas %v", status, urns))
	case message == errorMessage:
		code, _ := v["scimType"].(string)
		if v["status"] != fmt.Sprint(status) || !slices.Contains(scimTypes, code) {
			wrong = append(wrong, fmt.Sprintf("a %d says %v and the scimType %q", status, v["status"], code))
		}
		wrong = append(wrong, object(v, messages[errorMessage], "")...)
	case message == listMessage:
		wrong = append(wrong, c.list(v)...)
	default:
		wrong = append(wrong, c.resource(v)...)
		meta, _ := v["meta"].(map[string]any)
		if tag := header.Get("ETag"); tag != "" && meta != nil && tag != meta["version"] {
			wrong = append(wrong, fmt.Sprintf("ETag is %s, and meta.version %v", tag, meta["version"]))
		}
		if at := header.Get("Location"); method == http.MethodPost && at == "" {
			wrong = append(wrong, "a new resource has no Location")
		}
	}
	return wrong
}

func (c *Checker) list(v map[string]any) []string {
	wrong := object(v, messages[listMessage], "")
	resources, _ := v["Resources"].([]any)
	total, counted := v["totalResults"].(float64)
	if _, cursor := v["nextCursor"]; !counted && !cursor && v["startIndex"] != nil {
		wrong = append(wrong, "a list by index has no totalResults")
	}
	if counted && int(total) < len(resources) || v["itemsPerPage"] != float64(len(resources)) {
		wrong = append(wrong, fmt.Sprintf("%d resources, itemsPerPage %v, totalResults %v", len(resources),
			v["itemsPerPage"], v["totalResults"]))
	}
	for _, r := range resources {
		m, _ := r.(map[string]any)
		wrong = append(wrong, c.resource(m)...)
	}
	return wrong
}

// resource checks a resource against the schemas that it names.
func (c *Checker) resource(v map[string]any) (wrong []string) {
	urns, _ := v["schemas"].([]any)
	if len(urns) == 0 {
		return []string{fmt.Sprintf("no schemas: %v", v)}
	}
	defs := slices.Clone(common)
	for i, u := range urns {
		urn, _ := u.(string)
		known := c.schemas[urn]
		switch ext, is := v[urn].(map[string]any); {
		case known == nil:
			wrong = append(wrong, "the schema "+urn+" is unknown")
		case i == 0:
			for _, a := range known {
				if !slices.ContainsFunc(common, func(b attribute) bool { return a.Name == b.Name }) {
					defs = append(defs, a)
				}
			}
		case !is:
			wrong = append(wrong, "schemas has "+urn+", and the resource has not")
		default:
			defs = append(defs, attribute{Name: urn, Type: "complex", SubAttributes: known})
			if len(ext) == 0 {
				wrong = append(wrong, urn+" is empty")
			}
		}
	}
	kind, _ := urns[0].(string)
	if id, _ := v["id"].(string); id == "" && !strings.HasSuffix(kind, ":ServiceProviderConfig") {
		wrong = append(wrong, "no id")
	}
	return append(wrong, object(v, defs, "")...)
}

// object checks the attributes of an object against their definitions.
func object(v map[string]any, defs []attribute, where string) (wrong []string) {
	for name, value := range v {
		i := slices.IndexFunc(defs, func(a attribute) bool { return a.Name == name })
		if i < 0 {
			wrong = append(wrong, where+name+" is in no schema")
			continue
		}
		wrong = append(wrong, attributeOf(value, &defs[i], where+name)...)
	}
	for _, a := range defs {
		if v[a.Name] == nil && a.Required {
			wrong = append(wrong, where+a.Name+" is required")
		}
	}
	return wrong
}

func attributeOf(value any, a *attribute, where string) (wrong []string) {
	if !a.MultiValued {
		return single(value, a, where)
	}
	list, is := value.([]any)
	if !is {
		return []string{where + " is no list"}
	}
	primaries := 0
	for _, el := range list {
		if m, is := el.(map[string]any); is && m["primary"] == true {
			primaries++
		}
		wrong = append(wrong, single(el, a, where)...)
	}
	if primaries > 1 {
		wrong = append(wrong, where+" has several primary values")
	}
	return wrong
}

func single(value any, a *attribute, where string) []string {
	ok := false
	switch a.Type {
	case "any":
		ok = true
	case "boolean":
		_, ok = value.(bool)
	case "integer", "decimal":
		n, is := value.(float64)
		ok = is && (a.Type == "decimal" || n == float64(int64(n)))
	case "complex":
		if m, is := value.(map[string]any); is {
			return object(m, a.SubAttributes, where+".")
		}
	default:
		s, is := value.(string)
		ok = is
		switch a.Type {
		case "dateTime":
			_, err := time.Parse(time.RFC3339Nano, s)
			ok = is && err == nil
		case "binary":
			_, err := base64.StdEncoding.DecodeString(s)
			ok = is && err == nil
		}
	}
	if !ok {
		return []string{fmt.Sprintf("%s is %v, and not of type %s", where, value, a.Type)}
	}
	return nil
}
