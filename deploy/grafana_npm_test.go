//go:build npm

package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestJavaScriptDashboardTypes compares the dashboard with the types that Grafana publishes, by the TypeScript
// compiler. It needs node and npm, which fetches them: go test -tags npm -run JavaScript ./deploy.
func TestJavaScriptDashboardTypes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "npm"))); err != nil {
		t.Fatal(err)
	}
	// Copied by us and not by node, so that the result of this test is cached for as long as it is true.
	text, err := os.ReadFile(dashboardFile)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "dashboard.json"), text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	run := func(name string, args ...string) []byte {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir, cmd.Stderr = dir, t.Output()
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
		return out
	}
	run("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
	if err := os.WriteFile(filepath.Join(dir, "dashboard.ts"), run("node", "typed.mjs", "dashboard.json"),
		0o600); err != nil {
		t.Fatal(err)
	}
	run("node", filepath.Join("node_modules", "typescript", "bin", "tsc"), "--noEmit", "--strict", "--skipLibCheck",
		"--module", "esnext", "--moduleResolution", "bundler", "--target", "es2022", "dashboard.ts")
}
