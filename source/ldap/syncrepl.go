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
