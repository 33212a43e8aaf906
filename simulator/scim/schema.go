package scim

import (
	"slices"
	"strings"
)

// The URNs of the schemas and messages.
const (
	UserSchema       = "urn:ietf:params:scim:schemas:core:2.0:User"
	GroupSchema      = "urn:ietf:params:scim:schemas:core:2.0:Group"
	EnterpriseSchema = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	listMessage      = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
	patchMessage     = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
	errorMessage     = "urn:ietf:params:scim:api:messages:2.0:Error"
)

// attribute is the definition of an attribute (RFC 7643, section 7).
type attribute struct {
	name, kind string // kind is the SCIM type
	many       bool
	required   bool
	readOnly   bool
	// never is set for attributes that are never returned.
	never bool
	// exact is set where letter case counts.
	exact  bool
	unique string
	sub    []attribute
}

func text(name string) attribute { return attribute{name: name, kind: "string"} }

// plural is a multi-valued complex attribute with the sub-attributes of RFC 7643, section 2.4.
func plural(name string, sub ...attribute) attribute {
	if len(sub) == 0 {
		sub = []attribute{text("value"), text("display"), text("type"), {name: "primary", kind: "boolean"}}
	}
	return attribute{name: name, kind: "complex", many: true, sub: sub}
}

// common are the attributes of every resource.
var common = []attribute{
	{name: "schemas", kind: "reference", many: true, required: true, exact: true},
	{name: "id", kind: "string", readOnly: true, exact: true, unique: "server"},
	{name: "externalId", kind: "string", exact: true},
	{name: "meta", kind: "complex", readOnly: true, sub: []attribute{
		text("resourceType"), {name: "created", kind: "dateTime"}, {name: "lastModified", kind: "dateTime"},
		{name: "location", kind: "reference"}, text("version"),
	}},
}

var userAttributes = []attribute{
	{name: "userName", kind: "string", required: true, unique: "server"},
	{name: "name", kind: "complex", sub: []attribute{text("formatted"), text("familyName"), text("givenName"),
		text("middleName"), text("honorificPrefix"), text("honorificSuffix")}},
	text("displayName"), text("nickName"), {name: "profileUrl", kind: "reference"}, text("title"), text("userType"),
	text("preferredLanguage"), text("locale"), text("timezone"), {name: "active", kind: "boolean"},
	{name: "password", kind: "string", never: true},
	plural("emails"), plural("phoneNumbers"), plural("ims"),
	plural("photos", attribute{name: "value", kind: "reference"}, text("display"), text("type"),
		attribute{name: "primary", kind: "boolean"}),
	plural("addresses", text("formatted"), text("streetAddress"), text("locality"), text("region"), text("postalCode"),
		text("country"), text("type"), attribute{name: "primary", kind: "boolean"}),
	{name: "groups", kind: "complex", many: true, readOnly: true, sub: []attribute{text("value"),
		{name: "$ref", kind: "reference"}, text("display"), text("type")}},
	plural("entitlements"), plural("roles"),
	plural("x509Certificates", attribute{name: "value", kind: "binary"}, text("display"), text("type"),
		attribute{name: "primary", kind: "boolean"}),
}

var groupAttributes = []attribute{
	{name: "displayName", kind: "string", required: true},
	{name: "members", kind: "complex", many: true, sub: []attribute{{name: "value", kind: "string", exact: true},
		{name: "$ref", kind: "reference"}, text("type"), text("display")}},
}

var enterpriseAttributes = []attribute{
	text("employeeNumber"), text("costCenter"), text("organization"), text("division"), text("department"),
	{name: "manager", kind: "complex", sub: []attribute{{name: "value", kind: "string", exact: true},
		{name: "$ref", kind: "reference"}, {name: "displayName", kind: "string", readOnly: true}}},
}

// schema is a schema with its attributes.
type schema struct {
	id, name   string
	attributes []attribute
}

// kind is a resource type.
type kind struct {
	name, path string
	core       schema
	extensions []schema
}

// find returns the definition of an attribute, without regard to letter case.
func find(list []attribute, name string) *attribute {
	i := slices.IndexFunc(list, func(a attribute) bool { return strings.EqualFold(a.name, name) })
	if i < 0 {
		return nil
	}
	return &list[i]
}

// extension returns the extension with the URN.
func (k *kind) extension(urn string) *schema {
	i := slices.IndexFunc(k.extensions, func(s schema) bool { return strings.EqualFold(s.id, urn) })
	if i < 0 {
		return nil
	}
	return &k.extensions[i]
}

// Extension is a schema that the tenant has besides those of RFC 7643. Its attributes are texts.
type Extension struct {
	URN, Name  string
	Attributes []string
	// Group is set for an extension of groups. Otherwise it is one of users.
	Group bool
}

func (e Extension) schema() schema {
	s := schema{id: e.URN, name: e.Name}
	for _, name := range e.Attributes {
		s.attributes = append(s.attributes, text(name))
	}
	return s
}

// newKinds returns the resource types of a tenant.
func newKinds(extensions []Extension) (users, groups *kind) {
	users = &kind{name: "User", path: "Users", core: schema{UserSchema, "User", slices.Concat(common, userAttributes)},
		extensions: []schema{{EnterpriseSchema, "EnterpriseUser", enterpriseAttributes}}}
	groups = &kind{name: "Group", path: "Groups",
		core: schema{GroupSchema, "Group", slices.Concat(common, groupAttributes)}}
	for _, e := range extensions {
		k := users
		if e.Group {
			k = groups
		}
		k.extensions = append(k.extensions, e.schema())
	}
	return users, groups
}
