package ldap

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/go-ldap/ldap/v3"
	"golang.org/x/sync/errgroup"

	"rollcall/directory"
)

// lookups bounds how many members are looked up at once; secondLook how many unknown members a full read looks up.
const (
	lookups    = 16
	secondLook = 500
)

// memberIndex resolves membership values. Values are DNs, or login names for memberUid (RFC 2307).
type memberIndex struct {
	byLogin   bool
	uidSuffix bool // uniqueMember may have one
	refs      map[string]directory.Ref
	ambiguous map[string]bool
}

func newMemberIndex(field string, size int) *memberIndex {
	key := standardSchema.key(field)
	return &memberIndex{
		byLogin: key == "memberuid", uidSuffix: key == "uniquemember",
		refs: make(map[string]directory.Ref, size), ambiguous: map[string]bool{},
	}
}

// key returns the form in which a value is looked up; "" for one that names no entry.
func (x *memberIndex) key(value string) string {
	if x.byLogin {
		return prepare(value)
	}
	if x.uidSuffix {
		value = withoutUID(value)
	}
	norm, err := NormalizeDN(value)
	if err != nil {
		return ""
	}
	return norm
}

// add makes a record known to the index.
func (x *memberIndex) add(rec *record) {
	if !x.byLogin {
		x.refs[rec.norm] = rec.Ref()
		return
	}
	if rec.Kind != directory.User {
		return
	}
	login := prepare(rec.Attributes.Get(directory.UserName))
	if known, taken := x.refs[login]; taken && known != rec.Ref() {
		x.ambiguous[login] = true
	}
	x.refs[login] = rec.Ref()
}

// withoutUID drops the optional unique identifier of a uniqueMember: dn#'0101'B (RFC 4517, section 3.3.21).
func withoutUID(value string) string {
	if !strings.HasSuffix(value, "'B") {
		return value
	}
	bits := strings.TrimRight(value[:len(value)-2], "01")
	if dn, ok := strings.CutSuffix(bits, "#'"); ok {
		return dn
	}
	return value
}

// resolveAll turns the membership values of all groups into references.
func (r *reading) resolveAll(ctx context.Context) error {
	x := newMemberIndex(r.group.members, len(r.users)+len(r.groups))
	for _, records := range [][]record{r.users, r.groups, r.held} {
		for i := range records {
			x.add(&records[i])
		}
	}
	unknown := r.unknown(x)
	if len(unknown) > 0 && len(unknown) <= secondLook {
		// An entry that was moved between the two searches has its new DN in the group alone.
		if err := r.lookAgain(ctx, x, unknown); err != nil {
			return err
		}
	}
	r.assign(x)
	return nil
}

// unknown returns the membership values within the searched bases that nothing was read for, by their keys.
func (r *reading) unknown(x *memberIndex) map[string]string {
	if x.byLogin {
		return nil
	}
	out := map[string]string{}
	for i := range r.groups {
		for _, v := range r.groups[i].values {
			key := x.key(v)
			if _, ok := x.refs[key]; !ok && r.mayBeInScope(key) {
				out[key] = v
			}
		}
	}
	return out
}

func (r *reading) mayBeInScope(key string) bool {
	for _, s := range r.scopes() {
		if s.enabled && under(key, s.baseNorm) {
			return key != ""
		}
	}
	return false
}

// lookAgain adds those of the unknown members to the index whose IDs were read under another DN.
func (r *reading) lookAgain(ctx context.Context, x *memberIndex, unknown map[string]string) error {
	found, err := r.lookup(ctx, unknown)
	if err != nil {
		return err
	}
	read := map[directory.Ref]bool{}
	for _, ref := range x.refs {
		read[ref] = true
	}
	for key, ref := range found {
		if read[ref] {
			x.refs[key] = ref
		}
	}
	return nil
}

// assign fills in Members. A value that names no entry in scope is normal (another OU, a computer): it is left out, and
// the first of them are named.
func (r *reading) assign(x *memberIndex) {
	const named = 20
	outside, groups := 0, 0
	var examples []string
	doubtful := map[string]bool{}
	for i := range r.groups {
		g := &r.groups[i]
		before := outside
		members := make([]directory.Ref, 0, len(g.values))
		for _, v := range g.values {
			key := x.key(v)
			ref, ok := x.refs[key]
			switch {
			case x.ambiguous[key]:
				doubtful[key] = true
			case ok:
				members = append(members, ref)
			default:
				if outside++; outside <= named {
					examples = append(examples, fmt.Sprintf("%s of %s", v, g.DN))
				}
			}
		}
		if outside > before {
			groups++
		}
		slices.SortFunc(members, directory.Ref.Compare)
		g.Members, g.values = slices.Clip(slices.Compact(members)), nil
	}
	if outside > 0 {
		note := fmt.Sprintf("%d members of %d groups are neither users nor groups in scope and were left out: %s", outside,
			groups, strings.Join(examples, "; "))
		if outside > named {
			note += fmt.Sprintf("; and %d more", outside-named)
		}
		r.notes = append(r.notes, note)
	}
	for _, login := range slices.Sorted(maps.Keys(doubtful)) {
		r.doubts = append(r.doubts, fmt.Sprintf("several users have the login name %q that %s refers to: the "+
			"memberships are left out", login, r.group.members))
	}
}

// lookup finds out which of these DNs (by key) are users or groups in scope, one search of one object each.
func (r *reading) lookup(ctx context.Context, dns map[string]string) (map[string]directory.Ref, error) {
	found := make(map[string]directory.Ref, len(dns))
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(lookups)
	for key, value := range dns {
		g.Go(func() error {
			for _, s := range r.scopes() {
				if !s.enabled || !under(key, s.baseNorm) {
					continue
				}
				id, err := r.lookupOne(ctx, s, withoutUID(value))
				if err != nil {
					return err
				}
				if id != "" {
					mu.Lock()
					defer mu.Unlock()
					found[key] = directory.Ref{Kind: s.kind, ID: id}
					return nil
				}
			}
			return nil
		})
	}
	return found, g.Wait()
}

// lookupOne returns the ID of the object at dn if it is in scope.
func (r *reading) lookupOne(ctx context.Context, s *scope, dn string) (id directory.ID, err error) {
	req := request{base: dn, scope: ldap.ScopeBaseObject, filter: s.filter, attrs: []string{s.unique.attr}}
	err = r.search(ctx, req, func(e *ldap.Entry) error {
		id, _ = s.unique.of(rawValues(e, s.unique.attr, r.dir.about().types))
		id = r.spelled(s.kind, id, s.unique.key(id))
		return nil
	})
	// An object that is gone, hidden or elsewhere is not in scope.
	if hasCode(err, ldap.LDAPResultNoSuchObject, ldap.LDAPResultInvalidDNSyntax, ldap.LDAPResultInsufficientAccessRights,
		ldap.LDAPResultReferral) {
		return "", nil
	}
	return id, err
}

// rawValues returns the values of an attribute under whichever of its names the server gave them.
func rawValues(e *ldap.Entry, attr string, types *schema) [][]byte {
	for _, a := range e.Attributes {
		if types.key(a.Name) == types.key(attr) {
			return a.ByteValues
		}
	}
	return nil
}
