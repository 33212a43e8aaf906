//go:build ds389

package ldap_test

import (
	"crypto/sha1" //nolint:gosec // the server's scheme SSHA; the passwords are no secrets
	"encoding/base64"
	"net"
	"os"
	"os/exec"
	osuser "os/user" // the tests have a function user
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"rollcall/internal/slapdtest"
	"rollcall/internal/testprocess"
)

// What every 389 Directory Server has. The tree and the accounts below it have the names of package slapdtest.
const (
	manager389   = "cn=Directory Manager"
	backend389   = "userRoot"
	wait389      = 2 * time.Minute
	templates389 = "/usr/share/dirsrv/data/"
	install389   = "install 389 Directory Server " +
		"(Debian and Ubuntu: apt-get install --no-install-recommends 389-ds-base)"
)

// options389 says what a server is like. The zero options389 is a tree without people, where the reader has no rights.
type options389 struct {
	// LDIF is added below the tree, as slapdtest.Entry writes it. It may have nsUniqueId.
	LDIF string
	// ACIs are the access rules of the suffix.
	ACIs []string
	// Reader has further attributes of the reader, as name, value pairs.
	Reader []string
	// Plugins are the names of plug-ins that are switched on.
	Plugins []string
	// Schema has attributes and classes beyond those of the distribution, as lines of LDIF.
	Schema string
	// Config has further entries of the configuration, in LDIF.
	Config string
}

// server389 is one running ns-slapd, on a free loopback port. Its configuration and data are in a temporary directory
// that is deleted when the test ends. A start takes two to four seconds.
type server389 struct {
	slapdtest.Admin // cn=Directory Manager

	// PasswordFile and ReaderPasswordFile have the passwords of the manager and of slapdtest.Reader.
	PasswordFile, ReaderPasswordFile string

	dir  string
	proc *testprocess.Process
}

// run389 runs a server until the test ends.
func run389(t testing.TB, o options389) *server389 {
	t.Helper()
	dir, err := os.MkdirTemp("", "ds") //nolint:usetesting // t.TempDir's path is too long for a socket
	s := &server389{dir: dir, Admin: slapdtest.Admin{DN: manager389, Password: slapdtest.RootPassword}}
	s.must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	for _, sub := range []string{"conf/schema", "lock", "tmp", "ldif", "bak", "run", "inst", "log", "db"} {
		s.must(t, os.MkdirAll(filepath.Join(dir, sub), 0o700))
	}
	s.PasswordFile = s.file(t, "manager.pw", slapdtest.RootPassword+"\n")
	s.ReaderPasswordFile = s.file(t, "reader.pw", slapdtest.ReaderPassword+"\n")
	s.URL = "ldap://" + testprocess.Addr(t)
	s.file(t, "conf/dse.ldif", s.config(t, &o))
	s.file(t, "conf/schema/99user.ldif", "dn: cn=schema\nobjectClass: ldapSubentry\nobjectClass: subschema\ncn: schema\n"+
		o.Schema)
	tree := s.file(t, "tree.ldif", base389(&o)+o.LDIF)
	load := exec.CommandContext(t.Context(), binary389(t), "ldif2db", "-D", filepath.Join(dir, "conf"), "-n", backend389,
		"-i", tree)
	if out, err := load.CombinedOutput(); err != nil || strings.Contains(string(out), "WARN - bdb_import") {
		t.Fatalf("ldif2db: %v\n%s", err, out)
	}
	s.Run(t)
	t.Cleanup(func() {
		if s.proc != nil {
			s.proc.Kill()
		}
	})
	return s
}

// Run starts the server again on the same port.
func (s *server389) Run(t testing.TB) {
	t.Helper()
	// Without a level of messages the server would leave the foreground. This one is the default level.
	const foreground = "266354688"
	proc, err := testprocess.Start(binary389(t), "-D", filepath.Join(s.dir, "conf"), "-i", filepath.Join(s.dir, "run/pid"),
		"-d", foreground)
	s.must(t, err)
	s.proc = proc
	s.must(t, proc.WaitUntil(wait389, func() bool {
		c, err := ldap.DialURL(s.URL)
		if err != nil {
			return false
		}
		defer c.Close()
		return c.Bind(manager389, slapdtest.RootPassword) == nil
	}))
}

// Stop ends the server, which writes all that it has. Stopping twice does nothing.
func (s *server389) Stop() {
	if s.proc != nil {
		s.proc.End()
		s.proc = nil
	}
}

// Save returns a function that brings back the data of this moment, as the restoration of a backup does.
func (s *server389) Save(t testing.TB) (restore func()) {
	t.Helper()
	db, saved := filepath.Join(s.dir, "db"), t.TempDir()
	s.Stop()
	s.must(t, os.CopyFS(saved, os.DirFS(db)))
	s.Run(t)
	return func() {
		t.Helper()
		s.Stop()
		s.must(t, os.RemoveAll(db))
		s.must(t, os.CopyFS(db, os.DirFS(saved)))
		s.Run(t)
	}
}

