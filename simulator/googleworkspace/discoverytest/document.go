package discoverytest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
)

// document is the part of a discovery document that is checked against.
type document struct {
	Parameters map[string]*schema
	Resources  map[string]*resource
	Schemas    map[string]*schema

	methods []*method
}

type resource struct {
	Methods   map[string]*method
	Resources map[string]*resource
}

// method is one method of the API.
type method struct {
	ID         string
	HTTPMethod string
	Path       string
	Parameters map[string]*schema
	Scopes     []string
	Request    *schema
	Response   *schema

	segments []string
}

// schema describes a value, which is a resource, a field or a parameter.
type schema struct {
	Ref                  string `json:"$ref"`
	Type                 string
	Format               string
	Description          string
	Default              string
	Enum                 []string
	Items                *schema
	Properties           map[string]*schema
	AdditionalProperties *schema
	ReadOnly             bool
	Annotations          struct{ Required []string }

	// Of parameters alone.
	Location         string
	Required         bool
	Repeated         bool
	Pattern          string
	Minimum, Maximum string
}

// load reads the discovery document of the Directory API out of the module that this build uses.
var load = sync.OnceValues(func() (*document, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "google.golang.org/api").Output()
	if err != nil {
		return nil, fmt.Errorf("find the module google.golang.org/api: %w", err)
	}
	data, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), "admin", "directory", "v1", "admin-api.json"))
	if err != nil {
		return nil, err
	}
	return parse(data)
})

func parse(data []byte) (*document, error) {
	doc := &document{}
	if err := json.Unmarshal(data, doc); err != nil {
		return nil, fmt.Errorf("read the discovery document: %w", err)
	}
	doc.collect(doc.Resources)
	return doc, nil
}

func (d *document) collect(resources map[string]*resource) {
	for _, r := range resources {
		for _, m := range r.Methods {
			m.segments = strings.Split(m.Path, "/")
			d.methods = append(d.methods, m)
		}
		d.collect(r.Resources)
	}
}

// match returns the method of a request and the values of its path parameters, or nil if there is none. A literal
// path takes precedence over one with parameters, as users/watch does over users/{userKey}.
func (d *document) match(r *http.Request) (*method, map[string]string) {
	segments := strings.Split(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/")
	var best *method
	var bestVars map[string]string
	for _, m := range d.methods {
		if m.HTTPMethod != r.Method {
			continue
		}
		if vars, ok := m.vars(segments); ok && (best == nil || len(vars) < len(bestVars)) {
			best, bestVars = m, vars
		}
	}
	return best, bestVars
}

func (m *method) vars(segments []string) (map[string]string, bool) {
	vars := map[string]string{}
	for i, pattern := range m.segments {
		name, isVar := strings.CutPrefix(pattern, "{")
		name = strings.TrimSuffix(name, "}")
		switch {
		case i >= len(segments):
			return nil, false
		case isVar && strings.HasPrefix(name, "+"):
			rest, err := url.PathUnescape(strings.Join(segments[i:], "/"))
			vars[name[1:]] = rest
			return vars, err == nil && rest != "" && i == len(m.segments)-1 && m.fits(name[1:], rest)
		case isVar:
			value, err := url.PathUnescape(segments[i])
			if err != nil || value == "" {
				return nil, false
			}
			vars[name] = value
		case pattern != segments[i]:
			return nil, false
		}
	}
	return vars, len(segments) == len(m.segments)
}

// fits checks the pattern of a path parameter that takes several segments.
func (m *method) fits(param, value string) bool {
	p := m.Parameters[param]
	if p == nil || p.Pattern == "" {
		return true
	}
	ok, err := regexp.MatchString(p.Pattern, value)
	return err == nil && ok
}

// resolve follows a reference.
func (d *document) resolve(s *schema) *schema {
	for s != nil && s.Ref != "" {
		s = d.Schemas[s.Ref]
	}
	return s
}

// readOnly says whether a field must not be sent. Of Group and others the document says so in prose only.
func (s *schema) readOnly() bool {
	if s.ReadOnly {
		return true
	}
	text := strings.TrimSuffix(s.Description, ".")
	for _, mark := range []string{"Read-only.", "Output only."} {
		if strings.HasPrefix(s.Description, mark) {
			return true
		}
	}
	return strings.HasSuffix(text, "(Read-only)") || strings.HasSuffix(text, "(Immutable)")
}
