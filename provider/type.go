package provider

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"rollcall/directory"
	"rollcall/internal/problem"
	"rollcall/mapping"
	"rollcall/plan"
	"rollcall/provider/pace"
)

// Type is one kind of tenant, with everything that the rest of the program needs to know of it. The list of types is in
// package all.
type Type struct {
	// Name is the key in the configuration, in container ids and in paths: google_workspace.
	Name string
	// Title is its name in the contract of the API: Google Workspace.
	Title string
	// Product is the vendor's name for it, where that is another one than the title.
	Product string
	// Secret is a field that clients of the contract expect in a provider. It is never shown; empty adds none.
	Secret string
	// Keys says what the keys of its configuration mean, without those of Settings.
	Keys map[string]string
	// Fields are what a mapping can set.
	Fields mapping.Spec
	// Starter is the beginning of a configuration.
	Starter Starter
	// Profile is an empty profile, a struct with yaml tags. Nil where the configuration can have none.
	Profile Profile
	// New returns an empty configuration, a pointer to a struct with yaml tags. A field of type secret.File or
	// secret.PublicFile names a file.
	New func() Config
	// EntryID reads the id of an entry out of the anchor that the tenant shows. Nil where both are the same text.
	EntryID func(anchor string) (directory.ID, bool)
}

// Starter is what `rollcall init` writes for a first provider of a type.
type Starter struct {
	// Settings are lines of YAML that the type needs. {domain} stands for the domain of the tenant.
	Settings []string
	// Mappings are an attribute of directories, the field that fits, and its expression, which is ldap.<attribute> where
	// it is empty. Of several for one field, the first that a directory fills is written.
	Mappings [][3]string
}

// ProductName returns the vendor's name for it.
func (t *Type) ProductName() string {
	return cmp.Or(t.Product, t.Title)
}

// Schema begins the names of its schemas in the OpenAPI document: GoogleWorkspace.
func (t *Type) Schema() string { return strings.ReplaceAll(t.Title, " ", "") }

// Lanes returns what its quotas are counted by.
func (t *Type) Lanes() []string {
	cfg := t.New()
	cfg.SetDefaults()
	var out []string
	for _, q := range cfg.Quotas() {
		for _, name := range slices.Sorted(maps.Keys(q.Rates)) {
			out = append(out, q.Lane(name))
		}
	}
	return out
}

// Config is the configuration of one tenant. It has six methods, as it is both what a file says and what opens the
// tenant.
type Config interface {
	// Common returns the settings that every provider has.
	Common() *Settings
	// SetDefaults fills in what was left out.
	SetDefaults()
	// Validate returns everything that is wrong as problem.Errors, the mappings included. It reads no file.
	Validate() error
	// Mapping compiles the scope and the mappings.
	Mapping() (*mapping.Mapping, error)
	// Quotas returns the limits of the tenant that all workers share.
	Quotas() []Quota
	// Open returns the tenant. It makes no request.
	Open(env Env) (Tenant, error)
}

// Profile is settings that providers of one type share. The file has them under profiles.<type>.<name>.
type Profile interface {
	// Validate returns everything that is wrong as problem.Errors.
	Validate(name string) error
}

// Profiled is a Config that names a profile.
type Profiled interface {
	// SetProfiles gives it the profiles of the file by name, before SetDefaults.
	SetProfiles(map[string]Profile)
}

// Tenant is a Provider that can be tried.
type Tenant interface {
	Provider
	// Check tries what a run needs, without writing: a line for each thing that is right, and what to do about the rest.
	Check(ctx context.Context) (good []string, err error)
}

// Prober is a Tenant that can find out how its server behaves. It writes objects of its own, which it deletes again, so
// it is only asked where a person wants that.
type Prober interface {
	// Probe returns a line for each thing that it saw, and then a text for the configuration that fits the server.
	Probe(ctx context.Context) (lines []string, err error)
}

// Quota is a limit of a tenant. The first of a tenant has no name.
type Quota struct {
	Name string
	// Rates are units a second.
	Rates map[string]float64
}

// Lane returns how a rate of the quota is called in metrics: a quota with a name has one rate.
func (q Quota) Lane(rate string) string {
	return cmp.Or(q.Name, rate)
}

// Cache keeps named blobs between runs. Losing one costs a read from the beginning and nothing else. A blob is saved
// whole or not at all: a token must never come with another state than its own.
type Cache interface {
	// Load returns a blob, nil where there is none.
	Load(ctx context.Context, name string) ([]byte, error)
	// Save replaces a blob.
	Save(ctx context.Context, name string, blob []byte) error
}

