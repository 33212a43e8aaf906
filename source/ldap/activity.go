package ldap

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"rollcall/directory"
	"rollcall/source"
)

// activityAttributes decide whether an account is active; see activity. Active Directory's come first.
var activityAttributes = [...]string{"userAccountControl", "accountExpires", "nsAccountLock", "krbPrincipalExpiration",
	"pwdAccountLockedTime", "shadowExpire", "loginDisabled", "loginExpirationTime", "msDS-UserAccountDisabled",
	"ds-pwp-account-disabled"}

// The places of activityAttributes.
const (
	userAccountControl = iota
	accountExpires
	nsAccountLock
	krbPrincipalExpiration
	pwdAccountLockedTime
	shadowExpire
	loginDisabled
	loginExpirationTime
	userAccountDisabled
	pwpAccountDisabled
)

// activityForms has the form of each attribute's values, and which of them make an account inactive.
var activityForms = [...]struct {
	name     string
	fits     func(v string) bool
	inactive func(v string, now time.Time) bool
}{
	userAccountControl:     {"a number", isNumber, disabled},
	accountExpires:         {"a number", isNumber, expired},
	nsAccountLock:          {"TRUE or FALSE", isTruth, isTrue},
	krbPrincipalExpiration: {"a time such as 20261231235959Z", isTime, passed},
	pwdAccountLockedTime:   {"a time such as 000001010000Z", isTime, lockedForGood},
	shadowExpire:           {"a number of days", isNumber, daysPassed},
	loginDisabled:          {"TRUE or FALSE", isTruth, isTrue},
	loginExpirationTime:    {"a time such as 20261231235959Z", isTime, passed},
	userAccountDisabled:    {"TRUE or FALSE", isTruth, isTrue},
	pwpAccountDisabled:     {"TRUE or FALSE", isTruth, isTrue},
}

// activity has the values of activityAttributes. What counts, by family:
//
//   - Active Directory: ACCOUNTDISABLE (2) in userAccountControl, or accountExpires in the past. LOCKOUT does not
//     count, because it ends by itself. Where userAccountControl is present, only these two count. AD LDS has
//     msDS-UserAccountDisabled in its place.
//   - FreeIPA and 389 Directory Server: nsAccountLock is TRUE. FreeIPA: krbPrincipalExpiration is past.
//   - eDirectory, with its preset: loginDisabled is TRUE, or loginExpirationTime is past.
//   - OpenLDAP's ppolicy: pwdAccountLockedTime is in the year 0 (000001010000Z), the mark of an administrator's lock.
//     Any other time is a lockout after wrong passwords.
//   - RFC 2307's shadowAccount: shadowExpire, in days since 1970, is past.
//   - PingDirectory and OpenDJ: ds-pwp-account-disabled is TRUE.
type activity [len(activityAttributes)][]string

// counts reports whether the entry has an attribute that decides about it.
func (a *activity) counts(attr int) bool {
	return len(a[attr]) > 0 && (attr <= accountExpires || len(a[userAccountControl]) == 0)
}

// active reports whether an account is enabled.
func (a *activity) active(now time.Time) bool {
	for i := range a {
		if a.counts(i) && activityForms[i].inactive(a[i][0], now) {
			return false
		}
	}
	return true
}

// unreadable describes the first attribute that counts and has several values, or one without its form; empty where
// there is none. Whether the account is active cannot be told from it.
func (a *activity) unreadable() string {
	for i, values := range a {
		switch form := activityForms[i]; {
		case !a.counts(i):
		case slices.ContainsFunc(values, func(v string) bool { return !strings.EqualFold(v, values[0]) }):
			return fmt.Sprintf("it has several values of %s (%q): whether it is active cannot be told", activityAttributes[i],
				values[:min(len(values), namedInMessages)])
		case !form.fits(values[0]):
			return fmt.Sprintf("its %s is %q, which is not %s: whether it is active cannot be told", activityAttributes[i],
				values[0], form.name)
		}
	}
	return ""
}

func isNumber(v string) bool              { _, err := strconv.ParseInt(v, 10, 64); return err == nil }
func isTruth(v string) bool               { return isTrue(v, time.Time{}) || strings.EqualFold(v, "FALSE") }
func isTime(v string) bool                { _, ok := generalizedTime(v); return ok }
func isTrue(v string, _ time.Time) bool   { return strings.EqualFold(v, "TRUE") }
func passed(v string, now time.Time) bool { at, ok := generalizedTime(v); return ok && !now.Before(at) }
func lockedForGood(v string, _ time.Time) bool {
	at, ok := generalizedTime(v)
	return ok && at.Year() == 0
}

func disabled(v string, _ time.Time) bool {
	const accountDisable = 2
	flags, err := strconv.ParseInt(v, 10, 64)
	return err == nil && flags&accountDisable != 0
}

// day is one in seconds.
const day = 24 * 60 * 60

func daysPassed(v string, now time.Time) bool {
	days, err := strconv.ParseInt(v, 10, 64)
	return err == nil && days > 0 && now.Unix()/day >= days
}

// states reports whether an entry has every attribute that decides whether it is active. A missing one may be hidden.
func (s *scope) states(e *ldap.Entry) bool {
	has := func(attr string) bool { return len(e.GetEqualFoldRawAttributeValues(attr)) > 0 }
	decide := activityAttributes[nsAccountLock:]
	if has(activityAttributes[userAccountControl]) {
		decide = activityAttributes[:nsAccountLock]
	}
	return !slices.ContainsFunc(decide, func(attr string) bool {
		return slices.Contains(s.activity, attr) && !has(attr)
	})
}

// generalizedTime reads a time in the form of RFC 4517, section 3.3.13. Minutes, seconds and the minutes of the zone
// may be missing, and seconds may have a fraction.
func generalizedTime(text string) (at time.Time, ok bool) {
	for _, layout := range [...]string{"20060102150405", "200601021504", "2006010215"} {
		for _, zone := range [...]string{"Z0700", "Z07"} {
			if at, err := time.Parse(layout+zone, text); err == nil {
				return at, true
			}
		}
	}
	return time.Time{}, false
}

// The numbers of accountExpires: 100 ns steps since 1601.
const (
	windowsEpoch   = 11_644_473_600 // seconds from 1601 to 1970
	ticksPerSecond = 10_000_000
)

// expired reads accountExpires, where 0 and the largest number mean never.
func expired(v string, now time.Time) bool {
	const never = 1<<63 - 1
	ticks, err := strconv.ParseInt(v, 10, 64)
	return err == nil && ticks != 0 && ticks != never && now.Unix() >= ticks/ticksPerSecond-windowsEpoch
}

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
		attrs := []string{s.unique.attr, attr}
		err := d.each(ctx, s.base, "(&"+s.filter+filter+")", attrs, func(e *ldap.Entry) {
			id, problem := s.unique.of(rawValues(e, s.unique.attr, d.dir.about().types))
			if when, ok := expiry(e, from, c.Until); ok && problem == "" {
				c.Due = append(c.Due, source.Due{ID: id, At: when})
			}
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
