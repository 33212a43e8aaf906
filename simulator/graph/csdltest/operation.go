package csdltest

import (
	"net/http"
	"net/url"
	"strings"
)

// shape is the form of an answer.
type shape uint8

const (
	none shape = iota
	entity
	list
	mixed // a list of several types
	number
	delta
	batch
	boolean
)

// operation is a method of the API, from its reference page.
type operation struct {
	name     string
	verb     string
	pattern  []string
	request  string // type of the body
	response shape
	typ      string   // type of the answer's objects; "directoryObject" for any
	set      string   // of the answer's context
	options  []string // query options
	required []string // properties that the body has to have
	status   []int
}

var (
	one   = []string{"$select", "$expand"}
	many  = []string{"$select", "$filter", "$top", "$count", "$orderby", "$search", "$expand", "$skiptoken"}
	track = []string{"$select", "$filter", "$deltatoken", "$skiptoken"}

	ok        = []int{http.StatusOK}
	createdOK = []int{http.StatusCreated}
	empty     = []int{http.StatusNoContent}
)

// operations is the table of what is checked; "{}" stands for a key.
var operations = []operation{
	{"users.list", "GET", path("users"), "", list, "user", "users", many, nil, ok},
	{"users.count", "GET", path("users/$count"), "", number, "", "", []string{"$filter", "$search"}, nil, ok},
	{"users.delta", "GET", path("users/delta"), "", delta, "user", "users", track, nil, ok},
	{"users.get", "GET", path("users/{}"), "", entity, "user", "users", one, nil, ok},
	{"users.create", "POST", path("users"), "user", entity, "user", "users", nil,
		[]string{"accountEnabled", "displayName", "mailNickname", "passwordProfile", "userPrincipalName"}, createdOK},
	{"users.update", "PATCH", path("users/{}"), "user", none, "", "", nil, nil, empty},
	{"users.delete", "DELETE", path("users/{}"), "", none, "", "", nil, nil, empty},
	{"users.revokeSignInSessions", "POST", path("users/{}/revokeSignInSessions"), "", boolean, "", "Edm.Boolean", nil,
		nil, ok},
	{"users.manager.get", "GET", path("users/{}/manager"), "", entity, "directoryObject", "directoryObjects",
		one, nil, ok},
	{"users.manager.set", "PUT", path("users/{}/manager/$ref"), "reference", none, "", "", nil, []string{"@odata.id"},
		empty},
	{"users.manager.remove", "DELETE", path("users/{}/manager/$ref"), "", none, "", "", nil, nil, empty},
	{"users.memberOf", "GET", path("users/{}/memberOf"), "", mixed, "directoryObject", "directoryObjects", many, nil, ok},
	{"users.memberOf", "GET", path("users/{}/memberOf/microsoft.graph.group"), "", list, "group", "groups", many, nil, ok},

	{"groups.list", "GET", path("groups"), "", list, "group", "groups", many, nil, ok},
	{"groups.count", "GET", path("groups/$count"), "", number, "", "", []string{"$filter", "$search"}, nil, ok},
	{"groups.delta", "GET", path("groups/delta"), "", delta, "group", "groups", track, nil, ok},
	{"groups.get", "GET", path("groups/{}"), "", entity, "group", "groups", one, nil, ok},
	{"groups.create", "POST", path("groups"), "group", entity, "group", "groups", nil,
		[]string{"displayName", "mailEnabled", "mailNickname", "securityEnabled"}, createdOK},
	{"groups.upsert", "PATCH", path("groups/uniqueName={}"), "group", entity, "group", "groups", nil, nil,
		[]int{http.StatusCreated, http.StatusNoContent}},
	{"groups.update", "PATCH", path("groups/{}"), "group", none, "", "", nil, nil, empty},
	{"groups.delete", "DELETE", path("groups/{}"), "", none, "", "", nil, nil, empty},
	{"members.list", "GET", path("groups/{}/members"), "", mixed, "directoryObject", "directoryObjects", many, nil, ok},
	{"members.list", "GET", path("groups/{}/members/microsoft.graph.user"), "", list, "user", "users", many, nil, ok},
	{"members.list", "GET", path("groups/{}/members/microsoft.graph.group"), "", list, "group", "groups", many, nil, ok},
	{"members.count", "GET", path("groups/{}/members/$count"), "", number, "", "", []string{"$filter", "$search"}, nil,
		ok},
	{"members.count", "GET", path("groups/{}/members/microsoft.graph.user/$count"), "", number, "", "",
		[]string{"$filter", "$search"}, nil, ok},
	{"members.add", "POST", path("groups/{}/members/$ref"), "reference", none, "", "", nil, []string{"@odata.id"}, empty},
	{"members.remove", "DELETE", path("groups/{}/members/{}/$ref"), "", none, "", "", nil, nil, empty},

	{"deletedItems.list", "GET", path("directory/deletedItems/microsoft.graph.user"), "", list, "user", "users", many,
		nil, ok},
	{"deletedItems.list", "GET", path("directory/deletedItems/microsoft.graph.group"), "", list, "group", "groups",
		many, nil, ok},
	{"deletedItems.get", "GET", path("directory/deletedItems/{}"), "", entity, "directoryObject", "directoryObjects",
		one, nil, ok},
	{"deletedItems.restore", "POST", path("directory/deletedItems/{}/restore"), "restore", entity, "directoryObject",
		"directoryObjects", nil, nil, ok},
	{"deletedItems.delete", "DELETE", path("directory/deletedItems/{}"), "", none, "", "", nil, nil, empty},

	{"directoryObjects.getByIds", "POST", path("directoryObjects/getByIds"), "getByIds", mixed, "directoryObject",
		"directoryObjects", nil, []string{"ids"}, ok},
	{"directoryObjects.get", "GET", path("directoryObjects/{}"), "", entity, "directoryObject", "directoryObjects",
		one, nil, ok},
	{"directoryRoles.list", "GET", path("directoryRoles"), "", list, "directoryRole", "directoryRoles",
		[]string{"$select", "$filter", "$expand"}, nil, ok},
	{"directoryRoles.members", "GET", path("directoryRoles/{}/members"), "", mixed, "directoryObject",
		"directoryObjects", one, nil, ok},
	{"domains.list", "GET", path("domains"), "", list, "domain", "domains", one, nil, ok},
	{"domains.get", "GET", path("domains/{}"), "", entity, "domain", "domains", one, nil, ok},
	{"organization.list", "GET", path("organization"), "", list, "organization", "organization", one, nil, ok},
	{"batch", "POST", path("$batch"), "batch", batch, "", "", nil, []string{"requests"}, ok},
}

