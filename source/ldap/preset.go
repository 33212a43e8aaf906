package ldap

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"rollcall/directory"
	"rollcall/plan"
)

// Names of the presets.
const (
	PresetActiveDirectory = "active_directory"
	PresetFreeIPA         = "freeipa"
	Preset389             = "389ds"
	PresetOpenLDAP        = "openldap"
	PresetEDirectory      = "edirectory"
)

// PresetNames returns the names of the presets, sorted.
func PresetNames() []string { return slices.Sorted(maps.Keys(presets())) }

// PresetConfig returns the configuration that a document with this preset starts with. An unknown name has the
// defaults.
func PresetConfig(name string) Config {
	c := presets()[name]
	c.Preset, c.Enabled, c.SyncUsers, c.SyncGroups = name, true, true, true
	if c.NoAddress == "" && name != "" {
		c.NoAddress = plan.AddresslessLeaveOut
	}
	return c.withDefaults()
}

// presets has what each family of servers needs, and leaves out what is no person and no team there.
func presets() map[string]Config {
	return map[string]Config{
		// SAM_NORMAL_USER_ACCOUNT is no contact, computer or managed service account ([MS-SAMR], section 2.2.1.9).
		PresetActiveDirectory: {
			UserObjectFilter: "(sAMAccountType=805306368)", GroupObjectFilter: "(objectClass=group)",
			ObjectUniquenessField: "objectGUID", UserNameField: "sAMAccountName",
			PageSize: 1000, PrimaryGroups: true, LeaveOutBuiltIn: true,
		},
		// The compat tree and the users that are staged or preserved are outside cn=accounts.
		PresetFreeIPA: {
			AdditionalUserDN: "cn=users,cn=accounts", AdditionalGroupDN: "cn=groups,cn=accounts",
			UserObjectFilter:      "(&(objectClass=person)(objectClass=posixAccount))",
			GroupObjectFilter:     "(objectClass=ipaUserGroup)",
			ObjectUniquenessField: "ipaUniqueID", UserNameField: "uid", PageSize: 1000,
		},
		// dsidm creates people of the class nsPerson.
		Preset389: {
			UserObjectFilter:     "(|(objectClass=inetOrgPerson)(objectClass=nsPerson))",
			GroupObjectFilter:    "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=groupOfURLs))",
			GroupMembershipField: "member,uniqueMember", ObjectUniquenessField: "nsUniqueId", UserNameField: "uid",
			PageSize: 1000,
		},
		PresetOpenLDAP: {
			UserObjectFilter: "(objectClass=inetOrgPerson)",
			GroupObjectFilter: "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)" +
				"(objectClass=posixGroup)(objectClass=groupOfURLs))",
			GroupMembershipField: "member,uniqueMember,memberUid", ObjectUniquenessField: "entryUUID", UserNameField: "uid",
			PageSize: 500,
		},
		PresetEDirectory: {
			UserObjectFilter: "(objectClass=inetOrgPerson)", GroupObjectFilter: "(objectClass=groupOfNames)",
			ObjectUniquenessField: edirectoryGUID, UserNameField: "cn", PageSize: 1000,
		},
	}
}

// activities returns the attributes that decide whether a user is active: those of the preset's family, else all.
func (c *Config) activities() []string {
	switch c.Preset {
	case PresetActiveDirectory:
		return []string{"userAccountControl", "accountExpires"}
	case PresetFreeIPA:
		return []string{"nsAccountLock", "krbPrincipalExpiration"}
	case Preset389:
		return []string{"nsAccountLock"}
	case PresetOpenLDAP:
		return []string{"pwdAccountLockedTime", "shadowExpire"}
	case PresetEDirectory:
		return []string{"loginDisabled", "loginExpirationTime"}
	}
	return slices.DeleteFunc(slices.Clone(activityAttributes[:]), func(attr string) bool {
		return strings.HasPrefix(attr, "login") // Other servers may have any text there.
	})
}

