package ldap

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/go-ldap/ldap/v3"

	"rollcall/directory"
	"rollcall/source"
)

var _ source.Viewer = (*Source)(nil)

// Unseen implements source.Viewer. A filter item about an attribute that the account may not search is Undefined, and
// so is its negation (RFC 4511, section 4.5.1.7). An entry that lacks an attribute and does not match (!(attribute=*))
// may therefore have it. Active Directory fails a read of hidden attributes, and a file hides nothing.
func (s *Source) Unseen(ctx context.Context, users []directory.Ref) ([]directory.Finding, error) {
	open, err := s.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("source %s: %w", s.cfg.Slug, err)
	}
	defer open.close()
	se, ok := open.(*session)
	if !ok || open.about().domain {
		return nil, nil
	}
	if s, err = s.rooted(open.about()); err != nil {
		return nil, fmt.Errorf("source %s: %w", s.cfg.Slug, err)
	}
	var found []directory.Finding
	if err = s.learn(ctx, se); err == nil && se.root.types.complete {
		r := &reading{src: s, dir: open, now: s.opts.now(), user: s.user}
		r.user.unique = s.cfg.identifier(s.user.unique.attr, se.root.types)
		err = r.unseen(ctx, users, func(ref directory.Ref, dn, attr string) {
			found = append(found, hiddenActivity(ref, dn, attr))
		})
	}
	if err != nil {
		return nil, fmt.Errorf("source %s: %w", s.cfg.Slug, err)
	}
	return found, nil
}

// schemaKept is how long Unseen uses a schema.
const schemaKept = time.Hour

type keptSchema struct {
	types *schema
	at    time.Time
}

// learn gives a session the schema of its server. A single entry must not cost a read of the whole schema.
func (s *Source) learn(ctx context.Context, se *session) error {
	if kept, ok := s.schemas.Load(se.server); ok && s.opts.now().Sub(kept.(keptSchema).at) < schemaKept {
		se.root.types = kept.(keptSchema).types
		return nil
	}
	err := se.readSchema(ctx)
	if err == nil {
		s.schemas.Store(se.server, keptSchema{se.root.types, s.opts.now()})
	}
	return err
}

// unseen calls hidden for each attribute that a user may have and the account may not see.
func (r *reading) unseen(ctx context.Context, users []directory.Ref,
	hidden func(of directory.Ref, dn, attr string)) error {
	u, types := &r.user, r.dir.about().types
	probed := slices.DeleteFunc(slices.Clone(u.activity), func(attr string) bool { return !types.knows(attr) })
	asked := make(map[string]directory.Ref, len(users)) // by the key of the ID
	for _, ref := range users {
		asked[u.unique.key(ref.ID)] = ref
	}
	for some := range slices.Chunk(users, batch) {
		any := anyOf(u.unique.attr, some, func(ref directory.Ref) (string, error) {
			return u.unique.assertion(string(ref.ID))
		})
		if any == "" {
			continue
		}
		lacks := map[string]map[string]directory.Ref{} // by attribute and DN
		for _, attr := range probed {
			lacks[attr] = map[string]directory.Ref{}
		}
		err := r.each(ctx, "(&"+u.filter+any+")", append([]string{u.unique.attr}, probed...), func(e *ldap.Entry) {
			id, _ := u.unique.of(rawValues(e, u.unique.attr, types))
			ref, ok := asked[u.unique.key(id)]
			for _, attr := range probed {
				if ok && len(valuesOf(e, attr)) == 0 {
					lacks[attr][e.DN] = ref
				}
			}
		})
		if err != nil {
			return err
		}
		for _, attr := range probed {
			filter := "(&" + any + "(!(" + attr + "=*)))"
			err := r.each(ctx, filter, []string{u.unique.attr}, func(e *ldap.Entry) { delete(lacks[attr], e.DN) })
			if err != nil {
				return err
			}
			for _, dn := range slices.Sorted(maps.Keys(lacks[attr])) {
				hidden(lacks[attr][dn], dn, attr)
			}
		}
	}
	return nil
}

func hiddenActivity(ref directory.Ref, dn, attr string) directory.Finding {
	return directory.Finding{Ref: ref, DN: dn, Problem: fmt.Sprintf("it was inactive, and the bind account may not "+
		"see whether it has %s: grant the account the right to read and search that attribute of the entry", attr)}
}

// each searches below the base of users.
func (r *reading) each(ctx context.Context, filter string, attrs []string, do func(*ldap.Entry)) error {
	req := request{base: r.user.base, scope: ldap.ScopeWholeSubtree, filter: filter, attrs: attrs, paged: true}
	return r.search(ctx, req, func(e *ldap.Entry) error {
		do(e)
		return nil
	})
}
