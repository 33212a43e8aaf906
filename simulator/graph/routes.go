package graph

import (
	"net/http"
	"slices"
	"strings"
)

// The permissions that allow a method. Any one of a list is enough.
var (
	readUsers = []string{
		"User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All",
	}
	writeUsers  = []string{"User.ReadWrite.All", "Directory.ReadWrite.All"}
	changeUsers = append([]string{"User.EnableDisableAccount.All", "User-PasswordProfile.ReadWrite.All"}, writeUsers...)
	readMembers = []string{
		"GroupMember.Read.All", "GroupMember.ReadWrite.All", "Group.Read.All", "Group.ReadWrite.All", "Directory.Read.All",
		"Directory.ReadWrite.All",
	}
	writeGroups  = []string{"Group.ReadWrite.All", "Directory.ReadWrite.All"}
	createGroups = append([]string{"Group.Create"}, writeGroups...)
	writeMembers = append([]string{"GroupMember.ReadWrite.All"}, writeGroups...)
	readObjects  = []string{"Directory.Read.All", "Directory.ReadWrite.All", "User.Read.All", "User.ReadWrite.All",
		"Group.Read.All", "Group.ReadWrite.All"}
	readRoles = []string{
		"RoleManagement.Read.Directory", "RoleManagement.ReadWrite.Directory", "Directory.Read.All",
		"Directory.ReadWrite.All",
	}
	readDomains      = []string{"Domain.Read.All", "Domain.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"}
	readOrganization = []string{
		"Organization.Read.All", "Organization.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All",
	}
)

const batchMethod = "batch"

