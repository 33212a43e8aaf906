package boot_test

import (
	"encoding/pem"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rollcall/decisions"
	"rollcall/directory"
	"rollcall/fault"
	"rollcall/internal/boot"
	"rollcall/internal/config"
	"rollcall/internal/redistest"
	"rollcall/internal/secret"
	"rollcall/internal/testclock"
	"rollcall/plan"
)

// signs opens a process and returns its decisions, and what it logged.
func signs(t *testing.T, p config.Process) (*decisions.Store, *strings.Builder) {
	t.Helper()
	said := &strings.Builder{}
	app, err := boot.With(t.Context(), p, &config.Config{}, os.Getenv, slog.New(slog.NewTextHandler(said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(app.Close)
	return app.Decisions, said
}

// onePin stores a pin and returns how many a second process reads.
func onePin(t *testing.T, first, second *decisions.Store) int {
	t.Helper()
	pin := plan.Pin{Ref: directory.Ref{Kind: directory.User, ID: "ann"}, Account: plan.StandsActive}
	if err := first.Pin(t.Context(), "google_workspace:1", []plan.Pin{pin}, nil); err != nil {
		t.Fatal(err)
	}
	kept, err := second.Kept(t.Context(), "google_workspace:1")
	if err != nil {
		t.Fatal(err)
	}
	return len(kept.Pins)
}

// TestTheKeyThatSigns cannot run in parallel, because the folder of a user is in the environment.
func TestTheKeyThatSigns(t *testing.T) {
	home := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", home)
	t.Setenv("HOME", home)
	p := config.Process{RedisURL: redistest.URL(t), Config: filepath.Join(t.TempDir(), "rollcall.yaml")}
	var apps [4]*decisions.Store
	var all sync.WaitGroup
	for i := range apps {
		all.Go(func() { apps[i], _ = signs(t, p) })
	}
	all.Wait()
	if n := onePin(t, apps[0], apps[3]); n != 1 {
		t.Errorf("processes that start at once: %d pins, want the one", n)
	}
	// Another user has another key of its own. Its processes stand aside, and check makes no key.
	home2 := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", home2)
	t.Setenv("HOME", home2)
	if found := boot.Hardening(p, &config.Config{}); !slices.ContainsFunc(found, func(f boot.Finding) bool {
		return f.Point == "decisions on Redis are signed" && f.Do != ""
	}) {
		t.Errorf("without a key the hardening is %+v", found)
	}
	if files, err := os.ReadDir(home2); err != nil || len(files) > 0 {
		t.Errorf("the check of the hardening makes %v, %v", files, err)
	}
	second, warned := signs(t, p)
	if kept, err := second.Kept(t.Context(), "google_workspace:1"); err != nil || len(kept.Pins) > 0 ||
		!strings.Contains(kept.Broken, "with another key") || !strings.Contains(warned.String(), "stands aside") ||
		!strings.Contains(warned.String(), home) || !strings.Contains(warned.String(), home2) ||
		!strings.Contains(warned.String(), "ROLLCALL_DECISIONS_KEY_FILE") {
		t.Errorf("another key of its own: %+v, %v, the log: %s", kept, err, warned)
	}
	if err := second.Pin(t.Context(), "google_workspace:2", []plan.Pin{{}}, nil); fault.KindOf(err) != fault.Unavailable ||
		!strings.Contains(err.Error(), home2) {
		t.Errorf("a process that stands aside decides: %v", err)
	}
	for _, probe := range boot.Probes(p, &config.Config{}, os.Getenv) {
		if lines, err := probe.Try(t.Context()); err != nil || !strings.Contains(strings.Join(lines, "\n"), home2) {
			t.Errorf("check says %q, %v, want the other key", lines, err)
		}
	}
	var made []string
	err := filepath.WalkDir(home, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		made = append(made, d.Name()+" "+info.Mode().String())
		return err
	})
	if err != nil || len(made) != 1 || made[0] != "decisions.key -rw-------" {
		t.Errorf("the files are %q, %v, want one key that only its owner can read", made, err)
	}

	// A key beside the configuration goes before it, and one that is named before that. It is read again.
	named := p
	named.DecisionsKeyFile = secret.File(filepath.Join(t.TempDir(), "key"))
	oldKey, newKey := strings.Repeat("old-key-", 8), strings.Repeat("new-key-", 8)
	write(t, filepath.Join(filepath.Dir(p.Config), "decisions.key"), oldKey)
	write(t, string(named.DecisionsKeyFile), oldKey)
	p.RedisURL = redistest.URL(t)
	named.RedisURL = p.RedisURL
	beside, _ := signs(t, p)
	other, said := signs(t, named)
	if n := onePin(t, beside, other); n != 1 {
		t.Errorf("the same key in two files: %d pins, want the one", n)
	}
	write(t, string(named.DecisionsKeyFile), newKey+"\n"+oldKey)
	if n := onePin(t, other, other); n != 1 {
		t.Errorf("a new key before the old one: %d pins, want the one", n)
	}
	write(t, string(named.DecisionsKeyFile), "short")
	if n := onePin(t, other, other); n != 1 || !strings.Contains(said.String(), "the earlier one stays in use") {
		t.Errorf("a broken file: %d pins, want the one; the log: %s", n, said)
	}
	if _, err := boot.With(t.Context(), named, &config.Config{}, os.Getenv, slog.New(slog.DiscardHandler)); err == nil ||
		!strings.Contains(err.Error(), "ROLLCALL_DECISIONS_KEY_FILE") || strings.Contains(err.Error(), oldKey) {
		t.Errorf("With() = %v, want the file refused", err)
	}
}

// The certificate of Redis is verified by its authority, and Redis verifies ours.
func TestRedisWithTLS(t *testing.T) {
	t.Parallel()
	ours, dir := newIssuer(t), t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	ours.issue(t, 2, file("server"), file("server.key"))
	ours.issue(t, 3, file("client"), file("client.key"))
	write(t, file("ca"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ours.cert.Raw})))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	redistest.TCP(t, "--tls-port", port, "--tls-cert-file", file("server"), "--tls-key-file", file("server.key"),
		"--tls-ca-cert-file", file("ca"), "--requirepass", "")
	full := config.Process{RedisURL: "rediss://127.0.0.1:" + port, RedisCAFile: file("ca"), RedisCertFile: file("client"),
		RedisKeyFile: secret.File(file("client.key"))}
	for name, test := range map[string]struct {
		change func(p *config.Process)
		want   string
	}{
		"all files":    {func(*config.Process) {}, ""},
		"no authority": {func(p *config.Process) { p.RedisCAFile = "" }, "unknown authority"},
		"no client certificate": {
			func(p *config.Process) { p.RedisCertFile, p.RedisKeyFile = "", "" }, "certificate required"},
		"no such authority":     {func(p *config.Process) { p.RedisCAFile = file("none") }, "ROLLCALL_REDIS_CA_FILE"},
		"a key as an authority": {func(p *config.Process) { p.RedisCAFile = file("client.key") }, "has no certificate"},
		"another key": {func(p *config.Process) { p.RedisKeyFile = secret.File(file("server.key")) },
			"ROLLCALL_REDIS_KEY_FILE"},
	} {
		p := full
		test.change(&p)
		// A server may end the connection before its reason arrives.
		testclock.Eventually(t, time.Minute, name+": "+test.want, func() bool {
			_, done, err := boot.Connect(t.Context(), p, slog.New(slog.DiscardHandler))
			if err == nil {
				done()
				return test.want == ""
			}
			return test.want != "" && strings.Contains(err.Error(), test.want)
		})
	}
}
