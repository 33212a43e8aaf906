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

// listMembers returns the direct members of groups, sorted, and the errors of groups that cannot be read.
func (p *Provider) listMembers(ctx context.Context, groups []string) (map[string][]string, map[string]error, error) {
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
		return nil, nil, err
	}
	listed, failed := make(map[string][]string, len(groups)), map[string]error{}
	for i, id := range groups {
		if failed[id] = items[i].err; items[i].err == nil {
			delete(failed, id)
			slices.Sort(members[i])
			listed[id] = slices.Compact(members[i])
		}
	}
	return listed, failed, nil
}

// fill gives groups their members. A group with unreadable members is neither empty nor absent, and is not changed.
func (p *Provider) fill(ctx context.Context, groups map[string]*group, ids []string) error {
	slices.Sort(ids)
	members, failed, err := p.listMembers(ctx, ids)
	if err != nil {
		return err
	}
	for _, id := range ids {
		g := groups[id]
		g.Members, g.Unlisted, g.unreadable = members[id], failed[id] != nil, ""
		switch err := failed[id]; {
		case err == nil:
		case notFound(err):
			g.unreadable = "the members of group " + id + " are not found; it is new, or was deleted moments ago"
		default:
			g.unreadable = "the members of group " + id + " cannot be read: " + err.Error()
		}
	}
	return nil
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

// first returns the elements of a list with one page.
func first(it *item) ([]json.RawMessage, error) {
	var page struct {
		Value []json.RawMessage `json:"value"`
	}
	if err := it.decode(&page); err != nil {
		return nil, err
	}
	return page.Value, nil
}
