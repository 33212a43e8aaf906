package scim

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"rollcall/directory"
	"rollcall/mapping"
	"rollcall/plan"
	"rollcall/provider/pace"
)

// EnterpriseSchema is the extension of RFC 7643, section 4.3.
const (
	userSchema       = "urn:ietf:params:scim:schemas:core:2.0:User"
	groupSchema      = "urn:ietf:params:scim:schemas:core:2.0:Group"
	EnterpriseSchema = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
)

// slot is the place of a field in a resource.
type slot struct {
	// urn is the schema of an attribute that is not of the core schema.
	urn, attr string
	// sub is the sub-attribute of a complex attribute. typ is the type of the element of a multi-valued one.
	sub, typ string
	// user is set where the value is the id of a user, and the field has its userName.
	user bool
	// many is set where the field has all values of the attribute, or all of one type.
	many bool
	// primary is set where the field is about the primary element of a multi-valued attribute.
	primary bool
}

// inList reports whether the slot is about elements of a multi-valued attribute.
func (s *slot) inList() bool { return s.typ != "" || s.many || s.primary }

var anchorSlot = slot{attr: externalIDAttr}
var activeSlot = slot{attr: "active"}
var addressSlot = slot{attr: userNameAttr}

// slots has the places of the fields that have names of their own.
var slots = map[string]slot{
	plan.AddressField: addressSlot,
	"displayName":     {attr: "displayName"}, "nickName": {attr: "nickName"}, "profileUrl": {attr: "profileUrl"},
	"title": {attr: "title"}, "userType": {attr: "userType"}, "preferredLanguage": {attr: "preferredLanguage"},
	"locale": {attr: "locale"}, "timezone": {attr: "timezone"},
	"name.formatted":            {attr: "name", sub: "formatted"},
	"name.givenName":            {attr: "name", sub: "givenName"},
	"name.familyName":           {attr: "name", sub: "familyName"},
	"name.middleName":           {attr: "name", sub: "middleName"},
	"name.honorificPrefix":      {attr: "name", sub: "honorificPrefix"},
	"name.honorificSuffix":      {attr: "name", sub: "honorificSuffix"},
	"emails.work":               {attr: "emails", typ: "work", sub: "value"},
	"emails.home":               {attr: "emails", typ: "home", sub: "value"},
	"phoneNumbers.work":         {attr: "phoneNumbers", typ: "work", sub: "value"},
	"phoneNumbers.mobile":       {attr: "phoneNumbers", typ: "mobile", sub: "value"},
	"phoneNumbers.home":         {attr: "phoneNumbers", typ: "home", sub: "value"},
	"addresses.formatted":       {attr: "addresses", typ: "work", sub: "formatted"},
	"addresses.street":          {attr: "addresses", typ: "work", sub: "streetAddress"},
	"addresses.locality":        {attr: "addresses", typ: "work", sub: "locality"},
	"addresses.region":          {attr: "addresses", typ: "work", sub: "region"},
	"addresses.postalCode":      {attr: "addresses", typ: "work", sub: "postalCode"},
	"addresses.country":         {attr: "addresses", typ: "work", sub: "country"},
	"roles":                     {attr: "roles", many: true},
	"roles.primary":             {attr: "roles", primary: true, sub: "value"},
	"entitlements":              {attr: "entitlements", many: true},
	"entitlements.primary":      {attr: "entitlements", primary: true, sub: "value"},
	"enterprise.employeeNumber": {urn: EnterpriseSchema, attr: "employeeNumber"},
	"enterprise.costCenter":     {urn: EnterpriseSchema, attr: "costCenter"},
	"enterprise.organization":   {urn: EnterpriseSchema, attr: "organization"},
	"enterprise.division":       {urn: EnterpriseSchema, attr: "division"},
	"enterprise.department":     {urn: EnterpriseSchema, attr: "department"},
	"enterprise.manager":        {urn: EnterpriseSchema, attr: "manager", sub: "value", user: true},
}

// The names of fields for elements of multi-valued attributes.
var (
	typedValues      = regexp.MustCompile(`^(roles|entitlements)\.([A-Za-z][\w-]*)$`)
	displayOfPrimary = regexp.MustCompile(`^(roles|entitlements)\.primary\.display$`)
	typedValue       = regexp.MustCompile(`^(emails|phoneNumbers|ims)\.([A-Za-z][\w-]*)(\.display)?$`)
)

