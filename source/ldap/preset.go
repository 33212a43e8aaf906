package ldap

import (
	"maps"
	"slices"
	"strings"

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
			GroupObjectFilter: "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=posixGroup)" +
				"(objectClass=groupOfURLs))",
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
	case PresetFreeIPA, Preset389:
		return []string{"nsAccountLock"}
	case PresetOpenLDAP:
		return []string{"pwdAccountLockedTime", "shadowExpire"}
	case PresetEDirectory:
		return []string{"loginDisabled", "loginExpirationTime"}
	}
	return []string{"userAccountControl", "accountExpires", "nsAccountLock", "pwdAccountLockedTime", "shadowExpire"}
}

// criticalObject marks what Active Directory itself needs ([MS-ADA1], section 2.362).
const criticalObject = "isCriticalSystemObject"

// dynamicMembers are the attributes with searches that stand for members; Rollcall does not run them.
var dynamicMembers = []string{"memberURL", "memberQueryURL"}

// memberFields returns the membership attributes.
func (c *Config) memberFields() []string {
	fields := strings.FieldsFunc(c.GroupMembershipField, func(r rune) bool { return r == ',' || r == ' ' })
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
	out.user, out.group = userScope(&out.cfg, s.mapped), groupScope(&out.cfg, s.mapped)
	return &out, nil
}
