package deploy_test

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// root is the top of the project.
const root = "../.."

var update = flag.Bool("update", false, "write the files that are made from others")

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// shipped fails the test unless a file, or something in a folder, is part of every clone of the project.
func shipped(t *testing.T, path string) {
	t.Helper()
	top, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	if filepath.IsAbs(path) {
		if path, err = filepath.Rel(top, path); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("git", "ls-files", "--cached", "--others", "--exclude-standard", "--", path)
	cmd.Dir = top
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	if path != "." && len(out) == 0 {
		t.Errorf("%s is not in the repository", path)
	}
}

// tool runs a program that reads a file of ours, and fails the test if it does not like it.
func tool(t *testing.T, name string, args ...string) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%v: install it (Debian: apt-get install prometheus prometheus-alertmanager)", err)
	}
	if out, err := exec.Command(path, args...).CombinedOutput(); err != nil {
		t.Errorf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

func TestPrometheusAndAlertmanagerTakeTheirConfiguration(t *testing.T) {
	t.Parallel()
	tool(t, "promtool", "check", "config", root+"/deploy/prometheus/prometheus.yml")
	tool(t, "amtool", "check-config", root+"/deploy/alertmanager/alertmanager.yml")
}
