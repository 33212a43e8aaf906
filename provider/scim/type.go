package scim

import (
	"rollcall/provider"
	"rollcall/provider/pace"
)

// The buckets of the quota, besides pace.Calls and pace.Writes.
const (
	userWrites  = "user_writes"
	userCreates = "user_creates"
)

// Type returns SCIM as a type of provider.
func Type() provider.Type {
	return provider.Type{
		Name: "scim", Title: "SCIM", Product: "SCIM 2.0", Secret: "token",
		Keys: map[string]string{
			"endpoint": "Root of the service, above `/Users` and `/Groups`: `https://example.com/scim/v2`. Plain http is for " +
				"tests on this machine only.",
			"profile": "The kind of server, which sets the keys from `update` on: one of the profiles in " +
				"[scim.md](scim.md), or one of your own under `profiles.scim`.",
			"token_file": "A bearer token. It, `username` or `client_id` is needed.",
			"username":   "The user name for basic authentication.", "password_file": "The password of that user.",
			"client_id":                  "The id of a client of OAuth 2 (client credentials).",
			"client_secret_file":         "The secret of that client.",
			"token_url":                  "The address that issues access tokens for it.",
			"scopes":                     "The scopes of those tokens.",
			"ca_file":                    "More certificate authorities, as PEM.",
			"domains":                    "The domains that addresses of users may be in; none means all of them.",
			"default_group_email_domain": "The value of `domain` in expressions. Groups have no address here.",
			"update": "How users and groups are changed: `patch`, `object_patch` (without paths), `put`, or `auto` for what " +
				"the server publishes.",
			"filters": "The attributes that the server can filter by: `userName`, `externalId`, `groups.value`, " +
				"`members.value`, or `none`.",
			"paging":    "How lists are read: `index`, `cursor` (RFC 9865), or `auto` for what the server publishes.",
			"page_size": "How many resources a page asks for.",
			"members": "Where members are read: `list` has them in the list of groups, `get` in each group whose version " +
				"changed, `user_filter` in the users of each group.",
			"member_update": "How members are changed: `patch`, `put` or `auto`.",
			"member_removal": "How PATCH removes members: `path`, or `value` where the server takes no filter " +
				"in a path.",
			"member_chunk":                "How many members one request adds or removes.",
			"single_values":               "True where a multi-valued attribute of a user has one value at most.",
			"protected_roles":             "Patterns of roles. Users with such a role are never adopted, suspended or deleted.",
			"max_requests_per_second":     "What all workers together may use of the quota.",
			"max_writes_per_second":       "The same for everything but GET.",
			"max_user_writes_per_second":  "The same for changes of users.",
			"max_user_creates_per_second": "The same for new users.",
		},
		Fields: Spec(), Profile: OwnProfile{}, New: func() provider.Config { return new(Config) },
		Starter: provider.Starter{
			Settings: []string{"endpoint: https://scim.{domain}/scim/v2", "token_file: scim-token"},
			Mappings: [][3]string{
				{"title", "title", ""}, {"department", "enterprise.department", ""},
				{"departmentNumber", "enterprise.department", ""}, {"telephoneNumber", "phoneNumbers.work", ""},
				{"mobile", "phoneNumbers.mobile", ""}, {"manager", "enterprise.manager", "address_of(ldap.manager)"},
				{"employeeNumber", "enterprise.employeeNumber", "employeeNumber"},
				{"employeeID", "enterprise.employeeNumber", "employeeNumber"},
			},
		},
	}
}

// Quotas returns the quota of the server.
func (c *Config) Quotas() []provider.Quota {
	return []provider.Quota{{Rates: map[string]float64{pace.Calls: c.Requests, pace.Writes: c.Writes,
		userWrites: c.UserWrites, userCreates: c.UserCreates}}}
}

// Open implements provider.Config.
func (c *Config) Open(env provider.Env) (provider.Tenant, error) {
	opts := Options{Observe: env.Request, Wrap: env.Wrap}
	opts.Caller = pace.NewCaller(env.Pace("", c.RequestTimeout))
	p, err := New(*c, opts)
	if err != nil {
		return nil, err
	}
	return p, nil
}
