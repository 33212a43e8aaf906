// Package sambatest runs a real domain controller of Active Directory: Samba's.
package sambatest

import (
	"bytes"
	"context"
	"fmt"
	"hash/fnv"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"rollcall/internal/slapdtest"
)

// Names of the domain that every test gets.
const (
	Realm         = "AD.EXAMPLE.TEST"
	Base          = "DC=ad,DC=example,DC=test"
	Administrator = "Administrator@" + Realm
	Password      = "Passw0rd.123"
)

const install = "install Samba's domain controller (Debian and Ubuntu: apt-get install --no-install-recommends " +
	"samba-ad-dc samba-ad-provision samba samba-dsdb-modules samba-vfs-modules winbind python3-samba)"

// Domain is one running domain controller of Samba. Its differences from Microsoft's matter little here; it has no
// MaxPageSize and no MaxValRange. It needs root, because its LDAP port cannot be chosen. Making a domain takes about
// six seconds.
type Domain struct {
	slapdtest.Admin // the administrator

	// PasswordFile is the file with the administrator's password.
	PasswordFile string

	dir string
}

// Start makes a domain and runs its controller until the test ends. The options are further settings of smb.conf, such
// as "tls enabled=yes".
func Start(t testing.TB, options ...string) *Domain {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("a domain controller needs root: its LDAP port is always 389")
	}
	dir, err := os.MkdirTemp("", "dc") //nolint:usetesting // t.TempDir's path is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	ip := freeAddress(t, dir)
	provision(t, dir, ip)
	d := &Domain{Admin: slapdtest.Admin{URL: "ldap://" + ip, DN: Administrator, Password: Password},
		PasswordFile: filepath.Join(dir, "admin.pw"), dir: dir}
	if err := os.WriteFile(d.PasswordFile, []byte(Password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.run(t, dir, options)
	return d
}

func provision(t testing.TB, dir, ip string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "samba-tool", "domain", "provision", "--targetdir="+dir,
		"--realm="+Realm, "--domain=ADTEST", "--server-role=dc", "--dns-backend=NONE", "--adminpass="+Password,
		"--host-name=dc1", "--host-ip="+ip,
		"--option=interfaces="+ip+"/8", "--option=bind interfaces only=yes")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("samba-tool domain provision: %v: %s\n%s", err, install, out)
	}
	for _, sub := range []string{"run", "lock"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// run starts the controller with LDAP and the services that LDAP needs, and waits until it responds.
func (d *Domain) run(t testing.TB, dir string, options []string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	args := []string{"-F", "--no-process-group", "-M", "single", "-s", filepath.Join(dir, "etc", "smb.conf"),
		"--debug-stdout", "-d", "1"}
	for name, value := range map[string]string{
		"server services": "ldap, cldap, kdc, drepl", "ldap server require strong auth": "no", "tls enabled": "no",
		"pid directory": dir + "/run", "lock directory": dir + "/lock", "ncalrpc dir": dir + "/ncalrpc",
		"log file": dir + "/log.samba",
	} {
		args = append(args, "--option="+name+"="+value)
	}
	for _, option := range options {
		args = append(args, "--option="+option)
	}
	cmd := exec.CommandContext(ctx, "samba", args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	// Its helper processes are in a process group of their own, so that all of them, and no other process, end with
	// it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatalf("samba: %v: %s", err, install)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(5 * time.Minute)
	for !d.answers() {
		select {
		case err := <-done:
			done <- err
			t.Fatalf("samba ended: %v\n%s", err, out.String())
		case <-deadline:
			t.Fatal("samba did not answer within five minutes")
		case <-tick.C:
		}
	}
}

func (d *Domain) answers() bool {
	c, err := ldap.DialURL(d.URL)
	if err != nil {
		return false
	}
	defer c.Close()
	return c.Bind(Administrator, Password) == nil
}

// SetPassword gives an account the administrator's password.
func (d *Domain) SetPassword(t testing.TB, login string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "samba-tool", "user", "setpassword", login,
		"--newpassword="+Password, "-s", filepath.Join(d.dir, "etc", "smb.conf"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("set the password of %s: %v\n%s", login, err, out)
	}
}

// MakePrimary makes a group the primary group of one of its members, who thereby leaves its member attribute.
func (d *Domain) MakePrimary(t testing.TB, group, user string) {
	t.Helper()
	c := d.Conn(t)
	found, err := c.Search(ldap.NewSearchRequest(group, ldap.ScopeBaseObject, ldap.NeverDerefAliases, 1, 0, false,
		"(objectClass=*)", []string{"primaryGroupToken"}, nil))
	if err != nil || len(found.Entries) != 1 {
		t.Fatalf("read %s: %v", group, err)
	}
	change := ldap.NewModifyRequest(user, nil)
	change.Replace("primaryGroupID", found.Entries[0].GetAttributeValues("primaryGroupToken"))
	if err := c.Modify(change); err != nil {
		t.Fatalf("make %s the primary group of %s: %v", group, user, err)
	}
}

// freeAddress finds a loopback address with a free LDAP port, because the port cannot be chosen. The name of the
// domain's own directory keeps concurrent tests apart.
func freeAddress(t testing.TB, dir string) string {
	t.Helper()
	h := fnv.New32a()
	h.Write([]byte(dir))
	for n := range uint32(250) {
		at := h.Sum32() + n
		ip := fmt.Sprintf("127.53.%d.%d", at/250%250+2, at%250+2)
		l, err := net.Listen("tcp", ip+":389")
		if err == nil {
			l.Close()
			return ip
		}
	}
	t.Fatal("no loopback address has a free port 389")
	return ""
}
