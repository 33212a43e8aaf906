package ldap

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"rollcall/directory"
	"rollcall/source"
)

// dirSync is the feed of Active Directory (LDAP_SERVER_DIRSYNC_OID, [MS-ADTS], section 3.1.1.3.4.1.3).
//
// The configured filter is never part of the request: an entry that leaves the filter, or loses objectCategory when it
// is deleted, would not be reported. With LDAP_DIRSYNC_OBJECT_SECURITY an account needs no right to replicate. Such an
// account is told of deletions only if it may list CN=Deleted Objects.
type dirSync struct{ *delta }

const (
	dirSyncFlags = ldap.DirSyncIncrementalValues | ldap.DirSyncObjectSecurity
	dirSyncBytes = 1 << 20 // of one round
	dirSyncMost  = 10_000  // rounds; a server that needs more does not come to an end
	dirSyncKinds = "(|(objectClass=user)(objectClass=group)(objectClass=organizationalUnit)(objectClass=container))"
)

// start implements feed. The server answers a filter that matches the domain alone with the cookie for everything.
func (f dirSync) start(ctx context.Context) (cookie []byte, reason string, err error) {
	if !f.session.root.supports(ldap.ControlTypeDirSync) {
		return nil, "the domain controller does not announce DirSync", nil
	}
	cookie, reason, err = f.rounds(ctx, nil, "(objectClass=domainDNS)", []string{"objectGUID"},
		func(*ldap.Entry) error { return nil })
	if err != nil || reason != "" {
		return nil, reason, err
	}
	sees, err := f.seesDeleted(ctx)
	if err == nil && !sees {
		f.out.Notes = append(f.out.Notes,
			"The bind account sees no deleted object. Unless there is none, grant it the rights "+
				"List Contents and Read Property on CN=Deleted Objects: until then deletions are noticed by full reads only.")
	}
	return cookie, "", err
}

// seesDeleted reports whether this account can see a deleted object.
func (f dirSync) seesDeleted(ctx context.Context) (bool, error) {
	base := "CN=Deleted Objects," + f.session.contextOf(f.src.cfg.BaseDN)
	req := ldap.NewSearchRequest(base, ldap.ScopeSingleLevel, ldap.NeverDerefAliases, 1, 0, false, "(isDeleted=TRUE)",
		[]string{ldapNoAttributes}, []ldap.Control{ldap.NewControlMicrosoftShowDeleted()})
	any := false
	err := f.session.exchange(ctx, "search "+base, req, false,
		func(*ldap.Entry, []ldap.Control) error { any = true; return nil },
		func(ldap.Control) error { return nil })
	if isResult(err) {
		err = nil // no rights, or more objects than one
	}
	return any, err
}

// follow implements feed.
func (f dirSync) follow(ctx context.Context, cookie []byte) (c changed, reason string, err error) {
	c = newChanged()
	attrs := []string{"objectGUID", "name", "parentGUID", "whenCreated", "isDeleted", "lastKnownParent"}
	for _, s := range f.scopes() {
		if s.enabled {
			attrs = slices.Concat(attrs, s.attrs, filterAttributes(s.filter))
		}
	}
	slices.Sort(attrs)
	attrs = slices.Compact(attrs)
	c.cookie, reason, err = f.rounds(ctx, cookie, dirSyncKinds, attrs, func(e *ldap.Entry) error {
		guid, err := guidText(e.GetEqualFoldRawAttributeValue("objectGUID"))
		if err != nil {
			return fmt.Errorf("a change of %s has no objectGUID", e.DN)
		}
		id := directory.ID(guid)
		has := func(name string) bool { return len(e.GetEqualFoldRawAttributeValues(name)) > 0 }
		if strings.EqualFold(e.GetEqualFoldAttributeValue("isDeleted"), "TRUE") {
			c.lost[id] = plainDN(e.GetEqualFoldAttributeValue("lastKnownParent"))
			delete(c.live, id)
		} else {
			c.live[id] = true
			delete(c.lost, id)
			c.moved[id] = c.moved[id] || (has("name") || has("parentGUID")) && !has("whenCreated")
		}
		if c.size() > source.MostChanges {
			return errTooMany
		}
		return nil
	})
	return c, reason, err
}

// plainDN returns the DN of an extended one, as DirSync gives it: <GUID=…>;<SID=…>;CN=….
func plainDN(value string) string {
	for strings.HasPrefix(value, "<") {
		_, rest, ok := strings.Cut(value, ">;")
		if !ok {
			return value
		}
		value = rest
	}
	return value
}

// rounds asks until the server has no more, and returns the last cookie. A reason says why the answer is no use.
func (f dirSync) rounds(ctx context.Context, cookie []byte, filter string, attrs []string,
	each func(*ldap.Entry) error) (next []byte, reason string, err error) {
	base := f.session.contextOf(f.src.cfg.BaseDN)
	op := fmt.Sprintf("read the changes of %s on %s", base, f.session)
	for range dirSyncMost {
		req := ldap.NewSearchRequest(base, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, 0, 0, false, filter, attrs,
			[]ldap.Control{ldap.NewRequestControlDirSync(dirSyncFlags, dirSyncBytes, cookie)})
		var told *ldap.ControlDirSync
		var bad error
		err := f.session.exchange(ctx, op, req, false, func(e *ldap.Entry, _ []ldap.Control) error {
			bad = each(e)
			return bad
		}, func(c ldap.Control) error {
			if d, ok := c.(*ldap.ControlDirSync); ok {
				told = d
			}
			return nil
		})
		switch {
		case bad != nil:
			return nil, bad.Error(), nil
		case isResult(err):
			return nil, f.refused(err, cookie), nil
		case err != nil:
			return nil, "", err
		case told == nil || len(told.Cookie) == 0:
			return nil, "the domain controller ended DirSync without a cookie", nil
		}
		if cookie = told.Cookie; told.Flags == 0 {
			return cookie, "", nil
		}
	}
	return nil, "", errors.New(op + ": the server does not come to an end")
}

// refused says what a refusal means. Error 12 stands for an unknown control as well as for a bad cookie.
func (f dirSync) refused(err error, cookie []byte) string {
	if len(cookie) > 0 && hasCode(err, ldap.LDAPResultUnavailableCriticalExtension) {
		return "the domain controller refused the cookie of the last read"
	}
	return "DirSync was refused: " + err.Error()
}
