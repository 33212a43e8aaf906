package ldap

import (
	"strconv"
	"strings"
	"time"
)

// activityAttributes decide whether an account is active; see activity. Active Directory's come first.
var activityAttributes = [...]string{"userAccountControl", "accountExpires", "nsAccountLock", "pwdAccountLockedTime",
	"shadowExpire", "loginDisabled", "loginExpirationTime"}

// activity has the first values of the attributes by which directories disable accounts; empty where absent.
type activity struct {
	userAccountControl, accountExpires, nsAccountLock, pwdAccountLockedTime, shadowExpire string
	loginDisabled, loginExpirationTime                                                    string
}

// active reports whether an account is enabled. What counts, by family:
//
//   - Active Directory: ACCOUNTDISABLE (2) in userAccountControl, or accountExpires in the past. LOCKOUT does not
//     count, because it ends by itself. Where userAccountControl is present, only these two count.
//   - FreeIPA and 389 Directory Server: nsAccountLock is TRUE.
//   - eDirectory, with its preset: loginDisabled is TRUE, or loginExpirationTime is past.
//   - OpenLDAP's ppolicy: pwdAccountLockedTime is 000001010000Z, the mark of an administrator's lock. Any other time is
//     a lockout after wrong passwords.
//   - RFC 2307's shadowAccount: shadowExpire, in days since 1970, is past.
func (a *activity) active(now time.Time) bool {
	if a.userAccountControl != "" {
		const accountDisable = 2
		flags, _ := strconv.ParseInt(a.userAccountControl, 10, 64) // a text that is no number disables no account
		return flags&accountDisable == 0 && !a.expired(now)
	}
	switch {
	case strings.EqualFold(a.nsAccountLock, "TRUE"), a.pwdAccountLockedTime == "000001010000Z",
		strings.EqualFold(a.loginDisabled, "TRUE"), passed(a.loginExpirationTime, now):
		return false
	case a.shadowExpire != "":
		const day = 24 * 60 * 60
		days, err := strconv.ParseInt(a.shadowExpire, 10, 64)
		return err != nil || days <= 0 || now.Unix() < days*day
	}
	return true
}

// passed reads loginExpirationTime, a GeneralizedTime (RFC 4517, section 3.3.13).
func passed(text string, now time.Time) bool {
	at, err := time.Parse("20060102150405Z0700", text)
	return err == nil && !now.Before(at)
}

// expired reads accountExpires: 100 ns steps since 1601, where 0 and the largest number mean never.
func (a *activity) expired(now time.Time) bool {
	const never, epoch = 1<<63 - 1, 11_644_473_600 // seconds from 1601 to 1970
	ticks, err := strconv.ParseInt(a.accountExpires, 10, 64)
	if err != nil || ticks == 0 || ticks == never {
		return false
	}
	return now.Unix() >= ticks/10_000_000-epoch
}
