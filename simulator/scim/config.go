package scim

import (
	"context"
	"time"
)

// Config describes a tenant. The zero value is a tenant without resources, deviations, quota and faults.
type Config struct {
	// Base is the path of the service. The default is "/scim/v2".
	Base string
	// Token is the bearer token. The default is "simulated-token".
	Token string
	// User and Password are for basic authentication. The defaults are "rollcall" and "simulated-password".
	User, Password string
	// ClientID and ClientSecret are for client credentials. The defaults are "rollcall" and "simulated-secret".
	ClientID, ClientSecret string
	// TokenLifetime is the lifetime of a token of client credentials. The default is one hour.
	TokenLifetime time.Duration
	// Extensions are schemas besides those of RFC 7643.
	Extensions []Extension

	// Behaviours are the deviations from the RFCs. They can be changed by Tenant.Behave.
	Behaviours Behaviours
	// Quota bounds the calls.
	Quota Quota
	// Faults are injected from the start; see Tenant.Inject.
	Faults []Fault
	// Seed makes ids and random faults repeatable.
	Seed uint64

	// Now is the tenant's clock. The default is time.Now.
	Now func() time.Time
	// Wait implements the Delay effect. The default sleeps until the request is cancelled.
	Wait func(context.Context, time.Duration)
	// CallLog is the number of newest calls in the log. The default is 100,000.
	CallLog int
}

func (c *Config) setDefaults() {
	setDefault(&c.Base, "/scim/v2")
	setDefault(&c.Token, "simulated-token")
	setDefault(&c.User, "rollcall")
	setDefault(&c.Password, "simulated-password")
	setDefault(&c.ClientID, "rollcall")
	setDefault(&c.ClientSecret, "simulated-secret")
	setDefault(&c.TokenLifetime, time.Hour)
	setDefault(&c.CallLog, 100_000)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Wait == nil {
		c.Wait = wait
	}
}

func setDefault[T comparable](v *T, otherwise T) {
	var zero T
	if *v == zero {
		*v = otherwise
	}
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
