package secret_test

import (
	"errors"
	"strings"
	"testing"

	"rollcall/internal/secret"
)

func TestScrub(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"dial tcp 10.0.0.1:389: connection refused":                 "dial tcp 10.0.0.1:389: connection refused",
		"409 duplicate: Entity already exists: ada@example.org.":    "409 duplicate: Entity already exists: <address>",
		`the address "zoë.o-brien+x@example.org" is taken`:          `the address "<address>" is taken`,
		"redis://:hunter2@10.0.0.1: timeout":                        "redis://:<address>: timeout",
		`search "uid=ada,ou=people,dc=example,dc=org": busy`:        `search "<name>": busy`,
		"no such object (CN=Zoë O'Brien\\, Jr.,OU=People,DC=x): 32": "no such object (<name>): 32",
		"read source: uid=ada,ou=people is referred":                "read source: <name>",
		"run is running, epoch=3, foo=bar":                          "run is running, epoch=3, foo=bar",
	} {
		if got := secret.Scrub(text); got != want {
			t.Errorf("Scrub(%q) = %q, want %q", text, got, want)
		}
	}
}

// TestPanic checks that the log has the text of a runtime error, and no value of any other panic.
func TestPanic(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		panics func()
		want   string
	}{
		"index":      {func() { _ = []int{}[len(name())] }, "index out of range"},
		"nil":        {func() { var p *struct{ X int }; p.X = 1 }, "nil pointer"},
		"conversion": {func() { var v any = "hunter2"; _ = v.(int) }, "interface {} is string, not int"},
		"text":       {func() { panic("hunter2") }, "a string"},
		"error":      {func() { panic(errors.New("hunter2")) }, "a *errors.errorString"},
	} {
		func() {
			defer func() {
				if got := secret.Panic(recover()); !strings.Contains(got, tc.want) || strings.Contains(got, "hunter2") {
					t.Errorf("%s: Panic() = %q, want %q", name, got, tc.want)
				}
			}()
			tc.panics()
		}()
	}
}

func name() string { return "x" }
