//go:build npm

package scim_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestScimmy provisions users to a server of scimmy and scimmy-routers, which are independent of this project. It needs
// node and npm, which fetches the packages. ROLLCALL_SCIM_USERS=2000 makes it thorough, which takes four minutes:
// ROLLCALL_SCIM_USERS=2000 go test -tags npm -run Scimmy ./provider/scim.
func TestScimmy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "npm"))); err != nil {
		t.Fatal(err)
	}
	install := exec.CommandContext(t.Context(), "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
	install.Dir, install.Stderr = dir, t.Output()
	if err := install.Run(); err != nil {
		t.Fatalf("npm ci: %v", err)
	}
	server := exec.CommandContext(t.Context(), "node", "server.mjs")
	server.Dir, server.Stderr = dir, t.Output()
	out, err := server.StdoutPipe()
	if err == nil {
		err = server.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	port, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	users := 200
	if n, err := strconv.Atoi(os.Getenv("ROLLCALL_SCIM_USERS")); err == nil {
		users = n
	}
	lifeOfACompany(t, "http://127.0.0.1:"+strings.TrimSpace(port)+"/scim/v2", "scimmy-token", users)
}
