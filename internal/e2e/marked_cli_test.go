package e2e

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"rollcall/internal/redistest"
	"rollcall/internal/slapdtest"
)

// invocations has arguments with which each command gets as far as it can, and the commands that need nothing secret.
var invocations = map[string][]string{
	"accept-server": {"ldap:corp"}, "adopt-decisions": {"--yes"}, "approve": {"ldap:corp", "--yes"},
	"cancel": {"ldap:corp"}, "explain": {"u000001"}, "held": {"ldap:corp"}, "leave": {"--yes", "u000001"},
	"lift": {"google_workspace:1", "--yes"}, "object": {"google_workspace:1", "u000001"}, "pause": {"ldap:corp"},
	"pins": {"google_workspace:1"}, "reject": {"ldap:corp", "--yes"}, "resume": {"ldap:corp"},
	"revert": {"google_workspace:1", "run", "--yes"}, "runs": {"ldap:corp"}, "status": nil, "sync": {"ldap:corp"},
	"watch": {"ldap:corp"}, "check": nil, "health": {"127.0.0.1:1"}, "plan": {"google_workspace:1"},
	"preview": {"CONFIG"}, "shadow": {"google_workspace:1", "DIR"}, "audit": {"verify", "DIR/none"},
	"init":  {"ldap://127.0.0.1:1", "--bind-name", "cn=x", "--bind-password-file", "BIND", "--output", "DIR/new.yaml"},
	"token": {"ops", "nonsense"}, "version": nil, "completion": {"bash"}, "help": nil,
}

// otherCredentials has providers that sign in otherwise than the first ones: with a password, as an OAuth 2 client, in
// a header of another name, with a client secret, and with a key. Basic authentication encodes "me:" apart.
const otherCredentials = `
    - {id: 2, name: Basic, sources: [corp], endpoint: "%[1]s", username: me, password_file: %[2]s/basic}
    - {id: 3, name: Client, sources: [corp], endpoint: "%[1]s", client_id: rollcall,
       client_secret_file: %[2]s/oauth, token_url: "%[3]s/token"}
    - {id: 4, name: Header, sources: [corp], endpoint: "%[1]s", token_file: %[2]s/scim, token_header: X-API-Key}
  microsoft_entra:
    - id: 1
      name: Secret
      sources: [corp]
      tenant_id: 018f5d2e-9a51-7c3a-8f0e-1d3c5b7a9e01
      client_id: 018f5d2e-9a51-7c3a-8f0e-1d3c5b7a9e03
      client_secret_file: %[2]s/entra
      authority: %[4]s/
      endpoint: %[4]s/v1.0
      ca_file: %[2]s/ca.pem
    - id: 2
      name: Key
      sources: [corp]
      tenant_id: 018f5d2e-9a51-7c3a-8f0e-1d3c5b7a9e02
      client_id: 018f5d2e-9a51-7c3a-8f0e-1d3c5b7a9e03
      certificate_file: %[2]s/entra.pem
      authority: %[4]s/
      endpoint: %[4]s/v1.0
      ca_file: %[2]s/ca.pem
`

// serving are the commands that run until they are stopped. Their processes are the subject of other tests.
var serving = []string{"demo", "simulate"}