// criticalObject marks what Active Directory itself needs ([MS-ADA1], section 2.362).
const criticalObject = "isCriticalSystemObject"

// builtInMarks are the attributes that tell what is built into Active Directory.
var builtInMarks = []string{criticalObject, securityID}

// isBuiltIn reports whether an entry is built into Active Directory.
func isBuiltIn(e *ldap.Entry) bool {
	return builtIn(e.GetEqualFoldAttributeValue(criticalObject), e.GetEqualFoldRawAttributeValue(securityID))
}

// builtIn reports whether the mark or the SID is that of an entry that is built in. Where the mark cannot be read, the
// SID tells it: the relative ids below 1000 are reserved ([MS-DTYP], section 2.4.2.4).
func builtIn(critical string, sid []byte) bool {
	const reserved = 1000
	if strings.EqualFold(critical, "TRUE") {
		return true
	}
	text, err := sidText(sid)
	if err != nil || !strings.HasPrefix(text, "S-1-5-") {
		return false
	}
	n, err := strconv.Atoi(text[strings.LastIndexByte(text, '-')+1:])
	return err == nil && n < reserved
}

// builtIn reports whether the entry is left out as a part of Active Directory.
func (d *decoder) builtIn() bool {
	if d.critical < 0 {
		return false
	}
	var sid []byte
	if raw := d.raw[d.ownSID]; len(raw) > 0 {
		sid = raw[0]
	}
	return builtIn(d.first(d.critical), sid)
}

// dynamicMembers are the attributes with searches that stand for members; Rollcall does not run them.
var dynamicMembers = []string{"memberURL", "memberQueryURL"}

// memberFields returns the membership attributes.
func (c *Config) memberFields() []string { return listed(c.GroupMembershipField) }

// listed splits a list of attributes.
func listed(names string) []string {
	fields := strings.FieldsFunc(names, func(r rune) bool { return r == ',' || r == ' ' })
	return slices.Compact(fields)
}

// rooted returns the source with the base of the directory that was opened, where the configuration has none.
func (s *Source) rooted(root *rootDSE) (*Source, error) {
	if s.cfg.BaseDN != "" {
		return s, nil
	}
	base, err := root.defaultBase()
	if err != nil {
		return s, err
	}
	out := *s // for this directory alone
	out.cfg.BaseDN = base
	out.scopes()
	return &out, nil
}

// familyFilters are filters, and words by which a filter is known to be written for another family.
type familyFilters struct {
	user, group string
	// own and foreign are object classes and attributes, in lower case.
	own, foreign []string
}

var (
	standardClasses = []string{
		"person", "inetorgperson", "organizationalperson", "posixaccount", "account", "shadowaccount",
		"groupofnames", "groupofuniquenames", "groupofmembers", "posixgroup", "ipausergroup", "nestedgroup",
	}
	activeDirectoryWords = []string{"user", "group", "objectcategory", "samaccounttype", "samaccountname",
		"useraccountcontrol", "grouptype"}
)

// families has the filters that fit each family.
var families = map[family]familyFilters{
	activeDirectory: {
		"(&(objectCategory=person)(objectClass=user))", "(&(objectClass=group)(!(isCriticalSystemObject=TRUE)))",
		append([]string{"person", "organizationalperson"}, activeDirectoryWords...), standardClasses[1:],
	},
	openLDAP:     {"(objectClass=inetOrgPerson)", "(objectClass=groupOfNames)", standardClasses, activeDirectoryWords},
	freeIPA:      {"(objectClass=posixAccount)", "(objectClass=ipaUserGroup)", standardClasses, activeDirectoryWords},
	directory389: {"(objectClass=inetOrgPerson)", "(objectClass=groupOfNames)", standardClasses, activeDirectoryWords},
}