func path(pattern string) []string { return strings.Split(pattern, "/") }

// find returns the operation of a request, or nil.
func find(verb, escaped string) *operation {
	segments := cut(escaped)
	for i := range operations {
		if o := &operations[i]; o.verb == verb && o.matches(segments) {
			return o
		}
	}
	return nil
}

// cut splits a path; a key in parentheses becomes a segment, empty ones vanish.
func cut(escaped string) []string {
	var segments []string
	for part := range strings.SplitSeq(strings.Trim(escaped, "/"), "/") {
		segment, err := url.PathUnescape(part)
		if err != nil {
			return nil
		}
		name, key, called := strings.Cut(segment, "(")
		if !called || !strings.HasSuffix(key, ")") {
			segments = append(segments, functionName(segment))
			continue
		}
		segments = append(segments, functionName(name))
		if key = strings.TrimSuffix(key, ")"); key != "" {
			segments = append(segments, key)
		}
	}
	return segments
}

func functionName(segment string) string {
	for _, name := range []string{"delta", "restore", "getByIds"} {
		if segment == "microsoft.graph."+name {
			return name
		}
	}
	return segment
}

func (o *operation) matches(segments []string) bool {
	if len(segments) != len(o.pattern) {
		return false
	}
	for i, want := range o.pattern {
		prefix, key := strings.CutSuffix(want, "{}")
		switch {
		case key && (!strings.HasPrefix(segments[i], prefix) || strings.HasPrefix(segments[i], "$")):
			return false
		case !key && !strings.EqualFold(want, segments[i]):
			return false
		}
	}
	return true
}