// routes is the table of everything that is served. The first matching pattern wins.
func routes() []route {
	list := []string{"$select", "$filter", "$top", "$count", "$orderby", "$skiptoken"}
	members := []string{"$select", "$top", "$count", "$skiptoken"}
	delta := []string{"$select", "$filter", "$deltatoken", "$skiptoken"}
	one := []string{"$select"}
	user, users := []string{"$select", "$expand"}, append([]string{"$expand"}, list...)
	const get, post, patch, put, del = http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodPut,
		http.MethodDelete
	table := []route{
		reading("users.list", get, "users", 2, readUsers, users, (*Tenant).listUsers),
		reading("users.count", get, "users/$count", 2, readUsers, list, (*Tenant).countUsers),
		reading("users.delta", get, "users/delta", 1, readUsers, delta, (*Tenant).deltaUsers),
		reading("users.get", get, "users/{user}", 1, readUsers, user, (*Tenant).getUser),
		writing("users.create", post, "users", writeUsers, (*Tenant).createUser),
		writing("users.update", patch, "users/{user}", changeUsers, (*Tenant).updateUser),
		writing("users.delete", del, "users/{user}", writeUsers, (*Tenant).deleteUser),
		writing("users.revokeSignInSessions", post, "users/{user}/revokeSignInSessions",
			[]string{"User.RevokeSessions.All"}, (*Tenant).revokeSessions),
		reading("users.manager.get", get, "users/{user}/manager", 1, readUsers, one, (*Tenant).getManager),
		writing("users.manager.set", put, "users/{user}/manager/$ref", writeUsers, (*Tenant).setManager),
		writing("users.manager.remove", del, "users/{user}/manager/$ref", writeUsers, (*Tenant).removeManager),
		reading("users.memberOf", get, "users/{user}/memberOf", 2, readMembers, members, (*Tenant).listMemberOf),
		reading("users.memberOf", get, "users/{user}/memberOf/microsoft.graph.group", 2, readMembers, members,
			(*Tenant).listMemberOfGroups),

		reading("groups.list", get, "groups", 1, readMembers, list, (*Tenant).listGroups),
		reading("groups.count", get, "groups/$count", 1, readMembers, list, (*Tenant).countGroups),
		reading("groups.delta", get, "groups/delta", 1, readMembers, delta, (*Tenant).deltaGroups),
		reading("groups.get", get, "groups/{group}", 1, readMembers, one, (*Tenant).getGroup),
		writing("groups.create", post, "groups", createGroups, (*Tenant).createGroup),
		writing("groups.update", patch, "groups/{group}", append([]string{"Group.Create"}, writeMembers...),
			(*Tenant).updateGroup),
		writing("groups.delete", del, "groups/{group}", writeGroups, (*Tenant).deleteGroup),
		reading("members.list", get, "groups/{group}/members", 3, readMembers, members, (*Tenant).listMembers),
		reading("members.list", get, "groups/{group}/members/microsoft.graph.user", 3, readMembers, members,
			(*Tenant).listMemberUsers),
		reading("members.list", get, "groups/{group}/members/microsoft.graph.group", 3, readMembers, members,
			(*Tenant).listMemberGroups),
		reading("members.count", get, "groups/{group}/members/$count", 3, readMembers, members, (*Tenant).countMembers),
		reading("members.count", get, "groups/{group}/members/microsoft.graph.user/$count", 3, readMembers, members,
			(*Tenant).countMemberUsers),
		writing("members.add", post, "groups/{group}/members/$ref", writeMembers, (*Tenant).addMember),
		writing("members.remove", del, "groups/{group}/members/{member}/$ref", writeMembers, (*Tenant).removeMember),
		writing("members.destroy", del, "groups/{group}/members/{member}", writeMembers, (*Tenant).destroyMember),

		reading("deletedItems.list", get, "directory/deletedItems/microsoft.graph.user", 1, readUsers, list,
			(*Tenant).listDeletedUsers),
		reading("deletedItems.list", get, "directory/deletedItems/microsoft.graph.group", 1, readMembers, list,
			(*Tenant).listDeletedGroups),
		reading("deletedItems.get", get, "directory/deletedItems/{item}", 1, nil, one, (*Tenant).getDeleted),
		writing("deletedItems.restore", post, "directory/deletedItems/{item}/restore", nil, (*Tenant).restore),
		writing("deletedItems.delete", del, "directory/deletedItems/{item}", nil, (*Tenant).deletePermanently),

		reading("directoryObjects.getByIds", post, "directoryObjects/getByIds", 3, readObjects, nil, (*Tenant).getByIDs),
		reading("directoryObjects.get", get, "directoryObjects/{object}", 1, readObjects, one, (*Tenant).getObject),
		reading("directoryRoles.list", get, "directoryRoles", 1, readRoles, []string{"$select", "$filter"},
			(*Tenant).listRoles),
		reading("directoryRoles.members", get, "directoryRoles/{role}/members", 1, readRoles, one, (*Tenant).listRoleMembers),
		reading("domains.list", get, "domains", 1, readDomains, one, (*Tenant).listDomains),
		reading("domains.get", get, "domains/{domain}", 1, readDomains, one, (*Tenant).getDomain),
		reading("organization.list", get, "organization", 1, readOrganization, one, (*Tenant).listOrganization),
		reading(batchMethod, post, "$batch", 0, nil, nil, (*Tenant).batch),
	}
	return table
}

type server func(*Tenant, *call) (*answer, *apiError)

func reading(id, verb, pattern string, cost int, perms, options []string, serve server) route {
	return route{id: id, verb: verb, pattern: strings.Split(pattern, "/"), cost: cost, perms: perms, options: options,
		serve: serve}
}

func writing(id, verb, pattern string, perms []string, serve server) route {
	return route{id: id, verb: verb, pattern: strings.Split(pattern, "/"), cost: 1, write: true, perms: perms,
		serve: serve}
}

// Methods returns the names of all methods, as used in faults and in the log of calls.
func Methods() []string {
	var ids []string
	for _, r := range routes() {
		ids = append(ids, r.id)
	}
	slices.Sort(ids)
	return append(slices.Compact(ids), TokenMethod)
}
