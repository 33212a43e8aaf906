package config_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollcall/internal/config"
	"rollcall/plan"
)

var update = flag.Bool("update", false, "rewrite the golden files and docs/configuration.md")

// place puts a configuration and the secrets that it may name into a new directory, and returns the file's path.
func place(t testing.TB, text string) string {
	t.Helper()
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"ldap": 0o600, "google.json": 0o600, "empty": 0o600, "writable": 0o666,
		"readable": 0o644} {
		path := filepath.Join(dir, "secrets", name)
		content := "secret\n"
		if name == "empty" {
			content = ""
		}
		write(t, path, content, mode)
	}
	path := filepath.Join(dir, "rollcall.yaml")
	write(t, path, text, 0o644)
	return path
}

func write(t testing.TB, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // past the umask
		t.Fatal(err)
	}
}

func read(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// load loads a configuration; messages are relative to its directory.
func load(t testing.TB, text string, opts config.Options) (*config.Config, []string, string) {
	t.Helper()
	path := place(t, text)
	if opts.Getenv == nil {
		opts.Getenv = func(string) string { return "" }
	}
	c, warnings, err := config.Load(path, opts)
	here := func(s string) string { return strings.ReplaceAll(s, filepath.Dir(path)+"/", "") }
	for i := range warnings {
		warnings[i] = here(warnings[i])
	}
	if err != nil {
		return c, warnings, here(err.Error())
	}
	return c, warnings, ""
}

func TestGoodSample(t *testing.T) {
	t.Parallel()
	c, warnings, problems := load(t, read(t, "testdata/good.yaml"), config.Options{Strict: true})
	if problems != "" || len(warnings) != 0 {
		t.Fatalf("Load() = %s, warnings %q", problems, warnings)
	}
	s, p := c.Sources.LDAP[0], c.Providers[0]
	if !s.Enabled || !s.SyncUsers || s.Slug != "corp" || s.Schedule != "*/15 * * * *" || s.PageSize != 1000 {
		t.Errorf("source = %+v", s)
	}
	if string(s.BindPasswordFile) != filepath.Join(filepath.Dir(c.File), "secrets/ldap") {
		t.Errorf("bind_password_file = %q, want it absolute", s.BindPasswordFile)
	}
	if p.ID != 1 || !p.On() || p.Schedule != config.AfterSource || p.UserDeleteAction != plan.ActionSuspend ||
		!*p.Enabled || p.Mapping == nil || *p.DeleteAfter != 720*time.Hour || !slices.Equal(p.Sources, []string{"corp"}) {
		t.Errorf("provider = %+v", p)
	}
}

func TestBadFiles(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) < 50 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	var got strings.Builder
	for _, file := range files {
		_, _, problems := load(t, read(t, file), config.Options{})
		if problems == "" {
			t.Errorf("%s is accepted", file)
		}
		fmt.Fprintf(&got, "%s\n", filepath.Base(file))
		for line := range strings.Lines(problems + "\n") {
			got.WriteString("    " + line)
		}
	}
	golden(t, "testdata/bad.golden", got.String())
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(read(t, path), got); diff != "" {
		t.Errorf("%s is stale; if the change is meant, run the test with -update (-file +got)\n%s", path, diff)
	}
}
