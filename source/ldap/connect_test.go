package ldap_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/internal/secret"
	"rollcall/internal/slapdtest"
	"rollcall/source/ldap"
)

func TestTLS(t *testing.T) {
	t.Parallel()
	server := slapdtest.Start(t, slapdtest.Options{TLS: true, LDIF: slapdtest.Generate(3, 0, 0)})
	dir := filepath.Dir(server.CAFile)
	for _, tc := range []struct {
		name   string
		change func(*ldap.Config)
		fail   string
		kind   fault.Kind
	}{
		{"ldaps", func(c *ldap.Config) { c.ServerURI = server.LDAPSURL }, "", 0},
		{"StartTLS", func(c *ldap.Config) { c.StartTLS = true }, "", 0},
		{"client certificate", func(c *ldap.Config) {
			c.ServerURI, c.ClientCertificateFile, c.ClientKeyFile = server.LDAPSURL, secret.PublicFile(dir+"/client.pem"),
				secret.File(dir+"/client.key")
		}, "", 0},
		{"server name", func(c *ldap.Config) { c.ServerURI, c.TLSServerName = server.LDAPSURL, "localhost" }, "", 0},
		{"pin", func(c *ldap.Config) {
			c.ServerURI, c.CAFile, c.TLSPinSHA256 = server.LDAPSURL, "", fingerprint(t, dir+"/server.pem")
		}, "", 0},
		{"pin, StartTLS", func(c *ldap.Config) {
			c.StartTLS, c.CAFile, c.TLSPinSHA256 = true, "", strings.Repeat("00:", 31)+"00,"+fingerprint(t, dir+"/server.pem")
		}, "", 0},
		{"another pin", func(c *ldap.Config) {
			c.ServerURI, c.CAFile, c.TLSPinSHA256 = server.LDAPSURL, "", strings.Repeat("0", 64)
		}, "fingerprint is " + fingerprint(t, dir+"/server.pem"), fault.Invalid},
		{"other server name", func(c *ldap.Config) { c.ServerURI, c.TLSServerName = server.LDAPSURL, "ldap.example.org" },
			"valid for localhost", fault.Invalid},
		{"unknown authority", func(c *ldap.Config) { c.ServerURI, c.CAFile = server.LDAPSURL, "" }, "check ca_file",
			fault.Invalid},
		{"unknown authority, StartTLS", func(c *ldap.Config) { c.StartTLS, c.CAFile = true, "" }, "check ca_file",
			fault.Invalid},
		{"TLS to a plain port", func(c *ldap.Config) { c.ServerURI = strings.Replace(server.URL, "ldap:", "ldaps:", 1) },
			"connect to ldaps://", fault.Unavailable},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := config(server)
			c.CAFile, c.ConnectTimeout = secret.PublicFile(server.CAFile), 3*time.Second
			tc.change(&c)
			if tc.fail == "" {
				if snap := read(t, open(t, c)); snap.Count(directory.User) != 3 {
					t.Errorf("%d users, want 3", snap.Count(directory.User))
				}
				return
			}
			if err := refuse(t, open(t, c), tc.kind); !strings.Contains(fmt.Sprint(err), tc.fail) {
				t.Errorf("Read() = %v, want an error with %q", err, tc.fail)
			}
		})
	}
}

