package boot_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rollcall/internal/boot"
	"rollcall/internal/config"
	"rollcall/internal/redistest"
	"rollcall/internal/secret"
	"rollcall/internal/testclock"
)

// issuer issues certificates for 127.0.0.1.
type issuer struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"},
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	a := &issuer{key: key, pool: x509.NewCertPool()}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.pool.AddCert(a.cert)
	return a
}

// issue writes a certificate and its key.
func (a *issuer) issue(t *testing.T, serial int64, certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// The API is served with TLS to clients with a certificate. A renewed certificate is used without a restart.
func TestTLS(t *testing.T) {
	t.Parallel()
	dir, ca := t.TempDir(), newIssuer(t)
	file := func(name string) string { return filepath.Join(dir, name) }
	ca.issue(t, 2, file("server.pem"), file("server.key"))
	ca.issue(t, 3, file("client.pem"), file("client.key"))
	if err := os.WriteFile(file("ca.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw}),
		0o600); err != nil {
		t.Fatal(err)
	}
	addr := serve(t, config.Process{TLSCertFile: file("server.pem"), TLSKeyFile: secret.File(file("server.key")),
		TLSClientCAFile: file("ca.pem")})
	pair, err := tls.LoadX509KeyPair(file("client.pem"), file("client.key"))
	if err != nil {
		t.Fatal(err)
	}
	get := func(certificates ...tls.Certificate) (serial int64, err error) {
		c := http.Client{Transport: &http.Transport{DisableKeepAlives: true, ForceAttemptHTTP2: true,
			TLSClientConfig: &tls.Config{RootCAs: ca.pool, Certificates: certificates, MinVersion: tls.VersionTLS12}}}
		resp, err := c.Get("https://" + addr + "/livez")
		if err != nil {
			return 0, err
		}
		defer resp.Body.Close()
		return resp.TLS.PeerCertificates[0].SerialNumber.Int64(), nil
	}
	if serial, err := get(pair); err != nil || serial != 2 {
		t.Errorf("certificate %d, err %v; want 2", serial, err)
	}
	if _, err := get(); err == nil {
		t.Error("a client without a certificate is served")
	}
	ca.issue(t, 4, file("server.pem"), file("server.key"))
	testclock.Eventually(t, time.Minute, "the renewed certificate is served", func() bool {
		serial, err := get(pair)
		return err == nil && serial == 4
	})
	if err := os.WriteFile(file("server.pem"), []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if serial, err := get(pair); err != nil || serial != 4 {
		t.Errorf("certificate %d, err %v; want the earlier one beside a wrong file", serial, err)
	}
}

// serve serves the API of a process without tokens and returns its address.
func serve(t *testing.T, p config.Process) string {
	t.Helper()
	p.RedisURL, p.Listen, p.InsecureNoTokens = redistest.URL(t), "127.0.0.1:0", true
	ctx, cancel := context.WithCancel(t.Context())
	app, err := boot.With(ctx, p, &config.Config{}, os.Getenv, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	srv, err := app.API(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	served, addr := make(chan error, 1), make(chan net.Addr, 1)
	go func() { served <- boot.Serve(ctx, srv, time.Second, func(a net.Addr) { addr <- a }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
		app.Close()
	})
	return (<-addr).String()
}

func TestListenersBeyondLoopback(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		p    config.Process
		says string
	}{
		"API":            {config.Process{Listen: ":8080"}, "ROLLCALL_BEHIND_PROXY=true"},
		"behind a proxy": {config.Process{Listen: "0.0.0.0:8080", BehindProxy: true}, ""},
		"loopback":       {config.Process{Listen: "[::1]:8080"}, ""},
		"localhost":      {config.Process{Listen: "localhost:8080"}, ""},
	} {
		test.p.RedisURL = redistest.URL(t)
		app, err := boot.With(t.Context(), test.p, &config.Config{}, os.Getenv, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		defer app.Close()
		_, err = app.API(t.Context(), nil)
		if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: err %v, want %q", name, err, test.says)
		}
	}
	p := config.Process{RedisURL: redistest.URL(t), Listen: ":8080", BehindProxy: true, InsecureNoTokens: true}
	app, err := boot.With(t.Context(), p, &config.Config{}, os.Getenv, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer app.Close()
	if _, err := app.Tokens(); err == nil || !strings.Contains(err.Error(), "loopback only") {
		t.Errorf("an API without tokens that is open to other hosts: err %v", err)
	}
}
