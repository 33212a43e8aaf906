package ldap

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"rollcall/directory"
	"rollcall/source"
)

// find returns where entries are, and for which kinds they are in scope, with the times at which they expire.
func (d *delta) find(ctx context.Context, ids []directory.ID) (map[directory.ID]found, error) {
	at := map[directory.ID]found{}
	unique := d.user.unique
	parents := []string{unique.attr, "objectClass", "hasSubordinates"}
	err := d.byIDs(ctx, ids, d.session.contextOf(d.src.cfg.BaseDN), "(objectClass=*)", parents,
		func(id directory.ID, e *ldap.Entry) {
			at[id] = found{dn: e.DN, parent: isParent(e)}
		})
	for _, s := range d.scopes() {
		if err != nil || !s.enabled {
			continue
		}
		attrs := slices.Concat([]string{s.unique.attr}, builtInMarks, s.activity)
		err = d.byIDs(ctx, ids, s.base, s.filter, attrs, func(id directory.ID, e *ldap.Entry) {
			f, exists := at[id]
			if !exists || s.leaveBuiltIn && isBuiltIn(e) {
				return
			}
			f.inScope = append(f.inScope, s.kind)
			at[id] = f
			if s.kind == directory.User && !s.states(e) {
				d.out.Unstated = append(d.out.Unstated, directory.Ref{Kind: s.kind, ID: id})
			}
			if when, ok := expiry(e, d.now, d.out.Next.Until); ok {
				d.out.Next.Due = append(d.out.Next.Due, source.Due{ID: id, At: when})
			}
		})
	}
	sortDue(&d.out.Next)
	return at, err
}

// isParent reports whether entries may be below an entry. OpenLDAP says so; in Active Directory it follows from the
// class.
func isParent(e *ldap.Entry) bool {
	if has := e.GetEqualFoldAttributeValue("hasSubordinates"); has != "" {
		return strings.EqualFold(has, "TRUE")
	}
	return slices.ContainsFunc(e.GetEqualFoldAttributeValues("objectClass"), func(c string) bool {
		return slices.Contains([]string{"organizationalunit", "container", "builtindomain"}, strings.ToLower(c))
	})
}

// byIDs searches for entries with these ids that match a filter.
func (d *delta) byIDs(ctx context.Context, ids []directory.ID, base, filter string, attrs []string,
	each func(directory.ID, *ldap.Entry)) error {
	unique := d.user.unique
	for some := range slices.Chunk(ids, batch) {
		any := anyOf(unique.attr, some, func(id directory.ID) (string, error) { return unique.assertion(string(id)) })
		if any == "" {
			continue
		}
		err := d.each(ctx, base, "(&"+filter+any+")", attrs, func(e *ldap.Entry) {
			if id, problem := unique.of(rawValues(e, unique.attr, d.dir.about().types)); problem == "" {
				each(id, e)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// note adds the entries of one kind below a base that match a filter.
func (d *delta) note(ctx context.Context, s *scope, base, filter string, refs map[directory.Ref]bool) error {
	return d.each(ctx, base, filter, []string{s.unique.attr}, func(e *ldap.Entry) {
		if id, problem := s.unique.of(rawValues(e, s.unique.attr, d.dir.about().types)); problem == "" {
			refs[directory.Ref{Kind: s.kind, ID: id}] = true
		}
	})
}

// below adds the entries below a container that may have been renamed or moved.
func (d *delta) below(ctx context.Context, dn string, refs map[directory.Ref]bool) (reason string, err error) {
	norm, err := NormalizeDN(dn)
	if err != nil {
		return fmt.Sprintf("the DN %q of a container cannot be read", dn), nil
	}
	searched := false
	for _, s := range d.scopes() {
		if !s.enabled {
			continue
		}
		if under(s.baseNorm, norm) { // The base is still where it was.
			searched = true
			continue
		}
		if !under(norm, s.baseNorm) {
			continue
		}
		searched = true
		if err := d.note(ctx, s, dn, s.filter, refs); err != nil {
			return "", err
		}
	}
	if !searched {
		return fmt.Sprintf("%s was changed or moved, and the entries below it may have left the base", dn), nil
	}
	return "", nil
}

// shows reports whether this account sees the base and an entry below it, a user where users are read.
func (d *delta) shows(ctx context.Context) (bool, error) {
	s := &d.user
	if !s.enabled {
		s = &d.group
	}
	any := false
	req := request{base: s.base, scope: ldap.ScopeWholeSubtree, filter: s.filter, attrs: []string{ldapNoAttributes},
		limit: 1}
	err := d.search(ctx, req, func(*ldap.Entry) error { any = true; return nil })
	if isResult(err) {
		err = nil // no rights, or more entries than one
	}
	return any, err
}

// Holders implements source.Delta.
func (s *Source) Holders(ctx context.Context, entries []directory.Entry) ([]directory.Ref, error) {
	fields := map[directory.Kind][]memberField{}
	for _, attr := range s.mapped { // ldap.manager of users, for example
		if kind := standardSchema.kind(attr); kind != nil && kind.dn && !slices.Contains(s.cfg.memberFields(), attr) {
			for _, kind := range directory.Kinds {
				fields[kind] = append(fields[kind], memberField{attr: attr})
			}
		}
	}
	fields[directory.Group] = append(fields[directory.Group], newMemberIndex(s.group.members, 0).fields...)
	if len(entries) == 0 || !s.group.enabled && len(fields[directory.User]) == 0 {
		return nil, nil
	}
	d, err := s.openDelta(ctx)
	if err != nil {
		return nil, err
	}
	defer d.session.close()
	refs := map[directory.Ref]bool{}
	for _, scope := range d.scopes() {
		if err := d.holders(ctx, scope, fields[scope.kind], entries, refs); err != nil {
			return nil, fmt.Errorf("source %s: %w", s.cfg.Slug, err)
		}
	}
	return slices.SortedFunc(maps.Keys(refs), directory.Ref.Compare), nil
}

// holders adds the entries of one kind that name one of these entries in a field.
func (d *delta) holders(ctx context.Context, s *scope, fields []memberField, entries []directory.Entry,
	refs map[directory.Ref]bool) error {
	if !s.enabled {
		return nil
	}
	for some := range slices.Chunk(entries, batch) {
		filter := ""
		for _, field := range fields {
			filter += anyOf(field.attr, some, func(e directory.Entry) (string, error) { return field.assertion(&e) })
		}
		if filter == "" {
			continue
		}
		if err := d.note(ctx, s, s.base, "(&"+s.filter+"(|"+filter+"))", refs); err != nil {
			return err
		}
	}
	return nil
}

// assertion returns the value by which a group lists an entry, for a filter.
func (f *memberField) assertion(e *directory.Entry) (string, error) {
	value := e.DN
	if f.byLogin {
		value = e.Attributes.Get(directory.UserName)
	}
	if value == "" {
		return "", errors.New("it has none")
	}
	return ldap.EscapeFilter(value), nil
}
