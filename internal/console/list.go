package console

import (
	"net/url"
	"strconv"
)

// pager is the position in a list.
type pager struct {
	From, To, Total, Shown int
	// Approximately follows the total where the list was not read to its end.
	Approximately string
	// The addresses of the pages beside it, and what they are called.
	Previous, Next, PreviousText, NextText string
}

// newPager returns the position of a page with numbered pages, from 1. A number past the end means the last page.
func newPager(page, size, total int, address func(page int) string) pager {
	pages := max(1, (total+size-1)/size)
	page = min(max(page, 1), pages)
	p := pager{From: (page-1)*size + 1, To: min(page*size, total), Total: total}
	p.Shown = p.To - p.From + 1
	if page > 1 {
		p.Previous = address(page - 1)
	}
	if page < pages {
		p.Next = address(page + 1)
	}
	return p
}

// pageNumber reads the number of the page from an address; 1 where there is none.
func pageNumber(q url.Values) int {
	n, err := strconv.Atoi(q.Get("page"))
	if err != nil || n < 1 {
		return 1
	}
	return n
}

// query makes a query of names and values. It leaves out empty values.
func query(pairs ...string) string {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			v.Set(pairs[i], pairs[i+1])
		}
	}
	if len(v) == 0 {
		return ""
	}
	return "?" + v.Encode()
}
