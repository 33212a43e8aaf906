package scim_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const patchOp = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

// quirks are what vendors document, and what the RFCs allow, of servers that a client meets.
type quirks struct {
	// unpublished has no ServiceProviderConfig under that name (Salesforce).
	unpublished bool
	// agent asks for a User-Agent (GitHub).
	agent bool
	// matched asks for If-Match on every change of a resource (RFC 6585, section 3).
	matched bool
	// keeps lets a PUT keep what its body leaves out (Quickbase; RFC 7644, section 3.5.1, allows it).
	keeps bool
	// patchGroups has PATCH of groups beside PUT of users (Zoom).
	patchGroups bool
	// answers has PATCH answer with the resource.
	answers bool
	// immutable refuses another userName (Databricks, Tealium).
	immutable bool
	// fixed refuses another displayName of a group (Atlassian).
	fixed bool
	// required are the attributes without which no user is created (AWS).
	required []string
	// single refuses several values of an attribute, and a mail address that is not primary (AWS).
	single bool
	// deletion is the status of DELETE of a user that stays: 204 deactivates it (Slack, Atlassian, LaunchDarkly), and
	// another one refuses (Salesforce).
	deletion int
	// removes deletes a user that is not active (Figma).
	removes bool
	// hides leaves users that are not active out of the members (GitHub).
	hides bool
	// memberless shows no members. Users are found by groups.value (AWS).
	memberless bool
	// filters are the attributes that a filter takes. Others are refused. Nil takes all.
	filters []string
	// blind answers a filter of externalId with an empty list (Snowflake, to filters that it does not know).
	blind bool
	// sample answers a list without a filter with one resource that does not exist (Snowflake).
	sample bool
	// countless has no totalResults.
	countless bool
	// few is the largest number of members that a PATCH changes (AWS).
	few int
	// unique refuses groups of one name (AWS).
	unique bool
	// bare refuses without a body.
	bare bool
	// texts shows booleans as texts (Zscaler).
	texts bool
	// canonical stores phone numbers as RFC 3966 writes them (RFC 7643, section 4.1.2).
	canonical bool
	// numbers shows ids as numbers (Quickbase).
	numbers bool
}

// objects returns the refusal of a request before its resource counts, or zero.
func (l *letter) objects(r *http.Request, kind string) (status int, code string) {
	q := r.URL.Query()
	media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	switch asked := filter.FindStringSubmatch(q.Get("filter")); {
	case l.agent && r.Header.Get("User-Agent") == "":
		return http.StatusForbidden, ""
	case l.unpublished && kind == "ServiceProviderConfig":
		return http.StatusNotFound, ""
	case r.Method == http.MethodPost && media != "application/scim+json",
		(r.Method == http.MethodPut || r.Method == http.MethodPatch) && media != "application/scim+json":
		return http.StatusUnsupportedMediaType, ""
	case q.Has("filter") && asked == nil, asked != nil && l.filters != nil && !slices.Contains(l.filters, asked[1]):
		return http.StatusBadRequest, "invalidFilter"
	case l.memberless && kind == "Users" && (q.Has("excludedAttributes") || q.Has("startIndex")):
		return http.StatusBadRequest, ""
	}
	return 0, ""
}

// resists returns the refusal of the attributes that a resource is to have, or zero.
func (l *letter) resists(e *entity, next map[string]any) (status int, code string) {
	name, old := fmt.Sprint(next["username"]), fmt.Sprint(e.attrs["username"])
	lacks := func(path string) bool {
		outer, inner, _ := strings.Cut(path, ".")
		object, _ := next[outer].(map[string]any)
		return next[outer] == nil || inner != "" && object[inner] == nil
	}
	switch {
	case l.taken(e, next):
		return http.StatusConflict, "uniqueness"
	case strings.HasPrefix(name, "refused"):
		return http.StatusBadRequest, "invalidValue"
	case l.immutable && e.version > 0 && e.kind == "Users" && !strings.EqualFold(name, old),
		l.fixed && e.version > 0 && e.kind == "Groups" && next["displayname"] != e.attrs["displayname"]:
		return http.StatusBadRequest, "mutability"
	case e.kind == "Users" && (slices.ContainsFunc(l.required, lacks) || l.single && plural(next)):
		return http.StatusBadRequest, "invalidValue"
	}
	return 0, ""
}

// plural reports whether an attribute has several values, or a mail address that is not primary.
func plural(attrs map[string]any) bool {
	for name, v := range attrs {
		list, _ := v.([]any)
		if len(list) > 1 && name != "schemas" ||
			name == "emails" && len(list) == 1 && list[0].(map[string]any)["primary"] != true {
			return true
		}
	}
	return false
}

// sweep deletes the users that are not active, where the server does.
func (l *letter) sweep() {
	l.all = slices.DeleteFunc(l.all, func(e *entity) bool { return l.removes && e.attrs["active"] == false })
}

// visible returns the members that a group shows.
func (l *letter) visible(group *entity) []string {
	return slices.DeleteFunc(slices.Clone(group.members), func(id string) bool {
		return slices.ContainsFunc(l.all, func(e *entity) bool { return e.id == id && l.hides && e.attrs["active"] == false })
	})
}

// matches reports whether a filter finds a resource.
func (l *letter) matches(e *entity, attribute, value string) bool {
	switch {
	case attribute == "groups.value":
		return slices.ContainsFunc(l.all, func(g *entity) bool { return g.id == value && slices.Contains(g.members, e.id) })
	case attribute == "externalId" && l.blind:
		return false
	}
	return fmt.Sprint(e.attrs[strings.ToLower(attribute)]) == value
}

// synthetic returns the resource of a list that shows no real ones.
func (l *letter) synthetic(kind string, filtered bool) (list []any) {
	if l.sample && !filtered {
		list = append(list, map[string]any{"id": "1", "externalId": "synthesis", "userName": "synthesis", "active": false,
			"displayName": "synthesis " + kind})
	}
	return list
}

// canonized returns phone numbers as RFC 3966 writes them.
func canonized(v any) any {
	numbers, _ := v.([]any)
	out := make([]any, 0, len(numbers))
	for _, el := range numbers {
		m := maps.Clone(el.(map[string]any))
		if text, _ := m["value"].(string); !strings.HasPrefix(text, "tel:") {
			m["value"] = "tel:" + strings.ReplaceAll(text, " ", "-")
		}
		out = append(out, m)
	}
	return out
}

// asTexts returns a value with its booleans as texts.
func asTexts(v any) any {
	switch v := v.(type) {
	case bool:
		return strconv.FormatBool(v)
	case map[string]any:
		out := map[string]any{}
		for name, inner := range v {
			out[name] = asTexts(inner)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = asTexts(v[i])
		}
		return out
	}
	return v
}

// add creates a resource as an administrator of the server does.
func (l *letter) add(kind string, attrs map[string]any) *entity {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	e := &entity{kind: kind, id: strconv.Itoa(l.last), version: 1, attrs: attrs}
	l.all = append(l.all, e)
	return e
}

// anchored returns the resources with an externalId. It fails the test where two have the same one.
func (l *letter) anchored(t *testing.T) map[string]*entity {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[string]*entity{}
	for _, e := range l.all {
		if id, _ := e.attrs["externalid"].(string); id != "" {
			if out[id] != nil {
				t.Errorf("%s %s and %s have the externalId %s", e.kind, out[id].id, e.id, id)
			}
			copied := *e
			copied.attrs, copied.members = maps.Clone(e.attrs), slices.Clone(e.members)
			out[id] = &copied
		}
	}
	return out
}
