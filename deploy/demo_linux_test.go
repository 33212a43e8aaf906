package deploy_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"rollcall/internal/testclock"
	"rollcall/simulator/googleworkspace"
)

// syncStatus is what is looked at of GET …/sync/status/.
type syncStatus struct {
	LastSync string `json:"last_sync_status"`
	Tasks    []struct{ Messages []struct{ Event string } }
}

// finished is a run's last message about its changes, with the numbers made and failed.
var finished = regexp.MustCompile(`Finished: (\d+) changes made, (\d+) failed`)

func (s syncStatus) changes(t *testing.T) (made, failed int) {
	t.Helper()
	for _, task := range s.Tasks {
		for _, m := range task.Messages {
			if found := finished.FindStringSubmatch(m.Event); found != nil {
				made, _ = strconv.Atoi(found[1])
				failed, _ = strconv.Atoi(found[2])
				return made, failed
			}
		}
	}
	t.Fatalf("the status does not say what was changed: %+v", s)
	return 0, 0
}

// What `docker compose --profile demo up --scale worker=3` starts syncs the company to the tenants, run as processes
// with the commands, environments and health checks of docker-compose.yml.
func TestTheDemonstrationOfComposeSyncs(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.start("redis", 0)
	h.start("tenants", 0)
	if code, said := h.run("check"); code != 0 || !strings.Contains(said, "no mistakes") {
		t.Fatalf("check ended with %d and said %s", code, said)
	}
	h.start("api", 0)
	for replica := range 3 {
		h.start("worker", replica)
	}
	people := func(args ...string) string {
		t.Helper()
		code, said := h.run("tenants", append([]string{"rollcall"}, args...)...)
		if code != 0 && code != 3 { // 3: people with an address of another account wait for a decision
			t.Fatalf("rollcall %v ended with %d and said %s", args, code, said)
		}
		return said
	}
	if code, said := h.run("tenants", "rollcall", "sync", "ldap:corp", "--watch"); code == 4 { // the schedule was first
		people("watch", "ldap:corp")
	} else if code != 0 {
		t.Fatalf("rollcall sync ldap:corp ended with %d and said %s", code, said)
	}
	// The providers follow by themselves.
	for _, name := range []string{"google_workspace:1", "microsoft_entra:1", "scim:1"} {
		var seen syncStatus
		testclock.Eventually(t, 3*time.Minute, name+" is synced", func() bool {
			if err := json.Unmarshal([]byte(people("status", name, "--json")), &seen); err != nil {
				t.Fatal(err)
			}
			return seen.LastSync != ""
		})
		if made, failed := seen.changes(t); made < 1000 || failed != 0 {
			t.Errorf("%s: %d changes were made and %d failed, want more than 1000 and none", name, made, failed)
		}
		if again := people("sync", name, "--watch"); !strings.Contains(again, " 0 of 0 changes") ||
			!strings.Contains(again, "completed") {
			t.Errorf("%s: another run should find nothing to do: %s", name, again)
		}
	}
	_, said := h.run("redis", "sh", "-c",
		`REDISCLI_AUTH="$(cat /run/secrets/redis_password)" redis-cli -h 127.0.0.1 info keyspace`)
	if strings.Contains(said, "db0:") || !strings.Contains(said, "db1:") {
		t.Errorf("the demonstration is not in a database of its own: %s", said)
	}
}

// Without a configuration `docker compose up` says what to do, and so with half of one.
func TestComposeSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	example, err := os.ReadFile("config/rollcall.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	says := func(want ...string) {
		t.Helper()
		code, said := h.run("check")
		for _, w := range want {
			if code == 0 || !strings.Contains(said, w) {
				t.Errorf("check ended with %d and said %q, want %q", code, said, w)
			}
		}
	}
	says("copy ./deploy/config/rollcall.example.yaml to ./deploy/config/rollcall.yaml", "docker compose --profile demo up")
	h.write(filepath.Join(h.own, "rollcall.yaml"), string(example))
	says("rollcall token me read,sync >> ./deploy/config/tokens")

	_, line := h.run("check", "sh", "-c", "rollcall token me read,sync 2>/dev/null")
	h.write(filepath.Join(h.own, "tokens"), line)
	says("bind_password_file", "ldap-password", "credentials_file", "google.json")

	h.write(filepath.Join(h.secrets, "ldap-password"), "hunter2")
	h.write(filepath.Join(h.secrets, "google.json"), googleKey(t))
	code, said := h.run("check")
	if code != 0 || !strings.Contains(said, "no mistakes") || !strings.Contains(said, "docs/deployment.md") ||
		strings.Contains(said, "hunter2") {
		t.Errorf("check ended with %d and said %q, want 0, no mistakes and a word on the password of Redis", code, said)
	}

	h.start("tenants", 0)
	says("the demonstration runs, and ./deploy/config/rollcall.yaml is there")
}

// The API has no passwords and keys of directories and tenants in Compose and with systemd, and starts and serves
// without them.
func TestTheAPIServesWithoutSecrets(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	example, err := os.ReadFile("config/rollcall.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	h.write(filepath.Join(h.own, "rollcall.yaml"), string(example))
	_, line := h.run("check", "sh", "-c", "rollcall token me read,sync 2>/dev/null")
	h.write(filepath.Join(h.own, "tokens"), line)
	if err := os.Remove(h.secrets); err != nil {
		t.Fatal(err)
	}
	h.start("redis", 0)
	h.start("api", 0) // Its health check asks /readyz.
	code, said := h.run("api", "rollcall", "health", "api")
	if code != 0 {
		t.Errorf("the health of the API: %d, %s", code, said)
	}
}

// googleKey is the key of a service account.
func googleKey(t *testing.T) string {
	t.Helper()
	key, err := googleworkspace.New(googleworkspace.Config{}).CredentialsJSON("https://127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	return string(key)
}
