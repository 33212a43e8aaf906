package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The tests of docker-compose.yml in deploy start programs; here is what they do not come by.

func TestTheDemonstrationHasADatabaseOfItsOwn(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"redis://redis:6379/0": "redis://redis:6379/1",
		"redis://redis:6379":   "redis://redis:6379/1",
		"redis://redis:6379/3": "redis://redis:6379/3",
	} {
		if got := otherDatabase(url); got != want {
			t.Errorf("otherDatabase(%q) = %q, want %q", url, got, want)
		}
	}
}

func TestAVariableIsSetOnce(t *testing.T) {
	t.Parallel()
	got := with([]string{"A=1", "AB=2", "C=3"}, []string{"A=9", "D=4"})
	slices.Sort(got)
	if diff := cmp.Diff([]string{"A=9", "AB=2", "C=3", "D=4"}, got); diff != "" {
		t.Errorf("with() (-want +got)\n%s", diff)
	}
}

func TestStartRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"rollcall.yaml", "tokens"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	vars := map[string]string{"ROLLCALL_CONFIG": filepath.Join(dir, "rollcall.yaml"),
		"ROLLCALL_TOKENS_FILE": filepath.Join(dir, "tokens")}
	for _, test := range []struct {
		name string
		vars map[string]string
		args []string
		code int
		says string
	}{
		{"no program", vars, nil, 2, "requires at least 1 arg"},
		{"an unknown program", vars, []string{"not-there"}, 2, "not-there"},
		{"no password file", map[string]string{"ROLLCALL_REDIS_PASSWORD_FILE": filepath.Join(dir, "not")}, []string{"true"},
			1, "ROLLCALL_REDIS_PASSWORD_FILE: open"},
		{"no tokens", map[string]string{"ROLLCALL_TOKENS_FILE": filepath.Join(dir, "not")},
			[]string{"--from", "./here", "true"}, 1, "hash goes to ./here/not"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			all := map[string]string{"ROLLCALL_CONFIG": vars["ROLLCALL_CONFIG"]}
			maps.Copy(all, test.vars)
			code, _, stderr := alone(t, all, append([]string{"start"}, test.args...)...)
			if code != test.code || !strings.Contains(stderr, test.says) {
				t.Errorf("start ended with %d and said %q, want %d and %q", code, stderr, test.code, test.says)
			}
		})
	}
}
