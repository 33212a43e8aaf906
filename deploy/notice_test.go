package deploy_test

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write NOTICE anew")

// linked returns the modules that a program is linked with on any platform of a release: the folder by name and
// version.
func linked(t *testing.T, program string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, system := range []string{"linux", "darwin", "windows"} {
		list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f",
			"{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}}\t{{.Dir}}{{end}}{{end}}", "rollcall/cmd/"+program)
		list.Env = append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0")
		text, err := list.Output()
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if name, dir, is := strings.Cut(strings.TrimSpace(line), "\t"); is {
				out[name] = dir
			}
		}
	}
	return out
}

// licences are the licences that may be linked, with words that only their texts have.
var licences = map[string]*regexp.Regexp{
	"Apache-2.0":   regexp.MustCompile(`Apache License\s+Version 2\.0`),
	"MIT":          regexp.MustCompile(`Permission is hereby granted, free of charge`),
	"BSD-3-Clause": regexp.MustCompile(`Redistribution and use in source and binary forms[\s\S]*[Nn]either the name`),
	"BSD-2-Clause": regexp.MustCompile(`Redistribution and use in source and binary forms`),
	"MPL-2.0":      regexp.MustCompile(`Mozilla Public License Version 2\.0`),
}

// licenceOf names the licence with this text; empty for an unknown one.
func licenceOf(text []byte) string {
	for _, name := range []string{"Apache-2.0", "MPL-2.0", "BSD-3-Clause", "BSD-2-Clause", "MIT"} {
		if licences[name].Match(text) {
			return name
		}
	}
	return ""
}

var legalFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents)(\.(md|txt))?$`)

// notice is the text of NOTICE: the modules with their licences, and each different text once.
func notice(t *testing.T, modules map[string]string) []byte {
	t.Helper()
	var list, texts bytes.Buffer
	of := map[string][]string{} // the modules with a text
	for _, module := range slices.Sorted(maps.Keys(modules)) {
		files, err := os.ReadDir(modules[module])
		if err != nil {
			t.Fatal(err)
		}
		licence := ""
		for _, f := range files {
			if f.IsDir() || !legalFile.MatchString(f.Name()) {
				continue
			}
			text, err := os.ReadFile(filepath.Join(modules[module], f.Name()))
			if err != nil {
				t.Fatal(err)
			}
			licence = cmp.Or(licence, licenceOf(text))
			clean := strings.TrimSpace(strings.ReplaceAll(string(text), "\r\n", "\n"))
			of[clean] = append(of[clean], module)
		}
		if licence == "" {
			t.Errorf("%s has no licence that may be linked: look at %s", module, modules[module])
		}
		fmt.Fprintf(&list, "    %s  %s\n", module, licence)
	}
	first := func(text string) string { return of[text][0] + text }
	for _, text := range slices.SortedFunc(maps.Keys(of),
		func(a, b string) int { return cmp.Compare(first(a), first(b)) }) {
		fmt.Fprintf(&texts, "%s\n%s\n\n%s\n\n", strings.Repeat("-", 80), strings.Join(of[text], ", "), text)
	}
	return []byte("Rollcall is licensed under the Apache License 2.0, see LICENSE. Its programs are linked with these " +
		"modules, whose\nlicences follow. The Go standard library is linked too, under the BSD licence of golang.org/x " +
		"below.\n\n" + list.String() + "\n" + texts.String())
}

// NOTICE has every module that a program is linked with, and its licence. After a change of go.mod run
// `go test ./deploy -run TestNotice -update`.
func TestNoticeIsCurrent(t *testing.T) {
	t.Parallel()
	all := map[string]string{}
	for _, program := range []string{"api", "worker", "rollcall"} {
		maps.Copy(all, linked(t, program))
	}
	want, file := notice(t, all), filepath.Join("..", "NOTICE")
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil { //nolint:gosec // everyone may read it
			t.Fatal(err)
		}
	}
	if have, err := os.ReadFile(file); err != nil || !bytes.Equal(have, want) {
		t.Errorf("NOTICE is not current (%v): run go test ./deploy -run TestNotice -update", err)
	}
}

// The processes of an installation are not linked with what only the demonstration needs.
func TestOnlyTheCommandHasTheEmbeddedRedis(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"api", "worker"} {
		for module := range linked(t, program) {
			if strings.Contains(module, "miniredis") || strings.Contains(module, "gopher-lua") {
				t.Errorf("%s is linked with %s", program, module)
			}
		}
	}
}

// Each action of the workflows is named by its commit, and a release is checked, listed and signed.
func TestWorkflowsArePinned(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../.github/workflows/*.yml")
	if err != nil || len(files) < 3 {
		t.Fatalf("workflows %v, %v", files, err)
	}
	pinned := regexp.MustCompile(`uses: [\w./-]+@[0-9a-f]{40} # v`)
	docker, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	goImage := regexp.MustCompile(`golang:\S+`)
	builder := goImage.FindString(string(docker))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, image := range goImage.FindAllString(string(text), -1) {
			if image != builder {
				t.Errorf("%s has the image %s, and deploy/Dockerfile %s", file, image, builder)
			}
		}
		for line := range strings.Lines(string(text)) {
			if strings.Contains(line, "uses:") && !pinned.MatchString(line) {
				t.Errorf("%s: %s: want the commit of the action, and its version as a comment", file, strings.TrimSpace(line))
			}
		}
		if filepath.Base(file) != "release.yml" {
			continue
		}
		for _, step := range []string{"make vulnerabilities", "make dist", "make sign", "RepoDigests", "dist/*"} {
			if !strings.Contains(string(text), step) {
				t.Errorf("%s has no %q", file, step)
			}
		}
	}
}
