package config_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollcall/internal/config"
)

// environment is a getenv for variables without their prefix.
func environment(vars map[string]string) func(string) string {
	return func(name string) string { return vars[strings.TrimPrefix(name, "ROLLCALL_")] }
}

func TestProcessDefaults(t *testing.T) {
	t.Parallel()
	want := config.Process{
		RedisURL: "redis://127.0.0.1:6379/0", Config: "rollcall.yaml", Listen: "127.0.0.1:8080",
		TokensFile: "/etc/rollcall/tokens", AuditKeep: 8760 * time.Hour, ObjectWait: 20 * time.Second, MaxOpenJobs: 10_000,
		LogLevel: "info", LogFormat: "json", OIDCClaim: "groups", OIDCScopes: "openid profile email",
	}
	got, err := config.LoadProcess(environment(map[string]string{"TOKENS_FILE": "/etc/rollcall/tokens"}))
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("LoadProcess() = %v (-want +got)\n%s", err, diff)
	}
	if addr := got.MetricsAddr(config.WorkerMetrics); addr != "127.0.0.1:9465" {
		t.Errorf("MetricsAddr() = %q", addr)
	}
}

// TestProcessEnvironment cannot run in parallel, because it changes the environment.
func TestProcessEnvironment(t *testing.T) {
	for name, value := range map[string]string{
		"REDIS_URL": "rediss://h", "REDIS_PASSWORD_FILE": "p", "REDIS_CA_FILE": "ra",
		"REDIS_CERT_FILE": "rc", "REDIS_KEY_FILE": "rk", "REDIS_INSECURE": "true", "DECISIONS_KEY_FILE": "d",
		"CONFIG": "c.yaml", "LISTEN": ":1", "METRICS_LISTEN": ":2",
		"TOKENS_FILE": "t", "OIDC_ISSUER": "https://i", "OIDC_CLIENT_ID": "c", "OIDC_CLIENT_SECRET_FILE": "s",
		"OIDC_REDIRECT_URL": "https://r/login/callback", "OIDC_CLAIM": "roles", "OIDC_SCOPES": "openid",
		"AUDIT_FILE": "a", "AUDIT_KEEP": "48h", "BEHIND_PROXY": "true", "TRUSTED_PROXIES": "10.0.0.0/8",
		"OBJECT_WAIT": "1m", "MAX_OPEN_JOBS": "7", "LOG_LEVEL": "debug", "LOG_FORMAT": "text", "STRICT_FILES": "true",
	} {
		t.Setenv("ROLLCALL_"+name, value)
	}
	want := config.Process{
		RedisURL: "rediss://h", RedisPasswordFile: "p", RedisCAFile: "ra", RedisCertFile: "rc", RedisKeyFile: "rk",
		RedisInsecure: true, DecisionsKeyFile: "d", Config: "c.yaml", Listen: ":1", MetricsListen: ":2",
		TokensFile: "t", OIDCIssuer: "https://i", OIDCClientID: "c", OIDCSecretFile: "s",
		OIDCRedirectURL: "https://r/login/callback", OIDCClaim: "roles", OIDCScopes: "openid",
		AuditFile: "a", AuditKeep: 48 * time.Hour, BehindProxy: true, TrustedProxies: "10.0.0.0/8",
		ObjectWait:  time.Minute,
		MaxOpenJobs: 7,
		LogLevel:    "debug", LogFormat: "text", StrictFiles: true,
	}
	got, err := config.LoadProcess(os.Getenv)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("LoadProcess() = %v (-want +got)\n%s", err, diff)
	}
	t.Setenv("ROLLCALL_OBJECT_WAIT", "20")
	if _, err := config.LoadProcess(os.Getenv); err == nil ||
		err.Error() != "environment: ROLLCALL_OBJECT_WAIT: want a duration such as 20s" {
		t.Errorf("LoadProcess() = %v", err)
	}
}

func TestTrustedProxies(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		of   config.Process
		want string
	}{
		"no proxy":       {config.Process{}, "[]"},
		"behind a proxy": {config.Process{BehindProxy: true}, "[127.0.0.0/8 ::1/128]"},
		"named proxies": {config.Process{BehindProxy: true, TrustedProxies: "10.1.2.3/8, 192.0.2.1,2001:db8::/32"},
			"[10.0.0.0/8 192.0.2.1/32 2001:db8::/32]"},
	} {
		if got, err := test.of.Proxies(); err != nil || fmt.Sprint(got) != test.want {
			t.Errorf("%s: Proxies() = %v, %v; want %s", name, got, err, test.want)
		}
	}
}

