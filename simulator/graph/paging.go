package graph

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const (
	defaultTop = 100
	maxTop     = 999
)

// pageToken is the end of a page of a list.
type pageToken struct {
	Path   string `json:"p"`
	After  uint64 `json:"a,omitempty"` // ordinal of the last object shown
	Offset int    `json:"o,omitempty"` // how many objects were shown, in a list with $orderby
}

// lists are the methods that return pages of a list.
var lists = []string{"users.list", "groups.list", "deletedItems.list", "directoryRoles.list", "directoryRoles.members",
	"members.list", "users.memberOf"}

// begun is in the links from the empty first pages of lists. Clients take links as they are.
const begun = "begun"

// emptyFirst empties the first page of a list, if the tenant is configured so. The next page begins the list.
func (t *Tenant) emptyFirst(c *call, a *answer) *answer {
	var page map[string]json.RawMessage
	if !t.cfg.EmptyPages || !slices.Contains(lists, c.route.id) || c.query.Has(begun) ||
		json.Unmarshal(a.body, &page) != nil {
		return a
	}
	next := url.Values{begun: {"1"}}
	maps.Copy(next, c.query)
	page["value"] = []byte("[]")
	page["@odata.nextLink"] = marshal(c.base + "/" + c.path + "?" + next.Encode())
	return newAnswer(a.status, marshal(page))
}

// seal makes an opaque token from a value.
func (t *Tenant) seal(value any) string {
	data := marshal(value)
	return base64.RawURLEncoding.EncodeToString(append(t.mac(data), data...))
}

// open reads a token that seal made.
func (t *Tenant) open(token string, value any) bool {
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(raw) < macSize || !hmac.Equal(raw[:macSize], t.mac(raw[macSize:])) {
		return false
	}
	return json.Unmarshal(raw[macSize:], value) == nil
}

const macSize = 12

func (t *Tenant) mac(data []byte) []byte {
	h := hmac.New(sha256.New, t.secret)
	_, _ = h.Write(data)
	return h.Sum(nil)[:macSize]
}

// top reads $top.
func (c *call) top() (int, *apiError) {
	value := c.query.Get("$top")
	if value == "" {
		return defaultTop, nil
	}
	n, err := strconv.Atoi(value)
	if err != nil {
		return 0, malformed("Invalid value '%s' for $top query option found. The $top query option requires a "+
			"non-negative integer value.", value)
	}
	if n < 1 || n > maxTop {
		return 0, unsupported("Invalid page size specified: '%s'. Must be between 1 and %d inclusive.", value, maxTop)
	}
	return n, nil
}

// position reads $skiptoken.
func (t *Tenant) position(c *call) (pageToken, *apiError) {
	token := c.query.Get("$skiptoken")
	if token == "" {
		return pageToken{Path: c.path}, nil
	}
	var at pageToken
	if !t.open(token, &at) || at.Path != c.path {
		return at, badRequest("Skiptoken is malformed.")
	}
	return at, nil
}

// nextLink returns the call's own URL with another $skiptoken.
func (t *Tenant) nextLink(c *call, at pageToken) string {
	var options []string
	for name, values := range c.query {
		if !strings.EqualFold(name, "$skiptoken") {
			options = append(options, name+"="+url.QueryEscape(values[0]))
		}
	}
	slices.Sort(options)
	options = append(options, "$skiptoken="+t.seal(at))
	return c.base + "/" + c.path + "?" + strings.Join(options, "&")
}