// A domain controller of Samba may make itself a certificate with a negative serial number, which RFC 5280 forbids.
// It can be pinned like others.
func TestCertificateWithANegativeSerialNumber(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial := []byte{0x02, 0x04, 0x11, 0x22, 0x33, 0x44}
	template := x509.Certificate{SerialNumber: new(big.Int).SetBytes(serial[2:]), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der[bytes.Index(der, serial)+2] = 0x91
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{MinVersion: tls.VersionTLS12,
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	server := slapdtest.Start(t, slapdtest.Options{LDIF: slapdtest.Generate(3, 0, 0)})
	go func() {
		for {
			outer, err := listener.Accept()
			if err != nil {
				return
			}
			go between(outer, strings.TrimPrefix(server.URL, "ldap://"))
		}
	}()
	c := config(server)
	c.ServerURI, c.TLSPinSHA256 = "ldaps://"+listener.Addr().String(), fmt.Sprintf("%x", sha256.Sum256(der))
	if snap := read(t, open(t, c)); snap.Count(directory.User) != 3 {
		t.Errorf("%d users, want 3", snap.Count(directory.User))
	}
}

// between passes on what a connection and a server say to each other.
func between(outer net.Conn, server string) {
	defer outer.Close()
	inner, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer inner.Close()
	go func() { _, _ = io.Copy(inner, outer) }()
	_, _ = io.Copy(outer, inner)
}

// What is no certificate is named as that.
func TestMalformedCertificate(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{MinVersion: tls.VersionTLS12,
		Certificates: []tls.Certificate{{Certificate: [][]byte{{0x30, 0}}, PrivateKey: key}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 1)) // It carries out the handshake.
			_ = conn.Close()
		}
	}()
	c := ldap.DefaultConfig()
	c.Slug, c.ServerURI, c.BaseDN = "corp", "ldaps://"+listener.Addr().String(), slapdtest.Suffix
	err = refuse(t, open(t, c), fault.Invalid)
	if !strings.Contains(err.Error(), "give the server another one") {
		t.Errorf("Read() = %v, want it to say what to do about the certificate", err)
	}
}

// fingerprint returns the SHA-256 hash of a certificate in a PEM file.
func fingerprint(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	return fmt.Sprintf("%x", sha256.Sum256(block.Bytes))
}

func TestBind(t *testing.T) {
	t.Parallel()
	server := slapdtest.Start(t, slapdtest.Options{LDIF: slapdtest.Generate(3, 0, 0), Access: []string{
		"to attrs=userPassword by anonymous auth by * none",
		"to * by anonymous auth by dn.exact=" + slapdtest.Reader + " read by * none",
	}})
	wrong := filepath.Join(t.TempDir(), "wrong")
	if err := os.WriteFile(wrong, []byte("not-the-password"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := config(server)
	c.BindPasswordFile = secret.File(wrong)
	err := refuse(t, open(t, c), fault.Denied)
	for _, want := range []string{"source corp", server.URL, "Invalid Credentials (49)", "check bind_cn"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("Read() = %v, want it to say %q", err, want)
		}
	}
	if strings.Contains(err.Error(), "not-the-password") {
		t.Errorf("Read() = %v: it shows the password", err)
	}
	c.BindCN, c.BindPasswordFile = "", ""
	if err := refuse(t, open(t, c), fault.Denied); !strings.Contains(err.Error(), "give the bind account the right") {
		t.Errorf("Read() = %v, want a hint at rights", err)
	}
	c.BindCN, c.BindPasswordEnv = slapdtest.Reader, "PW"
	s, err := ldap.New(c, nil, ldap.Options{Getenv: func(string) string { return slapdtest.ReaderPassword }})
	if err != nil {
		t.Fatal(err)
	}
	read(t, s)
}

func TestFailover(t *testing.T) {
	t.Parallel()
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead.Close()
	down := "ldap://" + dead.Addr().String()
	server := slapdtest.Start(t, slapdtest.Options{LDIF: slapdtest.Generate(3, 0, 0)})
	c := config(server)
	c.ServerURI = down + "," + server.URL
	read(t, open(t, c))
	c.ServerURI = down + ", " + down + "/"
	if err := refuse(t, open(t, c), fault.Unavailable); strings.Count(err.Error(), down) != 2 {
		t.Errorf("Read() = %v, want both servers named", err)
	}
	// A refused password is not tried on the next server.
	c.ServerURI, c.BindCN = server.URL+","+down, "cn=nobody,"+slapdtest.Suffix
	if err := refuse(t, open(t, c), fault.Denied); strings.Contains(err.Error(), down) {
		t.Errorf("Read() = %v: the password went to the second server too", err)
	}
}

// TestSilentServer has servers that fall silent; every read ends by its timeout, or at once when it is cancelled.
func TestSilentServer(t *testing.T) {
	t.Parallel()
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mute.Close() })
	server := slapdtest.Start(t, slapdtest.Options{LDIF: slapdtest.Generate(2000, 0, 0)})
	c := config(server)
	t.Run("before the bind", func(t *testing.T) {
		t.Parallel()
		c := c
		c.ServerURI, c.ConnectTimeout = "ldap://"+mute.Addr().String(), 100*time.Millisecond
		if err := refuse(t, open(t, c), fault.Unavailable); !strings.Contains(err.Error(), "connect_timeout") {
			t.Errorf("Read() = %v, want connect_timeout named", err)
		}
	})
	t.Run("in a page", func(t *testing.T) {
		t.Parallel()
		w := newWire(t, server.URL)
		c := c
		c.ServerURI = w.URI
		read(t, open(t, c))
		c.RequestTimeout = 300 * time.Millisecond
		s := open(t, c)
		w.stall.Store(w.answered.Load() / 2)
		if err := refuse(t, s, fault.Unavailable); !strings.Contains(err.Error(), "request_timeout") {
			t.Errorf("Read() = %v, want request_timeout named", err)
		}
		c.RequestTimeout = time.Hour
		s = open(t, c)
		ctx, cancel := context.WithCancelCause(t.Context())
		stop := func() { cancel(errors.New("shutting down")) }
		w.stalled.Store(&stop)
		if _, err := s.Read(ctx, directory.Query{}); fault.KindOf(err) != fault.Canceled ||
			!strings.Contains(err.Error(), "shutting down") {
			t.Errorf("Read() = %v, want an error of kind canceled with the cause", err)
		}
	})
}

