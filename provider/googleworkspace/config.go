// Package googleworkspace provisions users, groups and memberships to one Google Workspace account through the Admin
// SDK Directory API.
//
// It translates and classifies. Retries, pacing and decisions are left to others. A [Caller] may repeat and pace each
// call.
//
// # Our marks
//
// A user carries our marks in externalIds, as elements of type custom. A group carries them in its externalIds under
// the namespace "system/external", the only one that Google's documentation names for groups.
//
//   - user, customType "rollcall": the anchor, which is the ID of the directory's entry
//   - user, customType "rollcall_suspended": the time when we suspended the account (RFC 3339)
//   - user, customType "rollcall_fields": the list of elements of other arrays that are ours; see below
//   - group, id "rollcall:<ID>": the anchor
//
// An account is suspended by us when it carries the mark and Google's suspensionTime, where it is shown, agrees with
// it. A mark may outlive its suspension, for example when an administrator lifts the suspension by hand. Such a mark
// says nothing about a later suspension. An archived account counts as suspended by another party.
//
// # Arrays
//
// Google replaces arrays as a whole, and administrators add elements of their own. An element is ours when
// "rollcall_fields" has a digest of its value. Read shows only our elements, so a phone number that an administrator
// added is neither compared nor removed. A write reads the account first and sends foreign elements back as they were
// read.
//
// The admin console shows only one value of some slots, which are the employee ID, manager, work address and primary
// organization. In these slots our value replaces the present one. Phone numbers are added to the others. An element
// that already has the wanted value becomes ours.
//
// # Google's behaviour after a write
//
// Requests for an object that was just created may be answered with 404 or 412 for some seconds. After a rename they
// may be answered with 409 for a minute. Both errors are Unavailable here, so that the Caller repeats the call. A
// rename itself may be answered with 409 although it was done. In this case the new address is looked up.
package googleworkspace

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/mail"
	"strings"
	"time"

	"rollcall/internal/problem"
	"rollcall/internal/secret"
	"rollcall/mapping"
	"rollcall/provider"
	"rollcall/provider/pace"
	"rollcall/provider/remote"
)

// The defaults of Config.
const (
	DefaultEndpoint = "https://admin.googleapis.com/"
	DefaultCustomer = "my_customer"
	// DefaultRequestsPerSecond is 98 % of the published 2,400 queries a minute.
	DefaultRequestsPerSecond = 39.2
)

// Config describes one Google Workspace account. The zero value of a field means its default.
type Config struct {
	provider.Settings `yaml:",inline" preview:"free"`

	// DelegatedSubject is the administrator that the service account impersonates.
	DelegatedSubject string `yaml:"delegated_subject"`
	// CredentialsFile is the JSON key of a service account with domain-wide delegation.
	CredentialsFile secret.File `yaml:"credentials_file"`
	// Customer is the customerId of the account. The default is my_customer.
	Customer string `yaml:"customer"`
	// DefaultGroupEmailDomain is the domain of the addresses that are generated for groups.
	DefaultGroupEmailDomain string `yaml:"default_group_email_domain" preview:"free"`
	// Endpoint is the root of the API. Plain http is only for tests on this machine.
	Endpoint string `yaml:"endpoint"`
	// EndSessions says whether an account is signed out when it is suspended. It needs SessionsScope.
	EndSessions provider.Sessions `yaml:"end_sessions" preview:"free"`
	// MaxRequestsPerSecond is the part of the quota that all workers together may use. The default is 39.2.
	MaxRequestsPerSecond float64 `yaml:"max_requests_per_second"`
}

// UserCreatesPerSecond is the rate of new users over all workers. Google publishes 40 calls a second, and 10 new
// users a second in a domain. So a quarter of the calls may create users, also where the quota of calls was raised.
func (c *Config) UserCreatesPerSecond() float64 { return c.MaxRequestsPerSecond / 4 }

