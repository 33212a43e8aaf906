package ldap

import (
	"strings"
	"time"

	"rollcall/internal/secret"
	"rollcall/plan"
)

// Config describes one source. Field names are those of the HTTP contract where it has the field.
type Config struct {
	// Slug names the source in URLs, queues and on entries.
	Slug string `yaml:"slug"`
	// Name is what people call the source; the slug where it is empty.
	Name string `yaml:"name"`
	// Enabled is true by default.
	Enabled bool `yaml:"enabled"`
	// Preset names a family of servers, with settings that are the defaults of the keys below; see PresetNames.
	Preset string `yaml:"preset"`

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
	// AllowPlaintext permits the bind password to cross a network in the clear.
	AllowPlaintext bool `yaml:"allow_plaintext"`

	// BindCN is a DN or, for Active Directory, user@domain. Empty binds anonymously.
	BindCN string `yaml:"bind_cn"`
	// BindPasswordFile or BindPasswordEnv says where the password is.
	BindPasswordFile secret.File `yaml:"bind_password_file"`
	BindPasswordEnv  string      `yaml:"bind_password_env"`

	// BaseDN is where users and groups are searched; the additional DNs are put in front of it. With a preset, the
	// server is asked where it is empty.
	BaseDN            string `yaml:"base_dn"`
	AdditionalUserDN  string `yaml:"additional_user_dn"`
	AdditionalGroupDN string `yaml:"additional_group_dn"`
	// UserObjectFilter and GroupObjectFilter decide what is in scope (RFC 4515).
	UserObjectFilter  string `yaml:"user_object_filter"`
	GroupObjectFilter string `yaml:"group_object_filter"`
	// GroupMembershipField is the group's attribute with its members: DNs, or login names for memberUid. Several
	// attributes are separated by commas.
	GroupMembershipField string `yaml:"group_membership_field"`
	// ObjectUniquenessField is the immutable identifier. The other two override it for one kind.
	ObjectUniquenessField      string `yaml:"object_uniqueness_field"`
	UserObjectUniquenessField  string `yaml:"user_object_uniqueness_field"`
	GroupObjectUniquenessField string `yaml:"group_object_uniqueness_field"`
	// UserNameField is the login name; by default uid, else sAMAccountName, else cn.
	UserNameField string `yaml:"user_name_field"`

	// PrimaryGroups counts the users with the primaryGroupID of a group as its members.
	PrimaryGroups bool `yaml:"primary_groups"`
	// LeaveOutBuiltIn leaves out the users and groups that Active Directory marks with isCriticalSystemObject.
	LeaveOutBuiltIn bool `yaml:"leave_out_built_in"`

	// PageSize is how many entries are asked for at once.
	PageSize int `yaml:"page_size"`
	// ConnectTimeout bounds connecting, TLS and binding to one server; RequestTimeout is how long the server may be
	// silent.
	ConnectTimeout time.Duration `yaml:"connect_timeout"`
	RequestTimeout time.Duration `yaml:"request_timeout"`

	// NoAddress is what the providers do with entries without an address, unless they say it themselves: hold, which
	// is the default, or leave_out.
	NoAddress plan.Addressless `yaml:"no_address"`

	// Limits are how much may leave the source in a day.
	Limits plan.DayLimits `yaml:"limits"`
	// Schedule is when the source is read; the scheduler validates it.
	Schedule string `yaml:"schedule"`
	// SyncUsers and SyncGroups are true by default.
	SyncUsers  bool `yaml:"sync_users"`
	SyncGroups bool `yaml:"sync_groups"`
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
	} {
		if *f.field == "" {
			*f.field = f.value
		}
	}
	if c.PageSize == 0 {
		c.PageSize = DefaultPageSize
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = DefaultConnectTimeout
	}
	if c.RequestTimeout == 0 {
		c.RequestTimeout = DefaultRequestTimeout
	}
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

// userBase and groupBase are where the two searches start.
func (c *Config) userBase() string  { return c.prepend(c.AdditionalUserDN) }
func (c *Config) groupBase() string { return c.prepend(c.AdditionalGroupDN) }

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

func (c *Config) userUniqueness() string {
	if c.UserObjectUniquenessField != "" {
		return c.UserObjectUniquenessField
	}
	return c.ObjectUniquenessField
}

func (c *Config) groupUniqueness() string {
	if c.GroupObjectUniquenessField != "" {
		return c.GroupObjectUniquenessField
	}
	return c.ObjectUniquenessField
}