func TestServerGoesAway(t *testing.T) {
	t.Parallel()
	server := slapdtest.Start(t, slapdtest.Options{LDIF: slapdtest.Generate(3, 1, 2)})
	s := open(t, config(server))
	want := read(t, s)
	server.Stop()
	refuse(t, s, fault.Unavailable)
	server.Restart(t)
	if got := read(t, s); len(got.Entries) != len(want.Entries) {
		t.Errorf("%d entries after the restart, want %d", len(got.Entries), len(want.Entries))
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		o    slapdtest.Options
		page int
	}{
		{"size of a page", slapdtest.Options{ReaderLimits: "size.pr=5 size.prtotal=unlimited"}, 10},
		{"size of all pages", slapdtest.Options{ReaderLimits: "size.prtotal=15"}, 10},
		{"size without paging", slapdtest.Options{ReaderLimits: "size.prtotal=disabled"}, 10},
		{"size for everybody", slapdtest.Options{SizeLimit: "5"}, 10},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.o.LDIF = slapdtest.Generate(30, 0, 0)
			c := config(slapdtest.Start(t, tc.o))
			c.PageSize = tc.page
			err := refuse(t, open(t, c), fault.Invalid)
			for _, want := range []string{"search ou=people," + slapdtest.Suffix, c.ServerURI, " (", "limit"} {
				if !strings.Contains(strings.ToLower(err.Error()), want) {
					t.Errorf("Read() = %v, want it to say %q", err, want)
				}
			}
		})
	}
}

func TestBaseThatIsNotThere(t *testing.T) {
	t.Parallel()
	server := slapdtest.Start(t, slapdtest.Options{LDIF: slapdtest.Generate(1, 0, 0)})
	c := config(server)
	c.AdditionalGroupDN = "ou=teams"
	err := refuse(t, open(t, c), fault.Invalid)
	for _, want := range []string{"ou=teams," + slapdtest.Suffix, "No Such Object (32)", "check base_dn"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("Read() = %v, want it to say %q", err, want)
		}
	}
}
