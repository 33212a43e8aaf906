package ldap

import (
	"context"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"rollcall/directory"
)

// Attributes of Active Directory that make a group the primary group of an account. The account's SID without its last
// number is the domain's; with primaryGroupID it is the group's ([MS-ADTS], section 3.1.1.4.5.11). The server does not
// list such members in member.
const (
	primaryGroup = "primaryGroupID"
	securityID   = "objectSid"
)

// primarySID returns the SID by which the primary group of a user is found, or the own SID of a group; "" where there
// is none.
func (d *decoder) primarySID() string {
	if d.sid < 0 || len(d.raw[d.sid]) == 0 {
		return ""
	}
	sid, err := sidText(d.raw[d.sid][0])
	switch {
	case err != nil:
		return ""
	case d.scope.kind == directory.Group:
		return sid
	}
	id := d.first(d.primary)
	if id == "" {
		return ""
	}
	return sid[:strings.LastIndexByte(sid, '-')+1] + id
}

// primaryMembers returns the users by the SID of their primary group.
func (r *reading) primaryMembers() map[string][]directory.Ref {
	out := map[string][]directory.Ref{}
	for rec := range r.seen() {
		if rec.Kind == directory.User && rec.sid != "" {
			out[rec.sid] = append(out[rec.sid], rec.Ref())
		}
	}
	for _, rec := range r.primaries {
		out[rec.sid] = append(out[rec.sid], rec.Ref())
	}
	return out
}

// readPrimaries reads the users with a primary group among the groups that were read.
func (r *reading) readPrimaries(ctx context.Context) error {
	s := &r.user
	if !s.enabled || !r.group.primary {
		return nil
	}
	d := newDecoder(s, r.dir.about().types)
	for i := range r.groups {
		sid := r.groups[i].sid
		if sid == "" {
			continue
		}
		number := sid[strings.LastIndexByte(sid, '-')+1:]
		filter := "(&" + s.filter + "(" + primaryGroup + "=" + number + "))"
		req := request{base: s.base, scope: ldap.ScopeWholeSubtree, filter: filter, attrs: s.attrs, paged: true}
		err := r.search(ctx, req, func(e *ldap.Entry) error {
			if rec := r.record(d, e); rec.ID != "" && rec.sid == sid && !rec.builtIn {
				r.primaries = append(r.primaries, record{Entry: directory.Entry{Kind: rec.Kind, ID: rec.ID}, sid: sid})
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
