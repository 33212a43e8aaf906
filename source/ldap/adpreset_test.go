//go:build samba

package ldap_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"rollcall/directory"
	"rollcall/internal/sambatest"
	"rollcall/source"
	"rollcall/source/ldap"
)

// shortest returns the source that the documentation gives for Active Directory: a preset, the server, and who binds.
func shortest(t *testing.T, d *sambatest.Domain) ldap.Config {
	t.Helper()
	var c ldap.Config
	text := fmt.Sprintf("slug: ad\npreset: active_directory\nserver_uri: %s\nbind_cn: %s\nbind_password_file: %s\n",
		d.URL, sambatest.Administrator, d.PasswordFile)
	if err := yaml.Unmarshal([]byte(text), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestPresetOfActiveDirectory: with four lines, people and the groups that administrators made are read and nothing
// else, wherever they are; who has a group as primary group is its member.
func TestPresetOfActiveDirectory(t *testing.T) {
	t.Parallel()
	d := sambatest.Start(t)
	office := "OU=Office," + sambatest.Base
	d.Add(t, office, "objectClass", "organizationalUnit")
	add := func(cn, class string, more ...string) string {
		dn := "CN=" + cn + "," + office
		d.Add(t, dn, append([]string{"objectClass", class}, more...)...)
		return dn
	}
	add("Head of Lab", "user", "sAMAccountName", "head", "userAccountControl", "544", "mail", "head@example.com")
	worker := add("Lab Worker", "user", "sAMAccountName", "worker", "userAccountControl", "544", "mail",
		"worker@example.com")
	add("Scan Service", "user", "sAMAccountName", "svc-scan", "userAccountControl", "544")
	add("Gone", "user", "sAMAccountName", "gone", "userAccountControl", "546", "mail", "gone@example.com")
	add("Law Firm", "contact", "mail", "lawfirm@example.com")
	add("PC1", "computer", "sAMAccountName", "PC1$", "userAccountControl", "4096")
	add("Robot", "msDS-GroupManagedServiceAccount", "sAMAccountName", "robot$", "msDS-ManagedPasswordInterval", "30")
	staff := add("Staff Basel", "group", "sAMAccountName", "staff-basel", "groupType", "-2147483646", "member", worker)
	d.Add(t, "CN=Team,CN=Users,"+sambatest.Base, "objectClass", "group", "sAMAccountName", "team",
		"member", staff, "member", "CN=Law Firm,"+office, "member", "CN=Domain Users,CN=Users,"+sambatest.Base)
	d.MakePrimary(t, staff, worker)

	if name, bases, err := ldap.Detect(t.Context(), shortest(t, d)); name != "active_directory" ||
		!slices.Equal(bases, []string{sambatest.Base}) || err != nil {
		t.Errorf("Detect() = %q, %q, %v, want the preset and the base of the domain", name, bases, err)
	}
	s := open(t, shortest(t, d))
	snap := read(t, s)
	var got []string
	for _, e := range snap.Entries {
		got = append(got, e.Kind.String()+" "+e.Attributes.Get(directory.UserName)+e.Attributes.Get(directory.CommonName))
	}
	slices.Sort(got)
	want := []string{"group Staff Basel", "group Team", "user goneGone",
		"user headHead of Lab", "user svc-scanScan Service", "user workerLab Worker"}
	if diff := cmp.Diff(want, got); diff != "" || len(snap.Findings)+len(snap.Doubts) > 0 {
		t.Errorf("entries (-want +got):\n%s%v %q", diff, snap.Findings, snap.Doubts)
	}
	entries := byName(snap)
	basel, worked := entries["Staff Basel"], entries["Lab Worker"]
	members := []directory.Ref{worked.Ref()}
	if diff := cmp.Diff(members, basel.Members); diff != "" {
		t.Errorf("members by primary group (-want +got):\n%s", diff)
	}
	team := entries["Team"]
	if diff := cmp.Diff([]directory.Ref{basel.Ref()}, team.Members); diff != "" {
		t.Errorf("members of the team (-want +got):\n%s", diff)
	}
	notes := strings.Join(snap.Notes, "\n")
	if !strings.Contains(notes, "CN=Law Firm,"+office+" of CN=Team") || !strings.Contains(notes, "CN=Domain Users") {
		t.Errorf("notes = %q, want the contact and the built-in group named", notes)
	}
	one := read(t, s, basel.Ref(), worked.Ref())
	if e := byName(one)["Staff Basel"]; !cmp.Equal(e.Members, members) {
		t.Errorf("members by primary group, read by id = %v, want %v", e.Members, members)
	}
	if gone := entries["Gone"]; gone.Active {
		t.Error("a disabled account is active")
	}
	report := check(t, shortest(t, d))[0]
	if len(report.Warnings) > 0 || report.Users.Count != 4 || report.Users.BuiltIn < 3 || report.Groups.BuiltIn == 0 {
		t.Errorf("Check() = %+v, want no warning, and the built-in entries counted", report)
	}
	found, err := s.Locate(t.Context(), source.Wanted{UserName: "Administrator"})
	if err != nil || len(found.Sightings) != 1 || found.Sightings[0].Broken() == nil ||
		found.Sightings[0].Broken().Key != "leave_out_built_in" {
		t.Errorf("Locate() = %+v, %v, want the administrator left out as built in", found, err)
	}
}
