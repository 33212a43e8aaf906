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

// expiryAttributes are attributes with a date after which an account is inactive. Active Directory has the first.
var expiryAttributes = []string{"accountExpires", "shadowExpire", "krbPrincipalExpiration"}

// expiry returns the first time between from and until after which an account is inactive.
func expiry(e *ldap.Entry, from, until time.Time) (first time.Time, ok bool) {
	for _, attr := range expiryAttributes {
		text := e.GetEqualFoldAttributeValue(attr)
		at, dated := generalizedTime(text)
		if n, err := strconv.ParseInt(text, 10, 64); err == nil && n > 0 {
			if at, dated = time.Unix(n*day, 0), true; attr == expiryAttributes[0] {
				at = time.Unix(n/ticksPerSecond-windowsEpoch, 0)
			}
		}
		if dated && !at.Before(from) && at.Before(until) && (!ok || at.Before(first)) {
			first, ok = at.UTC(), true
		}
	}
	return first, ok
}

// renewDue searches for the accounts that expire between from and dueWithin after now.
func (d *delta) renewDue(ctx context.Context, from time.Time, c *source.Cursor) error {
	c.Until = d.now.Add(dueWithin)
	s := &d.user
	for i, attr := range expiryAttributes {
		domain := d.session.root.family == activeDirectory
		if !s.enabled || !slices.Contains(s.activity, attr) || domain != (i == 0) {
			continue
		}
		filter := "(" + attr + "=*)" // The other schemas have no order of them.
		if domain {
			filter = fmt.Sprintf("(accountExpires>=%d)(accountExpires<=%d)", ticksOf(from), ticksOf(c.Until))
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