// Env is what a process gives to a tenant. The tenant of an empty Env makes each request at once, and repeats only
// those that the tenant throttled.
type Env struct {
	// Limiters are what limits the tenant, by the names of its quotas.
	Limiters map[string]pace.Limiter
	// Attempt is told of every attempt of a call.
	Attempt func(pace.Attempt)
	// Request is told of every request: the HTTP status of its response, zero without one, and its error.
	Request func(op string, status int, err error)
	// Wrap wraps the transport of the tenant's requests, those for a token included. Nil leaves it as it is.
	Wrap func(http.RoundTripper) http.RoundTripper
	// Cache keeps what was read between runs; nil keeps nothing.
	Cache Cache
	// Getenv reads the environment; os.Getenv when nil.
	Getenv func(string) string
}

// Pace returns how the calls are made that count in one quota. Each attempt may take the given time.
func (e *Env) Pace(quota string, timeout time.Duration) pace.CallerConfig {
	return pace.CallerConfig{Limiter: e.Limiters[quota], Timeout: timeout, Observe: e.Attempt,
		OnlyThrottled: e.Limiters == nil}
}

// Approval is the policy that decides which plans need an operator's approval.
type Approval string

// The approval policies.
const (
	// ApprovalGuard holds only what a guard holds.
	ApprovalGuard Approval = "guard"
	// ApprovalFirstRun also holds a provider's first plan, and the first after a change of scope or mapping.
	ApprovalFirstRun Approval = "first_run"
	// ApprovalAlways holds every plan.
	ApprovalAlways Approval = "always"
)

// Sessions says whether the sessions of an account end when it is suspended. The providers with such a setting read
// it; it is no part of Settings.
type Sessions string

// The values of Sessions.
const (
	// SessionsAuto ends sessions where the tenant granted the right to do so. It is the default.
	SessionsAuto Sessions = "auto"
	// SessionsOff ends none.
	SessionsOff Sessions = "off"
)

// SetDefault replaces the zero value by the default.
func (s *Sessions) SetDefault() { *s = cmp.Or(*s, SessionsAuto) }

// Validate returns an error of the field end_sessions for an unknown value.
func (s Sessions) Validate() error { return oneOf("end_sessions", s, SessionsAuto, SessionsOff) }

// SessionsKey is the meaning of the setting in the reference of the configuration. right is what a tenant grants.
func SessionsKey(right string) string {
	return "`auto` also ends the sessions of an account that is suspended, where " + right + " was granted; " +
		"`off` ends none."
}

// The defaults of Settings.
const (
	DefaultDeleteAfter    = 720 * time.Hour
	DefaultRequestTimeout = 60 * time.Second
)

// Settings is the part of the configuration that all tenants share. The zero value of a field means its default.
type Settings struct {
	// ID is the provider's number in paths: /providers/<type>/{id}/.
	ID   int    `yaml:"id"`
	Name string `yaml:"name"`
	// Enabled is true by default.
	Enabled *bool `yaml:"enabled"`
	// Sources are the slugs of the sources that are provisioned; none means all of them.
	Sources []string `yaml:"sources"`
	// Schedule is a cron expression, or after_source. If it is empty, only the API starts runs.
	Schedule string `yaml:"schedule"`
	// UserDeleteAction is suspend (default), delete (suspend, and delete after DeleteAfter) or do_nothing.
	UserDeleteAction plan.Action `yaml:"user_delete_action"`
	// GroupDeleteAction is do_nothing (default), suspend or delete. Groups cannot be suspended, so suspend does
	// nothing.
	GroupDeleteAction plan.Action `yaml:"group_delete_action"`
	// DeleteAfter is the grace period between an entry's departure and its deletion. The default is 720h, and 0s
	// means none.
	DeleteAfter *time.Duration `yaml:"delete_after"`
	// Adoption is off (default) or by_address.
	Adoption plan.Adoption `yaml:"adoption"`
	// Protected lists remote ids, addresses and patterns of addresses (boss@*, *@vip.example.com). These accounts are
	// never adopted, suspended or deleted.
	Protected []string `yaml:"protected"`
	// FilterGroup limits the users in scope to the members of one group, given by its ID, DN or cn.
	FilterGroup string `yaml:"filter_group"`
	// UserFilter and GroupFilter are expressions that are true for the entries in scope.
	UserFilter  string `yaml:"user_filter"`
	GroupFilter string `yaml:"group_filter"`
	// NestedGroups is flatten (default) or keep.
	NestedGroups string `yaml:"nested_groups"`
	// Exclude lists entries that are out of scope, by ID or by patterns of userName, cn (of groups), mail or DN.
	Exclude []string `yaml:"exclude"`
	// RekeyBy is an attribute or an expression with a value that stays the same when a directory is created again.
	RekeyBy string `yaml:"rekey_by"`
	// NoAddress is hold (default) or leave_out, for entries without an address. If it is empty, NoAddressOf has the
	// setting of the entry's source, by slug.
	NoAddress   plan.Addressless            `yaml:"no_address"`
	NoAddressOf map[string]plan.Addressless `yaml:"-"`
	// UserPropertyMappings and GroupPropertyMappings are expressions by field name; see the provider's list of fields.
	UserPropertyMappings  map[string]string `yaml:"user_property_mappings"`
	GroupPropertyMappings map[string]string `yaml:"group_property_mappings"`
	// RequireApproval is guard (default), first_run or always.
	RequireApproval Approval `yaml:"require_approval"`
	// Limits are the limits of harmful changes in one day.
	Limits plan.DayLimits `yaml:"limits"`
	// RequestTimeout bounds each call; 60s by default.
	RequestTimeout time.Duration `yaml:"request_timeout"`
}

