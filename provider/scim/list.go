package scim

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/provider/remote"
)

// attempts is how often a list is begun again because its total changed or its cursor expired.
const attempts = 3

// page is a ListResponse.
type page struct {
	TotalResults *integer
	NextCursor   string
	Resources    []resource
}

// errMoved reports a list with a total that changed from one page to the next, and errExpired a cursor that expired.
var (
	errMoved   = errors.New("the total changed while the list was read")
	errExpired = errors.New("the list took longer than its cursors last")
)

// query selects the resources of a list.
type query struct {
	kind    directory.Kind
	filter  string
	without string
	// op names the requests where they are about one group, and not about the target.
	op string
}

// name returns the op of the requests.
func (q *query) name() string {
	return cmp.Or(q.op, opOf(q.kind, "list"))
}

// list reads a collection to its end. It returns each resource once. A list that ends before its total, repeats a
// page, or changes its total or loses its cursor again and again is an error.
func (p *Provider) list(ctx context.Context, s *server, q query) ([]resource, error) {
	var err error
	for range attempts {
		var out []resource
		if s.cursor {
			out, err = p.byCursor(ctx, s, q)
		} else {
			out, err = p.byIndex(ctx, s, q)
		}
		if err == nil {
			return out, nil
		}
		if !errors.Is(err, errMoved) && !errors.Is(err, errExpired) {
			return nil, err
		}
	}
	return nil, err
}

// listing collects the resources of pages.
type listing struct {
	all  []resource
	seen map[string]int
	// total is what the first page said, or -1. read counts the resources of all pages.
	total, read int
}

func newListing() *listing { return &listing{seen: map[string]int{}, total: -1} }

// add takes a page and reports whether it had new resources. A resource that comes again replaces the first one.
func (l *listing) add(op string, pg *page) (news bool, err error) {
	if pg.TotalResults != nil {
		total := int(*pg.TotalResults)
		if l.total >= 0 && l.total != total {
			return false, fault.Errorf(fault.Unavailable, "%s: %w, from %d to %d", op, errMoved, l.total, total)
		}
		l.total = total
	}
	l.read += len(pg.Resources)
	for _, r := range pg.Resources {
		if i, again := l.seen[r.id()]; again {
			l.all[i] = r
			continue
		}
		l.seen[r.id()] = len(l.all)
		l.all, news = append(l.all, r), true
	}
	return news, nil
}

// whole returns the resources, or an error where the list has fewer than its total.
func (l *listing) whole(op string) ([]resource, error) {
	if l.total > len(l.all) {
		return nil, fault.Errorf(fault.Unavailable, "%s: the list ended after %d of %d resources", op, len(l.all),
			l.total)
	}
	return l.all, nil
}

// byIndex reads pages by their first index. A list without a total ends with an empty page, since a short page may be
// one that the server limits.
func (p *Provider) byIndex(ctx context.Context, s *server, q query) ([]resource, error) {
	op, l := q.name(), newListing()
	for pages := 1; ; pages++ {
		values := url.Values{"startIndex": {strconv.Itoa(l.read + 1)}, "count": {strconv.Itoa(s.pageSize)}}
		pg, err := p.page(ctx, q, values)
		if code := status(err); code >= 400 && code < 500 && pages > 1 && len(l.all) == l.total {
			return l.all, nil // The server refuses an index beyond its total.
		}
		if err != nil {
			return nil, err
		}
		news, err := l.add(op, pg)
		switch {
		case err != nil:
			return nil, err
		case len(pg.Resources) == 0:
			return l.whole(op)
		case !news && (l.total < 0 || len(l.all) < l.total):
			return nil, fault.Errorf(fault.Unavailable,
				"%s: the server repeats a page, so the list cannot be read to its end", op)
		case !news:
			return l.whole(op) // The page after the last one, on a server that ignores startIndex.
		case len(l.all) >= l.total && l.total >= 0 && len(pg.Resources) < s.pageSize:
			return l.whole(op)
		case pages == remote.MostPages:
			return nil, fault.Errorf(fault.Unavailable, "%s: the list has more than %d pages", op, remote.MostPages)
		}
		// A full page may be all that a total counts, so the next page is read, too.
	}
}

// expiredCursor is the scimType of a cursor that is too old (RFC 9865, section 2.1).
const expiredCursor = "expiredCursor"

// byCursor reads pages by cursors (RFC 9865). The last page has none.
func (p *Provider) byCursor(ctx context.Context, s *server, q query) ([]resource, error) {
	op, l, used := q.name(), newListing(), map[string]bool{}
	for cursor := ""; ; {
		pg, err := p.page(ctx, q, url.Values{"cursor": {cursor}, "count": {strconv.Itoa(s.pageSize)}})
		if a := refused(err); a != nil && a.Code == expiredCursor && cursor != "" {
			return nil, fault.Errorf(fault.Unavailable, "%s: %w: %w", op, errExpired, err)
		}
		if err != nil {
			return nil, err
		}
		if _, err := l.add(op, pg); err != nil {
			return nil, err
		}
		if cursor = pg.NextCursor; cursor == "" {
			return l.whole(op)
		}
		if used[cursor] || len(used) == remote.MostPages {
			return nil, fault.Errorf(fault.Unavailable,
				"%s: the server repeats a cursor, so the list cannot be read to its end", op)
		}
		used[cursor] = true
	}
}

// page reads one page.
func (p *Provider) page(ctx context.Context, q query, values url.Values) (*page, error) {
	if q.filter != "" {
		values.Set("filter", q.filter)
	}
	if q.without != "" {
		values.Set("excludedAttributes", q.without)
	}
	pg := &page{}
	err := p.call(ctx, &request{op: q.name(), method: http.MethodGet, path: p.path(q.kind, ""),
		query: values}, func(res *response) error {
		*pg = page{}
		if err := unmarshal(res.body, pg); err != nil {
			return err
		}
		if pg.TotalResults == nil && pg.Resources == nil && pg.NextCursor == "" &&
			!strings.Contains(strings.ToLower(string(res.body)), "listresponse") {
			return errors.New("it is not a list")
		}
		for _, r := range pg.Resources {
			if r.id() == "" {
				return errors.New("it has a resource without id")
			}
		}
		return nil
	})
	return pg, err
}

// withoutMembers returns the attribute that a request about a group need not answer. Servers that never show members
// do not take the parameter.
func (p *Provider) withoutMembers(kind directory.Kind) string {
	if kind == directory.User || p.cfg.Members == byUser {
		return ""
	}
	return "members"
}
