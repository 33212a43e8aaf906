// Package slapdtest runs a real OpenLDAP server for tests, on a free loopback port. Its configuration and data are in
// a temporary directory that is deleted when the test ends. It needs slapd from the distribution (Debian: apt-get
// install slapd) and no rights. A start takes 0.1 s, with 10,000 entries 0.3 s.
package slapdtest

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"rollcall/internal/testprocess"
)

// The tree that every server has, and who may do what in it.
const (
	Suffix       = "dc=example,dc=org"
	People       = "ou=people," + Suffix
	Groups       = "ou=groups," + Suffix
	RootDN       = "cn=admin," + Suffix
	RootPassword = "root-secret"
	// Reader is an account under ou=services that limits set by Options.ReaderLimit apply to.
	Reader         = "cn=reader,ou=services," + Suffix
	ReaderPassword = "reader-secret"
)

// Options says what a server is like. The zero Options is an empty tree without TLS or limits.
type Options struct {
	// LDIF is added below the tree, as Generate and Entry write it. It may carry operational attributes.
	LDIF string
	// SizeLimit is olcSizeLimit for all clients but RootDN, as a number or "size.soft=… size.hard=…".
	SizeLimit string
	// ReaderLimits are olcLimits for Reader, such as "size.prtotal=5" or "time=1".
	ReaderLimits string
	// TLS makes the server answer on LDAPSURL and to StartTLS, with a certificate for localhost and 127.0.0.1.
	TLS bool
	// PPolicy loads the password policy overlay, which brings pwdAccountLockedTime.
	PPolicy bool
	// SyncProv loads the overlay that keeps contextCSN, the position of the server.
	SyncProv bool
	// SessionLog is how many changes syncprov remembers, so that it can tell deletions. Zero means none.
	SessionLog int
	// Access are olcAccess rules. Without them every client may read everything.
	Access []string
}

// Server is one running slapd.
type Server struct {
	Admin // RootDN, which may also set operational attributes

	// LDAPSURL is where it listens with TLS; empty without TLS.
	LDAPSURL string
	// CAFile has the authority that signed the server's certificate.
	CAFile string
	// PasswordFile and ReaderPasswordFile have the two passwords, for configurations that want a file.
	PasswordFile, ReaderPasswordFile string

	dir  string
	mu   sync.Mutex
	proc *testprocess.Process
}

// Start runs a server until the test ends.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	slapd, slapadd := binary(t, "slapd"), binary(t, "slapadd")
	const relax = "1.3.6.1.4.1.4203.666.5.12" // the control for slapd's relaxed rules
	s := &Server{dir: t.TempDir(), Admin: Admin{DN: RootDN, Password: RootPassword,
		Adding: []ldap.Control{ldap.NewControlString(relax, true, "")}}}
	for _, sub := range []string{"conf", "data", "run", "tls"} {
		s.must(t, os.Mkdir(filepath.Join(s.dir, sub), 0o700))
	}
	s.PasswordFile, s.ReaderPasswordFile = s.file(t, "root.pw", RootPassword), s.file(t, "reader.pw", ReaderPassword)
	if o.TLS {
		s.must(t, writeCertificates(filepath.Join(s.dir, "tls")))
		s.CAFile = filepath.Join(s.dir, "tls", "ca.pem")
	}
	conf := filepath.Join(s.dir, "conf")
	run(t, slapadd, []string{"-n", "0", "-F", conf}, configLDIF(s.dir, &o))
	run(t, slapadd, []string{"-n", "1", "-q", "-F", conf}, baseLDIF+o.LDIF)
	// Another process may take a free port before slapd does; another port is tried then.
	for range 5 {
		s.URL = "ldap://" + testprocess.Addr(t)
		if o.TLS {
			s.LDAPSURL = "ldaps://" + testprocess.Addr(t)
		}
		if err := s.start(slapd); err == nil {
			t.Cleanup(func() { s.Stop() })
			return s
		} else if !strings.Contains(err.Error(), "in use") {
			t.Fatal(err)
		}
	}
	t.Fatal("slapd: five free ports were taken by other processes")
	return nil
}

