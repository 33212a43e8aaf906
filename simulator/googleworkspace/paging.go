package googleworkspace

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// pageTokenLife is the lifetime of a page token: "The page token is only valid for three days.".
const pageTokenLife = 72 * time.Hour

// pageToken says after which key a page begins. It has no number, so that no object is skipped when others come and
// go between two pages.
type pageToken struct {
	After string `json:"a"`
	Query string `json:"q"`
	Until int64  `json:"u"`
}

// fingerprint identifies the listing that a token belongs to.
func fingerprint(c *call) string {
	q := url.Values{}
	for name, values := range c.query {
		if name != "pageToken" && name != "maxResults" && slices.Contains(c.route.params, name) {
			q[name] = values
		}
	}
	sum := sha256.Sum256([]byte(c.route.id + c.vars["groupKey"] + "?" + q.Encode()))
	return base64.RawURLEncoding.EncodeToString(sum[:9])
}

// nextToken returns the token of the page after the given key.
func (t *Tenant) nextToken(c *call, after string) string {
	data := encodeJSON(pageToken{After: after, Query: fingerprint(c), Until: c.now.Add(pageTokenLife).Unix()})
	return base64.URLEncoding.EncodeToString(append(t.seal(data), data...))
}

func (t *Tenant) seal(data []byte) []byte {
	mac := hmac.New(sha256.New, t.secret)
	_, _ = mac.Write(data)
	return mac.Sum(nil)[:12]
}

// after reads the call's pageToken; "" is the first page.
func (t *Tenant) after(c *call) (string, *apiError) {
	token := c.param("pageToken")
	if token == "" {
		return "", nil
	}
	data, err := base64.URLEncoding.DecodeString(token)
	var p pageToken
	if err != nil || len(data) < 12 || !hmac.Equal(t.seal(data[12:]), data[:12]) || json.Unmarshal(data[12:], &p) != nil ||
		p.Query != fingerprint(c) || p.Until < c.now.Unix() {
		return "", invalid("Invalid Input: pageToken")
	}
	return p.After, nil
}

// pageSize reads maxResults. A value above the limit is refused if the discovery document has a maximum. It is
// reduced to the limit if only the description has one.
func pageSize(c *call, standard, limit int, refuse bool) (int, *apiError) {
	s := c.param("maxResults")
	if s == "" {
		return standard, nil
	}
	n, err := strconv.Atoi(s)
	switch {
	case err != nil || n < 1:
		return 0, invalid("Invalid value '%s'. Values must be within the range: [1, %d]", s, limit)
	case n > limit && refuse:
		return 0, invalid("Invalid value '%s'. Values must be within the range: [1, %d]", s, limit)
	}
	return min(n, limit), nil
}

// enum refuses a query parameter with any other value.
func enum(c *call, name string, values ...string) *apiError {
	if v := c.param(name); v != "" && !slices.Contains(values, v) {
		return invalid("Invalid value at '%s', %q", name, v)
	}
	return nil
}

// order is a sorted list from which pages are cut.
type order[T any] struct {
	keys  []string
	items []T
}

// sorted makes an order of things by a key that is unique among them.
func sorted[T any](items []T, key func(T) string) order[T] {
	type keyed struct {
		key  string
		item T
	}
	pairs := make([]keyed, len(items))
	for i, item := range items {
		pairs[i] = keyed{key(item), item}
	}
	slices.SortFunc(pairs, func(a, b keyed) int { return strings.Compare(a.key, b.key) })
	o := order[T]{keys: make([]string, len(items)), items: items}
	for i, p := range pairs {
		o.keys[i], o.items[i] = p.key, p.item
	}
	return o
}

// collect returns up to size items that keep accepts, after the given key. It also returns the key of the next page,
// which is "" at the end.
func (o order[T]) collect(after string, backward bool, size int, keep func(T) bool) (found []T, next string) {
	last := ""
	visit := func(i int) bool {
		if !keep(o.items[i]) {
			return true
		}
		if len(found) == size {
			next = last
			return false
		}
		found, last = append(found, o.items[i]), o.keys[i]
		return true
	}
	at, exact := slices.BinarySearch(o.keys, after)
	if backward {
		if after == "" {
			at = len(o.keys)
		}
		for i := at - 1; i >= 0 && visit(i); i-- {
		}
		return found, next
	}
	if exact {
		at++
	}
	for i := at; i < len(o.keys) && visit(i); i++ {
	}
	return found, next
}