// SetDefaults fills in the fields that are not set.
func (c *Config) SetDefaults() {
	c.Settings.SetDefaults()
	c.Customer = cmp.Or(c.Customer, DefaultCustomer)
	c.Endpoint = cmp.Or(c.Endpoint, DefaultEndpoint)
	if !strings.HasSuffix(c.Endpoint, "/") {
		c.Endpoint += "/"
	}
	c.MaxRequestsPerSecond = cmp.Or(c.MaxRequestsPerSecond, DefaultRequestsPerSecond)
	c.EndSessions.SetDefault()
	c.DelegatedSubject = strings.ToLower(strings.TrimSpace(c.DelegatedSubject))
	c.DefaultGroupEmailDomain = strings.ToLower(strings.TrimSpace(c.DefaultGroupEmailDomain))
}

// Validate returns every mistake, including those of the mappings, as problem.Errors. It reads no file.
func (c Config) Validate() error {
	c.SetDefaults()
	errs := []error{c.Settings.Validate()}
	fail := func(field, format string, args ...any) {
		errs = append(errs, problem.Field(field, format, args...))
	}
	if c.DelegatedSubject == "" {
		fail("delegated_subject", "is needed: the address of an administrator")
	} else if a, err := mail.ParseAddress(c.DelegatedSubject); err != nil || a.Address != c.DelegatedSubject {
		fail("delegated_subject", "%q is not an address", c.DelegatedSubject)
	}
	if c.CredentialsFile == "" {
		fail("credentials_file", "is needed: the JSON key of the service account")
	}
	if d := c.DefaultGroupEmailDomain; d == "" {
		fail("default_group_email_domain", "is needed: the domain of the groups' addresses")
	} else if strings.ContainsAny(d, "@/ ") || !strings.Contains(d, ".") {
		fail("default_group_email_domain", "%q is no domain", d)
	}
	if err := remote.CheckURL(c.Endpoint); err != nil {
		fail("endpoint", "%v", err)
	}
	errs = append(errs, c.EndSessions.Validate())
	if c.MaxRequestsPerSecond < 0 {
		fail("max_requests_per_second", "%v is negative", c.MaxRequestsPerSecond)
	}
	_, err := c.Mapping()
	errs = append(errs, err)
	return errors.Join(errs...)
}

// Mapping compiles the scope and the mappings.
func (c Config) Mapping() (*mapping.Mapping, error) {
	return mapping.Compile(Spec(), c.MappingOptions(c.DefaultGroupEmailDomain))
}

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
			"end_sessions":               provider.SessionsKey("the scope `admin.directory.user.security`"),
			"max_requests_per_second": "What all workers together may use of the quota. A quarter of it may create users: " +
				"Google allows 40 calls and 10 new users a second.",
		},
		Fields: Spec(), New: func() provider.Config { return new(Config) },
		Starter: provider.Starter{
			Settings: []string{"delegated_subject: admin@{domain}", "credentials_file: google.json",
				"default_group_email_domain: {domain}"},
			Mappings: [][3]string{
				{"title", "organizations.title", ""}, {"department", "organizations.department", ""},
				{"departmentNumber", "organizations.department", ""}, {"telephoneNumber", "phones.work", ""},
				{"mobile", "phones.mobile", ""}, {"manager", "relations.manager", "address_of(ldap.manager)"},
				{"proxyAddresses", "aliases", "ldap_all.proxyAddresses"},
				{"mailAlternateAddress", "aliases", "ldap_all.mailAlternateAddress"},
				{"employeeNumber", "externalIds.organization", "employeeNumber"},
				{"employeeID", "externalIds.organization", "employeeNumber"},
			},
		},
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
	if env.Wrap != nil {
		opts.Transport = env.Wrap(http.DefaultTransport)
	}
	cfg := env.Pace("", c.RequestTimeout)
	calls := paced{all: pace.NewCaller(cfg)}
	if env.Limiters != nil {
		cfg.Limiter = within{cfg.Limiter, env.Limiters[userCreates]}
	}
	calls.creates = pace.NewCaller(cfg)
	opts.Caller = calls
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
