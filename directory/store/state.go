package store

import (
	"context"
	"fmt"
	"slices"

	"rollcall/directory"
	"rollcall/plan"
	"rollcall/provider"
)

// Read implements provider.Provider. Of an entry that is stored in the version of q.Versions only the version is
// read, which makes a run over an unchanged directory cheap.
//
// The Part remembers the state that it read. Begin fails if the part has changed since, and Apply refuses to change
// an entry that another writer has changed since.
func (p *Part) Read(ctx context.Context, q provider.Query) (plan.State, error) {
	g, err := p.glimpse(ctx)
	if err != nil {
		return plan.State{}, err
	}
	if err := g.whole(p); err != nil {
		return plan.State{}, err
	}
	var s plan.State
	if len(q.Lookups) > 0 {
		s.Objects, err = p.lookUp(ctx, q)
		s.Others = g.others(s.Objects)
	} else {
		s.Objects, err = p.all(ctx, q)
	}
	if err != nil {
		return plan.State{}, err
	}
	p.mu.Lock()
	p.seen = g
	p.mu.Unlock()
	return s, nil
}

// others counts what is stored besides some objects.
func (g *glimpse) others(objects []plan.Object) plan.Tally {
	t := plan.Tally{User: g.users, Group: g.groups}
	for i := range objects {
		if objects[i].Kind == directory.User {
			t.User--
		} else {
			t.Group--
		}
	}
	return plan.Tally{User: max(0, t.User), Group: max(0, t.Group)}
}

// all returns every entry.
func (p *Part) all(ctx context.Context, q provider.Query) ([]plan.Object, error) {
	objects := make([]plan.Object, 0, len(q.Versions))
	var differ []directory.Ref
	err := p.scan(ctx, p.keys.digest, tokensAtOnce, func(page []string) error {
		for i := 0; i+1 < len(page); i += 2 {
			o, same, err := p.object(page[i], page[i+1], q.Versions)
			switch {
			case err != nil:
				return err
			case same:
				objects = append(objects, o)
			default:
				differ = append(differ, o.Ref)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return p.withContents(ctx, objects, differ)
}

// lookUp returns the entries that the query names, and the groups.
func (p *Part) lookUp(ctx context.Context, q provider.Query) ([]plan.Object, error) {
	var refs []directory.Ref
	for _, l := range q.Lookups {
		refs = append(refs, l.Ref)
		for _, g := range l.Groups {
			refs = append(refs, directory.Ref{Kind: directory.Group, ID: g.ID})
		}
	}
	tokens, err := p.tokens(ctx, refs)
	if err != nil {
		return nil, err
	}
	var objects []plan.Object
	var differ []directory.Ref
	for i, ref := range refs {
		if tokens[i] == "" {
			continue
		}
		o, same, err := p.object(ref.String(), tokens[i], q.Versions)
		switch {
		case err != nil:
			return nil, err
		case same:
			objects = append(objects, o)
		default:
			differ = append(differ, ref)
		}
	}
	return p.withContents(ctx, objects, differ)
}

// object makes an object of a token and reports whether that is all that is needed of it.
func (p *Part) object(name, text string, versions map[directory.Ref]string) (plan.Object, bool, error) {
	ref, ok := plan.ParseRef(name)
	t, ok2 := parseToken(text)
	if !ok || !ok2 {
		return plan.Object{}, false, p.unreadable(text, name)
	}
	o := plan.Object{Ref: ref, RemoteID: name, Active: t.active}
	if !t.active {
		o.Suspender = plan.Us
	}
	version := versions[ref]
	o.Version = version
	return o, version == t.digest, nil
}

// withContents adds the entries that differ to those that do not, sorts them, and drops what came twice.
func (p *Part) withContents(ctx context.Context, objects []plan.Object, differ []directory.Ref) ([]plan.Object, error) {
	entries, err := p.load(ctx, differ)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if e != nil {
			objects = append(objects, objectOf(e))
		}
	}
	slices.SortFunc(objects, func(a, b plan.Object) int { return a.Ref.Compare(b.Ref) })
	return slices.CompactFunc(objects, func(a, b plan.Object) bool { return a.Ref == b.Ref }), nil
}

func objectOf(e *stored) plan.Object {
	o := plan.Object{
		Ref: e.Ref(), RemoteID: e.Ref().String(), Label: e.Label(), Active: e.Active, Version: e.digest,
		Fields: fields(&e.Entry),
		Listed: e.Kind == directory.Group,
	}
	if !e.Active {
		o.Suspender = plan.Us
	}
	for _, m := range e.Members {
		o.Members = append(o.Members, m.String())
	}
	slices.Sort(o.Members)
	return o
}

// refOf returns the entry that a remote id of the local directory names.
func refOf(remoteID string) (directory.Ref, error) {
	ref, ok := plan.ParseRef(remoteID)
	if !ok {
		return ref, fmt.Errorf("%q is no remote id of the local directory: want user/<id> or group/<id>", remoteID)
	}
	return ref, nil
}