// Stop kills the server and waits until it is gone. Stopping twice does nothing.
func (s *Server) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc != nil {
		s.proc.Kill()
		s.proc = nil
	}
}

// Restart stops the server and starts it on the same ports with the same data.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.Stop()
	s.must(t, s.start(binary(t, "slapd")))
}

// Freeze stops the server's process until the returned function is called, which simulates a server that hangs.
func (s *Server) Freeze(t testing.TB) (thaw func()) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.proc.Freeze(t)
}

func (s *Server) start(slapd string) error {
	proc, err := testprocess.Start(slapd, "-h", strings.TrimSpace(s.URL+" "+s.LDAPSURL),
		"-F", filepath.Join(s.dir, "conf"), "-d", "0")
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.proc = proc
	s.mu.Unlock()
	return proc.WaitUntil(2*time.Minute, func() bool { // slapd begins to listen on one port after the other.
		for url := range strings.FieldsSeq(s.URL + " " + s.LDAPSURL) {
			_, addr, _ := strings.Cut(url, "://")
			c, err := net.DialTimeout("tcp", addr, time.Second)
			if err != nil {
				return false
			}
			c.Close()
		}
		return true
	})
}

func (s *Server) file(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(s.dir, name)
	s.must(t, os.WriteFile(path, []byte(content+"\n"), 0o600))
	return path
}

func (s *Server) must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// binary finds a program of the slapd package. Debian keeps them where only root's PATH looks.
func binary(t testing.TB, name string) string {
	t.Helper()
	for _, candidate := range []string{name, "/usr/sbin/" + name, "/usr/lib/openldap/" + name, "/usr/libexec/" + name} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path
		}
	}
	t.Fatalf("%s is not installed: install slapd (Debian and Ubuntu: apt-get install --no-install-recommends slapd "+
		"ldap-utils)", name)
	return ""
}

func run(t testing.TB, name string, args []string, stdin string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, out.String())
	}
}

// Admin changes the entries of a directory as its administrator. The servers of other makers that tests run have one,
// too.
type Admin struct {
	// URL is where the server listens.
	URL string
	// DN and Password are those of the administrator.
	DN, Password string
	// Adding are sent with each entry that is added.
	Adding []ldap.Control
}

// Conn returns a connection that is bound as the administrator and closed when the test ends.
func (a *Admin) Conn(t testing.TB) *ldap.Conn {
	t.Helper()
	return a.conn(t, a.DN)
}

func (a *Admin) conn(t testing.TB, dn string) *ldap.Conn {
	t.Helper()
	c, err := ldap.DialURL(a.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.Bind(dn, a.Password); err != nil {
		t.Fatalf("bind as %s: %v", dn, err)
	}
	return c
}

// change makes one change over a connection of its own.
func (a *Admin) change(t testing.TB, dn string, with func(*ldap.Conn) error) {
	t.Helper()
	c := a.Conn(t)
	defer c.Close()
	if err := with(c); err != nil {
		t.Fatalf("%s: %v", dn, err)
	}
}

// Add adds an entry; attributes are name, value pairs. A Server takes operational attributes, too.
func (a *Admin) Add(t testing.TB, dn string, pairs ...string) {
	t.Helper()
	req := ldap.NewAddRequest(dn, a.Adding)
	values := map[string][]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		values[pairs[i]] = append(values[pairs[i]], pairs[i+1])
	}
	for name, v := range values {
		req.Attribute(name, v)
	}
	a.change(t, dn, func(c *ldap.Conn) error { return c.Add(req) })
}

// Set replaces the values of an attribute; none removes it.
func (a *Admin) Set(t testing.TB, dn, name string, values ...string) {
	t.Helper()
	req := ldap.NewModifyRequest(dn, nil)
	req.Replace(name, values)
	a.change(t, dn, func(c *ldap.Conn) error { return c.Modify(req) })
}

// Delete removes an entry.
func (a *Admin) Delete(t testing.TB, dn string) {
	t.Helper()
	a.change(t, dn, func(c *ldap.Conn) error { return c.Del(ldap.NewDelRequest(dn, nil)) })
}

