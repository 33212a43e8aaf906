// Package slapdtest runs a real OpenLDAP server for tests, on a free loopback port. Its configuration and data are in
// a temporary directory that is deleted when the test ends. It needs slapd from the distribution (Debian: apt-get
// install slapd) and no rights. A start takes 0.1 s, with 10,000 entries 0.3 s.
package slapdtest

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"rollcall/internal/freeport"
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
		s.URL = "ldap://" + freeport.Addr(t)
		if o.TLS {
			s.LDAPSURL = "ldaps://" + freeport.Addr(t)
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
