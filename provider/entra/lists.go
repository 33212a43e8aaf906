package entra

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"rollcall/fault"
)

// listPage is one page of a list.
type listPage struct {
	Value []raw  `json:"value"`
	Next  string `json:"@odata.nextLink"`
}

// list reads several lists to their ends, in parallel. If Graph refuses to list one object, because it does not exist
// or is out of reach, the error stays in the item of its list. Any other error is returned.
func (p *Provider) list(ctx context.Context, items []*item, each func(index int, r raw)) error {
	visited := map[string]bool{}
	pending := slices.Clone(items)
	for left := len(items); left > 0; {
		p.send(ctx, slices.DeleteFunc(slices.Clone(pending), func(it *item) bool { return it == nil })...)
		for i, it := range pending {
			if it == nil {
				continue
			}
			next, err := p.readPage(it, func(r raw) { each(i, r) })
			switch {
			case err != nil && !ofOne(err):
				return err
			case err != nil, next == "":
				items[i].err = err
				pending[i] = nil
				left--
				continue
			case visited[next]:
				return fault.Errorf(fault.Unavailable,
					"%s: Graph repeated a link, so the list cannot be read to its end", it.op)
			}
			visited[next] = true
			pending[i] = get(it.op, next)
		}
	}
	return nil
}

// listWhole reads lists to their ends. If one of them cannot be read, it returns an error.
func (p *Provider) listWhole(ctx context.Context, items []*item, each func(raw)) error {
	err := p.list(ctx, items, func(_ int, r raw) { each(r) })
	for _, it := range items {
		if err == nil {
			err = it.err
		}
	}
	return err
}

// finish reads lists to their ends. Their first pages are in the answers.
func (p *Provider) finish(ctx context.Context, firsts []*item, each func(raw)) error {
	var more []*item
	for _, it := range firsts {
		next, err := p.readPage(it, each)
		if err != nil {
			return err
		}
		if next != "" {
			more = append(more, get(it.op, next))
		}
	}
	return p.listWhole(ctx, more, each)
}

// collect returns the objects of lists by id. Their first pages are in the answers, and any page may be empty.
func collect[R any](ctx context.Context, p *Provider, firsts []*item, of func(raw) *R, id func(*R) string) (
	map[string]*R, error) {
	out := map[string]*R{}
	err := p.finish(ctx, firsts, func(r raw) {
		one := of(r)
		out[id(one)] = one
	})
	delete(out, "")
	return out, err
}

// readPage reads one page and returns the link to the next one.
func (p *Provider) readPage(it *item, each func(raw)) (next string, err error) {
	var page listPage
	if err := it.decode(&page); err != nil {
		return "", err
	}
	if page.Value == nil {
		return "", fault.Errorf(fault.Unavailable, "%s: the answer is not a list", it.op)
	}
	for _, r := range page.Value {
		each(r)
	}
	if page.Next == "" {
		return "", nil
	}
	return p.local(it.op, page.Next)
}

// mostIn is the largest number of values of the operator in.
const mostIn = 15

// byIDs returns requests for the objects with the ids. It uses a few lists instead of many single requests.
func byIDs(op, set, selection string, ids []string) []*item {
	var items []*item
	for some := range slices.Chunk(ids, mostIn) {
		items = append(items, get(op, "/"+set+"?"+filter("id in ('"+strings.Join(some, "','")+"')")+"&"+selection))
	}
	return items
}

// filter returns a $filter. A space is %20, because a plus is not a space everywhere.
func filter(expression string) string {
	return "$filter=" + strings.ReplaceAll(url.QueryEscape(expression), "+", "%20")
}

// quoted returns a text as a literal of a filter or a key.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }
