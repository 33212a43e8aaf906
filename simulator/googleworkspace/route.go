package googleworkspace

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

const (
	apiPrefix   = "/admin/directory/v1/"
	scopePrefix = "https://www.googleapis.com/auth/"
)

// route is one method of the Directory API.
type route struct {
	id       string // as in the discovery document: "directory.users.list"
	verb     string
	segments []string // "{name}" is a path parameter; the last may be "{+name}", which takes the rest
	scopes   []string // any one of them allows the call
	params   []string // query parameters besides the common ones
	items    string   // for lists: the field that holds the items
	body     bool
	serve    func(*Tenant, *call) (any, *apiError)
}

// method makes a route from a pattern in the form of the discovery document, without the common prefix.
func method(verb, pattern, id string, scopes []string, serve func(*Tenant, *call) (any, *apiError)) route {
	return route{
		id: "directory." + id, verb: verb, segments: strings.Split(pattern, "/"), scopes: scopes, serve: serve,
		body: verb == http.MethodPost || verb == http.MethodPut || verb == http.MethodPatch,
	}
}

func (r route) query(params ...string) route { r.params = params; return r }
func (r route) list(items string) route      { r.items = items; return r }
func (r route) noBody() route                { r.body = false; return r }

func scopes(names ...string) []string {
	for i, n := range names {
		names[i] = scopePrefix + n
	}
	return names
}

// allScopes returns every scope that a served method accepts.
func allScopes() []string {
	var all []string
	for _, r := range routes() {
		for _, s := range r.scopes {
			if !slices.Contains(all, s) {
				all = append(all, s)
			}
		}
	}
	return all
}

// find returns the route of a request and its path parameters.
func (t *Tenant) find(r *http.Request) (*route, map[string]string, *apiError) {
	rest, ok := strings.CutPrefix(r.URL.EscapedPath(), apiPrefix)
	if !ok {
		return nil, nil, unknownPath()
	}
	segments := strings.Split(rest, "/")
	var allow []string
	for i := range t.routes {
		route := &t.routes[i]
		vars, ok := match(route.segments, segments)
		if !ok {
			continue
		}
		if route.verb == r.Method {
			return route, vars, nil
		}
		allow = append(allow, route.verb)
	}
	if len(allow) > 0 {
		return nil, nil, wrongMethod(strings.Join(allow, ", "))
	}
	return nil, nil, unknownPath()
}

func match(pattern, segments []string) (map[string]string, bool) {
	vars := map[string]string{}
	for i, p := range pattern {
		if name, ok := strings.CutPrefix(p, "{+"); ok && i < len(segments) {
			value, err := url.PathUnescape(strings.Join(segments[i:], "/"))
			vars[strings.TrimSuffix(name, "}")] = value
			return vars, err == nil && value != ""
		}
		if i >= len(segments) {
			return nil, false
		}
		value, err := url.PathUnescape(segments[i])
		if err != nil {
			return nil, false
		}
		if name, ok := strings.CutPrefix(p, "{"); ok {
			vars[strings.TrimSuffix(name, "}")] = value
			if value == "" {
				return nil, false
			}
		} else if p != value {
			return nil, false
		}
	}
	return vars, len(pattern) == len(segments)
}
