package ldap_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"rollcall/fault"
	"rollcall/source/ldap"
)

func decode(t *testing.T, text string) (ldap.Config, error) {
	t.Helper()
	d := yaml.NewDecoder(strings.NewReader(text))
	d.KnownFields(true)
	var c struct{ Source ldap.Config }
	err := d.Decode(&c)
	return c.Source, err
}

func TestConfigYAML(t *testing.T) {
	t.Parallel()
	got, err := decode(t, `source:
  slug: corp
  server_uri: "ldaps://a, ldaps://b:1636"
  bind_cn: cn=reader,dc=example,dc=org
  bind_password_file: /run/secrets/ldap
  base_dn: dc=example,dc=org
  sync_groups: false
  request_timeout: 1m30s
`)
	if err != nil {
		t.Fatal(err)
	}
	want := ldap.DefaultConfig()
	want.Slug, want.ServerURI, want.BindCN, want.BindPasswordFile = "corp", "ldaps://a, ldaps://b:1636",
		"cn=reader,dc=example,dc=org", "/run/secrets/ldap"
	want.BaseDN, want.SyncGroups, want.RequestTimeout = "dc=example,dc=org", false, 90*time.Second
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}
	if err := got.Validate(); err != nil {
		t.Errorf("Validate() = %v", err)
	}
	if !got.Enabled || !got.SyncUsers || got.PageSize != 1000 {
		t.Errorf("defaults are missing: %+v", got)
	}
	if _, err := decode(t, "source:\n  bind_password: inline\n"); err == nil {
		t.Error("an unknown key (an inline password at that) is taken")
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		change func(*ldap.Config)
		want   string // the beginning of the only problem
	}{
		{"sound", func(*ldap.Config) {}, ""},
		{"slug", func(c *ldap.Config) { c.Slug = "a b" }, "slug: "},
		{"long slug", func(c *ldap.Config) { c.Slug = strings.Repeat("a", 41) }, "slug: "},
		{"no server", func(c *ldap.Config) { c.ServerURI = "" }, "server_uri: it is required"},
		{"scheme", func(c *ldap.Config) { c.ServerURI = "http://x" }, `server_uri: "http://x": scheme "http"`},
		{"no host", func(c *ldap.Config) { c.ServerURI = "ldaps://" }, "server_uri: "},
		{"path", func(c *ldap.Config) { c.ServerURI = "ldaps://x/dc=org" }, "server_uri: "},
		{"password in URI", func(c *ldap.Config) { c.ServerURI = "ldaps://u:hunter2@x" },
			"server_uri: ldaps://u:xxxxx@x: a name or password"},
		{"broken URI", func(c *ldap.Config) { c.ServerURI = "ldaps://u:hunter2%@x" }, "server_uri: one of the URIs"},
		{"file and server", func(c *ldap.Config) { c.ServerURI = "file:///x.ldif,ldaps://b" },
			"server_uri: file:///x.ldif: a file stands alone"},
		{"relative file", func(c *ldap.Config) { c.ServerURI = "file:x.ldif" }, "server_uri: "},
		{"plaintext", func(c *ldap.Config) { c.ServerURI = "ldap://ldap.example.org" },
			"server_uri: ldap://ldap.example.org:389 would carry the bind password in the clear"},
		{"plaintext allowed", func(c *ldap.Config) { c.ServerURI, c.AllowPlaintext = "ldap://ldap.example.org", true }, ""},
		{"plaintext on loopback", func(c *ldap.Config) {
			c.ServerURI = "ldap://localhost,ldap://127.0.0.2:3389,ldap://[::1]"
		}, ""},
		{"plaintext, anonymous", func(c *ldap.Config) {
			c.ServerURI, c.BindCN,
				c.BindPasswordFile = "ldap://ldap.example.org", "", ""
		}, ""},
		{"StartTLS", func(c *ldap.Config) { c.ServerURI, c.StartTLS = "ldap://ldap.example.org", true }, ""},
		{"StartTLS on ldaps", func(c *ldap.Config) { c.StartTLS = true }, "start_tls: "},
		{"no fingerprint", func(c *ldap.Config) { c.TLSPinSHA256 = "ab:cd" }, "tls_pin_sha256: "},
		{"a pin and an authority", func(c *ldap.Config) { c.TLSPinSHA256, c.CAFile = strings.Repeat("0", 64), "x" },
			"tls_pin_sha256: "},
		{"half a pair", func(c *ldap.Config) { c.ClientKeyFile = "x" }, "client_certificate_file: "},
		{"no password", func(c *ldap.Config) { c.BindPasswordFile = "" }, "bind_cn: it needs bind_password_file"},
		{"two passwords", func(c *ldap.Config) { c.BindPasswordEnv = "X" }, "bind_password_file: "},
		{"password for nobody", func(c *ldap.Config) { c.BindCN = "" }, "bind_cn: it is empty"},
		{"no base", func(c *ldap.Config) { c.BaseDN = "" }, "base_dn: it is required"},
		{"base", func(c *ldap.Config) { c.BaseDN = "example.org" }, "base_dn: "},
		{"additional DN", func(c *ldap.Config) { c.AdditionalUserDN = "people" }, "additional_user_dn: "},
		{"user filter", func(c *ldap.Config) { c.UserObjectFilter = "(&(uid=*)" }, "user_object_filter: "},
		{"group filter", func(c *ldap.Config) { c.GroupObjectFilter = "cn=*" }, "group_object_filter: "},
		{"attribute", func(c *ldap.Config) { c.ObjectUniquenessField = "entry uuid" }, "object_uniqueness_field: "},
		{"page size", func(c *ldap.Config) { c.PageSize = -1 }, "page_size: "},
		{"timeout", func(c *ldap.Config) { c.ConnectTimeout = -time.Second }, "connect_timeout: "},
		{"nothing to read", func(c *ldap.Config) { c.SyncUsers, c.SyncGroups = false, false }, "sync_users: "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := ldap.DefaultConfig()
			c.Slug, c.ServerURI, c.BaseDN, c.BindCN, c.BindPasswordFile = "corp", "ldaps://a", "dc=org", "cn=x", "/x"
			tc.change(&c)
			err := c.Validate()
			if tc.want == "" && err == nil {
				return
			}
			if text := fmt.Sprint(err); tc.want == "" || !strings.HasPrefix(text, tc.want) || strings.Contains(text, "\n") ||
				strings.Contains(text, "hunter2") {
				t.Errorf("Validate() = %v, want one problem that begins with %q", err, tc.want)
			}
		})
	}
}

