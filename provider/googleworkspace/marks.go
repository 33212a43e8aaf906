package googleworkspace

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	admin "google.golang.org/api/admin/directory/v1"

	"rollcall/directory"
	"rollcall/mapping"
	"rollcall/plan"
)

// Our marks; see the package comment.
const (
	anchorType     = "rollcall"
	suspendedType  = "rollcall_suspended"
	fieldsType     = "rollcall_fields"
	groupNamespace = "system/external"
	groupPrefix    = "rollcall:"
)

// elements returns the objects of an array from decoded JSON.
func elements(array any) []map[string]any {
	list, _ := array.([]any)
	out := make([]map[string]any, 0, len(list))
	for _, e := range list {
		if o, ok := e.(map[string]any); ok {
			out = append(out, o)
		}
	}
	return out
}

func text(element map[string]any, name string) string {
	s, _ := element[name].(string)
	return s
}

// marks are our elements of a user's externalIds.
type marks struct {
	anchors   []string
	suspended string            // RFC 3339, or ""
	owned     map[string]string // digest of our value by field name
}

func isMark(e map[string]any) bool {
	if text(e, "type") != "custom" {
		return false
	}
	t := text(e, "customType")
	return t == anchorType || t == suspendedType || t == fieldsType
}

func marksOf(u *admin.User) marks {
	m := marks{owned: map[string]string{}}
	for _, e := range elements(u.ExternalIds) {
		if !isMark(e) {
			continue
		}
		value := strings.TrimSpace(text(e, "value"))
		switch text(e, "customType") {
		case anchorType:
			if value != "" && !slices.Contains(m.anchors, value) {
				m.anchors = append(m.anchors, value)
			}
		case suspendedType:
			m.suspended = value
		case fieldsType:
			for pair := range strings.SplitSeq(value, ",") {
				if name, digest, ok := strings.Cut(pair, "="); ok {
					m.owned[name] = digest
				}
			}
		}
	}
	return m
}

// elements returns the marks as elements of externalIds.
func (m marks) elements() []any {
	var out []any
	add := func(customType, value string) {
		if value != "" {
			out = append(out, map[string]any{"type": "custom", "customType": customType, "value": value})
		}
	}
	for _, a := range m.anchors {
		add(anchorType, a)
	}
	add(suspendedType, m.suspended)
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(m.owned)) {
		pairs = append(pairs, name+"="+m.owned[name])
	}
	add(fieldsType, strings.Join(pairs, ","))
	return out
}

// digest returns a short name of a value for rollcall_fields. It distinguishes our value from an edited one. It is
// short because externalIds are limited to 2 KB. Both forms of a letter with an accent have one digest, because a
// server may return the other one.
func digest(value string) string {
	sum := sha256.Sum256([]byte(strings.ToLower(norm.NFC.String(strings.TrimSpace(value)))))
	return hex.EncodeToString(sum[:4])
}

// groupAnchors returns the anchors of a group, and the external ids that are not ours.
func groupAnchors(g *admin.Group) (anchors []string, foreign []*admin.ExternalId) {
	for _, e := range g.ExternalIds {
		if e == nil {
			continue
		}
		id, ours := strings.CutPrefix(e.Id, groupPrefix)
		if !ours || e.Namespace != groupNamespace || id == "" {
			foreign = append(foreign, e)
		} else if !slices.Contains(anchors, id) {
			anchors = append(anchors, id)
		}
	}
	return anchors, foreign
}

func groupAnchor(id directory.ID) *admin.ExternalId {
	return &admin.ExternalId{Namespace: groupNamespace, Id: groupPrefix + string(id)}
}

// one returns the anchor of an object. Several anchors count as none, because Rollcall does not guess the right one.
func one(anchors []string) (id directory.ID, problem string) {
	switch len(anchors) {
	case 0:
		return "", ""
	case 1:
		return directory.ID(anchors[0]), ""
	}
	return "", fmt.Sprintf("it carries several Rollcall anchors (%s); remove all but one", strings.Join(anchors, ", "))
}

// suspendedTogether is the largest delay of Google's suspensionTime after our mark that still means one suspension.
// It allows for different clocks and slow writes.
const suspendedTogether = 15 * time.Minute

// suspender returns who suspended an account. An active account with our mark was activated by hand. The mark has to
// be removed, because otherwise a later foreign suspension would be taken for ours.
func suspender(u *admin.User, m marks) plan.Suspender {
	switch {
	case u.Archived:
		return plan.Else
	case !u.Suspended && m.suspended == "":
		return plan.Nobody
	case !u.Suspended:
		return plan.Us
	case m.suspended == "":
		return plan.Else
	}
	ours, err1 := time.Parse(time.RFC3339, m.suspended)
	theirs, err2 := time.Parse(time.RFC3339, u.SuspensionTime)
	if err1 == nil && err2 == nil && theirs.Sub(ours) > suspendedTogether {
		return plan.Else
	}
	return plan.Us
}

