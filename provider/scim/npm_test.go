//go:build npm

package scim_test

import (
	"os"
	"strconv"
	"testing"

	"rollcall/internal/npmtest"
)

// TestScimmy provisions users to a server of scimmy and scimmy-routers, which are independent of this project. It needs
// node and npm, which fetches the packages. ROLLCALL_SCIM_USERS=2000 makes it thorough, which takes four minutes:
// ROLLCALL_SCIM_USERS=2000 go test -tags npm -run Scimmy ./provider/scim.
func TestScimmy(t *testing.T) {
	t.Parallel()
	port := npmtest.Install(t).Serve()
	users := 200
	if n, err := strconv.Atoi(os.Getenv("ROLLCALL_SCIM_USERS")); err == nil {
		users = n
	}
	lifeOfACompany(t, "http://127.0.0.1:"+port+"/scim/v2", "scimmy-token", users)
}

// TestScimPatch provisions users to a server that leaves PATCH to scim-patch and filters to scim2-parse-filter, which
// many servers do.
func TestScimPatch(t *testing.T) {
	t.Parallel()
	port := npmtest.Install(t).Serve("patched")
	lifeOfACompany(t, "http://127.0.0.1:"+port+"/scim/v2", "scimmy-token", 150)
}
