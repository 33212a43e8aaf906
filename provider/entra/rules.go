package entra

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"rollcall/directory"
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
			return fmt.Errorf("mailNickname allows ASCII without spaces and "+
				`@ ( ) \ [ ] " ; : < > , and no %q, as in %q (%s)`,
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
		User: slices.Clone(userSpec), Group: slices.Clone(groupSpec), UserAddress: "lower(mail)",
		CheckUserAddress: checkUPN,
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

// uuidLength is the length of the canonical text of a UUID.
const uuidLength = 36

// encodeAnchor returns the onPremisesImmutableId of an ID. For a UUID in its canonical text (lower case, RFC 9562) it
// is the base64 of the sixteen bytes, in the order of the text. For any other ID it is the base64 of the text. A text
// of sixteen bytes is preceded by a zero byte, because it would be decoded as a UUID otherwise.
//
// Entra Connect writes the bytes of objectGUID as Active Directory stores them, with three fields reversed. Its
// anchors are never taken for ours.
func encodeAnchor(id directory.ID) string {
	if raw, ok := parseUUID(string(id)); ok {
		return base64.StdEncoding.EncodeToString(raw)
	}
	if len(id) == 16 {
		return base64.StdEncoding.EncodeToString([]byte("\x00" + id))
	}
	return base64.StdEncoding.EncodeToString([]byte(id))
}

// decodeAnchor is the reverse of encodeAnchor. ok is false for an anchor that encodeAnchor never returns.
func decodeAnchor(anchor string) (id directory.ID, ok bool) {
	raw, err := base64.StdEncoding.Strict().DecodeString(anchor)
	if err != nil || len(raw) == 0 {
		return "", false
	}
	if len(raw) == 16 {
		id = directory.ID(formatUUID(raw))
	} else {
		id = directory.ID(strings.TrimPrefix(string(raw), "\x00"))
	}
	return id, printable(string(id)) && encodeAnchor(id) == anchor
}

func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// parseUUID parses the canonical text of a UUID.
func parseUUID(s string) ([]byte, bool) {
	if len(s) != uuidLength || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' || strings.ToLower(s) != s {
		return nil, false
	}
	raw, err := hex.DecodeString(s[:8] + s[9:13] + s[14:18] + s[19:23] + s[24:])
	return raw, err == nil
}

func formatUUID(raw []byte) string {
	s := hex.EncodeToString(raw)
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// isObjectID reports whether s may be the id of an object. Paths and filters contain only such ids.
func isObjectID(s string) bool {
	_, ok := parseUUID(strings.ToLower(s))
	return ok
}

const (
	// groupPrefix begins the uniqueName of every group of ours.
	groupPrefix = "rollcall-"
	// markPrefix begins the mail nickname of a group that was assigned to another entry.
	markPrefix = "rollcall-entry-"
	// longestNickname is the largest length of a mail nickname in Graph.
	longestNickname = 64
)

// uniqueName returns the uniqueName of a group.
func uniqueName(id directory.ID) string { return groupPrefix + string(id) }

// groupID is the reverse of uniqueName.
func groupID(name string) directory.ID {
	id, ours := strings.CutPrefix(name, groupPrefix)
	if !ours {
		return ""
	}
	return directory.ID(id)
}

var markable = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// nicknameMark returns the mail nickname that assigns a group to another entry than its uniqueName names. It is empty
// where the configuration maps the nickname, or a nickname cannot contain the ID.
func (p *Provider) nicknameMark(id directory.ID) string {
	mark := markPrefix + string(id)
	if slices.Contains(p.groupFields, "mailNickname") || len(mark) > longestNickname ||
		!markable.MatchString(string(id)) {
		return ""
	}
	return mark
}

// entryOf returns the ID of the entry to which a group belongs, or "" for a group that is not ours. The mail nickname
// decides first, then the ledger, then the uniqueName.
func (p *Provider) entryOf(g *group) directory.ID {
	if g == nil || groupID(g.Name) == "" {
		return ""
	}
	if id, marked := strings.CutPrefix(g.Nickname, markPrefix); marked &&
		p.nicknameMark(directory.ID(id)) == g.Nickname {
		return directory.ID(id)
	}
	if id := p.marks.entry(g.ID); id != "" {
		return id
	}
	return groupID(g.Name)
}

// deriveNickname derives the mail nickname of a new object from a text, unless the nickname is mapped.
func (it *item) deriveNickname(id directory.ID, text string) {
	body := it.body.(map[string]any)
	if _, mapped := body["mailNickname"]; mapped {
		return
	}
	it.nickname = safeNickname(id)
	body["mailNickname"] = nickname(text, it.nickname)
}

// nickname derives a mail nickname from a text. It is ASCII without spaces and the characters that Graph refuses,
// without a dot at either end and without consecutive dots.
func nickname(text, otherwise string) string {
	var b strings.Builder
	for _, r := range text {
		if !refusedInNickname(r) && (r != '.' || !strings.HasSuffix(b.String(), ".")) {
			b.WriteRune(r)
		}
	}
	name := strings.Trim(b.String(), ".")
	if len(name) > longestNickname {
		name = strings.TrimRight(name[:longestNickname], ".")
	}
	if name == "" {
		return otherwise
	}
	return name
}

// safeNickname returns a mail nickname that Graph accepts and that no other object has. It depends only on the ID.
func safeNickname(id directory.ID) string {
	sum := sha256.Sum256([]byte(id))
	return groupPrefix + hex.EncodeToString(sum[:16])
}

// sendCreates sends requests that create objects. A request that is refused for a derived mail nickname, or for a proxy
// address that may be made of it, is repeated with the safe one.
func (p *Provider) sendCreates(ctx context.Context, items []*item) {
	p.send(ctx, items...)
	var again []*item
	for _, it := range items {
		if r := refused(it.err); it.nickname != "" && r != nil && r.Status == http.StatusBadRequest &&
			(r.concerns("mailNickname") || r.concerns("proxyAddresses")) {
			it.body.(map[string]any)["mailNickname"] = it.nickname
			again = append(again, it)
		}
	}
	p.send(ctx, again...)
}