func TestValidateNamesEveryProblem(t *testing.T) {
	t.Parallel()
	err := ldap.Config{UserObjectFilter: "x", PageSize: -1}.Validate()
	for _, field := range []string{"slug", "server_uri", "base_dn", "user_object_filter", "page_size", "sync_users"} {
		if !strings.Contains("\n"+fmt.Sprint(err), "\n"+field+": ") {
			t.Errorf("Validate() = %v, want a problem of %s", err, field)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	good := fileConfig(t, ada)
	missing := good
	missing.ServerURI, missing.CAFile = "ldaps://localhost", "/does/not/exist"
	noEnv := good
	noEnv.BindCN, noEnv.BindPasswordEnv = "cn=x", "ROLLCALL_TEST_NOT_SET"
	for name, try := range map[string]func() (*ldap.Source, error){
		"configuration": func() (*ldap.Source, error) { return ldap.New(ldap.Config{}, nil, ldap.Options{}) },
		"attribute":     func() (*ldap.Source, error) { return ldap.New(good, []string{"a b"}, ldap.Options{}) },
		"CA file":       func() (*ldap.Source, error) { return ldap.New(missing, nil, ldap.Options{}) },
		"environment":   func() (*ldap.Source, error) { return ldap.New(noEnv, nil, ldap.Options{}) },
	} {
		if _, err := try(); err == nil || fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: New() = %v, want an error of kind invalid", name, err)
		}
	}
}
