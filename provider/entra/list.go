package entra

import (
	"context"
	"encoding/json"
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

// list reads several lists to their ends, side by side. A list of something that does not exist is left with its item's
// err, for which see notFound; any other error is returned.
func (p *Provider) list(ctx context.Context, items []*item, each func(index int, r raw)) error {
	visited := map[string]bool{}
	pending := slices.Clone(items)
	for left := len(items); left > 0; {
		p.send(ctx, slices.DeleteFunc(slices.Clone(pending), func(it *item) bool { return it == nil })...)
		for i, it := range pending {
			if it == nil {
				continue
			}
			next, err := p.turn(it, func(r raw) { each(i, r) })
			switch {
			case err != nil && !notFound(err):
				return err
			case err != nil, next == "":
				items[i].err = err
				pending[i] = nil
				left--
				continue
			case visited[next]:
				return fault.Errorf(fault.Unavailable, "%s: Graph gave one link twice: the list cannot be read to its end", it.op)
			}
			visited[next] = true
			pending[i] = get(it.op, next)
		}
	}
	return nil
}

// turn reads one page and returns where the next one is.
func (p *Provider) turn(it *item, each func(raw)) (next string, err error) {
	var page listPage
	if err := it.decode(&page); err != nil {
		return "", err
	}
	if page.Value == nil {
		return "", fault.Errorf(fault.Unavailable, "%s: the answer is no list", it.op)
	}
	for _, r := range page.Value {
		each(r)
	}
	if page.Next == "" {
		return "", nil
	}
	return p.local(it.op, page.Next)
}

// listMembers returns the direct members of groups, sorted; a group that does not exist is not in the map.
func (p *Provider) listMembers(ctx context.Context, groups []string) (map[string][]string, error) {
	items := make([]*item, 0, len(groups))
	for _, id := range groups {
		items = append(items, get("members.list", "/groups/"+id+"/members?$select=id&$top=999"))
	}
	members := make([][]string, len(groups))
	err := p.list(ctx, items, func(i int, r raw) {
		id := ""
		if r.text("id", &id); id != "" {
			members[i] = append(members[i], id)
		}
	})
	if err != nil {
		return nil, err
	}
	out := make(map[string][]string, len(groups))
	for i, id := range groups {
		if items[i].err == nil {
			slices.Sort(members[i])
			out[id] = slices.Compact(members[i])
		}
	}
	return out, nil
}

// mostIn is how many values the operator in takes.
const mostIn = 15

// byIDs returns requests for the objects with the ids: a few lists where single requests would be many.
func byIDs(op, set, selection string, ids []string) []*item {
	var items []*item
	for some := range slices.Chunk(ids, mostIn) {
		items = append(items, get(op, "/"+set+"?"+filter("id in ('"+strings.Join(some, "','")+"')")+"&"+selection))
	}
	return items
}

// filter writes a $filter. A space is %20, as not everybody takes a plus for one.
func filter(expression string) string {
	return "$filter=" + strings.ReplaceAll(url.QueryEscape(expression), "+", "%20")
}

// quoted writes a text as a literal of a filter or a key.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// first returns the elements of a list that has one page.
func first(it *item) ([]json.RawMessage, error) {
	var page struct {
		Value []json.RawMessage `json:"value"`
	}
	if err := it.decode(&page); err != nil {
		return nil, err
	}
	return page.Value, nil
}
