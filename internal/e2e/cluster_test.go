package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/internal/redistest"
	"rollcall/internal/testclock"
	"rollcall/internal/testprocess"
)

// TestAClusterWithTLSAndLeastRights runs both programs on a Redis Cluster over TLS, each as its user of
// deploy/redis/users.acl.
func TestAClusterWithTLSAndLeastRights(t *testing.T) {
	t.Parallel()
	m := newMarks(t)
	issuer := httptest.NewTLSServer(http.NotFoundHandler()) // Its certificate is for 127.0.0.1.
	t.Cleanup(issuer.Close)
	key := must(x509.MarshalPKCS8PrivateKey(issuer.TLS.Certificates[0].PrivateKey))
	cert := m.file("cert", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: issuer.Certificate().Raw})))
	rights := strings.NewReplacer("PASSWORD-OF-THE-API", m.mark("the API's password"), "PASSWORD-OF-THE-WORKERS",
		m.mark("the worker's password")).Replace(string(must(os.ReadFile("../../deploy/redis/users.acl"))))
	const admin = "user admin on nopass ~* &* +@all\n"
	acl, secure := m.file("acl", admin), testprocess.Port(t)
	addr, _ := redistest.TCP(t, "--aclfile", acl, "--cluster-enabled", "yes", "--cluster-port", testprocess.Port(t),
		"--tls-port", secure, "--tls-cluster", "yes", "--tls-auth-clients", "no", "--tls-cert-file", cert, "--tls-key-file",
		m.file("key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))), "--tls-ca-cert-file", cert)
	node := redis.NewClient(&redis.Options{Addr: addr, Username: "admin", Password: "none"})
	t.Cleanup(func() { _ = node.Close() })
	if err := node.ClusterAddSlotsRange(t.Context(), 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	testclock.Eventually(t, 3*time.Minute, "the cluster is up", func() bool {
		return node.Set(t.Context(), "ready", 1, time.Millisecond).Err() == nil
	})
	m.file("acl", rights+admin)
	if err := node.Do(t.Context(), "ACL", "LOAD").Err(); err != nil {
		t.Fatal(err)
	}
	url := func(user string) string {
		_, rest, _ := strings.Cut(rights, "user "+user+" on >")
		password, _, _ := strings.Cut(rest, " ")
		return "rediss-cluster://" + user + ":" + password + "@127.0.0.1:" + secure
	}
	trust := x509.NewCertPool()
	trust.AddCert(issuer.Certificate())
	w := newWorld(t, options{slapd: small(), env: []string{"ROLLCALL_REDIS_CA_FILE=" + cert},
		apiRedis: func(string) string { return url("rollcall-api") },
		redisURL: func() (string, redis.UniversalClient) {
			return url("rollcall-worker"), redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"127.0.0.1:" + secure},
				Username: "admin", Password: "none", TLSConfig: &tls.Config{RootCAs: trust}})
		}})
	if source, provider := w.both(); source.State != "completed" || provider.State != "completed" {
		t.Errorf("the runs are %s and %s", source.State, provider.State)
	}
	w.undisturbed(150, 15)
	for _, r := range must(node.ACLLog(t.Context(), 20).Result()) {
		if r.Object != "config|get" { // It only finds settings to warn of.
			t.Errorf("Redis refused %s %s of %s: %s", r.Reason, r.Object, r.Username, r.Context)
		}
	}
}
