package entra_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"rollcall/internal/secret"
	"rollcall/provider/entra"
	"rollcall/simulator/graph"
)

// certificateOnce is a certificate with its key in PEM.
var certificateOnce = sync.OnceValues(func() (*x509.Certificate, []byte) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "rollcall"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	var b bytes.Buffer
	_ = pem.Encode(&b, &pem.Block{Type: "PRIVATE KEY", Bytes: private})
	_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: der})
	return cert, b.Bytes()
})

func TestCertificate(t *testing.T) {
	t.Parallel()
	cert, text := certificateOnce()
	file := filepath.Join(t.TempDir(), "app.pem")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	w := open(t, setup{
		tenant: graph.Config{App: graph.App{Certificates: []*x509.Certificate{cert}}},
		config: func(c *entra.Config) { c.ClientSecretFile, c.CertificateFile = "", secret.File(file) },
	})
	if _, err := w.Check(t.Context()); err != nil {
		t.Errorf("Check() with a certificate = %v", err)
	}
}

func TestWorkloadIdentity(t *testing.T) {
	t.Parallel()
	claims, err := json.Marshal(map[string]any{
		"iss": "https://cluster.example.com", "sub": "system:serviceaccount:rollcall:worker",
		"aud": "api://AzureADTokenExchange",
		"exp": time.Now().Add(time.Hour).Unix(), "nbf": time.Now().Add(-time.Minute).Unix(), "iat": time.Now().Unix(),
	})
	if err != nil {
		t.Fatal(err)
	}
	part := base64.RawURLEncoding.EncodeToString
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file,
		[]byte(part([]byte(`{"alg":"RS256","typ":"JWT"}`))+"."+part(claims)+"."+part([]byte("signed"))), 0o600); err != nil {
		t.Fatal(err)
	}
	app := graph.App{Federated: []graph.FederatedCredential{{Issuer: "https://cluster.example.com",
		Subject: "system:serviceaccount:rollcall:worker"}}}
	w := open(t, setup{tenant: graph.Config{App: app}, config: func(c *entra.Config) {
		c.ClientSecretFile,
			c.FederatedTokenFile = "", secret.File(file)
	}})
	if _, err := w.Check(t.Context()); err != nil {
		t.Errorf("Check() with a file that is named = %v", err)
	}
	w.cfg.FederatedTokenFile, w.cfg.WorkloadIdentity = "", true
	w.opts.Getenv = func(name string) string {
		if name == "AZURE_FEDERATED_TOKEN_FILE" {
			return file
		}
		return ""
	}
	w.restart()
	if _, err := w.Check(t.Context()); err != nil {
		t.Errorf("Check() with the file of the environment = %v", err)
	}
}
