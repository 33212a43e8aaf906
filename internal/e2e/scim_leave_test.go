package e2e

import (
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"rollcall/api"
	"rollcall/internal/slapdtest"
	"rollcall/internal/testclock"
	"rollcall/provider/scim/elimitytest"
)

// TestLeaveAtAScimTenant orders by the API, and by the command, that a person leaves. No run lifts the suspension
// before the order is lifted, although the directory has the person all the time.
func TestLeaveAtAScimTenant(t *testing.T) {
	t.Parallel()
	server := elimitytest.Start(t, nil)
	w := newWorld(t, options{slapd: small(), provider: []string{toScim(t, server.URL, "token")}})
	w.both()
	w.sync(scim)
	inactive := func(n int) {
		t.Helper()
		testclock.Eventually(t, 3*time.Minute, "suspensions at the SCIM server",
			func() bool { return server.Users("active")["false"] == n })
	}
	inactive(0)
	code, data := w.call(http.MethodPost, "/leave/", `{"entry":"`+slapdtest.UUID(7)+`"}`)
	var ordered api.Ordered
	if w.decode(data, &ordered); code != http.StatusAccepted || ordered.Order.ID != slapdtest.UUID(7) {
		t.Fatalf("the order = %d %s, want 202", code, data)
	}
	inactive(1)
	leave := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), program(t, "rollcall"), append([]string{"leave"}, args...)...)
		cmd.Env = []string{"ROLLCALL_API=" + w.base, "ROLLCALL_TOKEN=" + w.token}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("rollcall leave %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	said := leave("--yes", "u000008@example.org")
	if !strings.Contains(said, "scim:1") || !strings.Contains(said, "suspended") {
		t.Errorf("the command says %q, want the suspension at scim:1", said)
	}
	inactive(2)
	e := w.editor()
	e.set(slapdtest.UserDN(7), "sn", "Changed") // The directory goes on to have both.
	w.sync(corp)
	w.sync(scim)
	inactive(2)
	if list := leave(); strings.Count(list, "scim:1 (confirmed ") != 2 || !hasAll(list, "u000007", "u000008") {
		t.Errorf("the orders are %q, want both, and each confirmed", list)
	}
	leave("--lift", "--yes", slapdtest.UUID(7))
	leave("--lift", "--yes", slapdtest.UUID(8))
	inactive(0)
	w.sync(scim)
	inactive(0)
}
