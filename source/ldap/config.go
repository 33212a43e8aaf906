package ldap

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"rollcall/directory"
	"rollcall/internal/secret"
	"rollcall/plan"
)

// Config describes one source. Field names are those of the HTTP contract where it has the field. A preview that the
// API asks for may change the fields with the tag preview:"free". The others say what is connected to.
type Config struct {
	// Slug names the source in URLs, queues and on entries.
	Slug string `yaml:"slug"`
	// Name is what people call the source; the slug where it is empty.
	Name string `yaml:"name" preview:"free"`
	// Enabled is true by default.
	Enabled bool `yaml:"enabled" preview:"free"`
	// Preset names a family of servers, with settings that are the defaults of the keys below; see PresetNames.
	Preset string `yaml:"preset" preview:"free"`

	// ServerURI is one or several URIs separated by commas, tried in order: ldap://, ldaps://, or one file:///….ldif.
	ServerURI string `yaml:"server_uri"`
	// CAFile is a PEM file with the authorities to trust; the system's where it is empty. Certificates are always
	// verified.
	CAFile secret.PublicFile `yaml:"ca_file"`
	// ClientCertificateFile and ClientKeyFile are a PEM pair to present to the server.
	ClientCertificateFile secret.PublicFile `yaml:"client_certificate_file"`
	ClientKeyFile         secret.File       `yaml:"client_key_file"`
	// StartTLS asks for TLS on an ldap:// connection before anything else is sent.
	StartTLS bool `yaml:"start_tls"`
	// TLSServerName is the name that the certificate must carry, where it is not the host of the URI.
	TLSServerName string `yaml:"tls_server_name"`
	// TLSPinSHA256 are SHA-256 fingerprints of certificates in hexadecimal digits, with or without colons, separated by
	// commas. If it is set, exactly these certificates are trusted, whatever their authority, names and dates.
	TLSPinSHA256 string `yaml:"tls_pin_sha256"`
	// AllowPlaintext permits the bind password to cross a network in the clear.
	AllowPlaintext bool `yaml:"allow_plaintext"`

	// BindCN is a DN or, for Active Directory, user@domain. Empty binds anonymously.
	BindCN string `yaml:"bind_cn"`
	// BindPasswordFile or BindPasswordEnv says where the password is.
	BindPasswordFile secret.File `yaml:"bind_password_file"`
	BindPasswordEnv  string      `yaml:"bind_password_env"`

	// BaseDN is where users and groups are searched; the additional DNs are put in front of it. With a preset, the
	// server is asked where it is empty.
	BaseDN            string `yaml:"base_dn" preview:"free"`
	AdditionalUserDN  string `yaml:"additional_user_dn" preview:"free"`
	AdditionalGroupDN string `yaml:"additional_group_dn" preview:"free"`
	// UserObjectFilter and GroupObjectFilter decide what is in scope (RFC 4515).
	UserObjectFilter  string `yaml:"user_object_filter" preview:"free"`
	GroupObjectFilter string `yaml:"group_object_filter" preview:"free"`
	// GroupMembershipField is the group's attribute with its members: DNs, or login names for memberUid. Several
	// attributes are separated by commas.
	GroupMembershipField string `yaml:"group_membership_field" preview:"free"`
	// UserMembershipField is the attribute of users with the DNs of their groups, such as memberOf, where groups do not
	// list their members. Empty reads the groups alone. Several attributes are separated by commas.
	UserMembershipField string `yaml:"user_membership_field" preview:"free"`
	// ObjectUniquenessField is the immutable identifier. The other two override it for one kind.
	ObjectUniquenessField      string `yaml:"object_uniqueness_field" preview:"free"`
	UserObjectUniquenessField  string `yaml:"user_object_uniqueness_field" preview:"free"`
	GroupObjectUniquenessField string `yaml:"group_object_uniqueness_field" preview:"free"`
	// UserNameField is the login name; by default uid, else sAMAccountName, else cn.
	UserNameField string `yaml:"user_name_field" preview:"free"`

	// PrimaryGroups counts the users with the primaryGroupID of a group as its members.
	PrimaryGroups bool `yaml:"primary_groups" preview:"free"`
	// LeaveOutBuiltIn leaves out the users and groups that Active Directory marks with isCriticalSystemObject.
	LeaveOutBuiltIn bool `yaml:"leave_out_built_in" preview:"free"`

	// PageSize is how many entries are asked for at once.
	PageSize int `yaml:"page_size" preview:"free"`
	// ConnectTimeout bounds connecting, TLS and binding to one server; RequestTimeout is how long the server may be
	// silent.
	ConnectTimeout time.Duration `yaml:"connect_timeout" preview:"free"`
	RequestTimeout time.Duration `yaml:"request_timeout" preview:"free"`

	// NoAddress is what the providers do with entries without an address, unless they say it themselves: hold, which
	// is the default, or leave_out.
	NoAddress plan.Addressless `yaml:"no_address" preview:"free"`

	// Limits are how much may leave the source in a day.
	Limits plan.DayLimits `yaml:"limits" preview:"free"`
	// Schedule is when the source is read; the scheduler validates it.
	Schedule string `yaml:"schedule" preview:"free"`
	// Delta says whether single changes are read between the full reads: auto, which is the default and means where the
	// server can tell them, or off.
	Delta string `yaml:"delta" preview:"free"`
	// DeltaEvery is how often the server is asked for changes; 10s, and at least 2s.
	DeltaEvery time.Duration `yaml:"delta_every" preview:"free"`
	// SyncUsers and SyncGroups are true by default.
	SyncUsers  bool `yaml:"sync_users" preview:"free"`
	SyncGroups bool `yaml:"sync_groups" preview:"free"`
}

