package scim

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"rollcall/directory"
)

// equals returns a filter (RFC 7644, section 3.4.2.2). A value is quoted as in JSON. Only what must be escaped is,
// because some servers take "\u0026" as six characters.
func equals(attribute, value string) string {
	var quoted strings.Builder
	enc := json.NewEncoder(&quoted)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(value) // A text can always be encoded.
	return fmt.Sprintf("%s eq %s", attribute, strings.TrimSpace(quoted.String()))
}

// find returns the resources with a value of an attribute. Without a filter for it, and where the server refuses the
// filter, the whole collection is read. Servers may compare without letter case, or ignore a filter, so same decides.
// An empty answer counts only where the filter is known to find something.
func (p *Provider) find(ctx context.Context, kind directory.Kind, attribute, value string,
	same func(resource) bool) ([]resource, error) {
	s, err := p.known(ctx)
	if err != nil {
		return nil, err
	}
	if s.filter && p.cfg.filters(attribute) {
		all, err := p.filtered(ctx, s, kind, attribute, value)
		if err != nil && !filterRefused(err) {
			return nil, err
		}
		found := slices.DeleteFunc(all, func(r resource) bool { return !same(r) })
		if err == nil && len(found) > 0 {
			return found, nil
		}
		if err == nil {
			works, err := p.filterWorks(ctx, s, kind, attribute)
			if works || err != nil {
				return nil, err
			}
		}
	}
	all, err := p.list(ctx, s, query{kind: kind, without: p.withoutMembers(kind)})
	p.examples.learn(kind, all)
	return slices.DeleteFunc(all, func(r resource) bool { return !same(r) }), err
}

func (p *Provider) filtered(ctx context.Context, s *server, kind directory.Kind, attribute, value string) ([]resource,
	error) {
	return p.list(ctx, s, query{kind: kind, without: p.withoutMembers(kind), filter: equals(attribute, value)})
}

// filterRefused reports whether a list was refused in a way that may be due to its filter.
func filterRefused(err error) bool {
	return slices.Contains([]int{http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound,
		http.StatusNotImplemented}, status(err))
}

func (p *Provider) findAnchor(ctx context.Context, kind directory.Kind, id directory.ID) ([]resource, error) {
	return p.find(ctx, kind, externalIDAttr, string(id), func(r resource) bool { return r.anchor() == string(id) })
}

func (p *Provider) findUserName(ctx context.Context, name string) ([]resource, error) {
	return p.find(ctx, directory.User, userNameAttr, name,
		func(r resource) bool { return strings.EqualFold(r.text(userNameAttr), name) })
}

// filterWorks reports whether a filter finds a resource that is known to be there. Some servers answer filters that
// they do not support with an empty list. Where no resource is known, one of the first page serves.
func (p *Provider) filterWorks(ctx context.Context, s *server, kind directory.Kind, attribute string) (bool, error) {
	known := p.examples.of(kind, attribute)
	if known.resource == nil {
		start := url.Values{"startIndex": {"1"}}
		if s.cursor {
			start = url.Values{"cursor": {""}}
		}
		start.Set("count", strconv.Itoa(s.pageSize))
		first, err := p.page(ctx, query{kind: kind, without: p.withoutMembers(kind)}, start)
		if err != nil {
			return false, err
		}
		p.examples.learn(kind, first.Resources)
		known = p.examples.of(kind, attribute)
	}
	if known.tried || known.resource == nil {
		return known.works, nil
	}
	all, err := p.filtered(ctx, s, kind, attribute, known.text(attribute))
	if err != nil {
		return false, err
	}
	known.works = slices.ContainsFunc(all, func(r resource) bool { return r.id() == known.id() })
	known.tried = known.works
	if !known.works {
		if p.recent.Has(known.id()) {
			return false, nil // It may be too new to be found.
		}
		now, found, err := p.get(ctx, kind, known.id(), p.withoutMembers(kind))
		if err != nil {
			return false, err
		}
		if known.tried = found && now.text(attribute) == known.text(attribute); !known.tried {
			known = example{} // It was changed or deleted. Another one is taken the next time.
		}
	}
	p.examples.set(kind, attribute, known)
	return known.works, nil
}

// examples has a resource with a value for each attribute that is filtered by. It is safe for concurrent use.
type examples struct {
	mu  sync.Mutex
	all map[string]example
}

// example is a resource, and whether a filter was tried with it and found it.
type example struct {
	resource
	tried, works bool
}

func (e *examples) of(kind directory.Kind, attribute string) example {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.all[opOf(kind, attribute)]
}

func (e *examples) set(kind directory.Kind, attribute string, known example) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.all == nil {
		e.all = map[string]example{}
	}
	e.all[opOf(kind, attribute)] = known
}

// learn takes examples where there are none.
func (e *examples) learn(kind directory.Kind, list []resource) {
	for _, attribute := range []string{userNameAttr, externalIDAttr} {
		i := slices.IndexFunc(list, func(r resource) bool { return r.text(attribute) != "" })
		if i >= 0 && e.of(kind, attribute).resource == nil {
			e.set(kind, attribute, example{resource: list[i]})
		}
	}
}
