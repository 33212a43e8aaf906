package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rollcall/internal/config"
	"rollcall/provider/all"
)

// adExport is what ldifde writes of a small domain.
const adExport = `dn: CN=Ada King,OU=Staff,DC=ad,DC=example,DC=test
changetype: add
objectClass: top
objectClass: person
objectClass: user
cn: Ada King
sn: King
mail: ada@example.com
title: Engineer
manager: CN=Scan,OU=Staff,DC=ad,DC=example,DC=test
objectGUID:: ABEiM0RVZneImaq7zN3u/w==
userAccountControl: 512
accountExpires: 0
sAMAccountName: ada
sAMAccountType: 805306368

dn: CN=Scan,OU=Staff,DC=ad,DC=example,DC=test
changetype: add
objectClass: top
objectClass: person
objectClass: user
cn: Scan
objectGUID:: ABEiM0RVZneImaq7zN3u/g==
userAccountControl: 514
accountExpires: 0
sAMAccountName: svc-scan
sAMAccountType: 805306368

dn:: Q049QWRhIEtvbmcsT1U9w5ZmZmVudGxpY2gsREM9YWQsREM9ZXhhbXBsZSxEQz10ZXN0
changetype: add
objectClass: top
objectClass: person
objectClass: user
cn: Ada Kong
sn: Kong
givenName: Ada
mail: Ada@Example.com
objectGUID:: ABEiM0RVZneImaq7zN3u+w==
userAccountControl: 512
accountExpires: 0
sAMAccountName: adak
sAMAccountType: 805306368

dn: CN=Domain Users,CN=Users,DC=ad,DC=example,DC=test
changetype: add
objectClass: top
objectClass: group
cn: Domain Users
isCriticalSystemObject: TRUE
objectGUID:: ABEiM0RVZneImaq7zN3u/Q==

dn: CN=Staff,OU=Staff,DC=ad,DC=example,DC=test
changetype: add
objectClass: top
objectClass: group
cn: Staff
member: CN=Ada King,OU=Staff,DC=ad,DC=example,DC=test
objectGUID:: ABEiM0RVZneImaq7zN3u/A==

`

// TestInit: what is written is a configuration that loads, with the provider, too, once its comment signs are gone. A
// second run does not overwrite it.
func TestInit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	people, file := filepath.Join(dir, "people.ldif"), filepath.Join(dir, "rollcall.yaml")
	for path, text := range map[string]string{people: adExport, filepath.Join(dir, "google.json"): "{}"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	e := &env{types: all.Types(), getenv: func(string) string { return "" }, stdin: strings.NewReader(""), stdout: &out,
		stderr: &out, now: time.Now}
	args := []string{"init", "file://" + people, "--output", file}
	if code := run(t.Context(), e, args); code != 0 {
		t.Fatalf("exit code %d: %s", code, &out)
	}
	for _, want := range []string{"preset active_directory, base dc=ad,dc=example,dc=test",
		"3 users (1 disabled, 1 without mail) and 1 groups are in scope", "2  example.com", "2  OU=Staff,DC=ad",
		"1  OU=Öffentlich,DC=ad", "1  built into Active Directory", "3  user\n",
		"without givenName (1); Google Workspace takes nobody without one, and such entries are often no people, " +
			"the first 1:\n  CN=Ada King",
		"ada@example.com: CN=Ada Kong,OU=Öffentlich,DC=ad,DC=example,DC=test and CN=Ada King",
		"Users without mail, who get no account until they have one, the " +
			"first 1:\n  CN=Scan"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("output = %s\nwant %q", &out, want)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, provider, ok := strings.Cut(string(text), "# providers:")
	if !ok || !strings.Contains(provider, "organizations.title: ldap.title") ||
		!strings.Contains(provider, "#         # name.givenName: coalesce(givenName, cn) # else 1 users with mail") ||
		!strings.Contains(provider, "relations.manager: address_of(ldap.manager)") {
		t.Fatalf("the file has no provider with the mapping of title:\n%s", text)
	}
	load := func(text string) *config.Config {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, _, err := config.Load(file, config.Options{})
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		return cfg
	}
	if c := load(string(text)); c.Sources.LDAP[0].ObjectUniquenessField != "objectGUID" {
		t.Errorf("source = %+v, want the preset's unique id", c.Sources.LDAP[0])
	}
	load(head + "providers:" + strings.ReplaceAll(provider, "\n# ", "\n"))
	out.Reset()
	if code := run(t.Context(), e, args); code != codeUsage || !strings.Contains(out.String(), "is not overwritten") {
		t.Errorf("a second run: exit code %d: %s", code, &out)
	}
}

// Ctrl-C at a question ends the command, and nothing is written.
func TestInitIsInterrupted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	people, file := filepath.Join(dir, "people.ldif"), filepath.Join(dir, "rollcall.yaml")
	if err := os.WriteFile(people, []byte(adExport), 0o600); err != nil {
		t.Fatal(err)
	}
	silent, terminal := io.Pipe()
	defer terminal.Close()
	ctx, interrupt := context.WithCancel(t.Context())
	reads := readFunc(func(p []byte) (int, error) {
		interrupt()
		return silent.Read(p)
	})
	var out bytes.Buffer
	e := &env{types: all.Types(), getenv: func(string) string { return "" }, stdout: &out, stderr: &out, now: time.Now,
		asks: true, stdin: reads}
	if code := run(ctx, e, []string{"init", "file://" + people, "--output", file}); code != codeInterrupted ||
		!strings.Contains(out.String(), "nothing is written") {
		t.Errorf("exit code %d: %s", code, &out)
	}
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file is there: %v", err)
	}
}

type readFunc func(p []byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

// TestInitAsks: on a terminal, init asks for the type and the domain of the tenant. Each type's provider loads once its
// comment signs are gone.
func TestInitAsks(t *testing.T) {
	t.Parallel()
	for _, kind := range all.Types() {
		dir := t.TempDir()
		people, file := filepath.Join(dir, "people.ldif"), filepath.Join(dir, "rollcall.yaml")
		other := strings.NewReplacer("Ada King", "Bob", "ada@example.com", "bob@other.example",
			"ABEiM0RVZneImaq7zN3u/w==", "ABEiM0RVZneImaq7zN3u/Q==").Replace(strings.SplitAfter(adExport, "\n\n")[0])
		for path, text := range map[string]string{people: adExport + other, filepath.Join(dir, "google.json"): "{}",
			filepath.Join(dir, "entra-secret"): "x", filepath.Join(dir, "scim-token"): "x"} {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		var out bytes.Buffer
		e := &env{types: all.Types(), getenv: func(string) string { return "" }, stdout: &out, stderr: &out, now: time.Now,
			asks: true, stdin: strings.NewReader("no such type\n" + kind.Name + "\nother.example\n")}
		if code := run(t.Context(), e, []string{"init", "file://" + people, "--output", file}); code != 0 {
			t.Fatalf("%s: exit code %d: %s", kind.Name, code, &out)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		whole := strings.ReplaceAll(strings.Replace(string(text), "# Complete", "# # Complete", 1), "\n# ", "\n")
		if err := os.WriteFile(file, []byte(whole), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, warnings, err := config.Load(file, config.Options{Types: all.Types()})
		if err != nil || len(warnings) > 0 || len(cfg.Providers) != 1 || cfg.Providers[0].Type.Name != kind.Name ||
			!strings.Contains(whole, "1 of 4 users have mail in other.example") {
			t.Errorf("%s: %v, warnings %q\n%s", kind.Name, err, warnings, whole)
		}
	}
}
