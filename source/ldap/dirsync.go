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
				"List Contents and Read Property on CN=Deleted Objects: until then deletions are noticed by full "+
				"reads only.")
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
		func(*ldap.Entry, []ldap.Control) error { any = true; return nil }, func(ldap.Control) error { return nil })
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

// syncRepl is the feed of OpenLDAP: the content synchronization operation of RFC 4533 in mode refreshOnly, with overlay
// syncprov. The search covers every entry below the base: a container that was renamed takes entries with it that are
// not reported themselves.
type syncRepl struct{ *delta }

// errPresent ends an exchange in which the server lists what is unchanged instead of what is gone. That proves nothing
// about single entries.
var errPresent = errors.New("the server no longer knows what was deleted since the last read (its session log, " +
	"olcSpSessionlog, is missing, too short or was cleared by a restart)")

// start implements feed. The cookie of a position is made of its change numbers.
func (f syncRepl) start(context.Context) (cookie []byte, reason string, err error) {
	if !f.session.root.supports(ldap.ControlTypeSyncRequest) {
		return nil, "the server has no overlay syncprov", nil
	}
	csns := slices.Sorted(maps.Values(f.position.Seen))
	return []byte("rid=000,csn=" + strings.Join(csns, ";")), "", nil
}

// follow implements feed.
func (f syncRepl) follow(ctx context.Context, cookie []byte) (c changed, reason string, err error) {
	c = newChanged()
	ended := false
	sync := ldap.NewControlSyncRequest(ldap.SyncRequestModeRefreshOnly, cookie, false)
	sync.Criticality = true
	req := ldap.NewSearchRequest(f.src.cfg.BaseDN, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, 0, 0, false,
		"(objectClass=*)", []string{"entryUUID"}, []ldap.Control{sync})
	op := fmt.Sprintf("read the changes below %s on %s", f.src.cfg.BaseDN, f.session)
	var bad error
	err = f.session.exchange(ctx, op, req, false, func(_ *ldap.Entry, controls []ldap.Control) error {
		bad = f.entry(&c, controls)
		return bad
	}, func(control ldap.Control) error {
		switch told := control.(type) {
		case *ldap.ControlSyncDone:
			ended, c.cookie = told.RefreshDeletes, told.Cookie
		case *ldap.ControlSyncInfo:
			bad = f.info(&c, told)
		}
		return bad
	})
	switch {
	case bad != nil:
		return c, bad.Error(), nil
	case isResult(err):
		return c, "the server refused to tell its changes: " + err.Error(), nil
	case err != nil:
		return c, "", err
	case !ended:
		return c, errPresent.Error(), nil
	}
	return c, "", nil
}

// entry takes an entry with its state.
func (f syncRepl) entry(c *changed, controls []ldap.Control) error {
	state, ok := ldap.FindControl(controls, ldap.ControlTypeSyncState).(*ldap.ControlSyncState)
	if !ok {
		return errors.New("the server gave an entry without its state")
	}
	id := directory.ID(strings.ToLower(state.EntryUUID.String()))
	switch state.State {
	case ldap.SyncStateAdd, ldap.SyncStateModify:
		c.live[id], c.moved[id] = true, true // A rename comes as any other change.
	case ldap.SyncStateDelete:
		c.lost[id] = ""
	case ldap.SyncStatePresent:
		return errPresent
	}
	if c.size() > source.MostChanges {
		return errTooMany
	}
	return nil
}

// info takes what comes between the entries.
func (f syncRepl) info(c *changed, told *ldap.ControlSyncInfo) error {
	switch told.Value {
	case ldap.SyncInfoRefreshPresent:
		return errPresent
	case ldap.SyncInfoSyncIdSet:
		if !told.SyncIdSet.RefreshDeletes {
			return errPresent
		}
		for _, id := range told.SyncIdSet.SyncUUIDs {
			c.lost[directory.ID(strings.ToLower(id.String()))] = ""
		}
	case ldap.SyncInfoNewcookie, ldap.SyncInfoRefreshDelete:
	}
	if c.size() > source.MostChanges {
		return errTooMany
	}
	return nil
}