// Common returns the settings, of every configuration that embeds them.
func (s *Settings) Common() *Settings { return s }

// On reports whether the provider is enabled.
func (s *Settings) On() bool { return s.Enabled == nil || *s.Enabled }

// SetDefaults fills in the fields that are not set.
func (s *Settings) SetDefaults() {
	s.UserDeleteAction = cmp.Or(s.UserDeleteAction, plan.ActionSuspend)
	s.GroupDeleteAction = cmp.Or(s.GroupDeleteAction, plan.ActionDoNothing)
	s.Adoption = cmp.Or(s.Adoption, plan.AdoptOff)
	s.RequireApproval = cmp.Or(s.RequireApproval, ApprovalGuard)
	s.RequestTimeout = cmp.Or(s.RequestTimeout, DefaultRequestTimeout)
	if s.DeleteAfter == nil {
		after := DefaultDeleteAfter
		s.DeleteAfter = &after
	}
}

// Policy returns the configured policy for plans.
func (s Settings) Policy() plan.Policy {
	s.SetDefaults()
	return plan.Policy{
		UserDeleteAction: s.UserDeleteAction, GroupDeleteAction: s.GroupDeleteAction, DeleteAfter: *s.DeleteAfter,
		Adoption: s.Adoption,
	}
}

// MappingOptions returns the configured scope and mappings. domain is the value of domain in expressions.
func (s *Settings) MappingOptions(domain string) mapping.Options {
	return mapping.Options{
		User: s.UserPropertyMappings, Group: s.GroupPropertyMappings, Domain: domain,
		FilterGroup: s.FilterGroup, Exclude: s.Exclude, UserFilter: s.UserFilter, GroupFilter: s.GroupFilter,
		RekeyBy: s.RekeyBy, Nested: mapping.Nested(s.NestedGroups), NoAddress: s.NoAddress, NoAddressOf: s.NoAddressOf,
	}
}

// Validate returns every mistake as problem.Errors. The packages that use the sources, the schedule, the scope and
// the mappings check these themselves.
func (s Settings) Validate() error {
	s.SetDefaults()
	var errs []error
	fail := func(field, format string, args ...any) {
		errs = append(errs, problem.Field(field, format, args...))
	}
	if s.ID < 1 {
		fail("id", "is needed: a number from 1, which names the provider in paths")
	}
	if strings.TrimSpace(s.Name) == "" {
		fail("name", "is needed")
	}
	errs = append(errs,
		oneOf("user_delete_action", s.UserDeleteAction, plan.ActionSuspend, plan.ActionDelete, plan.ActionDoNothing),
		oneOf("group_delete_action", s.GroupDeleteAction, plan.ActionDoNothing, plan.ActionSuspend, plan.ActionDelete),
		oneOf("adoption", s.Adoption, plan.AdoptOff, plan.AdoptByAddress),
		oneOf("require_approval", s.RequireApproval, ApprovalGuard, ApprovalFirstRun, ApprovalAlways))
	if *s.DeleteAfter < 0 {
		fail("delete_after", "%v is negative", *s.DeleteAfter)
	}
	if s.RequestTimeout < time.Second {
		fail("request_timeout", "%v is under a second", s.RequestTimeout)
	}
	errs = append(errs, s.NoAddress.Validate())
	errs = append(errs, s.Limits.Validate()...)
	for _, pattern := range s.Protected {
		if _, err := path.Match(strings.ToLower(pattern), ""); err != nil || strings.TrimSpace(pattern) == "" {
			fail("protected", "%q is not a valid pattern", pattern)
		}
	}
	return errors.Join(errs...)
}

func oneOf[T ~string](field string, v T, allowed ...T) error {
	if slices.Contains(allowed, v) {
		return nil
	}
	return problem.Field(field, "%q is unknown: want one of %v", v, allowed)
}

// Protects returns why the configuration protects a remote object, or "".
func (s *Settings) Protects(remoteID string, addresses ...string) string {
	for _, p := range s.Protected {
		matches := func(address string) bool {
			ok, err := path.Match(strings.ToLower(p), strings.ToLower(address))
			return ok && err == nil
		}
		if p == remoteID || slices.ContainsFunc(addresses, matches) {
			return "protected by the configuration (" + p + ")"
		}
	}
	return ""
}
