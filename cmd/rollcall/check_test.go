package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"rollcall/internal/redistest"
	"rollcall/simulator/scim"
)

// checked writes a configuration with one source, an export, and returns its path.
func checked(t *testing.T, export string) string {
	t.Helper()
	people := filepath.Join(t.TempDir(), "people.ldif")
	if err := os.WriteFile(people, []byte(export), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "rollcall.yaml")
	text := fmt.Sprintf("sources:\n  ldap:\n    - slug: corp\n      server_uri: file://%s\n      base_dn: "+
		"dc=example,dc=com\n"+
		"      object_uniqueness_field: entryUUID\n", people)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// closed returns an address where nothing listens.
func closed(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return l.Addr().String()
}

// A missing Redis is named with its consequence, and with --no-redis it is no failure. Other failures still are.
func TestCheckWithoutRedis(t *testing.T) {
	t.Parallel()
	const note = "redis: not reachable; needed for syncs, not for `plan`\n"
	good := checked(t, "dn: dc=example,dc=com\nobjectClass: domain\ndc: example\nentryUUID: "+
		"8d5c0f5e-0000-4000-8000-000000000001\n")
	bad := checked(t, "this is no export\n")
	gone := "redis://" + closed(t) + "/0"
	there, _ := redistest.TCP(t)
	locked, _ := redistest.TCP(t)
	rdb := redis.NewClient(&redis.Options{Addr: locked})
	t.Cleanup(func() { _ = rdb.Close() })
	if err := rdb.ConfigSet(t.Context(), "requirepass", "hunter2").Err(); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, file, redis string
		args              []string
		code              int
		want, never       string
	}{
		{"missing", good, gone, nil, 1, note + "redis: FAILED: no answer: ", ""},
		{"missing and not needed", good, gone, []string{"--no-redis"}, 0, note + "ldap:corp: ", "FAILED"},
		{"missing and not needed, and the export is damaged", bad, gone, []string{"--no-redis"}, 1, "ldap:corp: FAILED: ",
			"redis: FAILED"},
		{"there and not needed", good, "redis://" + there + "/0", []string{"--no-redis"}, 0, "redis: ok\n", "not reachable"},
		{"there and refusing", good, "redis://" + locked + "/0", []string{"--no-redis"}, 1, "redis: FAILED: ",
			"not reachable"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"check", "--config", test.file}, test.args...)
			code, stdout, stderr := alone(t, map[string]string{"ROLLCALL_REDIS_URL": test.redis}, args...)
			if code != test.code || !strings.Contains(stdout, test.want) || test.never != "" &&
				strings.Contains(stdout, test.never) {
				t.Errorf("check ended with %d and said\n%s%s\nwant %d, %q and no %q", code, stdout, stderr, test.code, test.want,
					test.never)
			}
		})
	}
}

// TestCheckAsJSON: each finding has its container, level and text, and the exit code is that of the lines.
func TestCheckAsJSON(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, export string
		code         int
		want         finding
	}{
		{"nothing below the base", "dn: dc=example,dc=com\nobjectClass: domain\ndc: example\n\n", 0,
			finding{"ldap:corp", levelWarning, "no users below dc=example,dc=com match (objectClass=person)"}},
		{"a source without changes", "dn: dc=example,dc=com\nobjectClass: domain\ndc: example\n\n", 0,
			finding{"ldap:corp", levelOK, "changes between full reads are not noticed: a file tells no changes"}},
		{"people without an id", "dn: cn=ada,dc=example,dc=com\nobjectClass: person\ncn: ada\nsn: king\n\n", 1,
			finding{"ldap:corp", levelFailed, "1 of 1 users have no usable entryUUID"}},
	} {
		code, stdout, _ := alone(t, nil, "check", "--config", checked(t, test.export), "--json", "ldap:corp")
		var got struct {
			OK     bool      `json:"ok"`
			Checks []finding `json:"checks"`
		}
		if err := json.Unmarshal([]byte(stdout), &got); err != nil {
			t.Fatalf("%s: %v\n%s", test.name, err, stdout)
		}
		has := slices.ContainsFunc(got.Checks, func(f finding) bool {
			return f.Container == test.want.Container && f.Level == test.want.Level && strings.Contains(f.Text, test.want.Text)
		})
		if code != test.code || got.OK != (code == 0) || !has {
			t.Errorf("%s: exit code %d, %+v, want %d and %+v", test.name, code, got, test.code, test.want)
		}
	}
}

// TestCheckProbesAServer asks a SCIM server how it behaves, and only where that is wanted.
func TestCheckProbesAServer(t *testing.T) {
	t.Parallel()
	tenant := scim.New(scim.Config{Behaviours: scim.Behaviours{NoPatch: true}})
	server := httptest.NewServer(tenant.Handler())
	t.Cleanup(server.Close)
	file := checked(t, "dn: dc=example,dc=com\nobjectClass: domain\ndc: example\nentryUUID: "+
		"8d5c0f5e-0000-4000-8000-000000000001\n")
	if err := os.WriteFile(filepath.Join(filepath.Dir(file), "token"), []byte(tenant.Token()), 0o600); err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(file)
	const section = "providers:\n  scim:\n    - {id: 1, name: Server, profile: %s, endpoint: %q, token_file: token}\n%s"
	configure := func(name, profile string) {
		text := fmt.Appendf(slices.Clone(source), section, name, server.URL+"/scim/v2", profile)
		if err == nil {
			err = os.WriteFile(file, text, 0o600)
		}
	}
	profile := ""
	configure("generic", profile)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args   []string
		code   int
		writes bool
		want   string
	}{
		{[]string{"scim:1"}, 0, false, "scim:1: users can be listed, 0 in all\n"},
		{[]string{"scim:1", "--probe"}, 0, true,
			"\nprofiles:\n  scim:\n    server-1:\n      like: generic\n      update: put\n"},
		{[]string{"--probe"}, 2, false, "--probe needs a provider"},
		{[]string{"ldap:corp", "--probe"}, 2, false, "--probe is for providers"},
		{[]string{"scim:2"}, 2, false, "known are redis, ldap:corp, scim:1"},
	} {
		tenant.ResetCalls()
		code, stdout, stderr := alone(t, nil, append([]string{"check", "--config", file}, test.args...)...)
		if code != test.code || !strings.Contains(stdout+stderr, test.want) || tenant.Calls().Writes > 0 != test.writes {
			t.Errorf("check %v = %d with %d writes: %s%s, want %d and %q", test.args, code, tenant.Calls().Writes, stdout,
				stderr, test.code, test.want)
		}
		if _, printed, ok := strings.Cut(stdout, "\nprofiles:\n"); ok {
			profile, _, _ = strings.Cut("profiles:\n"+printed, "scim:1: ok")
		}
	}
	if configure("server-1", profile); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := alone(t, nil, "check", "--config", file, "scim:1")
	if want := "profile server-1: changes by PUT"; code != 0 || !strings.Contains(stdout, want) {
		t.Errorf("check with the printed profile = %d: %s%s, want %q, in\n%s", code, stdout, stderr, want, profile)
	}
}