// config fills the templates of the distribution.
func (s *server389) config(t testing.TB, o *options389) string {
	t.Helper()
	me, err := osuser.Current()
	s.must(t, err)
	_, port, err := net.SplitHostPort(strings.TrimPrefix(s.URL, "ldap://"))
	s.must(t, err)
	known := map[string]string{
		"schema_dir": "conf/schema", "lock_dir": "lock", "tmp_dir": "tmp", "cert_dir": "conf", "ldif_dir": "ldif",
		"bak_dir": "bak", "run_dir": "run", "inst_dir": "inst", "log_dir": "log", "db_dir": "db", "db_home_dir": "db",
	}
	for name, sub := range known {
		known[name] = filepath.Join(s.dir, sub)
	}
	known["fqdn"], known["ds_port"], known["ds_user"], known["rootdn"] = "localhost", port, me.Username, manager389
	known["ds_passwd"], known["ldapi_enabled"], known["ldapi_autobind"] = hashed389(slapdtest.RootPassword), "off", "off"
	known["ldapi"], known["config_dir"], known["db_lib"] = s.dir+"/run/ldapi", "/etc/dirsrv/config", "bdb"
	known["ds_suffix"], known["ds_bename"] = slapdtest.Suffix, backend389
	text := ""
	for _, name := range []string{"template-dse.ldif", "template-suffix-db.ldif"} {
		raw, err := os.ReadFile(templates389 + name)
		if err != nil {
			t.Fatalf("%v: %s", err, install389)
		}
		text += strings.TrimSpace(regexp.MustCompile(`(?m)^#.*\n`).ReplaceAllString(string(raw), "")) + "\n\n"
	}
	out := regexp.MustCompile(`%(\w+)%`).ReplaceAllStringFunc(text, func(m string) string {
		return known[strings.Trim(m, "%")]
	})
	out = strings.Replace(out, "nsslapd-port:", "nsslapd-listenhost: 127.0.0.1\nnsslapd-accesslog-logging-enabled: off\n"+
		"nsslapd-port:", 1)
	// Small caches, so that many servers fit into one machine.
	out = strings.Replace(out, "nsslapd-subtree-rename-switch: on", "nsslapd-subtree-rename-switch: on\n"+
		"nsslapd-cache-autosize: 0\nnsslapd-dbcachesize: 2000000", 1)
	for _, plugin := range o.Plugins {
		out = switchOn389(t, out, plugin)
	}
	return out + o.Config
}

// switchOn389 enables a plug-in of the configuration.
func switchOn389(t testing.TB, config, plugin string) string {
	t.Helper()
	head, entry, ok := strings.Cut(config, "dn: cn="+plugin+",cn=plugins,cn=config\n")
	if !ok {
		t.Fatalf("the server has no plug-in %q", plugin)
	}
	off := regexp.MustCompile(`(?i)nsslapd-pluginenabled: off`)
	entry, rest, _ := strings.Cut(entry, "\n\n")
	return head + "dn: cn=" + plugin + ",cn=plugins,cn=config\n" +
		off.ReplaceAllString(entry, "nsslapd-pluginEnabled: on") + "\n\n" + rest
}

// base389 has the entries that every server has.
func base389(o *options389) string {
	suffix := []string{"objectClass", "top", "objectClass", "domain", "dc", "example"}
	for _, aci := range o.ACIs {
		suffix = append(suffix, "aci", aci)
	}
	out := slapdtest.Entry(slapdtest.Suffix, suffix...)
	for _, ou := range []string{"people", "groups", "services"} {
		out += slapdtest.Entry("ou="+ou+","+slapdtest.Suffix, "objectClass", "organizationalUnit", "ou", ou)
	}
	return out + slapdtest.Entry(slapdtest.Reader, append([]string{"objectClass", "organizationalRole", "objectClass",
		"simpleSecurityObject", "cn", "reader", "userPassword", hashed389(slapdtest.ReaderPassword)}, o.Reader...)...)
}

// hashed389 returns a password as the server keeps it.
func hashed389(password string) string {
	const salt = "salt"
	sum := sha1.Sum([]byte(password + salt)) //nolint:gosec // see the import
	return "{SSHA}" + base64.StdEncoding.EncodeToString(append(sum[:], salt...))
}

func (s *server389) file(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(s.dir, name)
	s.must(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func (s *server389) must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// binary389 finds the server, which Debian keeps where only root's PATH leads.
func binary389(t testing.TB) string {
	t.Helper()
	for _, candidate := range []string{"ns-slapd", "/usr/sbin/ns-slapd"} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path
		}
	}
	t.Fatal(install389)
	return ""
}
