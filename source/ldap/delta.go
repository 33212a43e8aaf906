package ldap

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"rollcall/directory"
	"rollcall/source"
)

var _ source.Delta = (*Source)(nil)

// feed is how one family of servers tells its changes.
type feed interface {
	// start returns the cookie of the present position. A reason says why there is none.
	start(ctx context.Context) (cookie []byte, reason string, err error)
	// follow returns the changes since a cookie. A reason says why everything must be read.
	follow(ctx context.Context, cookie []byte) (c changed, reason string, err error)
}

// changed are the changes that a server told.
type changed struct {
	cookie []byte
	// live are the ids of entries that exist. moved are those that may have taken the entries below them elsewhere.
	live, moved map[directory.ID]bool
	// lost are the ids of entries that were deleted or left. A deleted entry has its former parent.
	lost map[directory.ID]string
}

func newChanged() changed {
	return changed{live: map[directory.ID]bool{}, moved: map[directory.ID]bool{}, lost: map[directory.ID]string{}}
}

func (c *changed) size() int { return len(c.live) + len(c.lost) }

// errTooMany ends an exchange with more changes than are worth telling apart.
var errTooMany = fmt.Errorf("more than %d entries changed", source.MostChanges)

// delta is one call of Changes.
type delta struct {
	*reading
	session *session
	feed    feed
	out     source.Changes
}

// Changes implements source.Delta, for Active Directory by DirSync and for OpenLDAP by the content synchronization of
// RFC 4533.
func (s *Source) Changes(ctx context.Context, since source.Cursor) (source.Changes, error) {
	if reason := s.undetectable(); reason != "" {
		return source.Changes{Whole: reason}, nil
	}
	d, err := s.openDelta(ctx)
	if err != nil {
		return source.Changes{}, err
	}
	defer d.session.close()
	if err := d.changes(ctx, since); err != nil {
		return source.Changes{}, fmt.Errorf("source %s: %w", s.cfg.Slug, err)
	}
	return d.out, nil
}

// openDelta connects. A server of another family has no feed.
func (s *Source) openDelta(ctx context.Context) (*delta, error) {
	se, err := s.connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("source %s: %w", s.cfg.Slug, err)
	}
	at, err := s.rooted(se.about())
	d := &delta{session: se}
	if err == nil {
		d.reading, err = newReading(ctx, at, se, directory.Query{})
	}
	if err != nil {
		se.close()
		return nil, fmt.Errorf("source %s: %w", s.cfg.Slug, err)
	}
	switch se.root.family {
	case activeDirectory:
		d.feed = dirSync{d}
	case openLDAP:
		d.feed = syncRepl{d}
	case freeIPA, directory389, unknownFamily:
	}
	return d, nil
}

// computed are attributes with values that change without a change of the entry.
var computed = []string{"memberof", "ismemberof", "tokengroups", "nsrole", "canonicalname", "entrydn",
	"msds-memberoftransitive", "msds-user-account-control-computed", "lastlogontimestamp"}

// undetectable says why changes cannot be told with this configuration. It is empty if they can.
func (s *Source) undetectable() string {
	switch {
	case s.cfg.Delta == DeltaOff:
		return "delta is off"
	case s.servers[0].scheme == "file":
		return "a file tells no changes"
	}
	for _, sc := range []*scope{&s.user, &s.group} {
		if !sc.enabled {
			continue
		}
		for _, attr := range slices.Concat(sc.attrs, filterAttributes(sc.filter)) {
			if slices.Contains(computed, strings.ToLower(attr)) {
				return fmt.Sprintf("%s changes without a change of the %s that has it, and a mapping, a filter or "+
					"user_membership_field uses it", attr, sc.kind)
			}
		}
	}
	return ""
}

// filterAttributes returns the attributes that a filter names.
func filterAttributes(filter string) (attrs []string) {
	packet, err := ldap.CompileFilter(filter)
	if err != nil {
		return nil
	}
	walkFilter(packet, func(attr, _ string) { attrs = append(attrs, attr) })
	return attrs
}

// changes fills in the answer.
func (d *delta) changes(ctx context.Context, since source.Cursor) error {
	if d.feed == nil {
		d.out.Whole = fmt.Sprintf("the server (%s) tells no changes that can be used", d.session.root.family)
		return nil
	}
	if reason := d.unusable(); reason != "" {
		d.out.Whole = reason
		return nil
	}
	reason := d.doubt(since)
	if reason == "" && d.position.Compare(since.Position) == directory.Same && !d.due(since) {
		d.out.Next = since
		return nil
	}
	if reason == "" {
		return d.follow(ctx, since)
	}
	return d.begin(ctx, reason)
}

// unusable says why this server's changes cannot be related to entries.
func (d *delta) unusable() string {
	want := d.session.root.family.uniqueness()
	for _, s := range d.scopes() {
		if s.enabled && !strings.EqualFold(s.unique.attr, want) {
			return fmt.Sprintf("%ss are known by %s, and this server tells changes by %s", s.kind, s.unique.attr, want)
		}
	}
	if d.position.IsZero() {
		return "the server does not show its position to this account"
	}
	return ""
}

// doubt says why a cursor does not hold.
func (d *delta) doubt(since source.Cursor) string {
	switch {
	case since.IsZero():
		return "no earlier read has a position from which changes can be told"
	case since.Scope != d.digest():
		return "base, filters, attributes or bind account are not those of the last read"
	case since.Position.Server != d.position.Server:
		return fmt.Sprintf("this is another server: %s, the last read was of %s", d.position, since.Position)
	case len(since.Cookie) == 0:
		return "the last read has left no cookie"
	}
	switch order := d.position.Compare(since.Position); order {
	case directory.Same, directory.Newer:
		return ""
	case directory.Older, directory.Diverged, directory.Incomparable:
		return fmt.Sprintf("the server's position is %s: %s, the last read was at %s", order, d.position, since.Position)
	}
	return ""
}

