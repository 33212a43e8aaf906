package googleworkspace

import "net/http"

// routes is the table of methods. A literal segment precedes a parameter in the same place.
func routes() []route {
	const (
		get, post, put, patch, del = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete

		user, alias     = "admin.directory.user", "admin.directory.user.alias"
		group, member   = "admin.directory.group", "admin.directory.group.member"
		domain, orgunit = "admin.directory.domain", "admin.directory.orgunit"
		schema          = "admin.directory.userschema"
		ro              = ".readonly"
	)
	var (
		userWrite, userRead     = scopes(user), scopes(user, user+ro)
		userList                = scopes(user, user+ro, "cloud-platform")
		uAliasWrite, uAliasRead = scopes(user, alias), scopes(user, alias, alias+ro, user+ro)
		groupWrite, groupRead   = scopes(group), scopes(group, group+ro)
		memberWrite, memberRead = scopes(group, member), scopes(group, member, member+ro, group+ro)
		domainRead              = scopes(domain, domain+ro)
		unitWrite, unitRead     = scopes(orgunit), scopes(orgunit, orgunit+ro)
	)
	return []route{
		method(get, "users", "users.list", userList, (*Tenant).usersList).list("users").query(
			"customFieldMask", "customer", "domain", "event", "maxResults", "orderBy", "pageToken", "projection",
			"query", "showDeleted", "sortOrder", "viewType"),
		method(post, "users", "users.insert", userWrite, (*Tenant).usersInsert).query("resolveConflictAccount"),
		method(post, "users/watch", "users.watch", userList, unserved),
		method(get, "users/{userKey}", "users.get", userRead, (*Tenant).usersGet).query("customFieldMask", "projection",
			"viewType"),
		method(put, "users/{userKey}", "users.update", userWrite, (*Tenant).usersUpdate),
		method(patch, "users/{userKey}", "users.patch", userWrite, (*Tenant).usersPatch),
		method(del, "users/{userKey}", "users.delete", userWrite, (*Tenant).usersDelete),
		method(post, "users/{userKey}/undelete", "users.undelete", userWrite, (*Tenant).usersUndelete),
		method(post, "users/{userKey}/makeAdmin", "users.makeAdmin", userWrite, unserved),
		method(post, "users/{userKey}/signOut", "users.signOut", scopes("admin.directory.user.security"),
			(*Tenant).usersSignOut).noBody(),
		method(get, "users/{userKey}/aliases", "users.aliases.list", uAliasRead,
			(*Tenant).userAliasesList).list("aliases").query("event"),
		method(post, "users/{userKey}/aliases", "users.aliases.insert", uAliasWrite, (*Tenant).userAliasesInsert),
		method(del, "users/{userKey}/aliases/{alias}", "users.aliases.delete", uAliasWrite, (*Tenant).userAliasesDelete),

		method(get, "groups", "groups.list", groupRead, (*Tenant).groupsList).list("groups").query(
			"customer", "domain", "maxResults", "orderBy", "pageToken", "query", "sortOrder", "userKey"),
		method(post, "groups", "groups.insert", groupWrite, (*Tenant).groupsInsert),
		method(get, "groups/{groupKey}", "groups.get", groupRead, (*Tenant).groupsGet),
		method(put, "groups/{groupKey}", "groups.update", groupWrite, (*Tenant).groupsUpdate),
		method(patch, "groups/{groupKey}", "groups.patch", groupWrite, (*Tenant).groupsUpdate),
		method(del, "groups/{groupKey}", "groups.delete", groupWrite, (*Tenant).groupsDelete),
		method(get, "groups/{groupKey}/aliases", "groups.aliases.list", groupRead,
			(*Tenant).groupAliasesList).list("aliases"),
		method(post, "groups/{groupKey}/aliases", "groups.aliases.insert", groupWrite, (*Tenant).groupAliasesInsert),
		method(del, "groups/{groupKey}/aliases/{alias}", "groups.aliases.delete", groupWrite, (*Tenant).groupAliasesDelete),

		method(get, "groups/{groupKey}/members", "members.list", memberRead, (*Tenant).membersList).list("members").query(
			"includeDerivedMembership", "maxResults", "pageToken", "roles"),
		method(post, "groups/{groupKey}/members", "members.insert", memberWrite, (*Tenant).membersInsert),
		method(get, "groups/{groupKey}/members/{memberKey}", "members.get", memberRead, (*Tenant).membersGet),
		method(put, "groups/{groupKey}/members/{memberKey}", "members.update", memberWrite, (*Tenant).membersUpdate),
		method(patch, "groups/{groupKey}/members/{memberKey}", "members.patch", memberWrite, (*Tenant).membersUpdate),
		method(del, "groups/{groupKey}/members/{memberKey}", "members.delete", memberWrite, (*Tenant).membersDelete),
		method(get, "groups/{groupKey}/hasMember/{memberKey}", "members.hasMember", memberRead, (*Tenant).membersHasMember),

		method(get, "customer/{customer}/domains", "domains.list", domainRead, (*Tenant).domainsList).list("domains"),
		method(get, "customer/{customer}/domains/{domainName}", "domains.get", domainRead, (*Tenant).domainsGet),
		method(get, "customer/{customerId}/orgunits", "orgunits.list", unitRead,
			(*Tenant).orgUnitsList).list("organizationUnits").query("orgUnitPath", "type"),
		method(post, "customer/{customerId}/orgunits", "orgunits.insert", unitWrite, (*Tenant).orgUnitsInsert),
		method(get, "customer/{customerId}/schemas", "schemas.list", scopes(schema, schema+ro),
			(*Tenant).schemasList).list("schemas"),
		method(get, "customer/{customerId}/orgunits/{+orgUnitPath}", "orgunits.get", unitRead, (*Tenant).orgUnitsGet),
	}
}

// unserved refuses a method that the API has and this tenant does not implement.
func unserved(*Tenant, *call) (any, *apiError) { return nil, notImplemented() }
