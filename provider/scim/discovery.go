package scim

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"rollcall/directory"
	"rollcall/fault"
)

// server is what a server publishes of itself, together with the configuration.
type server struct {
	// patch, etag and filter report what the server publishes. Without a configuration, it has PATCH and filters.
	patch, etag, filter bool
	cursor              bool
	pageSize            int
	// groups is set unless the server publishes its resource types, and Group is not among them.
	groups bool
	// published is set where the server has a ServiceProviderConfig.
	published bool
	// types are the types of attributes by URN and name, in lower case. Nil where the server publishes no schemas.
	types map[string]string
}

// serverCache keeps what was discovered.
type serverCache struct {
	mu sync.Mutex
	at time.Time
	is *server
}

// fresh is how long the discovery of a run also serves single objects.
const fresh = 10 * time.Minute

// known returns what was discovered in the last minutes, or discovers it.
func (p *Provider) known(ctx context.Context) (*server, error) {
	p.server.mu.Lock()
	is, at := p.server.is, p.server.at
	p.server.mu.Unlock()
	if is != nil && p.now().Sub(at) < fresh {
		return is, nil
	}
	return p.discover(ctx)
}

// discover reads the configuration, the resource types and the schemas of the server. Only 404 and 501 mean that the
// server does not publish them.
func (p *Provider) discover(ctx context.Context) (*server, error) {
	s := &server{patch: true, filter: true, groups: true, pageSize: p.cfg.PageSize}
	var config struct {
		Patch, Filter, Etag struct{ Supported flag }
		Pagination          *struct {
			Cursor, Index           flag
			DefaultPaginationMethod string
			MaxPageSize             integer
		}
	}
	found, err := p.published(ctx, "config.get", "/ServiceProviderConfig", &config)
	if err != nil {
		return nil, err
	}
	if s.published = found; found {
		s.patch, s.filter = bool(config.Patch.Supported), bool(config.Filter.Supported)
		s.etag = bool(config.Etag.Supported)
		if pages := config.Pagination; pages != nil {
			s.cursor = bool(pages.Cursor && (!pages.Index || pages.DefaultPaginationMethod == byCursor))
			if pages.MaxPageSize > 0 {
				s.pageSize = min(s.pageSize, int(pages.MaxPageSize))
			}
		}
	}
	var types struct {
		Resources []struct{ Name, Endpoint string }
	}
	if found, err = p.published(ctx, "types.list", "/ResourceTypes", &types); err != nil {
		return nil, err
	}
	if found && len(types.Resources) > 0 {
		s.groups = false
		for _, t := range types.Resources {
			at := strings.Trim(t.Endpoint, "/")
			s.groups = s.groups || strings.EqualFold(t.Name, "Group") || strings.EqualFold(at, "Groups")
		}
	}
	if s.types, err = p.schemas(ctx); err != nil {
		return nil, err
	}
	p.override(s)
	p.server.mu.Lock()
	p.server.is, p.server.at = s, p.now()
	p.server.mu.Unlock()
	return s, nil
}

// override applies the configuration, which knows more than the server says.
func (p *Provider) override(s *server) {
	if p.cfg.Paging != auto {
		s.cursor = p.cfg.Paging == byCursor
	}
	if slices.Contains(p.cfg.Filters, noFilters) {
		s.filter = false
	}
	switch p.cfg.Update {
	case byPatch, byObject:
		s.patch = true
	case byPut:
		s.patch = false
	}
}

// patches reports whether resources of a kind are changed by PATCH. Groups with members that are changed by PATCH are.
func (p *Provider) patches(s *server, kind directory.Kind) bool {
	return s.patch || kind == directory.Group && p.cfg.MemberUpdate == byPatch
}

// patchesMembers reports whether members are changed by PATCH.
func (p *Provider) patchesMembers(s *server) bool {
	switch p.cfg.MemberUpdate {
	case byPatch:
		return true
	case byPut:
		return false
	}
	return s.patch
}

// published reads a description of the server. found is false where the server has none. Some servers answer a list
// without its message.
func (p *Provider) published(ctx context.Context, op, path string, into any) (found bool, err error) {
	err = p.call(ctx, &request{op: op, method: http.MethodGet, path: path}, func(res *response) error {
		body := bytes.TrimSpace(res.body)
		if bytes.HasPrefix(body, []byte("[")) {
			body = slices.Concat([]byte(`{"Resources":`), body, []byte("}"))
		}
		return json.Unmarshal(body, into)
	})
	if code := status(err); code == http.StatusNotFound || code == http.StatusNotImplemented {
		return false, nil
	}
	return err == nil, err
}

// attributeType is a part of the definition of an attribute.
type attributeType struct {
	Name, Type    string
	SubAttributes []attributeType
}

// schemas returns the types of the attributes that the server publishes.
func (p *Provider) schemas(ctx context.Context) (map[string]string, error) {
	var list struct {
		Resources []struct {
			ID         string
			Attributes []attributeType
		}
	}
	found, err := p.published(ctx, "schemas.list", "/Schemas", &list)
	if err != nil || !found || len(list.Resources) == 0 {
		return nil, err
	}
	types := map[string]string{}
	for _, s := range list.Resources {
		for _, a := range s.Attributes {
			name := strings.ToLower(s.ID + ":" + a.Name)
			types[name] = a.Type
			for _, sub := range a.SubAttributes {
				types[name+"."+strings.ToLower(sub.Name)] = sub.Type
			}
		}
	}
	return types, nil
}

// typeOf returns the type of a slot's value, or "" where the server does not publish it.
func (s *server) typeOf(kind directory.Kind, at slot) string {
	urn := at.urn
	if urn == "" {
		urn = userSchema
		if kind == directory.Group {
			urn = groupSchema
		}
	}
	name := urn + ":" + at.attr
	if at.sub != "" {
		name += "." + at.sub
	}
	return s.types[strings.ToLower(name)]
}

// needGroups returns an error where the server has no groups.
func (s *server) needGroups() error {
	if s.groups {
		return nil
	}
	return fault.Errorf(fault.Refused, "the server publishes no resource type Group")
}
