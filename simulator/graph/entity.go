package graph

import "net/http"

func (t *Tenant) getUser(c *call) (*answer, *apiError) {
	o, err := t.user(c.vars["user"], c.now)
	if err != nil {
		return nil, err
	}
	return t.entity(c, o, userKind)
}

func (t *Tenant) getGroup(c *call) (*answer, *apiError) {
	o, err := t.group(c.vars["group"], c.now)
	if err != nil {
		return nil, err
	}
	return t.entity(c, o, groupKind)
}

// entity returns one object of a known kind, as reads show it.
func (t *Tenant) entity(c *call, o *object, k *kind) (*answer, *apiError) {
	s, err := selection(c, k)
	if err != nil {
		return nil, err
	}
	shown, ok := t.seen(o, c.now)
	if !ok || shown.deleted {
		return nil, notFound(o.id)
	}
	x, err := expanded(c, true)
	if err != nil {
		return nil, err
	}
	return newAnswer(http.StatusOK, t.expand(renderEntity(c, k, k.set, shown.props, s, false), c, x, shown.props)), nil
}

// getObject returns an object of any kind.
func (t *Tenant) getObject(c *call) (*answer, *apiError) {
	id := c.vars["object"].value
	o := t.byID[id]
	s, err := selection(c, directoryObjects)
	if err != nil {
		return nil, err
	}
	if o != nil {
		if shown, ok := t.seen(o, c.now); ok && !shown.deleted {
			return newAnswer(http.StatusOK, renderEntity(c, o.kind, "directoryObjects", shown.props, s, true)), nil
		}
	}
	return nil, notFound(id)
}

const maxIDs = 1000

// getByIDs returns the objects of a list of ids, without those that do not exist.
func (t *Tenant) getByIDs(c *call) (*answer, *apiError) {
	ids, ok := c.body["ids"].([]any)
	if !ok || len(ids) == 0 || len(ids) > maxIDs {
		return nil, badRequest("Invalid value specified for parameter 'ids': 1 to %d ids are expected.", maxIDs)
	}
	types := map[string]bool{}
	wanted, _ := c.body["types"].([]any)
	for _, name := range wanted {
		s, _ := name.(string)
		types[s] = true
	}
	p := newPage(contextURL(c, "directoryObjects", nil, false))
	p.begin()
	for _, id := range ids {
		name, _ := id.(string)
		if !isUUID(name) {
			return nil, badRequest("Invalid GUID:%s", name)
		}
		o := t.byID[name]
		if o == nil || len(types) > 0 && !types[o.kind.name] && !types["directoryObject"] {
			continue
		}
		if shown, ok := t.seen(o, c.now); ok && !shown.deleted {
			p.item()
			p.body = appendObject(p.body, o.kind, shown.props, nil, true)
		}
	}
	return newAnswer(http.StatusOK, p.end()), nil
}
