package entra

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"rollcall/mapping"
	"rollcall/plan"
)

// The pages on which Microsoft publishes the rules for names and fields.
const (
	upnPage   = "https://learn.microsoft.com/entra/identity/authentication/concept-sspr-policy#username-policies"
	userPage  = "https://learn.microsoft.com/graph/api/resources/user"
	groupPage = "https://learn.microsoft.com/graph/api/resources/group"
)

// The published lengths of a userPrincipalName.
const (
	longestLocal  = 64
	longestDomain = 48
)

// checkUPN returns why Entra refuses a user with the address, or nil. Everything that the page does not forbid
// passes.
func checkUPN(address string) error {
	local, domain, _ := strings.Cut(address, "@")
	for _, r := range local {
		if r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("'.-_!#^~", r) {
			return fmt.Errorf("a userPrincipalName allows only letters, digits and ' . - _ ! # ^ ~ before the @, not "+
				"%q, as in %q (%s)", r, address, upnPage)
		}
	}
	switch {
	case strings.HasSuffix(local, "."):
		return fmt.Errorf("a userPrincipalName allows no period right before the @, as in %q (%s)", address, upnPage)
	case len(local) > longestLocal:
		return fmt.Errorf("%q has %d characters before the @, a userPrincipalName allows %d (%s)", address, len(local),
			longestLocal, upnPage)
	case len(domain) > longestDomain:
		return fmt.Errorf("%q has %d characters after the @, a userPrincipalName allows %d (%s)", address, len(domain),
			longestDomain, upnPage)
	}
	return nil
}

// checkNickname returns why Entra refuses the mail nickname, or nil.
func checkNickname(nickname string) error {
	for _, r := range nickname {
		if refusedInNickname(r) {
			return fmt.Errorf(`mailNickname allows ASCII without spaces and @ ( ) \ [ ] " ; : < > , and no %q, as in %q (%s)`,
				r, nickname, groupPage)
		}
	}
	return nil
}

func refusedInNickname(r rune) bool {
	return r <= ' ' || r >= 0x7f || strings.ContainsRune("@()\\[]\";:<>,", r)
}

// checkMail checks mail addresses.
func checkMail(mail string) error {
	for _, r := range mail {
		if r > unicode.MaxASCII {
			return fmt.Errorf("mail allows no accents and no %q, as in %q (%s)", r, mail, userPage)
		}
	}
	return nil
}

// checkCountry checks the usage location.
func checkCountry(code string) error {
	if len(code) != 2 || strings.ContainsFunc(code, func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsLetter(r)
	}) {
		return fmt.Errorf("usageLocation must be a country code of two letters, such as DE, not %q (%s)", code,
			userPage)
	}
	return nil
}

// The lengths come from the user and group references. The names are Graph's.
var userSpec = []mapping.Field{
	{Name: "displayName", Default: "coalesce(displayName, cn)", Required: true, MaxLength: 256,
		Doc: "Name that is shown."},
	{Name: "givenName", Default: "givenName", MaxLength: 64, Doc: "First name."},
	{Name: "surname", Default: "familyName", MaxLength: 64, Doc: "Last name."},
	{Name: "mailNickname", MaxLength: 64, Check: checkNickname,
		Doc: "Mail alias, without a domain; when it is not mapped, a new user gets one made of the part before the @."},
	{Name: "mail", MaxLength: 256, Check: checkMail, Doc: "Mail address, for tenants where no mailbox sets it."},
	{Name: "jobTitle", MaxLength: 128, Doc: "Job title."},
	{Name: "department", MaxLength: 64, Doc: "Department."},
	{Name: "companyName", MaxLength: 64, Doc: "Name of the company."},
	{Name: "employeeId", MaxLength: 16, Doc: "Employee ID."},
	{Name: "employeeType", MaxLength: 128, Doc: "Type of employee: Employee, Contractor, …"},
	{Name: "officeLocation", MaxLength: 128, Doc: "Office."},
	{Name: "mobilePhone", MaxLength: 64, Doc: "Mobile phone number."},
	{Name: "businessPhones", MaxLength: 64, Doc: "Work phone number; Graph takes one."},
	{Name: "faxNumber", MaxLength: 64, Doc: "Fax number."},
	{Name: "streetAddress", MaxLength: 1024, MultiLine: true, Doc: "Street."},
	{Name: "city", MaxLength: 128, Doc: "City."},
	{Name: "state", MaxLength: 128, Doc: "State or province."},
	{Name: "postalCode", MaxLength: 40, Doc: "Postal code."},
	{Name: "country", MaxLength: 128, Doc: "Country or region."},
	{Name: "usageLocation", MaxLength: 2, Check: checkCountry,
		Doc: "Two-letter country code (ISO 3166), which licences need; it is never cleared."},
	{Name: "preferredLanguage", MaxLength: 64, Doc: "Language and region: de-DE."},
	{Name: managerField, MaxLength: longestLocal + 1 + longestDomain, Doc: "`userPrincipalName` of the manager, " +
		"`address_of(ldap.manager)`, which is set as a reference to that user."},
	extension(1), extension(2), extension(3), extension(4), extension(5), extension(6), extension(7), extension(8),
	extension(9), extension(10), extension(11), extension(12), extension(13), extension(14), extension(15),
}

