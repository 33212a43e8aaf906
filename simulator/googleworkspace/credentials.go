package googleworkspace

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"strings"
)

// serviceAccount is the client with domain-wide delegation in this tenant.
type serviceAccount struct {
	project, email, clientID, keyID string
}

func newServiceAccount(customer string) serviceAccount {
	project := "rollcall-" + strings.ToLower(customer)
	return serviceAccount{
		project:  project,
		email:    "provisioner@" + project + ".iam.gserviceaccount.com",
		clientID: "104857600000000000001",
		keyID:    hex.EncodeToString([]byte(project)),
	}
}

// privateKey creates the service account's key on first use.
func (t *Tenant) privateKey() (*rsa.PrivateKey, error) {
	t.keyOnce.Do(func() {
		if t.key = t.cfg.Key; t.key == nil {
			t.key, t.keyErr = rsa.GenerateKey(rand.Reader, 2048)
		}
	})
	return t.key, t.keyErr
}

// CredentialsJSON returns a service account key file in the form of Google Cloud. Its token_uri is the token endpoint
// of this tenant served at baseURL.
func (t *Tenant) CredentialsJSON(baseURL string) ([]byte, error) {
	key, err := t.privateKey()
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	base := strings.TrimRight(baseURL, "/")
	return json.MarshalIndent(map[string]string{
		"type":                        "service_account",
		"project_id":                  t.account.project,
		"private_key_id":              t.account.keyID,
		"private_key":                 string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		"client_email":                t.account.email,
		"client_id":                   t.account.clientID,
		"auth_uri":                    base + "/auth",
		"token_uri":                   base + "/token",
		"auth_provider_x509_cert_url": base + "/oauth2/v1/certs",
		"client_x509_cert_url":        base + "/robot/v1/metadata/x509/" + t.account.email,
		"universe_domain":             "googleapis.com",
	}, "", "  ")
}
