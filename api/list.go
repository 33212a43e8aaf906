package api

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// pagination is the position of a page in a list of the contract. Next and Previous are page numbers, 0 for none.
type pagination struct {
	Next       int `json:"next"`
	Previous   int `json:"previous"`
	Count      int `json:"count"`
	Current    int `json:"current"`
	TotalPages int `json:"total_pages"`
	StartIndex int `json:"start_index"`
	EndIndex   int `json:"end_index"`
}

type listPage struct {
	Pagination pagination       `json:"pagination"`
	Results    []map[string]any `json:"results"`
}

const defaultPageSize = 100

// list lists the resources of one kind.
func (a *API) list(r *request) (answer, error) {
	q := r.URL.Query()
	found := slices.DeleteFunc(a.resources.of(r.family.kind), func(res *resource) bool {
		name, search := q.Get("name"), strings.ToLower(q.Get("search"))
		slug := q.Get("slug")
		return name != "" && name != res.Name || slug != "" && slug != res.Container.Name() ||
			!strings.Contains(strings.ToLower(res.Name), search) &&
				!strings.Contains(strings.ToLower(res.Container.Name()), search)
	})
	switch q.Get("ordering") {
	case "name":
		slices.SortStableFunc(found, byName)
	case "-name":
		slices.SortStableFunc(found, func(x, y *resource) int { return byName(y, x) })
	}
	size, err := strconv.Atoi(q.Get("page_size"))
	if err != nil || size < 1 { // the contract's server ignores it too
		size = defaultPageSize
	}
	p, ok1 := paginate(len(found), q.Get("page"), size)
	if !ok1 {
		return answer{status: http.StatusNotFound, body: detail{Detail: "Invalid page."}}, nil
	}
	out := listPage{Pagination: p, Results: []map[string]any{}}
	if p.Count > 0 {
		for _, res := range found[p.StartIndex-1 : p.EndIndex] {
			out.Results = append(out.Results, res.shown)
		}
	}
	return ok(out), nil
}

func byName(x, y *resource) int { return cmp.Compare(x.Name, y.Name) }

// paginate divides count items into pages and returns the requested one.
func paginate(count int, page string, size int) (pagination, bool) {
	pages := max(1, count/size)
	if count > pages*size {
		pages++
	}
	current := 1
	switch page {
	case "":
	case "last":
		current = pages
	default:
		n, err := strconv.Atoi(page)
		if err != nil || n < 1 || n > pages {
			return pagination{}, false
		}
		current = n
	}
	p := pagination{Count: count, Current: current, TotalPages: pages}
	if count > 0 {
		p.StartIndex = (current-1)*size + 1
		p.EndIndex = min(count, p.StartIndex-1+min(size, count))
	}
	if current > 1 {
		p.Previous = current - 1
	}
	if current < pages {
		p.Next = current + 1
	}
	return p, true
}

// retrieve returns one resource.
func (a *API) retrieve(r *request) (answer, error) { return ok(r.resource.shown), nil }
