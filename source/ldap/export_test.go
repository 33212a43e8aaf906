package ldap

import "time"

// At returns options with another clock.
func At(now func() time.Time) Options { return Options{now: now} }
