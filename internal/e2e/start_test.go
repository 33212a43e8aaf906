package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// ends starts a program that has to refuse to run, and returns the lines that it prints.
func ends(t *testing.T, name string, env ...string) []string {
	t.Helper()
	p := spawn(t, name, env...)
	select {
	case <-p.done:
	case <-time.After(2 * time.Minute):
		p.kill()
		t.Fatalf("%s still runs after two minutes", name)
	}
	text, err := os.ReadFile(p.log)
	if err != nil {
		t.Fatal(err)
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 1 {
		t.Errorf("%s ended with %d, want 1: %s", name, code, text)
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// complains fails the test unless each text is on a line of its own, and there is no line without one of them.
func complains(t *testing.T, name string, lines []string, want [][]string) {
	t.Helper()
	for _, texts := range want {
		if !slices.ContainsFunc(lines, func(l string) bool { return hasAll(l, texts...) }) {
			t.Errorf("%s: no line has %q:\n%s", name, texts, strings.Join(lines, "\n"))
		}
	}
	for _, l := range lines {
		if !slices.ContainsFunc(want, func(texts []string) bool { return hasAll(l, texts...) }) {
			t.Errorf("%s says more than was expected: %s", name, l)
		}
	}
	if len(lines) != len(want) {
		t.Errorf("%s printed %d lines, want %d:\n%s", name, len(lines), len(want), strings.Join(lines, "\n"))
	}
}

const badConfiguration = `sources:
  ldap:
    - slug: corp
      server_uri: ldap://127.0.0.1:3890
      base_dn: dc=example,dc=org
      user_object_filter: (objectClass=inetOrgPerson
      scheduel: "*/15 * * * *"
    - slug: corp
      server_uri: ldap://127.0.0.1:3890
      base_dn: dc=example,dc=org
      bind_cn: cn=admin,dc=example,dc=org
      bind_password_file: nowhere
      schedule: every day
providers:
  google_workspace:
    - id: one
      name: Example tenant
      sources: [crop]
      delegated_subject: admin@example.org
      credentials_file: missing.json
      default_group_email_domain: example.org
      user_property_mappings:
        organizations.title: ldap.title +
`

// A configuration with mistakes is refused with one line each, all at once, that say where.
func TestBadStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "rollcall.yaml")
	if err := os.WriteFile(file, []byte(badConfiguration), 0o600); err != nil {
		t.Fatal(err)
	}
	want := [][]string{
		{"rollcall.yaml:6:", "user_object_filter"}, {"rollcall.yaml:7:", "scheduel", "schedule"},
		{"rollcall.yaml:8:", "slug", "line 3"},
		{"rollcall.yaml:12:", "bind_password_file", "nowhere"}, {"rollcall.yaml:13:", "schedule", "every day"},
		{"rollcall.yaml:16:", "id"},
		{"rollcall.yaml:18:", "crop", "corp"}, {"rollcall.yaml:20:", "credentials_file", "missing.json"},
		{"rollcall.yaml:23:", "organizations.title"},
	}
	for _, name := range []string{"api", "worker"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := want
			if name == "api" { // It reads no secret file.
				want = slices.DeleteFunc(slices.Clone(want), func(texts []string) bool {
					return strings.HasSuffix(texts[1],
						"_file")
				})
			}
			complains(t, name, ends(t, name, "ROLLCALL_CONFIG="+file, "ROLLCALL_INSECURE_NO_TOKENS=true"), want)
			complains(t, name, ends(t, name, "ROLLCALL_CONFIG="+filepath.Join(dir, "none.yaml")),
				[][]string{{"none.yaml", "no such file"}})
			complains(t, name, ends(t, name, "ROLLCALL_REDIS_URL=http://user:pass-word@x", "ROLLCALL_LOG_LEVEL=loud",
				"ROLLCALL_LISTEN=8080"), [][]string{
				{"ROLLCALL_REDIS_URL", "redis://"}, {"ROLLCALL_LOG_LEVEL", "loud"}, {"ROLLCALL_LISTEN", "8080"},
			})
		})
	}
}

// A process that cannot do its work, or would grant access without a token, does not start.
func TestRefusesToStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{workers: -1})
	with := func(changes ...string) []string { return append(slices.Clone(w.env), changes...) }
	for _, tc := range []struct {
		what, program string
		env           []string
		want          []string
	}{
		{"no tokens file", "api", with("ROLLCALL_TOKENS_FILE="),
			[]string{"ROLLCALL_TOKENS_FILE", "is not set", "ROLLCALL_INSECURE_NO_TOKENS"}},
		{"a tokens file that is missing", "api", with("ROLLCALL_TOKENS_FILE=/none"),
			[]string{"ROLLCALL_TOKENS_FILE", "/none"}},
		{"embedded Redis, api", "api", with("ROLLCALL_REDIS_URL=embedded:"),
			[]string{"ROLLCALL_REDIS_URL", "one process", "rollcall demo"}},
		{"embedded Redis, worker", "worker", with("ROLLCALL_REDIS_URL=embedded:"),
			[]string{"ROLLCALL_REDIS_URL", "one process", "rollcall demo"}},
		{"Redis is down, api", "api", with("ROLLCALL_REDIS_URL=redis://127.0.0.1:1"),
			[]string{"redis", "127.0.0.1:1", "connection refused"}},
		{"Redis is down, worker", "worker", with("ROLLCALL_REDIS_URL=redis://127.0.0.1:1"),
			[]string{"redis", "127.0.0.1:1", "connection refused"}},
		{"the address is taken", "api", with("ROLLCALL_LISTEN=" + strings.TrimPrefix(w.base, "http://")),
			[]string{"address already in use"}},
	} {
		t.Run(tc.what, func(t *testing.T) {
			t.Parallel()
			lines := ends(t, tc.program, tc.env...)
			if last := lines[len(lines)-1]; !hasAll(last, append(tc.want, tc.program+":")...) {
				t.Errorf("it says %q, want %q", last, tc.want)
			}
		})
	}
}
