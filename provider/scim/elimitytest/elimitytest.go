// Package elimitytest serves SCIM with github.com/elimity-com/scim, which is independent of this project.
package elimitytest

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	server "github.com/elimity-com/scim"
	"github.com/elimity-com/scim/errors"
	"github.com/elimity-com/scim/filter"
	"github.com/elimity-com/scim/optional"
	"github.com/elimity-com/scim/schema"
	parser "github.com/scim2/filter-parser/v2"
)

// Server is a SCIM server of github.com/elimity-com/scim, which checks bodies, filters and paths. The store and what a
// PATCH does to it are from here.
type Server struct {
	// URL is the root of the service.
	URL string

	users, groups *memory
}

// Start serves users and groups until the end of the test. wrap stands in front of the server, or is nil.
func Start(t testing.TB, wrap func(http.Handler) http.Handler) *Server {
	t.Helper()
	users, groups := &memory{t: t, unique: "userName"}, &memory{t: t}
	users.schema, groups.schema = schema.CoreUserSchema(), schema.CoreGroupSchema()
	users.extensions = []schema.Schema{schema.ExtensionEnterpriseUser()}
	s, err := server.NewServer(&server.ServerArgs{
		ServiceProviderConfig: &server.ServiceProviderConfig{MaxResults: 50, SupportFiltering: true, SupportPatch: true},
		ResourceTypes: []server.ResourceType{
			{ID: optional.NewString("User"), Name: "User", Endpoint: "/Users", Schema: users.schema, Handler: users,
				SchemaExtensions: []server.SchemaExtension{{Schema: schema.ExtensionEnterpriseUser()}}},
			{ID: optional.NewString("Group"), Name: "Group", Endpoint: "/Groups", Schema: groups.schema, Handler: groups},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	var h http.Handler = s
	if wrap != nil {
		h = wrap(h)
	}
	listener := httptest.NewServer(h)
	t.Cleanup(listener.Close)
	return &Server{URL: listener.URL, users: users, groups: groups}
}

// Users returns how many users there are with each value of an attribute.
func (s *Server) Users(attribute string) map[string]int { return s.users.values(attribute) }

// Groups returns how many groups there are with each value of an attribute.
func (s *Server) Groups(attribute string) map[string]int { return s.groups.values(attribute) }

// Members returns the ids of the members of each group, as often as the group has them.
func (s *Server) Members() (all [][]string) {
	s.groups.mu.Lock()
	defer s.groups.mu.Unlock()
	for _, id := range s.groups.ids {
		var members []string
		list, _ := s.groups.all[id]["members"].([]any)
		for _, el := range list {
			member, _ := el.(map[string]any)
			members = append(members, fmt.Sprint(member["value"]))
		}
		all = append(all, members)
	}
	return all
}

func (m *memory) values(attribute string) map[string]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[string]int{}
	for _, id := range m.ids {
		out[fmt.Sprint(m.all[id][attribute])]++
	}
	return out
}

// memory is the store of one resource type.
type memory struct {
	t          testing.TB
	schema     schema.Schema
	extensions []schema.Schema
	unique     string

	mu   sync.Mutex
	last int
	ids  []string
	all  map[string]server.ResourceAttributes
}

func (m *memory) resource(id string) server.Resource {
	out := server.Resource{ID: id, Attributes: server.ResourceAttributes{}}
	for name, v := range m.all[id] {
		if name == "externalId" {
			out.ExternalID = optional.NewString(v.(string))
			continue
		}
		out.Attributes[name] = v
	}
	return out
}

func (m *memory) taken(id string, attributes server.ResourceAttributes) bool {
	return m.unique != "" && slices.ContainsFunc(m.ids, func(other string) bool {
		return other != id && strings.EqualFold(fmt.Sprint(m.all[other][m.unique]), fmt.Sprint(attributes[m.unique]))
	})
}

// Create implements server.ResourceHandler.
func (m *memory) Create(_ *http.Request, attributes server.ResourceAttributes) (server.Resource, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.taken("", attributes) {
		return server.Resource{}, errors.ScimErrorUniqueness
	}
	m.last++
	id := fmt.Sprint(m.schema.Name.Value(), m.last)
	if m.all == nil {
		m.all = map[string]server.ResourceAttributes{}
	}
	m.all[id], m.ids = attributes, append(m.ids, id)
	return m.resource(id), nil
}

// Get implements server.ResourceHandler.
func (m *memory) Get(_ *http.Request, id string) (server.Resource, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.all[id] == nil {
		return server.Resource{}, errors.ScimErrorResourceNotFound(id)
	}
	return m.resource(id), nil
}

// GetAll implements server.ResourceHandler.
func (m *memory) GetAll(_ *http.Request, params server.ListRequestParams) (server.Page, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := []server.Resource{}
	for _, id := range m.ids {
		if passes(params.FilterValidator, m.all[id]) {
			found = append(found, m.resource(id))
		}
	}
	total := len(found)
	from := min(max(params.StartIndex, 1)-1, total)
	return server.Page{TotalResults: total, Resources: found[from:min(from+params.Count, total)]}, nil
}

func passes(v *filter.Validator, attributes server.ResourceAttributes) bool {
	return v == nil || v.PassesFilter(attributes) == nil
}

// Replace implements server.ResourceHandler.
func (m *memory) Replace(_ *http.Request, id string, attributes server.ResourceAttributes) (server.Resource, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.all[id] == nil {
		return server.Resource{}, errors.ScimErrorResourceNotFound(id)
	}
	m.all[id] = attributes
	return m.resource(id), nil
}

// Delete implements server.ResourceHandler.
func (m *memory) Delete(_ *http.Request, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.all[id] == nil {
		return errors.ScimErrorResourceNotFound(id)
	}
	delete(m.all, id)
	m.ids = slices.DeleteFunc(m.ids, func(other string) bool { return other == id })
	return nil
}

// Patch implements server.ResourceHandler.
func (m *memory) Patch(_ *http.Request, id string, operations []server.PatchOperation) (server.Resource, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.all[id] == nil {
		return server.Resource{}, errors.ScimErrorResourceNotFound(id)
	}
	next := maps.Clone(m.all[id])
	for _, o := range operations {
		if o.Path == nil {
			return server.Resource{}, errors.ScimErrorInvalidPath
		}
		m.operate(next, o)
	}
	if m.taken(id, next) {
		return server.Resource{}, errors.ScimErrorUniqueness
	}
	m.all[id] = next
	return m.resource(id), nil
}

// operate applies one operation to attributes that it may change at the top.
func (m *memory) operate(attributes map[string]any, o server.PatchOperation) {
	path := o.Path.AttributePath
	if urn := path.URI(); urn != "" && urn != m.schema.ID {
		inner, _ := attributes[urn].(map[string]any)
		copied := map[string]any{}
		maps.Copy(copied, inner)
		attributes[urn] = copied
		attributes = copied
	}
	name := path.AttributeName
	switch sub := path.SubAttributeName(); {
	case o.Path.ValueExpression != nil:
		attributes[name] = without(attributes[name], o.Path.ValueExpression)
	case sub != "":
		inner, _ := attributes[name].(map[string]any)
		copied := map[string]any{}
		maps.Copy(copied, inner)
		if copied[sub] = o.Value; o.Op == server.PatchOperationRemove {
			delete(copied, sub)
		}
		attributes[name] = copied
	case o.Op == server.PatchOperationRemove:
		delete(attributes, name)
	case o.Op == server.PatchOperationAdd:
		list, _ := attributes[name].([]any)
		attributes[name] = append(slices.Clone(list), listed(o.Value)...)
	default:
		attributes[name] = o.Value
	}
}

func listed(v any) []any {
	switch v := v.(type) {
	case []any:
		return v
	case []map[string]any:
		var out []any
		for _, m := range v {
			out = append(out, m)
		}
		return out
	}
	return []any{v}
}

// without returns a list without the elements with a value.
func without(v any, expression parser.Expression) any {
	is, ok := expression.(*parser.AttributeExpression)
	if !ok {
		return v
	}
	return slices.DeleteFunc(slices.Clone(listed(v)), func(el any) bool {
		m, _ := el.(map[string]any)
		return fmt.Sprint(m[is.AttributePath.AttributeName]) == fmt.Sprint(is.CompareValue)
	})
}
