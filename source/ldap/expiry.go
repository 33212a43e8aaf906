package ldap

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/go-ldap/ldap/v3"

	"rollcall/directory"
	"rollcall/source"
)

// dueWithin is how far ahead the accounts that expire are known. After it they are searched again.
const dueWithin = 24 * time.Hour

// expiryAttributes returns the attributes of a scope with a date after which an account is inactive.
func expiryAttributes(s *scope) []string {
	return slices.DeleteFunc([]string{"accountExpires", "shadowExpire"}, func(attr string) bool {
		return !slices.Contains(s.activity, attr)
	})
}

// expiry returns when an account becomes inactive, if that is between from and until.
func expiry(e *ldap.Entry, from, until time.Time) (at time.Time, ok bool) {
	if ticks, err := strconv.ParseInt(e.GetEqualFoldAttributeValue("accountExpires"), 10, 64); err == nil && ticks > 0 {
		at = time.Unix(ticks/ticksPerSecond-windowsEpoch, 0).UTC()
	} else if days, err := strconv.ParseInt(e.GetEqualFoldAttributeValue("shadowExpire"), 10, 64); err == nil && days > 0 {
		at = time.Unix(days*24*60*60, 0).UTC()
	}
	return at, !at.IsZero() && !at.Before(from) && at.Before(until)
}

// renewDue searches for the accounts that expire between from and dueWithin after now.
func (d *delta) renewDue(ctx context.Context, from time.Time, c *source.Cursor) error {
	c.Until = d.now.Add(dueWithin)
	s := &d.user
	for _, attr := range expiryAttributes(s) {
		if !s.enabled {
			break
		}
		filter := "(shadowExpire=*)" // which has no order in the standard schema
		if attr == "accountExpires" {
			filter = fmt.Sprintf("(accountExpires>=%d)(accountExpires<=%d)", ticksOf(from), ticksOf(c.Until))
			if d.session.root.family != activeDirectory {
				continue
			}
		} else if d.session.root.family == activeDirectory {
			continue
		}
		req := request{base: s.base, scope: ldap.ScopeWholeSubtree, filter: "(&" + s.filter + filter + ")",
			attrs: []string{s.unique.attr, attr}, paged: true}
		err := d.search(ctx, req, func(e *ldap.Entry) error {
			id, problem := s.unique.of(rawValues(e, s.unique.attr, d.dir.about().types))
			if when, ok := expiry(e, from, c.Until); ok && problem == "" {
				c.Due = append(c.Due, source.Due{ID: id, At: when})
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	sortDue(c)
	return nil
}

func ticksOf(t time.Time) int64 { return (t.Unix() + windowsEpoch) * ticksPerSecond }

// due reports whether an account expired since the cursor was made, or whether the next ones must be searched.
func (d *delta) due(c source.Cursor) bool {
	return len(c.Due) > 0 && !c.Due[0].At.After(d.now) || c.Until.Before(d.now)
}

// expire takes the accounts that have expired off the list, and those that changed.
func (d *delta) expire(c *source.Cursor, told changed) (ids []directory.ID) {
	c.Due = slices.DeleteFunc(c.Due, func(due source.Due) bool {
		past := !due.At.After(d.now)
		if past {
			ids = append(ids, due.ID)
		}
		return past || told.live[due.ID]
	})
	return ids
}

func sortDue(c *source.Cursor) {
	slices.SortFunc(c.Due, func(a, b source.Due) int { return a.At.Compare(b.At) })
	c.Due = slices.Compact(c.Due)
}
