package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// documented finds commands in inline code, in code blocks and in alerts.
var documented = regexp.MustCompile("(?m)(?:`|^    |^        |&& |cmd/)rollcall ([a-z][^`|#&>\n]*)")

// TestDocumentedCommands checks that every documented command exists with each of its flags.
func TestDocumentedCommands(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, file := range append(files, "../../README.md", "../../deploy/prometheus/rules.yml") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range documented.FindAllStringSubmatch(string(text), -1) {
			found++
			words := strings.Fields(m[1])
			// The help is asked for, so that nothing is done; what is wrong is refused all the same.
			args := make([]string, len(words), len(words)+1)
			for i, w := range words {
				args[i] = strings.Trim(w, "[]…")
			}
			args = append(args, "--help")
			var out bytes.Buffer
			e := &env{getenv: func(string) string { return "" }, stdin: &out, stdout: &out, stderr: &out, now: time.Now}
			if code := run(t.Context(), e, args); code != 0 || !strings.Contains(out.String(), "rollcall "+args[0]) {
				t.Errorf("%s: rollcall %s: exit code %d:\n%s", filepath.Base(file), m[1], code, out.String())
			}
		}
	}
	if found < 30 {
		t.Errorf("only %d uses of a command were found", found)
	}
}
