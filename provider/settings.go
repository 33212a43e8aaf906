package provider

import (
	"errors"
	"path"
	"slices"
	"strings"
	"time"

	"rollcall/internal/problem"
	"rollcall/mapping"
	"rollcall/plan"
)

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
func (s *Sessions) SetDefault() { orElse(s, SessionsAuto) }

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
	orElse(&s.UserDeleteAction, plan.ActionSuspend)
	orElse(&s.GroupDeleteAction, plan.ActionDoNothing)
	orElse(&s.Adoption, plan.AdoptOff)
	orElse(&s.RequireApproval, ApprovalGuard)
	orElse(&s.RequestTimeout, DefaultRequestTimeout)
	if s.DeleteAfter == nil {
		after := DefaultDeleteAfter
		s.DeleteAfter = &after
	}
}

func orElse[T comparable](v *T, otherwise T) {
	var zero T
	if *v == zero {
		*v = otherwise
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