// digest identifies what is read, and by which account.
func (d *delta) digest() string {
	h := sha256.New()
	fmt.Fprintf(h, "v1 %q %q", d.src.cfg.BaseDN, d.src.cfg.BindCN)
	for _, s := range d.scopes() {
		fmt.Fprintf(h, " %t %q %q %q %q", s.enabled, s.base, s.filter, s.unique.attr, s.attrs)
	}
	if len(d.user.members) > 0 {
		fmt.Fprintf(h, " %q", d.user.members)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// begin makes a first cursor.
func (d *delta) begin(ctx context.Context, reason string) error {
	d.out = source.Changes{Whole: reason, Notes: d.out.Notes}
	cookie, unable, err := d.feed.start(ctx)
	if err != nil {
		return err
	}
	if unable != "" {
		d.out.Whole = unable
		return nil
	}
	d.out.Next = source.Cursor{Position: d.position, Scope: d.digest(), Cookie: cookie}
	return d.renewDue(ctx, d.now, &d.out.Next)
}

// follow finds out what became of every entry that the server names.
func (d *delta) follow(ctx context.Context, since source.Cursor) error {
	told, reason, err := d.feed.follow(ctx, since.Cookie)
	if err != nil {
		return err
	}
	if reason != "" && d.session.cut.Load() {
		return d.restart(ctx, reason)
	}
	if reason != "" {
		return d.begin(ctx, reason)
	}
	d.out.Next = since
	d.out.Next.Position, d.out.Next.Due = d.position, slices.Clone(since.Due)
	if len(told.cookie) > 0 {
		d.out.Next.Cookie = told.cookie
	}
	expired := d.expire(&d.out.Next, told)
	if since.Until.Before(d.now) {
		if err := d.renewDue(ctx, since.Until, &d.out.Next); err != nil {
			return err
		}
		expired = append(expired, d.expire(&d.out.Next, changed{})...)
	}
	for _, id := range expired {
		told.live[id] = true
	}
	reason, err = d.judgeAll(ctx, told)
	if err == nil && reason == "" && len(d.out.Refs)+len(d.out.Gone) > 2*source.MostChanges {
		reason = errTooMany.Error()
	}
	if err != nil || reason == "" {
		return err
	}
	return d.begin(ctx, reason)
}

// restart makes a first cursor on a new connection.
func (d *delta) restart(ctx context.Context, reason string) error {
	again, err := d.src.openDelta(ctx)
	if err != nil {
		return err
	}
	defer again.session.close()
	if again.feed != nil {
		err = again.begin(ctx, reason)
	}
	d.out = again.out
	d.out.Whole = cmp.Or(d.out.Whole, reason)
	return err
}

// found is where an entry is.
type found struct {
	dn      string
	parent  bool
	inScope []directory.Kind
}

// judgeAll decides for each id whether it is read again or gone.
func (d *delta) judgeAll(ctx context.Context, told changed) (reason string, err error) {
	ids := slices.Sorted(maps.Keys(told.live))
	for id := range told.lost {
		if !told.live[id] {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	at, err := d.find(ctx, ids)
	if err != nil {
		return "", err
	}
	refs := map[directory.Ref]bool{}
	seen := false // whether the server still shows what is below the base
	for _, id := range ids {
		f, exists := at[id]
		parent, lost := told.lost[id]
		switch {
		case exists && len(f.inScope) > 0:
			for _, kind := range f.inScope {
				refs[directory.Ref{Kind: kind, ID: id}] = true
			}
		case exists:
			d.gone(id, fmt.Sprintf("is at %s, outside of the base or the filter", f.dn))
		case lost && d.deletedHere(parent):
			if !seen {
				if seen, err = d.shows(ctx); err != nil {
					return "", err
				}
			}
			if !seen {
				return "entries vanished, and this account sees no entry below the base any more", nil
			}
			if parent != "" {
				parent = " from " + parent
			}
			d.gone(id, "was deleted"+parent)
		default: // No proof: the caller reads it, and finds it absent.
			refs[directory.Ref{Kind: directory.User, ID: id}], refs[directory.Ref{Kind: directory.Group, ID: id}] = true, true
		}
		if exists && f.parent && (told.moved[id] || lost) {
			if reason, err = d.below(ctx, f.dn, refs); reason != "" || err != nil {
				return reason, err
			}
		}
	}
	d.out.Refs = slices.SortedFunc(maps.Keys(refs), directory.Ref.Compare)
	slices.SortFunc(d.out.Gone, func(a, b source.Gone) int { return a.Ref.Compare(b.Ref) })
	return "", nil
}

func (d *delta) gone(id directory.ID, proof string) {
	for _, kind := range directory.Kinds {
		d.out.Gone = append(d.out.Gone, source.Gone{Ref: directory.Ref{Kind: kind, ID: id}, Proof: proof})
	}
}

// deletedHere reports whether a deleted entry was below the base. OpenLDAP names no parent, and tells only what was
// below the base.
func (d *delta) deletedHere(parent string) bool {
	if d.session.root.family != activeDirectory {
		return true
	}
	norm, err := NormalizeDN(parent)
	base, _ := NormalizeDN(d.src.cfg.BaseDN)
	return err == nil && parent != "" && under(norm, base)
}
