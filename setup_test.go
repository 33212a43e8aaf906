package rollcall_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// machine is a directory of programs that is all that tools/setup sees, apart from the system's own servers.
type machine struct {
	*testing.T
	bin, log string
}

// newMachine has every program that the tests need, and no way to install one.
func newMachine(t *testing.T) *machine {
	t.Helper()
	if _, err := os.ReadFile("tools/setup"); err != nil { // The cache of test results notes the files that a test reads.
		t.Fatal(err)
	}
	m := &machine{T: t, bin: t.TempDir(), log: filepath.Join(t.TempDir(), "log")}
	for _, name := range []string{"sh", "awk", "cat"} {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(path, filepath.Join(m.bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	m.program("id", "echo 1000")
	for _, name := range []string{
		"go", "git", "redis-server", "slapd", "slapadd", "ldapsearch", "prometheus", "promtool", "alertmanager",
		"google-chrome",
	} {
		m.program(name, "")
	}
	return m
}

func (m *machine) program(name, script string) {
	m.Helper()
	if err := os.WriteFile(filepath.Join(m.bin, name), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
		m.Fatal(err)
	}
}

func (m *machine) without(name string) {
	m.Helper()
	if err := os.Remove(filepath.Join(m.bin, name)); err != nil {
		m.Fatal(err)
	}
}

// setup runs tools/setup and returns its exit code, its output, and the commands that were run through sudo.
func (m *machine) setup(targets ...string) (code int, said string, asRoot []string) {
	m.Helper()
	var out bytes.Buffer
	cmd := exec.CommandContext(m.Context(), "tools/setup", targets...)
	cmd.Env, cmd.Stdout, cmd.Stderr = []string{"PATH=" + m.bin}, &out, &out
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		m.Fatal(err)
	}
	log, err := os.ReadFile(m.log)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		m.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), strings.Split(strings.TrimSpace(string(log)), "\n")
}

func TestSetupIsSilentWhereEverythingIsThere(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.program("apt-get", "exit 9")
	if code, said, _ := m.setup("test"); code != 0 || said != "" {
		t.Errorf("setup ended with %d and said %q, want 0 and nothing", code, said)
	}
}

func TestSetupInstallsWithApt(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.program("apt-get", "exit 9")
	m.without("redis-server")
	m.without("ldapsearch")
	m.program("sudo", `echo "$*" >>`+m.log+`
case "$*" in *" install "*) for name in redis-server ldapsearch; do
echo >`+m.bin+`/$name; /bin/chmod 755 `+m.bin+`/$name; done ;; esac`)
	code, said, asRoot := m.setup("test")
	if code != 0 || said != "tools/setup: installing redis-server ldap-utils\n" {
		t.Errorf("setup ended with %d and said %q", code, said)
	}
	update := slices.IndexFunc(asRoot, func(line string) bool { return strings.HasSuffix(line, " update") })
	install := slices.IndexFunc(asRoot, func(line string) bool {
		return strings.HasSuffix(line, " install -y --no-install-recommends redis-server ldap-utils")
	})
	if update < 0 || install < update {
		t.Errorf("as root: %q, want an update and then the two packages", asRoot)
	}
	// A policy that was there before stays. One of ours comes before the packages and goes with the end.
	if _, err := os.Stat("/usr/sbin/policy-rc.d"); err != nil && (asRoot[0] != "tee /usr/sbin/policy-rc.d" ||
		asRoot[len(asRoot)-1] != "rm -f /usr/sbin/policy-rc.d") {
		t.Errorf("as root: %q, want services kept from starting meanwhile", asRoot)
	}
}

func TestSetupNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		has     map[string]string
		targets []string
		lacks   string
		want    []string
	}{
		{"Homebrew", map[string]string{"brew": ""}, []string{"test"}, "redis-server",
			[]string{"missing: redis-server", "brew install redis"}},
		{"dnf", map[string]string{"dnf": ""}, []string{"race", "test"}, "ldapsearch",
			[]string{"missing: ldapsearch", "dnf install openldap-clients"}},
		{"neither", nil, []string{"test"}, "redis-server", []string{"missing: redis-server",
			"packages in Debian: redis-server"}},
		{"apt without sudo", map[string]string{"apt-get": ""}, []string{"test"}, "redis-server",
			[]string{"as root: apt-get install --no-install-recommends redis-server"}},
		{"apt that fails", map[string]string{"apt-get": "", "sudo": "exit 1"}, []string{"test"}, "redis-server",
			[]string{"apt-get failed", "missing: redis-server"}},
		{"no package", map[string]string{"brew": ""}, []string{"test"}, "alertmanager",
			[]string{"missing: prometheus-alertmanager", "https://prometheus.io/download/"}},
		{"Go", map[string]string{"apt-get": "exit 9"}, []string{"test"}, "go", []string{"missing: go", "https://go.dev/dl/"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			m.without(test.lacks)
			for name, script := range test.has {
				m.program(name, script)
			}
			if test.name == "dnf" {
				m.program("cc", "")
				m.program("xcrun", "")
			}
			code, said, _ := m.setup(test.targets...)
			if code != 1 {
				t.Errorf("setup ended with %d, want 1", code)
			}
			for _, want := range test.want {
				if !strings.Contains(said, want) {
					t.Errorf("setup said\n%s\nwant %q", said, want)
				}
			}
			if strings.Contains(said, "Go is at") != (test.lacks == "go") {
				t.Errorf("setup said\n%s\nabout Go", said)
			}
		})
	}
}

// What another target needs is no concern of this one.
func TestSetupAsksForTheNamedTargets(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.without("redis-server")
	m.program("node", "")
	m.program("npm", "")
	if code, said, _ := m.setup("npm"); code != 0 || said != "" {
		t.Errorf("setup ended with %d and said %q, want 0 and nothing", code, said)
	}
}