// judgeFilter reports a filter that is written for another family, where the family's own finds more.
func (c *checking) judgeFilter(ctx context.Context, s *scope, out *Sample) error {
	f, known := families[family(c.report.Family)]
	if !known || out.More {
		return nil
	}
	words := filterWords(s.filter)
	names := func(list []string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return slices.Contains(list, w) })
	}
	if !names(f.foreign) || names(f.own) {
		return nil
	}
	proper := f.user
	if s.kind == directory.Group {
		proper = f.group
	}
	n, more := 0, false
	req := request{base: s.base, scope: ldap.ScopeWholeSubtree, filter: proper, attrs: []string{ldapNoAttributes},
		paged: true, sample: &more}
	err := c.dir.search(ctx, req, func(*ldap.Entry) error { n++; return nil })
	if err != nil || n <= out.Count {
		return err
	}
	atLeast := ""
	if more {
		atLeast = "at least "
	}
	instead := ""
	has, right := c.src.cfg.Preset, familyPresets[family(c.report.Family)]
	if has != "" && right != "" && has != right {
		instead = fmt.Sprintf("; preset: %s, in place of preset: %s, sets both", right, has)
	}
	c.report.fail("%s_object_filter %s is written for another family of servers and finds %d %ss; on %s this one "+
		"finds %s%d: %s_object_filter: %s (and object_uniqueness_field: %s)%s",
		s.kind, s.filter, out.Count, s.kind, c.report.Family, atLeast, n, s.kind, proper,
		family(c.report.Family).uniqueness(), instead)
	return nil
}

// filterWords returns the attributes of a filter and the object classes that it asks for, in lower case.
func filterWords(filter string) (words []string) {
	packet, err := ldap.CompileFilter(filter)
	if err != nil {
		return nil
	}
	walkFilter(packet, func(attr, value string) {
		if strings.EqualFold(attr, "objectClass") {
			words = append(words, strings.ToLower(value))
			return
		}
		words = append(words, strings.ToLower(attr))
	})
	return words
}

// Attributes of Active Directory that make a group the primary group of an account. The account's SID without its last
// number is the domain's; with primaryGroupID it is the group's ([MS-ADTS], section 3.1.1.4.5.11). The server does not
// list such members in member.
const (
	primaryGroup = "primaryGroupID"
	securityID   = "objectSid"
)

// primarySID returns the SID by which the primary group of a user is found, or the own SID of a group; "" where there
// is none.
func (d *decoder) primarySID() string {
	if d.sid < 0 || len(d.raw[d.sid]) == 0 {
		return ""
	}
	sid, err := sidText(d.raw[d.sid][0])
	switch {
	case err != nil:
		return ""
	case d.scope.kind == directory.Group:
		return sid
	}
	id := d.first(d.primary)
	if id == "" {
		return ""
	}
	return sid[:strings.LastIndexByte(sid, '-')+1] + id
}

// primaryMembers returns the users by the SID of their primary group.
func (r *reading) primaryMembers() map[string][]directory.Ref {
	out := map[string][]directory.Ref{}
	for rec := range r.seen() {
		if rec.Kind == directory.User && rec.sid != "" {
			out[rec.sid] = append(out[rec.sid], rec.Ref())
		}
	}
	for _, rec := range r.primaries {
		out[rec.sid] = append(out[rec.sid], rec.Ref())
	}
	return out
}

// readPrimaries reads the users with a primary group among the groups that were read.
func (r *reading) readPrimaries(ctx context.Context) error {
	s := &r.user
	if !s.enabled || !r.group.primary {
		return nil
	}
	d := newDecoder(s, r.dir.about().types)
	for i := range r.groups {
		sid := r.groups[i].sid
		if sid == "" {
			continue
		}
		number := sid[strings.LastIndexByte(sid, '-')+1:]
		filter := "(&" + s.filter + "(" + primaryGroup + "=" + number + "))"
		err := r.each(ctx, s.base, filter, s.attrs, func(e *ldap.Entry) {
			if rec := r.record(d, e); rec.ID != "" && rec.sid == sid && !rec.builtIn {
				r.primaries = append(r.primaries, record{Entry: directory.Entry{Kind: rec.Kind, ID: rec.ID}, sid: sid})
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}
