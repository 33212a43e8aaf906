//go:build npm

package deploy_test

import (
	"os"
	"path/filepath"
	"testing"

	"rollcall/internal/npmtest"
)

// TestJavaScriptDashboardTypes compares the dashboard with the types that Grafana publishes, by the TypeScript
// compiler. It needs node and npm, which fetches them: go test -tags npm -run JavaScript ./deploy.
func TestJavaScriptDashboardTypes(t *testing.T) {
	t.Parallel()
	folder := npmtest.Install(t)
	// The test reads the dashboard by itself, so that its result is cached for as long as it is true.
	text, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	folder.Write("dashboard.json", text)
	folder.Write("dashboard.ts", folder.Run("node", "typed.mjs", "dashboard.json"))
	folder.Run("node", filepath.Join("node_modules", "typescript", "bin", "tsc"), "--noEmit", "--strict", "--skipLibCheck",
		"--module", "esnext", "--moduleResolution", "bundler", "--target", "es2022", "dashboard.ts")
}
