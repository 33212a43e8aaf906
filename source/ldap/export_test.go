package ldap

import "time"

// WithClock replaces the clock, which decides whether an account has expired.
func WithClock(now func() time.Time) Option { return func(s *Source) { s.now = now } }
