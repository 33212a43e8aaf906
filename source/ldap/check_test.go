package ldap_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/internal/slapdtest"
	"rollcall/source/ldap"
)

func check(t *testing.T, c ldap.Config) []ldap.Report {
	t.Helper()
	reports, err := open(t, c).Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return reports
}

func TestCheck(t *testing.T) {
	t.Parallel()
	server := slapdtest.Start(t, slapdtest.Options{LDIF: slapdtest.Generate(30, 2, 3), TLS: true})
	c := config(server)
	c.ServerURI, c.CAFile, c.PageSize = server.LDAPSURL, server.CAFile, 10
	got := check(t, c)
	want := []ldap.Report{{
		Server: server.LDAPSURL, Family: "OpenLDAP", TLS: "TLS 1.3", Contexts: []string{slapdtest.Suffix}, Paging: true,
		Users:  ldap.Sample{Searched: true, Count: 10, More: true, Example: slapdtest.UserDN(0)},
		Groups: ldap.Sample{Searched: true, Count: 2, Example: slapdtest.GroupDN(0)},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Check() (-want +got):\n%s", diff)
	}
	c.ObjectUniquenessField, c.SyncGroups = "objectGUID", false
	if got := check(t, c)[0]; len(got.Warnings) != 1 || !strings.Contains(got.Warnings[0], "10 of 10 users have no usable objectGUID: entryUUID is on all of them") {
		t.Errorf("Check() warns %q, want that objectGUID is not there and entryUUID is", got.Warnings)
	}
	c.UserObjectFilter = "(uid=nobody)"
	if got := check(t, c)[0]; len(got.Warnings) != 1 || !strings.Contains(got.Warnings[0], "no users below") {
		t.Errorf("Check() warns %q, want that nobody is there", got.Warnings)
	}
}

func TestCheckNamesEveryServer(t *testing.T) {
	t.Parallel()
	server := slapdtest.Start(t, slapdtest.Options{LDIF: slapdtest.Generate(1, 0, 0)})
	c := config(server)
	c.ServerURI = "ldap://127.0.0.1:1," + server.URL
	reports, err := open(t, c).Check(t.Context())
	if len(reports) != 1 || !strings.Contains(fmt.Sprint(err), "connect to ldap://127.0.0.1:1:") {
		t.Errorf("Check() = %d reports, %v, want one report and the other server's error", len(reports), err)
	}
}

func TestCheckFile(t *testing.T) {
	t.Parallel()
	got := check(t, fileConfig(t, slapdtest.Generate(1500, 1, 1)))[0]
	if !got.Users.More || got.Users.Count != 1000 || got.Groups.Count != 1 || len(got.Warnings) > 0 {
		t.Errorf("Check() = %+v, want 1000 users and more, one group, no warnings", got)
	}
}
