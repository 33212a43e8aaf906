package rollcall_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Each test that the threat model names is in the package that it names.
func TestTheThreatModelNamesRealTests(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	function := regexp.MustCompile(`(?m)^func ((?:Test|Benchmark)\w+)\(`)
	err = filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, m := range function.FindAllSubmatch(source, -1) {
			found[filepath.ToSlash(filepath.Dir(path))+" "+string(m[1])] = true
			found[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	// The packages follow their tests in brackets.
	cell := regexp.MustCompile("((?:`(?:Test|Benchmark)\\w+`(?:, )?)+) \\(([^)]*)\\)")
	name := regexp.MustCompile("`(\\w+)`")
	n := 0
	for _, m := range cell.FindAllStringSubmatch(string(text), -1) {
		for _, test := range name.FindAllStringSubmatch(m[1], -1) {
			n++
			for pack := range strings.SplitSeq(m[2], ", ") {
				if key := pack + " " + test[1]; !found[key] && (pack != "providers" || !found[test[1]]) {
					t.Errorf("SECURITY.md names %s in %s, where it is not", test[1], pack)
				}
			}
		}
	}
	if n < 20 {
		t.Errorf("SECURITY.md names %d tests", n)
	}
}
