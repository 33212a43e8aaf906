package ldap

import (
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// names reports attributes of the configuration that the server's schema does not have, or that no entry has.
func (c *checking) names() {
	types := c.dir.about().types
	cfg := &c.src.cfg
	known := func(key, attr, consequence string) bool {
		if attr != "" && !types.knows(attr) {
			c.report.fail("%s: the server's schema has no attribute %q: %s", key, attr, consequence)
			return false
		}
		return true
	}
	if c.user.enabled {
		known(c.src.uniqueKey(&c.user), c.user.unique.attr, "no user can be told from another")
		if known("user_name_field", cfg.UserNameField, "no user has a login name") && cfg.UserNameField != "" {
			c.unused("user_name_field", cfg.UserNameField, c.report.Users.Count)
		}
		for _, attr := range c.user.members {
			if known("user_membership_field", attr, "no user would be a member of a group by it") {
				c.unused("user_membership_field", attr, c.report.Users.Count)
			}
		}
	}
	if c.group.enabled {
		known(c.src.uniqueKey(&c.group), c.group.unique.attr, "no group can be told from another")
		c.memberships(known)
	}
	for _, s := range c.scopes() {
		packet, err := ldap.CompileFilter(s.filter)
		if err != nil || !s.enabled {
			continue
		}
		walkFilter(packet, func(attr, _ string) {
			known(s.kind.String()+"_object_filter", attr, "that part of the filter matches nothing")
		})
	}
	for _, attr := range c.src.mapped {
		if !types.knows(attr) {
			c.report.warn("a mapping asks for ldap.%s: the server's schema has no such attribute", attr)
			continue
		}
		c.unused("a mapping", "ldap."+attr, c.report.Users.Count+c.report.Groups.Count)
	}
}

// memberships checks the membership attributes. Of several, one that the server or its groups do not have is normal.
func (c *checking) memberships(known func(key, attr, consequence string) bool) {
	const key = "group_membership_field"
	if len(c.user.members) > 0 {
		return // Groups without members are normal here.
	}
	if fields := c.group.members; len(fields) == 1 {
		if known(key, fields[0], "every group would be empty") {
			c.unused(key, fields[0], c.report.Groups.Count)
		}
		return
	}
	types := c.dir.about().types
	if !slices.ContainsFunc(c.group.members, types.knows) {
		known(key, c.group.members[0], "every group would be empty")
		return
	}
	if !slices.ContainsFunc(c.group.members, func(attr string) bool { return c.have[types.key(attr)] }) {
		c.unused(key, c.group.members[0], c.report.Groups.Count)
	}
}

// unused warns of an attribute that no entry of the samples has.
func (c *checking) unused(key, attr string, entries int) {
	name := strings.TrimPrefix(attr, "ldap.")
	if entries > 0 && !c.have[c.dir.about().types.key(name)] {
		c.report.warn("%s: none of the entries on the first page has %s: is the name right, and may the bind account "+
			"read it?", key, attr)
	}
}
