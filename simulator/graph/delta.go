package graph

import (
	"net/http"
	"slices"
	"sort"
	"time"
)

// deltaToken is a state of change tracking. In $skiptoken it is in the middle of a round, and in $deltatoken between
// two rounds.
type deltaToken struct {
	Kind    string   `json:"k"`
	Epoch   int      `json:"e"`
	Issued  int64    `json:"t"`
	Select  []string `json:"s,omitempty"`
	Members bool     `json:"m,omitempty"`
	Manager bool     `json:"g,omitempty"`
	IDs     []string `json:"i,omitempty"` // of a scoping filter
	Log     int      `json:"l"`           // entries of the log that the client knows
	Listing bool     `json:"f,omitempty"` // still in the first listing, after:
	After   uint64   `json:"a,omitempty"` // this object, with its members up to
	Member  uint64   `json:"n,omitempty"` // this membership
}

func (d *deltaToken) selected() *selected {
	if d.Select == nil {
		return nil
	}
	return &selected{names: d.Select, members: d.Members}
}

func (t *Tenant) deltaUsers(c *call) (*answer, *apiError)  { return t.delta(c, &t.users, userKind) }
func (t *Tenant) deltaGroups(c *call) (*answer, *apiError) { return t.delta(c, &t.groups, groupKind) }

func (t *Tenant) delta(c *call, from *collection, k *kind) (*answer, *apiError) {
	d, err := t.deltaState(c, from, k)
	if err != nil {
		return nil, err
	}
	p := &deltaPage{t: t, c: c, k: k, token: d, selected: d.selected()}
	end := t.deltaEnd(from, c.now)
	if d.Listing {
		p.list(from)
	} else {
		p.follow(from, end)
	}
	p.token.Issued = c.now.UnixNano()
	link, option := "deltaLink", "$deltatoken"
	if p.more {
		link, option = "nextLink", "$skiptoken"
	}
	body := newPage(contextURL(c, k.set, p.selected, false))
	body.note(link, c.base+"/"+k.set+"/delta?"+option+"="+t.seal(p.token))
	body.begin()
	body.body = append(body.body, p.value...)
	return newAnswer(http.StatusOK, body.end()), nil
}

// deltaEnd returns the end of the visible part of the log. With replication lag the newest entries stay hidden.
func (t *Tenant) deltaEnd(from *collection, now time.Time) int {
	lag := max(t.lag.Create, t.lag.Read)
	if lag == 0 {
		return len(from.log)
	}
	return sort.Search(len(from.log), func(i int) bool { return now.Before(from.log[i].at.Add(lag)) })
}

// deltaState reads the position of a request in the tracking of changes.
func (t *Tenant) deltaState(c *call, from *collection, k *kind) (deltaToken, *apiError) {
	token := c.query.Get("$deltatoken")
	latest := token == "latest"
	if token == "" {
		token = c.query.Get("$skiptoken")
	}
	if token == "" || latest {
		return t.deltaStart(c, from, k, latest)
	}
	var d deltaToken
	if c.query.Has("$select") || c.query.Has("$filter") {
		return d, unsupported("Query options other than the state token are not supported: they are encoded in the token.")
	}
	switch {
	case !t.open(token, &d) || d.Kind != k.name:
		return d, badRequest("Badly formed token.")
	case d.Epoch != t.epoch:
		e := refusal(http.StatusGone, "resyncRequired", "Resync required. Replace any local items with the server's version.")
		e.header = http.Header{"Location": {c.base + "/" + k.set + "/delta?$deltatoken="}}
		return d, e
	case c.now.Sub(time.Unix(0, d.Issued)) > t.cfg.DeltaLifetime:
		return d, refusal(http.StatusBadRequest, "syncStateNotFound",
			"The sync state generation is not found. The delta token is expired and data must be synchronized again.")
	}
	return d, nil
}

func (t *Tenant) deltaStart(c *call, from *collection, k *kind, latest bool) (deltaToken, *apiError) {
	d := deltaToken{Kind: k.name, Epoch: t.epoch, Members: k == groupKind, Manager: k == userKind,
		Log: t.deltaEnd(from, c.now), Listing: !latest}
	s, err := deltaSelection(c, k)
	if err != nil {
		return d, err
	}
	if s != nil {
		d.Select, d.Members, d.Manager = s.names, s.members, s.manager
	}
	f, err := parseFilter(c, k)
	if err != nil {
		return d, err
	}
	if f != nil {
		if f.index != "id" {
			return d, unsupported("Only filtering by object ID is supported in a delta query.")
		}
		d.IDs = f.keys
	}
	return d, nil
}

// ExpireDelta invalidates all state tokens, as after maintenance or the migration of a tenant. Their next use returns
// 410 with the code resyncRequired and a Location for starting over.
func (t *Tenant) ExpireDelta() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.epoch++
}

// deltaSelection reads $select. "members" of groups and "manager" of users stand for the relationships.
func deltaSelection(c *call, k *kind) (*selected, *apiError) {
	s, err := selection(c, k)
	if err != nil || s == nil {
		return nil, err
	}
	if !s.has("id") {
		s.names = append(s.names, "id")
	}
	return s, s.within(k)
}

// tracks reports whether a change shows to a client that selected some properties.
func (d *deltaToken) tracks(ch change) bool {
	switch ch.what {
	case joined, left:
		return d.Members
	case updated:
		if slices.Contains(ch.fields, managed) {
			return d.Manager
		}
		return d.Select == nil || slices.ContainsFunc(ch.fields,
			func(name string) bool { return slices.Contains(d.Select, name) })
	}
	return true
}

func (d *deltaToken) scoped(o *object) bool { return d.IDs == nil || slices.Contains(d.IDs, o.id) }
