package ldap_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"rollcall/directory"
	"rollcall/internal/slapdtest"
	"rollcall/source/ldap"
)

// TestLeaksNoSecret fails in every way that has to do with a password and wants it in no error, report or printout.
func TestLeaksNoSecret(t *testing.T) {
	t.Parallel()
	server := slapdtest.Start(t, slapdtest.Options{LDIF: slapdtest.Generate(1, 0, 0)})
	c := config(server)
	var said strings.Builder
	for _, change := range []func(*ldap.Config){
		func(*ldap.Config) {},
		func(c *ldap.Config) { c.BindCN = "cn=nobody," + slapdtest.Suffix },
		func(c *ldap.Config) { c.BindCN = "no DN at all" },
		func(c *ldap.Config) { c.ServerURI = "ldap://127.0.0.1:1" },
		func(c *ldap.Config) { c.StartTLS = true },
		func(c *ldap.Config) { c.BaseDN = "dc=elsewhere" },
	} {
		c := c
		change(&c)
		s := open(t, c)
		snap, err := s.Read(t.Context(), directory.Query{})
		reports, err2 := s.Check(t.Context())
		fmt.Fprintf(&said, "%v %#v %v %v %v %+v %#v\n", err, err, snap, reports, err2, s, s)
	}
	if strings.Contains(said.String(), slapdtest.ReaderPassword) {
		t.Errorf("the password is shown:\n%s", said.String())
	}
}

func TestPasswordFile(t *testing.T) {
	t.Parallel()
	server := slapdtest.Start(t, slapdtest.Options{LDIF: slapdtest.Generate(1, 0, 0)})
	c := config(server)
	c.SyncGroups = false
	if err := os.Chmod(string(c.BindPasswordFile), 0o644); err != nil {
		t.Fatal(err)
	}
	s := open(t, c)
	if w := s.Warnings(); len(w) != 1 || !strings.HasPrefix(w[0], "bind_password_file: ") {
		t.Errorf("Warnings() = %q, want one about the file's mode", w)
	}
	if report := check(t, c)[0]; len(report.Warnings) != 1 {
		t.Errorf("Check() warns %q, want the same", report.Warnings)
	}
	if _, err := ldap.New(c, nil, ldap.Options{StrictFiles: true}); err == nil {
		t.Error("New() with strict files takes a password file that everybody may read")
	}
	// A new password in the file is used without a restart.
	if err := os.WriteFile(string(c.BindPasswordFile), []byte("changed"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(t.Context(), directory.Query{}); err == nil {
		t.Error("Read() with a wrong password in the file gives no error")
	}
}

func TestClockDecidesExpiry(t *testing.T) {
	t.Parallel()
	c := fileConfig(t, strings.Replace(ada, "uid: ada\n", "uid: ada\nuserAccountControl: 512\naccountExpires: "+
		"132223104000000000\n", 1)) // 2020-01-01
	for year, want := range map[int]bool{2019: true, 2020: false} {
		s, err := ldap.New(c, nil, ldap.At(func() time.Time { return time.Date(year, 6, 1, 0, 0, 0, 0, time.UTC) }))
		if err != nil {
			t.Fatal(err)
		}
		if got := read(t, s).Entries[0].Active; got != want {
			t.Errorf("in %d: active = %v, want %v", year, got, want)
		}
	}
}