// TestNoCommandTellsASecret runs every command where everything is refused: by Redis, the directory, the tenants and
// the API, with wrong passwords, with addresses that have a password or are no addresses, and by a server that repeats
// what it was sent. Standard output and error have none of the secrets.
func TestNoCommandTellsASecret(t *testing.T) {
	t.Parallel()
	m := newMarks(t)
	directory := slapdtest.Start(t, slapdtest.Options{LDIF: slapdtest.Generate(3, 1, 1)})
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text := fmt.Sprint(r.Header, r.URL)
		w.Header().Set("WWW-Authenticate", "Bearer realm="+fmt.Sprintf("%q", r.Header.Get("Authorization")))
		http.Error(w, fmt.Sprintf(`{"detail":%q}`, text), http.StatusUnauthorized)
	}))
	t.Cleanup(echo.Close)
	secure := httptest.NewTLSServer(echo.Config.Handler)
	t.Cleanup(secure.Close)
	m.file("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})))
	addr, _ := redistest.TCP(t)
	bind := m.file("bind", m.mark("the bind password")+"\n")
	m.file("google.json", `{"type": "service_account", "client_email": "a@b.example", "private_key": "`+
		m.mark("Google's key")+`"}`)
	m.file("entra", m.mark("Entra's client secret")+"\n")
	m.file("entra.pem", "-----BEGIN PRIVATE KEY-----\n"+m.mark("Entra's key")+"\n-----END PRIVATE KEY-----\n")
	scim := m.file("scim", m.mark("the token of the SCIM server")+"\n")
	m.file("basic", m.mark("the password of the SCIM server")+"\n")
	m.file("oauth", m.mark("the client secret of the SCIM server")+"\n")
	config := func(name, ldap, scimAddress string) string {
		return m.file(name, fmt.Sprintf(configuration, ldap, "cn=x", bind, "", echo.URL, "")+fmt.Sprintf(
			scimConfiguration, scimAddress, scim)+fmt.Sprintf(otherCredentials, scimAddress, m.dir, echo.URL, secure.URL))
	}
	wrong := config("wrong.yaml", directory.URL, echo.URL)
	envs := map[string][]string{
		"refused": {"ROLLCALL_CONFIG=" + config("refused.yaml", "ldap://127.0.0.1:1", "http://127.0.0.1:1/v2"),
			"ROLLCALL_API=http://127.0.0.1:1", "ROLLCALL_REDIS_URL=redis://:" + m.mark("Redis' password") + "@127.0.0.1:1"},
		"wrong passwords": {"ROLLCALL_CONFIG=" + wrong, "ROLLCALL_API=" + echo.URL,
			"ROLLCALL_REDIS_URL=redis://u:" + m.mark("Redis' password") + "@" + addr},
		"passwords in addresses": {"ROLLCALL_CONFIG=" + config("address.yaml",
			"ldap://u:"+m.mark("a password")+"@127.0.0.1:1", "https://u:"+m.mark("a password")+"@127.0.0.1:1/v2"),
			"ROLLCALL_API=http://u:" + m.mark("the API's password") + "@127.0.0.1:1",
			"ROLLCALL_REDIS_URL=redis://:" + m.mark("Redis' password") + "@127.0.0.1:1/x"},
		"no addresses": {"ROLLCALL_CONFIG=" + config("none.yaml", "ldap://u:"+m.mark("a password")+"@127.0.0.1:%zz",
			"https://u:"+m.mark("a password")+"@127.0.0.1:%zz"),
			"ROLLCALL_API=http://u:" + m.mark("the API's password") + "@127.0.0.1:%zz",
			"ROLLCALL_REDIS_URL=redis://:" + m.mark("Redis' password") + "@127.0.0.1:%zz"},
	}
	token := m.mark("an API token")
	var names []string
	help, err := exec.CommandContext(t.Context(), program(t, "rollcall"), "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range regexp.MustCompile(`(?m)^  ([a-z-]+)  +[A-Z]`).FindAllStringSubmatch(string(help), -1) {
		names = append(names, line[1])
	}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
		args, known := invocations[name]
		if !known && !slices.Contains(serving, name) {
			t.Errorf("the command %s has no case", name)
		}
		for what, env := range envs {
			if slices.Contains(serving, name) {
				continue
			}
			line := append([]string{name}, args...)
			for i := range line {
				line[i] = strings.NewReplacer("CONFIG", wrong, "DIR", m.dir, "BIND", bind).Replace(line[i])
			}
			cmd := exec.CommandContext(t.Context(), program(t, "rollcall"), line...)
			cmd.Env = append([]string{"ROLLCALL_TOKEN=" + token, "HOME=" + m.dir, "ROLLCALL_LOG_LEVEL=debug",
				"XDG_CONFIG_HOME=" + filepath.Join(m.dir, "x")}, env...)
			cmd.WaitDelay = time.Second
			out, _ := cmd.CombinedOutput() // Most fail.
			m.nowhere(fmt.Sprintf("rollcall %v with %s", line, what), string(out))
			if len(out) == 0 {
				t.Errorf("rollcall %v with %s says nothing", line, what)
			}
			if testing.Verbose() {
				t.Logf("rollcall %v with %s: %.300s", line, what, out)
			}
		}
	}
}
