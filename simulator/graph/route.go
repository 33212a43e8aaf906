package graph

import (
	"net/http"
	"net/url"
	"strings"
)

// route is one method of the API.
type route struct {
	id      string // "users.list"
	verb    string
	pattern []string // "{x}" is a key
	cost    int      // base resource units of a GET
	write   bool
	perms   []string // any of them
	options []string // query options
	serve   func(*Tenant, *call) (*answer, *apiError)
}

// key is a key in a path. It names an object by id, by principal name or by an alternate key with its name.
type key struct{ name, value string }

// match compares a path with a pattern.
func (r *route) match(segments []string) (map[string]key, bool) {
	if len(segments) != len(r.pattern) {
		return nil, false
	}
	for i, want := range r.pattern {
		if !strings.HasPrefix(want, "{") && !strings.EqualFold(want, segments[i]) {
			return nil, false
		}
	}
	vars := map[string]key{}
	for i, want := range r.pattern {
		if !strings.HasPrefix(want, "{") {
			continue
		}
		k, ok := parseKey(segments[i])
		if !ok {
			return nil, false
		}
		vars[strings.Trim(want, "{}")] = k
	}
	return vars, true
}

// parseKey reads a segment that split returned, which is "id", "'id'" or "name='value'".
func parseKey(segment string) (key, bool) {
	if strings.HasPrefix(segment, "$") || segment == "" {
		return key{}, false
	}
	name, value, named := strings.Cut(segment, "=")
	if !named || !isIdentifier(name) {
		return key{value: unquote(segment)}, true
	}
	return key{name: name, value: unquote(value)}, true
}

func isIdentifier(s string) bool {
	for _, c := range s {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z') {
			return false
		}
	}
	return s != ""
}

func unquote(s string) string {
	if len(s) >= 2 && s[0] == '\'' && s[len(s)-1] == '\'' {
		return strings.ReplaceAll(s[1:len(s)-1], "''", "'")
	}
	return s
}

// split cuts an escaped path into segments. Parentheses become a separate segment, or none if empty. Functions and
// types lose their namespace.
func split(path string) ([]string, bool) {
	var segments []string
	for part := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		segment, err := url.PathUnescape(part)
		if err != nil {
			return nil, false
		}
		name, inner, called := strings.Cut(segment, "(")
		if called && strings.HasSuffix(inner, ")") && (isIdentifier(name) || strings.HasPrefix(name, "microsoft.graph.")) {
			segments = append(segments, shortName(name))
			if inner = strings.TrimSuffix(inner, ")"); inner != "" {
				segments = append(segments, inner)
			}
			continue
		}
		segments = append(segments, shortName(segment))
	}
	return segments, true
}

func shortName(segment string) string {
	for _, prefix := range []string{"microsoft.graph.", "graph."} {
		if rest, ok := strings.CutPrefix(segment, prefix); ok {
			switch rest {
			case "delta", "restore", "getByIds":
				return rest
			case "user", "group", "directoryRole":
				return "microsoft.graph." + rest
			}
		}
	}
	return segment
}

// find returns the route of a call.
func (t *Tenant) find(c *call) *apiError {
	segments, ok := split(c.path)
	if !ok {
		return malformed("Malformed path.")
	}
	known := false
	for i := range t.routes {
		r := &t.routes[i]
		vars, ok := r.match(segments)
		if !ok {
			continue
		}
		known = true
		if r.verb == c.method {
			c.route, c.vars = r, vars
			return nil
		}
	}
	if known {
		return refusal(http.StatusMethodNotAllowed, "Request_BadRequest",
			"Specified HTTP method is not allowed for the request target.")
	}
	return malformed("Resource not found for the segment '%s'.", segments[0])
}

// checkOptions refuses query options that a method does not have.
func (c *call) checkOptions() *apiError {
	for name := range c.query {
		if !strings.HasPrefix(name, "$") {
			continue // custom query options are ignored, as OData has it
		}
		found := false
		for _, known := range c.route.options {
			found = found || strings.EqualFold(known, name)
		}
		if !found {
			return unsupported("The query parameter '%s' is not supported for this request.", name)
		}
	}
	return nil
}
