package googleworkspace

import (
	"context"
	"time"

	"rollcall/provider"
	"rollcall/provider/pace"
)

// userCreates is the quota of the creation of users. Google bounds it apart from everything else (10 a second and
// domain).
const userCreates = "users.insert"

// Type returns Google Workspace as a type of provider.
func Type() provider.Type {
	return provider.Type{
		Name: "google_workspace", Title: "Google Workspace", Secret: "credentials",
		Keys: map[string]string{
			"delegated_subject":          "The administrator in whose name the service account acts.",
			"credentials_file":           "JSON key of a service account with domain-wide delegation.",
			"customer":                   "The customerId of the account.",
			"default_group_email_domain": "The domain of the addresses that are made for groups: `domain` in expressions.",
			"endpoint":                   "Root of the API; plain http is for tests on this machine only.",
			"max_requests_per_second": "What all workers together may use of the quota. A quarter of it may create users: " +
				"Google allows 40 calls and 10 new users a second.",
		},
		Fields: Spec(), New: func() provider.Config { return new(Config) },
	}
}

// Quotas returns the quota of the account, and the one of creating users within it.
func (c *Config) Quotas() []provider.Quota {
	return []provider.Quota{
		{Rates: map[string]float64{pace.Calls: c.MaxRequestsPerSecond}},
		{Name: userCreates, Rates: map[string]float64{pace.Calls: c.UserCreatesPerSecond()}},
	}
}

// Open implements provider.Config.
func (c *Config) Open(env provider.Env) (provider.Tenant, error) {
	opts := Options{Observe: env.Request}
	if env.Limiters != nil {
		all, creates := env.Limiters[""], env.Limiters[userCreates]
		cfg := pace.CallerConfig{Limiter: all, Timeout: c.RequestTimeout, Observe: env.Attempt}
		p := paced{all: pace.NewCaller(cfg)}
		cfg.Limiter = within{all, creates}
		p.creates = pace.NewCaller(cfg)
		opts.Caller = p
	}
	p, err := New(*c, opts)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// paced makes calls of one unit each. A refused creation of a user slows down the creation of users, and nothing else.
type paced struct{ all, creates *pace.Caller }

// Call implements Caller.
func (p paced) Call(ctx context.Context, op string, fn func(context.Context) error) error {
	if op == userCreates {
		return p.creates.Call(ctx, op, pace.One(pace.Calls), fn)
	}
	return p.all.Call(ctx, op, pace.One(pace.Calls), fn)
}

// within is a quota inside another one: a call waits for both, and a refusal is the inner one's.
type within struct{ outer, inner pace.Limiter }

// Wait implements pace.Limiter.
func (l within) Wait(ctx context.Context, cost pace.Cost) (time.Duration, error) {
	first, err := l.inner.Wait(ctx, cost)
	if err != nil {
		return first, err
	}
	second, err := l.outer.Wait(ctx, cost)
	return first + second, err
}

// Refused implements pace.Limiter.
func (l within) Refused(ctx context.Context, retryAfter time.Duration) error {
	return l.inner.Refused(ctx, retryAfter)
}
