package googleworkspace

import (
	"rollcall/mapping"
	"rollcall/plan"
)

// The lengths come from the Users and Groups references. For some fields Google gives only a size of the array that
// contains them (phones 1 KB, externalIds and relations 2 KB, …). There the limit leaves room for other elements.
var userSpec = []mapping.Field{
	{Name: "name.givenName", Default: "givenName", Required: true, MaxLength: 60, Check: checkName, Doc: "First name."},
	{Name: "name.familyName", Default: "coalesce(familyName, cn)", Required: true, MaxLength: 60, Check: checkName,
		Doc: "Last name."},
	{Name: "name.displayName", MaxLength: 256,
		Doc: "Name that is shown; Google makes one of the other two where it is empty."},
	{Name: "orgUnitPath", Required: true, MaxLength: 1024, Check: checkOrgUnit,
		Doc: "Path of the organizational unit, which must exist: /Staff/Berlin. Give / for the root."},
	{Name: "recoveryEmail", MaxLength: 254, Doc: "Address for account recovery."},
	{Name: "recoveryPhone", MaxLength: 16, Check: checkPhone,
		Doc: "Phone number for account recovery, in E.164 form: +4930123456."},
	{Name: "includeInGlobalAddressList", Required: true, Bool: true, Doc: "Shown in the global directory."},
	{Name: "organizations.title", MaxLength: 256, Doc: "Job title, in the primary organization."},
	{Name: "organizations.department", MaxLength: 256, Doc: "Department, in the primary organization."},
	{Name: "organizations.costCenter", MaxLength: 256, Doc: "Cost center, in the primary organization."},
	{Name: "organizations.description", MaxLength: 256, Doc: "Type of employee, in the primary organization."},
	{Name: "organizations.name", MaxLength: 256, Doc: "Name of the primary organization."},
	{Name: "phones.work", MaxLength: 64, Doc: "Work phone number."},
	{Name: "phones.mobile", MaxLength: 64, Doc: "Mobile phone number."},
	{Name: "phones.home", MaxLength: 64, Doc: "Home phone number."},
	{Name: "externalIds.organization", MaxLength: 256, Doc: "Employee ID."},
	{Name: "relations.manager", MaxLength: 254, Doc: "Address of the manager."},
	{Name: "addresses.work", MaxLength: 1024, MultiLine: true, Doc: "Work address, as one text."},
	{Name: "locations.buildingId", MaxLength: 100, Doc: "Building ID of the desk."},
	{Name: "locations.floorName", MaxLength: 100, Doc: "Floor of the desk."},
	{Name: "locations.deskCode", MaxLength: 100, Doc: "Code of the desk."},
}

var groupSpec = []mapping.Field{
	{Name: "name", Default: "cn", Required: true, MaxLength: 73, Doc: "Name that is shown."},
	{Name: "description", MaxLength: 4096, MultiLine: true, Doc: "Description."},
}

// Spec returns the fields that mappings may set, with their defaults.
func Spec() mapping.Spec {
	return mapping.Spec{
		User: append([]mapping.Field(nil), userSpec...), Group: append([]mapping.Field(nil), groupSpec...),
		UserAddress:      "lower(mail)",
		GroupAddress:     `slug(cn) + "@" + domain`,
		CheckUserAddress: checkUserAddress, CheckGroupAddress: checkGroupAddress,
	}
}

// mapped returns the names of the mapped user fields. Read requests no others.
func (c *Config) mapped() []string {
	var names []string
	for _, f := range userSpec {
		if _, ok := c.UserPropertyMappings[f.Name]; ok || f.Default != "" {
			names = append(names, f.Name)
		}
	}
	return names
}

// concurrency is the number of concurrent calls. Google answers 403 quotaExceeded to too many, and far fewer use up
// the quota of 40 a second.
const concurrency = 16

// Capabilities implements provider.Provider.
func (p *Provider) Capabilities() plan.Capabilities {
	normal := map[string]plan.Normal{plan.AddressField: plan.Fold | plan.Trim}
	for _, f := range append(append([]mapping.Field(nil), userSpec...), groupSpec...) {
		normal[f.Name] = plan.Trim
	}
	for _, name := range []string{"name.givenName", "name.familyName", "name.displayName", "name"} {
		normal[name] |= plan.Squeeze
	}
	for _, name := range []string{"orgUnitPath", "recoveryEmail", "includeInGlobalAddressList", "relations.manager"} {
		normal[name] |= plan.Fold
	}
	return plan.Capabilities{BatchSize: 1, Concurrency: concurrency, RenameKeepsAddress: true,
		UndeleteWithin: undeleteWithin, Normal: normal}
}