var userSpec = []mapping.Field{
	{Name: "name.givenName", Default: "givenName", Doc: "First name."},
	{Name: "name.familyName", Default: "coalesce(familyName, cn)", Doc: "Last name."},
	{Name: "displayName", Default: "coalesce(displayName, cn)", Doc: "Name that is shown."},
	{Name: "emails.work", Default: "lower(mail)",
		Doc: "Mail address of type work. It is primary where no other one is."},
	{Name: "name.formatted", Doc: "Full name."},
	{Name: "name.middleName", Doc: "Middle name."},
	{Name: "name.honorificPrefix", Doc: "Title before the name: Dr."},
	{Name: "name.honorificSuffix", Doc: "Suffix after the name: III."},
	{Name: "nickName", Doc: "Casual name."},
	{Name: "profileUrl", Doc: "Address of a page about the person."},
	{Name: "title", Doc: "Job title."},
	{Name: "userType", Doc: "Type of user: Employee, Contractor, …"},
	{Name: "preferredLanguage", Doc: "Language, as in Accept-Language: de-DE."},
	{Name: "locale", Doc: "Locale for dates and numbers: de-DE."},
	{Name: "timezone", Doc: "Time zone: Europe/Berlin."},
	{Name: "emails.home", Doc: "Mail address of type home."},
	{Name: "phoneNumbers.work", Doc: "Work phone number."},
	{Name: "phoneNumbers.mobile", Doc: "Mobile phone number."},
	{Name: "phoneNumbers.home", Doc: "Home phone number."},
	{Name: "addresses.formatted", MultiLine: true, Doc: "Work address, as one text."},
	{Name: "addresses.street", MultiLine: true, Doc: "Street of the work address."},
	{Name: "addresses.locality", Doc: "City of the work address."},
	{Name: "addresses.region", Doc: "State or region of the work address."},
	{Name: "addresses.postalCode", Doc: "Postal code of the work address."},
	{Name: "addresses.country", Doc: "Two-letter country code of the work address."},
	{Name: "roles", Many: true, Doc: "Roles, by their values: `ldap_all.role`."},
	{Name: "roles.primary", Doc: "The role that is marked as primary."},
	{Name: "entitlements", Many: true, Doc: "Entitlements, by their values: `ldap_all.entitlement`."},
	{Name: "entitlements.primary", Doc: "The entitlement that is marked as primary."},
	{Name: "<roles or entitlements>.<type>", Pattern: typedValues, Many: true, Doc: "Those of one type: " +
		"`entitlements.license`."},
	{Name: "<roles or entitlements>.primary.display", Pattern: displayOfPrimary,
		Doc: "What people see for the primary one."},
	{Name: "<attribute>.<type>", Pattern: typedValue, Doc: "The element of another type of `emails`, `phoneNumbers` " +
		"or `ims`, or what people see for it: `phoneNumbers.fax`, `ims.xmpp`, `emails.work.display`."},
	{Name: "enterprise.employeeNumber", Doc: "Employee number (enterprise extension)."},
	{Name: "enterprise.costCenter", Doc: "Cost center (enterprise extension)."},
	{Name: "enterprise.organization", Doc: "Name of the organization (enterprise extension)."},
	{Name: "enterprise.division", Doc: "Division (enterprise extension)."},
	{Name: "enterprise.department", Doc: "Department (enterprise extension)."},
	{Name: "enterprise.manager", Doc: "`userName` of the manager, `address_of(ldap.manager)`, which is " +
		"written as a reference to that user."},
}

var groupSpec = []mapping.Field{
	{Name: "displayName", Default: "cn", Required: true, Doc: "Name that is shown."},
}

// Spec returns the fields that mappings may set, with their defaults. Attributes of other schemas are added by their
// URN; see Config.spec.
func Spec() mapping.Spec {
	return mapping.Spec{User: slices.Clone(userSpec), Group: slices.Clone(groupSpec), UserAddress: "lower(mail)"}
}