func TestProcessRefuses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		vars map[string]string
		want string
	}{
		{"tokens and none", map[string]string{"INSECURE_NO_TOKENS": "true", "TOKENS_FILE": "x"},
			"environment: ROLLCALL_INSECURE_NO_TOKENS: it and ROLLCALL_TOKENS_FILE exclude each other"},
		{"proxies", map[string]string{"TRUSTED_PROXIES": "10.0.0.0/8, proxy"}, `environment: ROLLCALL_TRUSTED_PROXIES: ` +
			`"proxy": want addresses or prefixes such as 10.0.0.0/8, separated by commas`},
		{"truth", map[string]string{"STRICT_FILES": "maybe"}, "environment: ROLLCALL_STRICT_FILES: want true or false"},
		{"duration", map[string]string{"OBJECT_WAIT": "20"},
			"environment: ROLLCALL_OBJECT_WAIT: want a duration such as 20s"},
		{"number", map[string]string{"MAX_OPEN_JOBS": "many"},
			"environment: ROLLCALL_MAX_OPEN_JOBS: want a whole number"},
		{"range", map[string]string{"MAX_OPEN_JOBS": "0"}, "environment: ROLLCALL_MAX_OPEN_JOBS: 0: want 1 to 100000"},
		{"several", map[string]string{"OBJECT_WAIT": "1h", "LISTEN": "8080", "METRICS_LISTEN": "x", "LOG_LEVEL": "loud",
			"LOG_FORMAT": "xml"}, `environment: ROLLCALL_LISTEN: "8080": want host:port such as 127.0.0.1:8080, ` +
			`or :8080 for all interfaces
environment: ROLLCALL_METRICS_LISTEN: "x": want host:port such as 127.0.0.1:8080, or :8080 for all interfaces, or off
environment: ROLLCALL_LOG_LEVEL: "loud": want debug, info, warn or error
environment: ROLLCALL_LOG_FORMAT: "xml": want json or text
environment: ROLLCALL_OBJECT_WAIT: 1h0m0s: want 0s to 5m`},
		{"redis scheme", map[string]string{"REDIS_URL": "http://:hunter2@127.0.0.1"}, "environment: ROLLCALL_REDIS_URL: " +
			"want embedded: or a URL with redis://, rediss://, redis-cluster://, redis-sentinel:// or unix://, such as " +
			"redis://127.0.0.1:6379/0"},
		{"redis host", map[string]string{"REDIS_URL": "redis:///0"}, "environment: ROLLCALL_REDIS_URL: names no host"},
		{"redis URL", map[string]string{"REDIS_URL": "redis://:hunter2@h:port"},
			"environment: ROLLCALL_REDIS_URL: is no URL"},
		{"sentinel", map[string]string{"REDIS_URL": "redis-sentinel://h:26379"},
			"environment: ROLLCALL_REDIS_URL: names no master: add ?master_name="},
		{"two passwords", map[string]string{"REDIS_URL": "rediss://:hunter2@h", "REDIS_PASSWORD_FILE": "x"},
			"environment: ROLLCALL_REDIS_PASSWORD_FILE: it and a password in ROLLCALL_REDIS_URL exclude each other"},
		{"a user and a file", map[string]string{"REDIS_URL": "rediss://rollcall@h", "REDIS_PASSWORD_FILE": "x"}, ""},
		{"redis without TLS", map[string]string{"REDIS_URL": "redis://:hunter2@h"},
			"environment: ROLLCALL_REDIS_URL: Redis is " +
				"on another machine and the connection has no TLS: use rediss://, or set ROLLCALL_REDIS_INSECURE=true if only " +
				"Rollcall can reach it"},
		{"redis without a password", map[string]string{"REDIS_URL": "rediss://h"}, "environment: ROLLCALL_REDIS_URL: Redis " +
			"is on another machine and has no password: set ROLLCALL_REDIS_PASSWORD_FILE, or set " +
			"ROLLCALL_REDIS_INSECURE=true if only Rollcall can reach it"},
		{"a cluster of which one node is elsewhere", map[string]string{
			"REDIS_URL": "redis-cluster://127.0.0.1:7000?addr=h:7001", "REDIS_PASSWORD_FILE": "x"},
			"environment: ROLLCALL_REDIS_URL: Redis is on another machine and the connection has no TLS: use rediss://, or " +
				"set ROLLCALL_REDIS_INSECURE=true if only Rollcall can reach it"},
		{"redis in a private network", map[string]string{"REDIS_URL": "redis://h", "REDIS_INSECURE": "true"}, ""},
		{"redis on a port", map[string]string{"REDIS_URL": "redis://:6379/0"}, ""},
		{"redis with a password on a port", map[string]string{"REDIS_URL": "redis://:pw@:6379"}, ""},
		{"redis behind a socket", map[string]string{"REDIS_URL": "unix:///run/redis.sock"}, ""},
		{"redis with a certificate", map[string]string{"REDIS_URL": "rediss://h", "REDIS_CERT_FILE": "c",
			"REDIS_KEY_FILE": "k", "REDIS_CA_FILE": "a"}, ""},
		{"a certificate without a key", map[string]string{"REDIS_URL": "rediss://h", "REDIS_CERT_FILE": "c"},
			"environment: ROLLCALL_REDIS_CERT_FILE: it and ROLLCALL_REDIS_KEY_FILE go together"},
		{"an authority without TLS", map[string]string{"REDIS_CA_FILE": "a"},
			"environment: ROLLCALL_REDIS_CA_FILE: it and ROLLCALL_REDIS_CERT_FILE need a rediss:// URL"},
		{"any certificate", map[string]string{"REDIS_URL": "rediss://:hunter2@h?skip_verify=true"},
			"environment: ROLLCALL_REDIS_URL: skip_verify is not supported: name the authority in ROLLCALL_REDIS_CA_FILE"},
		{"sign-in of people", map[string]string{"OIDC_ISSUER": "https://i/realms/a", "OIDC_CLIENT_ID": "c",
			"OIDC_REDIRECT_URL": "https://r/login/callback", "TOKENS_FILE": "t"}, ""},
		{"sign-in of people on this machine", map[string]string{"OIDC_ISSUER": "http://127.0.0.1:5556", "OIDC_CLIENT_ID": "c",
			"OIDC_REDIRECT_URL": "http://[::1]:8080/login/callback", "TOKENS_FILE": "t"}, ""},
		{"half a sign-in", map[string]string{"OIDC_ISSUER": "http://i", "OIDC_SCOPES": "email",
			"OIDC_REDIRECT_URL": "https://u:hunter2@r/login/callback"}, `environment: ROLLCALL_OIDC_ISSUER: ` +
			`want an https:// address without user, query and fragment; http:// is for this machine only
environment: ROLLCALL_OIDC_REDIRECT_URL: ` +
			`want an https:// address without user, query and fragment; http:// is for this machine only
environment: ROLLCALL_OIDC_CLIENT_ID: is not set
environment: ROLLCALL_OIDC_SCOPES: has to contain openid
environment: ROLLCALL_TOKENS_FILE: is needed, because its lines give rights to groups of people`},
		{"metrics off", map[string]string{"METRICS_LISTEN": "off"}, ""},
		{"embedded", map[string]string{"REDIS_URL": "embedded:"}, ""},
		{"cluster", map[string]string{"REDIS_URL": "redis-cluster://127.0.0.1:7000?addr=[::1]:7001"}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := config.LoadProcess(environment(test.vars))
			got := ""
			if err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if strings.Contains(got, "hunter2") {
				t.Error("the error shows a password")
			}
		})
	}
}

func TestMisspeltVariablesAreNamed(t *testing.T) {
	t.Parallel()
	got := config.Misspelt([]string{"ROLLCALL_OBJECT_WIAT=1s", "ROLLCALL_LDAP_SECRET=x", "ROLLCALL_LISTEN=:1",
		"ROLLCALL_TOKEN_FILE=t", "PATH=/bin"})
	want := []string{"environment: ROLLCALL_OBJECT_WIAT: unknown variable: did you mean ROLLCALL_OBJECT_WAIT?"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