// Rename gives an entry another first RDN and, where parent is not empty, moves it.
func (a *Admin) Rename(t testing.TB, dn, rdn, parent string) {
	t.Helper()
	a.change(t, dn, func(c *ldap.Conn) error { return c.ModifyDN(ldap.NewModifyDNRequest(dn, rdn, true, parent)) })
}

// Entry writes one LDIF record; attributes are name, value pairs, and values that LDIF cannot hold as text (RFC 2849,
// SAFE-STRING) are written in base64.
func Entry(dn string, pairs ...string) string {
	var b strings.Builder
	line(&b, "dn", dn)
	for i := 0; i+1 < len(pairs); i += 2 {
		line(&b, pairs[i], pairs[i+1])
	}
	b.WriteByte('\n')
	return b.String()
}

func line(b *strings.Builder, name, value string) {
	safe := value == "" || !strings.ContainsAny(value[:1], " :<") && !strings.HasSuffix(value, " ")
	for i := 0; safe && i < len(value); i++ {
		safe = value[i] >= ' ' && value[i] < 0x7f
	}
	if safe {
		fmt.Fprintf(b, "%s: %s\n", name, value)
		return
	}
	fmt.Fprintf(b, "%s:: %s\n", name, base64.StdEncoding.EncodeToString([]byte(value)))
}

// UUID returns the entryUUID that Generate gives the nth user (or group, from GroupUUIDs on).
func UUID(n int) string { return fmt.Sprintf("%08x-0000-4000-8000-%012x", n, n) }

// GroupUUIDs is the first number of the groups' entryUUIDs.
const GroupUUIDs = 0x40000000

// UserDN returns the DN that Generate gives to a user.
func UserDN(n int) string { return fmt.Sprintf("uid=u%06d,%s", n, People) }

// GroupDN returns the DN that Generate gives to a group.
func GroupDN(n int) string { return fmt.Sprintf("cn=g%05d,%s", n, Groups) }

// Generate writes users and groups with members each, spread over the users.
func Generate(users, groups, members int) string {
	var b strings.Builder
	for i := range users {
		fmt.Fprintf(&b, "dn: %s\nobjectClass: inetOrgPerson\nentryUUID: %s\nuid: u%06[3]d\ncn: First%[3]d Last%[3]d\nsn: "+
			"Last%[3]d\n", UserDN(i), UUID(i), i)
		fmt.Fprintf(&b, "givenName: First%[1]d\ndisplayName: First%[1]d Last%[1]d\nmail: "+
			"u%06[1]d@example.org\nemployeeNumber: %[1]d\n", i)
		fmt.Fprintf(&b, "telephoneNumber: +1 555 %07d\ntitle: Engineer %d\ndepartmentNumber: D%d\nl: City %d\nstreet: %d "+
			"Main Street\n\n", i, i%17, i%101, i%53, i)
	}
	for j := range groups {
		fmt.Fprintf(&b, "dn: %s\nobjectClass: groupOfNames\nentryUUID: %s\ncn: g%05[3]d\ndescription: Group %[3]d\n",
			GroupDN(j), UUID(GroupUUIDs+j), j)
		seen := map[int]bool{}
		for k := range members {
			if n := (j*7919 + k*104729) % max(users, 1); !seen[n] {
				seen[n] = true
				fmt.Fprintf(&b, "member: %s\n", UserDN(n))
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// Limit changes olcSizeLimit of the running server.
func (s *Server) Limit(t testing.TB, size string) {
	t.Helper()
	req := ldap.NewModifyRequest("olcDatabase={-1}frontend,cn=config", nil)
	req.Replace("olcSizeLimit", []string{size})
	s.must(t, s.conn(t, "cn=config").Modify(req))
}

// Access replaces the access rules of the running server. Without rules every client may read everything.
func (s *Server) Access(t testing.TB, rules ...string) {
	t.Helper()
	values := make([]string, len(rules))
	for i, rule := range rules {
		values[i] = fmt.Sprintf("{%d}%s", i, rule)
	}
	req := ldap.NewModifyRequest("olcDatabase={1}mdb,cn=config", nil)
	req.Replace("olcAccess", values)
	s.must(t, s.conn(t, "cn=config").Modify(req))
}
