package graph

import "slices"

// deltaPage collects one page of a round of change tracking.
type deltaPage struct {
	t        *Tenant
	c        *call
	k        *kind
	token    deltaToken
	selected *selected
	value    []byte
	objects  int
	members  int
	more     bool
}

func (p *deltaPage) full() bool {
	return p.objects >= p.t.cfg.DeltaPage || p.members >= p.t.cfg.DeltaMembers
}

// list shows the existing objects, from the end of the last page. A group that is too large for a page continues on
// the next.
func (p *deltaPage) list(from *collection) {
	rest := from.after(p.token.After)
	if p.token.Member > 0 {
		if o := p.t.byOrdinal(from, p.token.After); o != nil {
			p.listed(o)
		}
	}
	for _, o := range rest {
		if p.full() {
			p.more = true
			return
		}
		p.token.After, p.token.Member = o.ord, 0
		p.listed(o)
		if p.more {
			return
		}
	}
	p.more = p.more || p.token.Member > 0
	if !p.more {
		p.token.Listing, p.token.After = false, 0
	}
}

// byOrdinal returns the object with an ordinal, unless it has been deleted permanently.
func (t *Tenant) byOrdinal(from *collection, ord uint64) *object {
	if list := from.after(ord - 1); len(list) > 0 && list[0].ord == ord {
		return list[0]
	}
	return nil
}

// listed shows an object of the first listing with as many members as fit.
func (p *deltaPage) listed(o *object) {
	shown, ok := p.t.seen(o, p.c.now)
	if !ok || shown.deleted || !p.token.scoped(o) {
		p.token.Member = 0
		return
	}
	p.begin(o.kind, shown.props)
	if p.token.Members {
		p.listMembers(o)
	}
	if p.token.Manager {
		p.manager(shown.props, nil)
	}
	p.value = append(p.value, '}')
}

func (p *deltaPage) listMembers(o *object) {
	room := p.t.cfg.DeltaMembers - p.members
	list := p.t.members(o, p.token.Member, p.c.now)
	p.token.Member = 0
	if len(list) > room {
		list = list[:room]
		p.token.Member, p.more = list[room-1].ord, true
	}
	for i, m := range list {
		p.member(i, m.member, false)
	}
	p.endMembers(len(list))
}

// begin writes an object's properties and leaves it open.
func (p *deltaPage) begin(k *kind, props map[string]any) {
	p.separate()
	object := appendObject(nil, k, props, p.selected, false)
	p.value = append(p.value, object[:len(object)-1]...)
}

func (p *deltaPage) separate() {
	if p.objects++; p.objects > 1 {
		p.value = append(p.value, ',')
	}
}

// member writes one entry of members@delta.
func (p *deltaPage) member(i int, o *object, gone bool) {
	if i == 0 {
		p.value = append(p.value, `,"members@delta":[`...)
	} else {
		p.value = append(p.value, ',')
	}
	p.members++
	p.reference(o, gone)
}

// reference writes the other end of a relationship.
func (p *deltaPage) reference(o *object, gone bool) {
	p.value = append(appendType(append(p.value, '{'), o.kind), `,"id":"`...)
	p.value = append(p.value, o.id...)
	p.value = append(p.value, '"')
	if gone {
		p.value = append(p.value, `,"@removed":{"reason":"deleted"}`...)
	}
	p.value = append(p.value, '}')
}

func (p *deltaPage) endMembers(n int) {
	if n > 0 {
		p.value = append(p.value, ']')
	}
}

// tracked has the changes of one object within a page.
type tracked struct {
	object *object
	what   what // removed, restored, gone or updated
	order  []*object
	gone   map[*object]bool // members: whether they left
	// managed is set where the manager is shown, and former are the managers before.
	managed bool
	former  []*object
}

// follow shows the changes from the client's position. A page is a section of the log, so an object may appear again
// on the next one.
func (p *deltaPage) follow(from *collection, end int) {
	var order []*tracked
	found := map[*object]*tracked{}
	members := 0
	for p.token.Log < end {
		if len(order) >= p.t.cfg.DeltaPage || members >= p.t.cfg.DeltaMembers {
			p.more = true
			break
		}
		ch := from.log[p.token.Log]
		p.token.Log++
		if !p.token.tracks(ch) || !p.token.scoped(ch.object) {
			continue
		}
		x := found[ch.object]
		if x == nil {
			x = &tracked{object: ch.object, gone: map[*object]bool{}}
			found[ch.object] = x
			order = append(order, x)
		}
		if x.add(ch) {
			members++
		}
	}
	for _, x := range order {
		p.show(x)
	}
}

// add notes a change and reports whether it was one of members.
func (x *tracked) add(ch change) bool {
	switch ch.what {
	case joined, left:
		if _, known := x.gone[ch.member]; !known {
			x.order = append(x.order, ch.member)
		}
		x.gone[ch.member] = ch.what == left
		return true
	case updated:
		if slices.Contains(ch.fields, managed) {
			x.managed, x.former = true, append(x.former, ch.member)
		}
	case removed, gone, restored:
		x.what, x.managed = ch.what, x.managed || ch.what == restored
		if ch.what == restored { // its members are shown anew
			for _, m := range ch.object.members.present() {
				if _, known := x.gone[m.member]; !known {
					x.order = append(x.order, m.member)
				}
				x.gone[m.member] = false
			}
		}
	}
	return false
}

func (p *deltaPage) show(x *tracked) {
	if x.what == removed || x.what == gone {
		p.separate()
		reason := "changed"
		if x.what == gone {
			reason = "deleted"
		}
		p.value = append(p.value, `{"id":"`+x.object.id+`","@removed":{"reason":"`+reason+`"}}`...)
		return
	}
	shown, ok := p.t.seen(x.object, p.c.now)
	if !ok || shown.deleted {
		return // a later entry says so
	}
	p.begin(x.object.kind, shown.props)
	if p.token.Members {
		for i, m := range x.order {
			p.member(i, m, x.gone[m])
		}
		p.endMembers(len(x.order))
	}
	if p.token.Manager && x.managed {
		p.manager(shown.props, x.former)
	}
	p.value = append(p.value, '}')
}