// spec returns the fields with those that the configuration names by URN.
func (c *Config) spec() mapping.Spec {
	s := Spec()
	s.User = append(s.User, custom(c.UserPropertyMappings)...)
	s.Group = append(s.Group, custom(c.GroupPropertyMappings)...)
	isRole := func(name string) bool {
		at, _ := parseSlot(name)
		return at.urn == "" && strings.EqualFold(at.attr, "roles")
	}
	for _, name := range slices.Sorted(maps.Keys(c.UserPropertyMappings)) { // Patterns have entitlements as well.
		at, _ := parseSlot(name)
		if _, own := slots[name]; !own && isRole(name) && !strings.HasPrefix(name, "urn:") {
			s.User = append(s.User, mapping.Field{Name: name, Many: at.many})
		}
	}
	for i := range s.User {
		if isRole(s.User[i].Name) {
			s.User[i].Check = c.unprotecting
		}
	}
	return s
}

func custom(mapped map[string]string) []mapping.Field {
	var out []mapping.Field
	for _, name := range slices.Sorted(maps.Keys(mapped)) {
		if _, ok := parseSlot(name); ok && strings.HasPrefix(name, "urn:") {
			out = append(out, mapping.Field{Name: name})
		}
	}
	return out
}

// parseSlot returns the place of a field. A name such as urn:example:User:badge.number has a schema, an attribute and
// a sub-attribute.
func parseSlot(name string) (slot, bool) {
	if s, ok := slots[name]; ok {
		return s, true
	}
	if m := typedValues.FindStringSubmatch(name); m != nil {
		return slot{attr: m[1], typ: m[2], many: true}, true
	}
	if m := displayOfPrimary.FindStringSubmatch(name); m != nil {
		return slot{attr: m[1], primary: true, sub: "display"}, true
	}
	if m := typedValue.FindStringSubmatch(name); m != nil {
		return slot{attr: m[1], typ: m[2], sub: cmp.Or(strings.TrimPrefix(m[3], "."), "value")}, true
	}
	i := strings.LastIndex(name, ":")
	if !strings.HasPrefix(name, "urn:") || i < len("urn:x:") {
		return slot{}, false
	}
	s := slot{urn: name[:i]}
	s.attr, s.sub, _ = strings.Cut(name[i+1:], ".")
	if strings.EqualFold(s.urn, userSchema) || strings.EqualFold(s.urn, groupSchema) {
		s.urn = ""
	}
	return s, s.attr != "" && !strings.Contains(s.sub, ".") && !strings.EqualFold(s.attr, externalIDAttr) &&
		!strings.EqualFold(s.attr, "active") && !strings.EqualFold(s.attr, "members")
}

const concurrency = 8

// Capabilities implements provider.Provider. SCIM restores no deleted resource.
func (p *Provider) Capabilities() plan.Capabilities {
	normal := map[string]plan.Normal{plan.AddressField: plan.Fold | plan.Trim}
	for _, name := range slices.Concat(p.userFields, p.groupFields) {
		s, _ := parseSlot(name)
		normal[name] = plan.Trim
		switch {
		case s.edited():
			normal[name] |= plan.Shared | plan.Fold // RFC 7643, section 2.2: caseExact is false by default.
		case s.attr == "emails":
			normal[name] |= plan.Fold
		case s.attr == "phoneNumbers":
			normal[name] |= plan.Dial
		}
	}
	// Servers should store these in a canonical form (RFC 7643, section 4.1.2).
	for _, name := range []string{"enterprise.manager", "preferredLanguage", "locale", "addresses.country"} {
		normal[name] |= plan.Fold
	}
	return plan.Capabilities{BatchSize: 1, Concurrency: concurrency, Normal: normal,
		Refers: []string{"enterprise.manager"}}
}

// Estimate implements reconcile.Estimator.
func (p *Provider) Estimate(changes []plan.Change) time.Duration {
	cost := pace.Cost{}
	for i := range changes {
		c, share := &changes[i], 1.0
		if c.Op.Membership() {
			share = 1 / float64(max(1, p.cfg.MemberChunk))
		}
		cost[pace.Calls] += share
		cost[pace.Writes] += share
		if c.Kind == directory.User && !c.Op.Membership() {
			cost[userWrites]++
		}
		if c.Lane() == plan.LaneCreate {
			cost[userCreates]++
		}
	}
	return pace.Takes(p.cfg.Quotas()[0].Rates, cost)
}

// Batch implements reconcile.Batcher. The changes of one group's members go into one request.
func (p *Provider) Batch(changes []plan.Change) int {
	first := &changes[0]
	if !first.Op.Membership() {
		return 1
	}
	n := 1
	for n < len(changes) && n < p.cfg.MemberChunk && changes[n].Ref == first.Ref && changes[n].Op == first.Op {
		n++
	}
	return n
}
