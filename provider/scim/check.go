package scim

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"rollcall/directory"
	"rollcall/fault"
)

// Check tests the prerequisites of a run without writing. These are the credentials, what the server publishes, the
// mapped attributes, and a first page of users and groups.
func (p *Provider) Check(ctx context.Context) ([]string, error) {
	c := &check{p: p, ctx: ctx}
	s, err := p.discover(ctx)
	if err != nil {
		return nil, advised(err)
	}
	c.published(s)
	c.attributes(s)
	for _, kind := range directory.Kinds {
		if kind == directory.User || s.groups {
			c.list(s, kind)
		}
	}
	return c.good, errors.Join(c.bad...)
}

type check struct {
	p    *Provider
	ctx  context.Context
	good []string
	bad  []error
}

func (c *check) ok(format string, args ...any) { c.good = append(c.good, fmt.Sprintf(format, args...)) }

// advised adds to an error what to do about it.
func advised(err error) error {
	a := refused(err)
	switch {
	case a == nil:
		return err
	case a.Status == http.StatusUnauthorized:
		return fmt.Errorf("%w: the server does not accept the credentials", err)
	case a.Status == http.StatusForbidden, a.Status == http.StatusPaymentRequired:
		return fmt.Errorf("%w: the credentials need the right to read and write users and groups", err)
	case a.Status == http.StatusNotFound:
		return fmt.Errorf("%w: endpoint must be the address above /Users and /Groups", err)
	}
	return err
}

func (c *check) published(s *server) {
	if !s.published {
		c.ok("the server does not publish what it can do; the profile %s says it", c.p.cfg.Profile)
	}
	how := "PATCH"
	if !s.patch {
		how = "PUT"
	}
	paging := byIndex
	if s.cursor {
		paging = byCursor
	}
	filters := "no filters"
	if s.filter {
		filters = "filters of " + strings.Join(c.p.cfg.Filters, ", ")
	}
	versions := "no versions"
	if s.etag {
		versions = "versions"
	}
	c.ok("profile %s: changes by %s, pages of %d by %s, %s, %s", c.p.cfg.Profile, how, s.pageSize, paging, filters,
		versions)
	if !s.groups {
		c.ok("warning: the server publishes no resource type Group, so that groups are not written")
	}
}

// attributes names the mapped attributes that the server's schemas do not have.
func (c *check) attributes(s *server) {
	if s.types == nil {
		return
	}
	for kind, fields := range map[directory.Kind][]string{
		directory.User: c.p.userFields, directory.Group: c.p.groupFields,
	} {
		for _, name := range fields {
			at, _ := parseSlot(name)
			top := at
			top.sub = ""
			if s.typeOf(kind, top) == "" {
				c.ok("warning: the server's schemas have no attribute for the mapped field %s of %ss", name, kind)
			}
		}
	}
	slices.Sort(c.good[1:])
}

// list reads the first page of a collection.
func (c *check) list(s *server, kind directory.Kind) {
	values := url.Values{"count": {"2"}}
	if s.cursor {
		values.Set("cursor", "")
	}
	pg, err := c.p.page(c.ctx, query{kind: kind, without: c.p.withoutMembers(kind)}, values)
	switch {
	case err != nil:
		c.bad = append(c.bad, advised(err))
	case pg.TotalResults != nil:
		c.ok("%ss can be listed, %d in all", kind, *pg.TotalResults)
	default:
		c.ok("%ss can be listed", kind)
	}
	if err == nil && pg.TotalResults == nil && !s.cursor {
		c.bad = append(c.bad, fault.Errorf(fault.Invalid, "the list of %ss has no totalResults, so that its end cannot "+
			"be checked: set paging: cursor where the server has cursors", kind))
	}
}