// extension is one of the attributes that Graph has for values without a field of their own.
func extension(n int) mapping.Field {
	return mapping.Field{Name: fmt.Sprintf("onPremisesExtensionAttributes.extensionAttribute%d", n), MaxLength: 1024,
		Doc: fmt.Sprintf("Extension attribute %d.", n)}
}

var groupSpec = []mapping.Field{
	{Name: "displayName", Default: "cn", Required: true, MaxLength: 256, Doc: "Name that is shown."},
	{Name: "description", MaxLength: 1024, MultiLine: true, Doc: "Description."},
	{Name: "mailNickname", MaxLength: 64, Check: checkNickname,
		Doc: "Mail alias; when it is not mapped, a new group gets one made of its name."},
}

// Spec returns the fields that mappings may set, with their defaults. Groups have no address.
func Spec() mapping.Spec {
	return mapping.Spec{
		User: slices.Clone(userSpec), Group: slices.Clone(groupSpec), UserAddress: "lower(mail)", CheckUserAddress: checkUPN,
	}
}

// isList reports whether Graph holds the field as an array.
func isList(field string) bool { return field == "businessPhones" }

// mandatory are the fields that cannot be cleared. Microsoft documents usageLocation as not nullable.
var mandatory = []string{"displayName", "mailNickname", "usageLocation"}

// patch puts changed fields into the body of a request, with leading and trailing blanks removed.
func patch(body map[string]any, fields []plan.FieldChange) {
	for _, f := range fields {
		value := ""
		if len(f.After) > 0 {
			value = strings.TrimSpace(f.After[0])
		}
		if f.Name == "usageLocation" {
			value = strings.ToUpper(value)
		}
		property, part, partial := strings.Cut(f.Name, ".")
		switch {
		case partial:
			parts, _ := body[property].(map[string]any)
			if parts == nil {
				parts = map[string]any{}
				body[property] = parts
			}
			if parts[part] = any(value); value == "" {
				parts[part] = nil
			}
		case f.Name == plan.AddressField, f.Name == managerField, value == "" && slices.Contains(mandatory, f.Name):
		case isList(f.Name) && value == "":
			body[f.Name] = []string{}
		case isList(f.Name):
			body[f.Name] = []string{value}
		case value == "":
			body[f.Name] = nil
		default:
			body[f.Name] = value
		}
	}
}

const (
	// mostItems is the number of requests in a batch, and mostMembers the number of members that one request adds.
	mostItems   = 20
	mostMembers = 20
	// concurrency is the number of concurrent batches. One or two use up the quota of writes.
	concurrency = 4
)

// Capabilities implements provider.Provider.
func (p *Provider) Capabilities() plan.Capabilities {
	normal := map[string]plan.Normal{plan.AddressField: plan.Fold | plan.Trim}
	for _, f := range slices.Concat(userSpec, groupSpec) {
		normal[f.Name] = plan.Trim
	}
	for _, name := range []string{"mail", "usageLocation", "preferredLanguage", managerField} {
		normal[name] |= plan.Fold
	}
	for _, name := range mandatory {
		normal[name] |= plan.Permanent
	}
	return plan.Capabilities{BatchSize: mostItems, Concurrency: concurrency, UndeleteWithin: returningLife,
		Normal: normal, Refers: []string{managerField}}
}

// Batch implements reconcile.Batcher. Twenty new members fit into one request, and twenty requests into a batch.
// Where objects are read again before they lose something, one read serves several batches.
func (p *Provider) Batch(changes []plan.Change) int {
	switch changes[0].Op {
	case plan.AddMember:
		return wholeBatch(changes)
	case plan.RemoveMember:
		return min(5*mostItems, len(changes))
	case plan.Suspend, plan.Delete:
		return min(3*mostItems, len(changes))
	}
	return min(mostItems, len(changes))
}

// wholeBatch returns the number of additions that fit into one batch.
func wholeBatch(changes []plan.Change) int {
	requests, size := 0, 0
	for i := range changes {
		if i == 0 || changes[i].ID != changes[i-1].ID || size == mostMembers {
			if requests == mostItems {
				return i
			}
			requests, size = requests+1, 0
		}
		size++
	}
	return len(changes)
}