// The pages on which Google publishes the rules for names, addresses and fields of users.
const (
	namesPage     = "https://support.google.com/a/answer/9193374"
	userReference = "https://developers.google.com/workspace/admin/directory/reference/rest/v1/users"
)

// maxLocalPart is the largest number of characters before the @ of an address.
const maxLocalPart = 64

// checkUserAddress returns why Google refuses a user with the address, or nil. Everything that the page does not
// forbid passes.
func checkUserAddress(address string) error {
	local, _, _ := strings.Cut(address, "@")
	for _, r := range local {
		if strings.ContainsRune("&=<>+,!", r) {
			return fmt.Errorf("%q in a user name is not allowed by Google, as in %q (%s)", r, address, namesPage)
		}
	}
	if local == "abuse" || local == "postmaster" {
		return fmt.Errorf("%q is reserved by Google, so that no user can have %q (%s)", local, address, namesPage)
	}
	return checkGroupAddress(address)
}

// checkGroupAddress returns why Google refuses a group with the address, or nil.
func checkGroupAddress(address string) error {
	local, _, _ := strings.Cut(address, "@")
	if n := utf8.RuneCountInString(local); n > maxLocalPart {
		return fmt.Errorf("%q has %d characters before the @, Google allows %d (%s)", address, n, maxLocalPart, namesPage)
	}
	for _, r := range local {
		if r > unicode.MaxASCII {
			return fmt.Errorf("%q in an address is not allowed by Google, as in %q (%s)", r, address, namesPage)
		}
	}
	if strings.HasPrefix(local, ".") || strings.HasSuffix(local, ".") || strings.Contains(local, "..") {
		return fmt.Errorf("a period at the beginning or end of an address, or two in a row, is not allowed by Google, as "+
			"in %q (%s)",
			address, namesPage)
	}
	return nil
}

// checkName checks first and last names.
func checkName(name string) error {
	if i := strings.IndexAny(name, "<>"); i >= 0 {
		return fmt.Errorf("%q in a name is not allowed by Google, as in %q (%s)", rune(name[i]), name, namesPage)
	}
	return nil
}

// checkOrgUnit checks full paths of organizational units.
func checkOrgUnit(path string) error {
	if !strings.HasPrefix(path, "/") || strings.Contains(path, "//") {
		return fmt.Errorf("%q is not the full path of an organizational unit, such as /Staff/Berlin (%s)", path,
			userReference)
	}
	return nil
}

// checkPhone checks the recovery phone number.
func checkPhone(number string) error {
	digits, plus := strings.CutPrefix(number, "+")
	if !plus || digits == "" || strings.ContainsFunc(digits, func(r rune) bool { return r < '0' || r > '9' }) {
		return fmt.Errorf("%q is not in E.164 form, such as +4930123456 (%s)", number, userReference)
	}
	return nil
}

// The lengths come from the Users and Groups references. For some fields Google gives only a size of the array that
// contains them (phones 1 KB, externalIds and relations 2 KB, …). There the limit leaves room for other elements.
var userSpec = []mapping.Field{
	{Name: "name.givenName", Default: "givenName", Required: true, MaxLength: 60, Check: checkName, Doc: "First name."},
	{Name: "name.familyName", Default: "coalesce(familyName, cn)", Required: true, MaxLength: 60, Check: checkName,
		Doc: "Last name."},
	{Name: "name.displayName", MaxLength: 256,
		Doc: "Name that is shown; Google makes one of the other two where it is empty."},
	{Name: plan.AliasesField, Many: true, Addresses: true, MaxLength: 254, Check: checkUserAddress,
		Doc: "Further addresses: `ldap_all.proxyAddresses` or `ldap_all.mailAlternateAddress`; those outside of the " +
			"tenant's domains are left out."},
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
	{Name: "relations.manager", MaxLength: 254, Doc: "Address of the manager: `address_of(ldap.manager)`."},
	{Name: "addresses.work", MaxLength: 1024, MultiLine: true, Doc: "Work address, as one text."},
	{Name: "locations.buildingId", MaxLength: 100, Doc: "Building ID of the desk."},
	{Name: "locations.floorName", MaxLength: 100, Doc: "Floor of the desk."},
	{Name: "locations.deskCode", MaxLength: 100, Doc: "Code of the desk."},
	{Name: "customSchemas.<schema>.<field>", Pattern: customField, Many: true, MaxLength: 500,
		Doc: "A custom field. Several values, as from `ldap_all`, need a field with several values."},
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
	normal[plan.AliasesField] = plan.Fold | plan.Trim | plan.Unordered
	for _, name := range []string{"orgUnitPath", "recoveryEmail", "includeInGlobalAddressList", "relations.manager"} {
		normal[name] |= plan.Fold
	}
	for _, name := range p.userFields {
		if isCustom(name) {
			normal[name] = plan.Trim | plan.Unordered
		}
	}
	return plan.Capabilities{BatchSize: 1, Concurrency: concurrency, CreatesApart: true, RenameKeepsAddress: true,
		UndeleteWithin: undeleteWithin, Normal: normal}
}