// Defaults of the fields that have one.
const (
	DefaultUserObjectFilter     = "(objectClass=person)"
	DefaultGroupObjectFilter    = "(|(objectClass=group)(objectClass=groupOfNames))"
	DefaultGroupMembershipField = "member"
	DefaultUniquenessField      = "entryUUID"
	DefaultPageSize             = 1000
	DefaultConnectTimeout       = 10 * time.Second
	DefaultRequestTimeout       = 30 * time.Second
	DefaultDeltaEvery           = 10 * time.Second
	minDeltaEvery               = 2 * time.Second
)

// The values of delta.
const (
	DeltaAuto = "auto"
	DeltaOff  = "off"
)

// DefaultConfig returns a Config with the defaults in place, as a YAML document starts with.
func DefaultConfig() Config {
	return PresetConfig("")
}

// withDefaults fills in what is empty and has a default.
func (c Config) withDefaults() Config {
	for _, f := range []struct {
		field *string
		value string
	}{
		{&c.UserObjectFilter, DefaultUserObjectFilter},
		{&c.GroupObjectFilter, DefaultGroupObjectFilter},
		{&c.GroupMembershipField, DefaultGroupMembershipField},
		{&c.ObjectUniquenessField, DefaultUniquenessField},
		{&c.Delta, DeltaAuto},
	} {
		if *f.field == "" {
			*f.field = f.value
		}
	}
	c.PageSize = cmp.Or(c.PageSize, DefaultPageSize)
	c.ConnectTimeout = cmp.Or(c.ConnectTimeout, DefaultConnectTimeout)
	c.DeltaEvery = cmp.Or(c.DeltaEvery, DefaultDeltaEvery)
	c.RequestTimeout = cmp.Or(c.RequestTimeout, DefaultRequestTimeout)
	return c
}

// UnmarshalYAML starts from the defaults of the document's preset. The signature is the one that keeps a decoder's
// KnownFields in force.
func (c *Config) UnmarshalYAML(unmarshal func(any) error) error {
	type plain Config
	var named plain
	if err := unmarshal(&named); err != nil {
		return err
	}
	*c = PresetConfig(named.Preset)
	return unmarshal((*plain)(c))
}

