package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rollcall/simulator/googleworkspace"
)

// The other tool makes one of the planned accounts as wanted, and one that Rollcall would not have made.
func TestShadow(t *testing.T) {
	t.Parallel()
	p := newPreviewed(t)
	p.write("rollcall.yaml", strings.Replace(p.text, "    - id: 1\n", "    - id: 1\n      adoption: by_address\n", 1))
	dir := filepath.Join(p.dir, "shadow")
	shadow := func(name string, args ...string) string {
		t.Helper()
		code, stdout, stderr := alone(t, nil, append([]string{"shadow", name, dir, "--config",
			filepath.Join(p.dir, "rollcall.yaml")}, args...)...)
		if (code == 0) != (name == "google_workspace:1") {
			t.Errorf("shadow %s ended with %d: %s", name, code, stderr)
		}
		return stdout + stderr
	}
	if got := shadow("google_workspace:1"); !strings.HasPrefix(got, "1 dry run is kept") {
		t.Errorf("after one dry run: %s", got)
	}
	for _, name := range []string{"p0", "stranger"} {
		if _, err := p.tenant.AddUser(googleworkspace.User{PrimaryEmail: name + "@example.com", GivenName: "P0",
			FamilyName: "Person"}); err != nil {
			t.Fatal(err)
		}
	}
	got := shadow("google_workspace:1")
	for _, want := range []string{
		"2 dry runs from ", "1 changes were planned, and the other tool made them\n  create user p0: planned ",
		"8 changes are planned, and the other tool has not made them\n  create group team: planned since ",
		"1 changes were made by the other tool, and Rollcall would not have made them\n  created user " +
			"stranger@example.com, for which Rollcall has no entry: seen ", "0 changes were planned and are no longer wanted\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the report lacks %q:\n%s", want, got)
		}
	}
	if again := shadow("google_workspace:1", "--report"); again != got {
		t.Errorf("--report = %s, want %s", again, got)
	}
	if n := len(p.tenant.Users()); n != 3 {
		t.Errorf("the account has %d users, want the administrator and two", n)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 2 {
		t.Fatalf("%d files, %v; want one for each dry run", len(files), err)
	}
	if info, err := files[0].Info(); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("a file with names has the mode %v, %v", info.Mode(), err)
	}
	if got := shadow("ldap:corp"); !strings.Contains(got, "ldap:corp is no provider") {
		t.Errorf("shadow of a source says %s", got)
	}
}
