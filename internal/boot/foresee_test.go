package boot_test

import (
	"encoding/base64"
	"os"
	"strings"
	"testing"

	"rollcall/internal/boot"
	"rollcall/internal/config"
	"rollcall/internal/slapdtest"
)

// A check names the people that a tenant would not take, before the first sync, and a good directory has no warning.
func TestProbesForeseeWhatATenantRefuses(t *testing.T) {
	t.Parallel()
	good := tree + someone("ada", "Ada", "King", "ada@example.org", 1)
	bad := someone("ben", "Ben", "Roe", "ben@elsewhere.org", 2) + someone("cid", "Cid", "Doe", "same@example.org", 3) +
		someone("dan", "Dan", "Poe", "same@example.org", 4) + someone("eve", strings.Repeat("e", 61), "Moe",
		"eve@example.org", 5) + someone("fay", "Fay", "Foe", "fay@elsewhere.org", 6, "nsAccountLock", "TRUE")
	o := newOffice(t, officeOptions{ldif: good, file: true, scim: true})
	warnings := func() string {
		var said []string
		for _, probe := range boot.Probes(config.Process{RedisURL: boot.Embedded}, o.app.Config, os.Getenv) {
			lines, err := probe.Try(t.Context())
			if err != nil {
				t.Errorf("%s: %v", probe.Name, err)
			}
			for _, line := range lines {
				if text, is := strings.CutPrefix(line, "warning: "); is && strings.Contains(text, "will be held") {
					said = append(said, probe.Name+": "+text)
				}
			}
		}
		return strings.Join(said, "\n")
	}
	if said := warnings(); said != "" {
		t.Errorf("a good directory: %s", said)
	}
	o.replace(good + slapdtest.Entry("ou=odd,"+slapdtest.People, "objectClass", "inetOrgPerson",
		"entryUUID", slapdtest.UUID(2),
		"uid:", base64.StdEncoding.EncodeToString([]byte("z\x1b[2Jed\nldap:corp: ok")), "cn", "Zed", "sn", "Zed",
		"mail", "zed@elsewhere.org"))
	if said := warnings(); !strings.Contains(said, "such as user z [2Jed ldap:corp: ok: the domain of zed@") {
		t.Errorf("a name with control characters: %q", said)
	}
	o.replace(good + bad)
	said := warnings()
	for _, want := range []string{
		"google_workspace:1: entries on the first page that will be held (foreign_domain): 1, such as user ben: " +
			"the domain of ben@elsewhere.org",
		"google_workspace:1: entries on the first page that will be held (same_address): 2, such as user cid",
		"google_workspace:1: entries on the first page that will be held (mapping): 1, such as user eve: ",
		"microsoft_entra:1: entries on the first page that will be held (foreign_domain): 1, such as user ben",
		"`rollcall plan microsoft_entra:1` names all",
		"scim:1: entries on the first page that will be held (same_address): 2",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is missing in:\n%s", want, said)
		}
	}
}
