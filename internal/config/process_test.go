package config_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollcall/internal/config"
)

// setenv replaces the variables with our prefix. Tests that call it cannot run in parallel.
func setenv(t *testing.T, vars map[string]string) {
	t.Helper()
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); strings.HasPrefix(name, config.Prefix+"_") {
			t.Setenv(name, "")
			if err := os.Unsetenv(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, value := range vars {
		t.Setenv("ROLLCALL_"+name, value)
	}
}

func TestProcessDefaults(t *testing.T) {
	setenv(t, map[string]string{"TOKENS_FILE": "/etc/rollcall/tokens"})
	want := config.Process{
		RedisURL: "redis://127.0.0.1:6379/0", Config: "rollcall.yaml", Listen: "127.0.0.1:8080", MetricsListen: "127.0.0.1:9464",
		TokensFile: "/etc/rollcall/tokens", ObjectWait: 20 * time.Second, LogLevel: "info", LogFormat: "json",
	}
	got, warnings, err := config.LoadProcess(config.API)
	if diff := cmp.Diff(want, got); diff != "" || err != nil || len(warnings) != 0 {
		t.Errorf("LoadProcess() = %v, %q (-want +got)\n%s", err, warnings, diff)
	}
	for role, listen := range map[config.Role]string{config.Worker: "127.0.0.1:9465", config.Tool: config.NoMetrics} {
		if p, _, err := config.LoadProcess(role); err != nil || p.MetricsListen != listen {
			t.Errorf("%s: METRICS_LISTEN = %q, want %q (%v)", role, p.MetricsListen, listen, err)
		}
	}
}

func TestProcessRefuses(t *testing.T) {
	for _, test := range []struct {
		name string
		vars map[string]string
		role config.Role
		want string
	}{
		{"no tokens", nil, config.API, "environment: ROLLCALL_TOKENS_FILE: is not set: make a token with `rollcall token NAME read,sync` and put its line into a file. To let everybody who can connect do everything, set ROLLCALL_INSECURE_NO_TOKENS=true"},
		{"no tokens, in so many words", map[string]string{"INSECURE_NO_TOKENS": "true"}, config.API, ""},
		{"a worker needs none", nil, config.Worker, ""},
		{"tokens and none", map[string]string{"INSECURE_NO_TOKENS": "true", "TOKENS_FILE": "x"}, config.Worker, "environment: ROLLCALL_INSECURE_NO_TOKENS: it and ROLLCALL_TOKENS_FILE exclude each other"},
		{"truth", map[string]string{"STRICT_FILES": "maybe"}, config.Worker, "environment: ROLLCALL_STRICT_FILES: want true or false"},
		{"duration", map[string]string{"OBJECT_WAIT": "20"}, config.Worker, "environment: ROLLCALL_OBJECT_WAIT: want a duration such as 20s"},
		{"several", map[string]string{"OBJECT_WAIT": "1h", "LISTEN": "8080", "METRICS_LISTEN": "x", "LOG_LEVEL": "loud", "LOG_FORMAT": "xml"}, config.Worker, `environment: ROLLCALL_LISTEN: "8080": want host:port such as 127.0.0.1:8080, or :8080 for all interfaces
environment: ROLLCALL_METRICS_LISTEN: "x": want host:port such as 127.0.0.1:8080, or :8080 for all interfaces, or off
environment: ROLLCALL_LOG_LEVEL: "loud": want debug, info, warn or error
environment: ROLLCALL_LOG_FORMAT: "xml": want json or text
environment: ROLLCALL_OBJECT_WAIT: 1h0m0s: want 0s to 5m`},
		{"redis scheme", map[string]string{"REDIS_URL": "http://:hunter2@127.0.0.1"}, config.Worker, "environment: ROLLCALL_REDIS_URL: want redis://, rediss://, redis-cluster://, redis-sentinel:// or embedded:"},
		{"redis host", map[string]string{"REDIS_URL": "redis:///0"}, config.Worker, "environment: ROLLCALL_REDIS_URL: names no host"},
		{"redis URL", map[string]string{"REDIS_URL": "redis://:hunter2@h:port"}, config.Worker, "environment: ROLLCALL_REDIS_URL: is no URL"},
		{"sentinel", map[string]string{"REDIS_URL": "redis-sentinel://h:26379"}, config.Worker, "environment: ROLLCALL_REDIS_URL: names no master: add ?master_name="},
		{"embedded", map[string]string{"REDIS_URL": "embedded:"}, config.Worker, ""},
		{"cluster", map[string]string{"REDIS_URL": "redis-cluster://h:7000?addr=h:7001"}, config.Worker, ""},
		{"metrics off", map[string]string{"METRICS_LISTEN": "off"}, config.Worker, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			setenv(t, test.vars)
			_, _, err := config.LoadProcess(test.role)
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
	setenv(t, map[string]string{"OBJECT_WIAT": "1s", "LDAP_SECRET": "x"})
	_, warnings, err := config.LoadProcess(config.Worker)
	want := []string{"environment: ROLLCALL_OBJECT_WIAT: unknown variable: did you mean ROLLCALL_OBJECT_WAIT?"}
	if diff := cmp.Diff(want, warnings); diff != "" || err != nil {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}
}
