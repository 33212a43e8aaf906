package ldap

import (
	"context"
	"fmt"
	"iter"
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
	fields []memberField
	logins bool // a field has login names
	// refs has the entries by the keys of their DNs and login names.
	refs dnIndex[directory.Ref]
	// reasons says why a value that was looked up leads nowhere, by its key.
	reasons map[string]string
}

// memberField is a membership attribute.
type memberField struct {
	attr      string
	byLogin   bool
	uidSuffix bool // uniqueMember may have one
}

func newMemberIndex(fields []string, size int) *memberIndex {
	x := &memberIndex{refs: newDNIndex[directory.Ref](size), reasons: map[string]string{}}
	for _, attr := range fields {
		key := standardSchema.key(attr)
		x.fields = append(x.fields, memberField{attr, key == "memberuid", key == "uniquemember"})
		x.logins = x.logins || key == "memberuid"
	}
	return x
}

// loginMark begins the keys of login names, which no normalised DN begins with.
const loginMark = "\x00"

// key returns the form in which a value of a field is looked up; "" for one that names no entry.
func (x *memberIndex) key(field int, value string) string {
	f := x.fields[field]
	if f.byLogin {
		return loginMark + prepare(value)
	}
	norm, err := closeDN(f.dn(value))
	if err != nil {
		return ""
	}
	return norm
}

// dn returns the DN of a value, which may have the extended form of Active Directory.
func (f *memberField) dn(value string) string {
	if f.uidSuffix {
		return withoutUID(value)
	}
	return plainDN(value)
}

// undecided is the problem of a group with a value that could be one of several entries.
func (f *memberField) undecided(value string) string {
	if f.byLogin {
		return fmt.Sprintf("its members cannot be resolved: several users have the login name %q (%s)", value, f.attr)
	}
	return fmt.Sprintf("its members cannot be resolved: the DNs of several entries are equal to %q (%s), see RFC 4518: "+
		"write the value as that entry has its DN, or rename one of them", value, f.attr)
}

// add makes a record known to the index. A DN that cannot be read is that of no member.
func (x *memberIndex) add(rec *record) {
	if rec.norm != "" {
		x.addDN(rec)
	}
	if x.logins && rec.Kind == directory.User {
		login := loginMark + prepare(rec.Attributes.Get(directory.UserName))
		x.refs.add(login, login, rec.Ref())
	}
}