// prepend puts a DN in front of the base. Of a preset's DN, what the base begins with is not put there again.
func (c *Config) prepend(dn string) string {
	if dn == "" {
		return c.BaseDN
	}
	preset := PresetConfig(c.Preset)
	if dn != preset.AdditionalUserDN && dn != preset.AdditionalGroupDN {
		return dn + "," + c.BaseDN
	}
	rdns := strings.Split(dn, ",")
	for i := range rdns {
		rest := strings.Join(rdns[i:], ",") + ","
		if len(c.BaseDN) > len(rest) && strings.EqualFold(c.BaseDN[:len(rest)], rest) {
			return strings.Join(append(rdns[:i:i], c.BaseDN), ",")
		}
	}
	return dn + "," + c.BaseDN
}

var (
	slugForm = regexp.MustCompile(`^[-a-zA-Z0-9_]{1,40}$`)
	// attributeForm is RFC 4512, section 2.5: a short name or an OID, with options.
	attributeForm = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9-]*|[0-9]+(\.[0-9]+)+)(;[A-Za-z0-9-]+)*$`)
)

// Validate returns everything that is wrong with the configuration, each problem with the name of its field. It
// reads no file and does not connect; Check does both.
func (c Config) Validate() error {
	c = c.withDefaults()
	var p problems
	if !slugForm.MatchString(c.Slug) {
		p.add("slug", "%q: want 1 to 40 letters, digits, - or _", c.Slug)
	}
	c.validateServer(&p)
	c.validateBind(&p)
	c.validateScope(&p)
	p = append(p, c.Limits.Validate()...)
	if err := c.NoAddress.Validate(); err != nil {
		p = append(p, err)
	}
	if c.PageSize < 1 || c.PageSize > 100_000 {
		p.add("page_size", "%d: want 1 to 100000", c.PageSize)
	}
	for field, d := range map[string]time.Duration{"connect_timeout": c.ConnectTimeout,
		"request_timeout": c.RequestTimeout} {
		if d < 0 {
			p.add(field, "%v: want a positive duration such as 30s", d)
		}
	}
	if c.Delta != DeltaAuto && c.Delta != DeltaOff {
		p.add("delta", "%q is unknown: want auto or off", c.Delta)
	}
	if c.DeltaEvery < minDeltaEvery {
		p.add("delta_every", "%v: want at least %v", c.DeltaEvery, minDeltaEvery)
	}
	slices.SortStableFunc(p, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(p...)
}

func (c *Config) validateServer(p *problems) {
	servers, err := parseServers(c.ServerURI)
	if err != nil {
		p.add("server_uri", "%w", err)
	}
	plain := 0
	for _, s := range servers {
		if s.scheme == "ldap" {
			plain++
		}
		if c.exposes(s) {
			p.add("server_uri", "%s would carry the bind password in the clear: use ldaps://, start_tls: true or, if "+
				"the network is trusted, allow_plaintext: true", s)
		}
	}
	if c.StartTLS && plain == 0 && err == nil {
		p.add("start_tls", "it is for ldap:// and %q has none", c.ServerURI)
	}
	if _, err := c.pins(); err != nil {
		p.add("tls_pin_sha256", "%w", err)
	} else if c.TLSPinSHA256 != "" && (c.CAFile != "" || c.TLSServerName != "") {
		p.add("tls_pin_sha256", "it goes without ca_file and tls_server_name, which it makes meaningless")
	}
	if (c.ClientCertificateFile == "") != (c.ClientKeyFile == "") {
		p.add("client_certificate_file", "it and client_key_file go together")
	}
}

// pins returns the fingerprints of the certificates to trust.
func (c *Config) pins() (out [][sha256.Size]byte, err error) {
	for _, text := range strings.FieldsFunc(c.TLSPinSHA256, func(r rune) bool { return r == ',' || r == ' ' }) {
		raw, err := hex.DecodeString(strings.ReplaceAll(text, ":", ""))
		if err != nil || len(raw) != sha256.Size {
			return nil, fmt.Errorf("%q: want the SHA-256 fingerprint of a certificate, %d hexadecimal digits, as "+
				"`openssl x509 -noout -fingerprint -sha256` prints it", text, 2*sha256.Size)
		}
		out = append(out, [sha256.Size]byte(raw))
	}
	return out, nil
}

// exposes reports whether binding to s would send the password over a network in the clear (RFC 4513, section 6.3.3).
func (c *Config) exposes(s server) bool {
	return s.scheme == "ldap" && c.BindCN != "" && !c.StartTLS && !c.AllowPlaintext && !secret.StaysHere(s.host)
}

func (c *Config) validateBind(p *problems) {
	sources := 0
	for _, s := range []string{string(c.BindPasswordFile), c.BindPasswordEnv} {
		if s != "" {
			sources++
		}
	}
	switch {
	case sources == 2:
		p.add("bind_password_file", "it and bind_password_env exclude each other")
	case c.BindCN != "" && sources == 0:
		// A name without a password is an "unauthenticated bind", which many servers take for success (RFC 4513,
		// 5.1.2).
		p.add("bind_cn", "it needs bind_password_file or bind_password_env")
	case c.BindCN == "" && sources > 0:
		p.add("bind_cn", "it is empty though there is a bind password")
	}
}

func (c *Config) validateScope(p *problems) {
	if c.Preset != "" && !slices.Contains(PresetNames(), c.Preset) {
		p.add("preset", "%q is unknown: want one of %s", c.Preset, strings.Join(PresetNames(), ", "))
	}
	if c.BaseDN == "" && (c.Preset == "" || strings.HasPrefix(c.ServerURI, "file:")) {
		p.add("base_dn", "it is required")
	}
	for field, dn := range map[string]string{
		"base_dn": c.BaseDN, "additional_user_dn": c.AdditionalUserDN, "additional_group_dn": c.AdditionalGroupDN,
	} {
		if _, err := NormalizeDN(dn); err != nil {
			p.add(field, "%w", err)
		}
	}
	for field, filter := range map[string]string{
		"user_object_filter": c.UserObjectFilter, "group_object_filter": c.GroupObjectFilter,
	} {
		if _, err := ldap.CompileFilter(filter); err != nil {
			p.add(field, "%q: %w", filter, err)
		}
	}
	for _, name := range listed(c.UserMembershipField) {
		if !attributeForm.MatchString(name) {
			p.add("user_membership_field", "%q is not the name of an LDAP attribute", name)
		}
	}
	if c.UserMembershipField != "" && (!c.SyncUsers || !c.SyncGroups) {
		p.add("user_membership_field", "it needs sync_users and sync_groups: users name the groups that they are in")
	}
	for _, name := range c.memberFields() {
		if !attributeForm.MatchString(name) {
			p.add("group_membership_field", "%q is not the name of an LDAP attribute", name)
		}
		if slices.ContainsFunc(dynamicMembers, func(d string) bool { return strings.EqualFold(d, name) }) {
			p.add("group_membership_field", "%s has a search and no members: Rollcall does not resolve dynamic groups",
				name)
		}
	}
	for field, name := range map[string]string{
		"object_uniqueness_field":       c.ObjectUniquenessField,
		"user_object_uniqueness_field":  c.UserObjectUniquenessField,
		"group_object_uniqueness_field": c.GroupObjectUniquenessField,
		"user_name_field":               c.UserNameField,
	} {
		if name != "" && !attributeForm.MatchString(name) {
			p.add(field, "%q is not the name of an LDAP attribute", name)
		}
		if reason := directory.Unmappable(name); reason != "" {
			p.add(field, "%s cannot be used: %s", name, reason)
		}
	}
	if !c.SyncUsers && !c.SyncGroups {
		p.add("sync_users", "it and sync_groups are both false: nothing is left to read")
	}
}

// problems collects errors that begin with the name of a field.
type problems []error

func (p *problems) add(field, format string, args ...any) {
	*p = append(*p, fmt.Errorf(field+": "+format, args...))
}