func (x *memberIndex) addDN(rec *record) {
	key, _ := closeDN(rec.DN)
	if key == rec.norm {
		key = rec.norm // One copy of it is enough.
	}
	if known, taken := x.refs.close[key]; taken && known.Kind != rec.Kind { // One entry may be a user and a group.
		x.refs.close[key] = rec.Ref()
		return
	}
	x.refs.add(key, rec.norm, rec.Ref())
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
	for rec := range r.seen() {
		x.add(rec)
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

// seen returns the records that members may refer to.
func (r *reading) seen() iter.Seq[*record] {
	return func(yield func(*record) bool) {
		for _, records := range [][]record{r.users, r.groups, r.held} {
			for i := range records {
				if !yield(&records[i]) {
					return
				}
			}
		}
	}
}

// unknown returns the DNs within the searched bases that are values of groups and for which nothing was read, by their
// keys.
func (r *reading) unknown(x *memberIndex) map[string]string {
	out := map[string]string{}
	for i := range r.groups {
		for field, values := range r.groups[i].values {
			if x.fields[field].byLogin {
				continue
			}
			for _, v := range values {
				key := x.key(field, v)
				if _, found, several := x.refs.find(key); !found && !several && r.mayBeInScope(key) {
					out[key] = x.fields[field].dn(v)
				}
			}
		}
	}
	return out
}

func (r *reading) mayBeInScope(key string) bool {
	norm := looseDN(key)
	return key != "" && slices.ContainsFunc(r.scopes(), func(s *scope) bool {
		return s.enabled && under(norm, s.baseNorm)
	})
}

// lookAgain adds an unknown member to the index where its ID was read under another DN.
func (r *reading) lookAgain(ctx context.Context, x *memberIndex, unknown map[string]string) error {
	found, err := r.lookup(ctx, x, unknown)
	if err != nil {
		return err
	}
	read := map[directory.Ref]bool{}
	for rec := range r.seen() {
		read[rec.Ref()] = true
	}
	for key, ref := range found {
		if read[ref] {
			x.refs.close[key] = ref
		}
	}
	return nil
}

// assign fills in Members. A value that leads to no entry in scope is normal (another OU, a computer); it is left out
// and named with the reason. A group with a login name that several users have is a finding.
func (r *reading) assign(x *memberIndex) {
	primary, named := r.primaryMembers(), r.backlinks()
	for i := range r.groups {
		g := &r.groups[i]
		members := slices.Concat(primary[g.sid], named[g.norm])
		for field, values := range g.values {
			for _, v := range values {
				ref, found, several := x.refs.find(x.key(field, v))
				switch {
				case found:
					members = append(members, ref)
					continue
				case strings.TrimSpace(v) == "": // groupOfNames needs a value where a group has no members.
					continue
				}
				if several {
					g.problem = x.fields[field].undecided(v)
				}
				r.leaveOut(x, g, field, v)
			}
		}
		slices.SortFunc(members, directory.Ref.Compare)
		g.Members, g.values = slices.Clip(slices.Compact(members)), nil
		if g.Members == nil {
			g.Members = []directory.Ref{}
		}
	}
	r.groups = slices.DeleteFunc(r.groups, func(g record) bool {
		if g.problem != "" {
			r.find(&g, g.problem)
			r.held = append(r.held, g)
		}
		return g.problem != ""
	})
	if note := r.left.note(); note != "" {
		r.notes = append(r.notes, note)
	}
}

// lookup finds out which of these DNs (by key) are users or groups in scope, with one search of one object each. The
// index gets the reasons of the others.
func (r *reading) lookup(ctx context.Context, x *memberIndex, dns map[string]string) (map[string]directory.Ref, error) {
	found := make(map[string]directory.Ref, len(dns))
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(lookups)
	for key, dn := range dns {
		g.Go(func() error {
			ref, reason, err := r.lookupOne(ctx, key, dn)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
			case reason == "":
				found[key] = ref
			default:
				x.reasons[key] = reason
			}
			return err
		})
	}
	return found, g.Wait()
}

// lookupOne returns the entry at dn if it is in scope, or the reason why it is not.
func (r *reading) lookupOne(ctx context.Context, key, dn string) (ref directory.Ref, reason string, err error) {
	for _, s := range r.scopes() {
		if !s.enabled || !under(looseDN(key), s.baseNorm) {
			continue
		}
		id, exists, err := r.idAt(ctx, s, dn)
		switch {
		case err != nil:
			return ref, "", err
		case id != "":
			return directory.Ref{Kind: s.kind, ID: id}, "", nil
		case exists:
			reason = "it exists and is not in scope"
		case reason == "":
			reason = notThere
		}
	}
	return ref, reason, nil
}

// idAt returns the ID of the object at dn if it is in the scope, and whether there is an object at all.
func (r *reading) idAt(ctx context.Context, s *scope, dn string) (id directory.ID, exists bool, err error) {
	req := request{base: dn, scope: ldap.ScopeBaseObject, filter: s.filter,
		attrs: append([]string{s.unique.attr}, builtInMarks...)}
	err = r.search(ctx, req, func(e *ldap.Entry) error {
		if s.leaveBuiltIn && isBuiltIn(e) {
			return nil
		}
		id, _ = s.unique.of(rawValues(e, s.unique.attr, r.dir.about().types))
		id = r.spelled(s.kind, id, s.unique.key(id))
		return nil
	})
	// An object that is gone, hidden or elsewhere is not in scope.
	if hasCode(err, ldap.LDAPResultNoSuchObject, ldap.LDAPResultInvalidDNSyntax,
		ldap.LDAPResultInsufficientAccessRights, ldap.LDAPResultReferral) {
		return "", false, nil
	}
	return id, true, err
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
