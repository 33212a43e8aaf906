package entra

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"rollcall/fault"
	"rollcall/provider/remote"
)

// publicAuthorities are the sign-in services that Microsoft's instance discovery knows.
var publicAuthorities = []string{
	"login.microsoftonline.com", "login.microsoft.com", "login.windows.net", "sts.windows.net",
	"login.microsoftonline.us", "login.chinacloudapi.cn", "login.partner.microsoftonline.cn",
}

// access is an access token.
type access struct {
	text string
	// roles are the application permissions in the token, or nil where it does not contain them.
	roles []string
}

// readAccess parses the claims of a token. Microsoft does not promise their format. So they are only used to
// distinguish a missing permission from an object that is out of reach.
func readAccess(text string) access {
	var claims struct {
		AppID string   `json:"appid"`
		Azp   string   `json:"azp"`
		Roles []string `json:"roles"`
	}
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return access{text: text}
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(payload, &claims) != nil || claims.AppID+claims.Azp == "" {
		return access{text: text}
	}
	return access{text, append([]string{}, claims.Roles...)}
}

// opens returns a new credential from the present content of its files.
type opens func() (azcore.TokenCredential, error)

// tokens fetches access tokens. It keeps the newest one until that is about to expire or is refused.
type tokens struct {
	scope string
	// open returns a credential for each token, so that a replaced secret needs no restart. Azidentity also caches
	// tokens, and would return a refused one again.
	open opens

	mu      sync.Mutex
	token   access
	expires time.Time
}

func newTokens(cfg Config, opts Options, client *http.Client) (*tokens, error) {
	endpoint, err := url.Parse(cfg.Endpoint)
	if err != nil {
		return nil, err
	}
	authority, err := url.Parse(cfg.Authority)
	if err != nil {
		return nil, err
	}
	shared := azcore.ClientOptions{
		Cloud:     cloud.Configuration{ActiveDirectoryAuthorityHost: cfg.Authority},
		Retry:     policy.RetryOptions{MaxRetries: -1},
		Telemetry: policy.TelemetryOptions{Disabled: true},
		Transport: client,
	}
	t := &tokens{scope: endpoint.Scheme + "://" + endpoint.Host + "/.default"}
	t.open, err = opener(cfg, opts, shared, !slices.Contains(publicAuthorities, strings.ToLower(authority.Host)))
	if err != nil {
		return nil, err
	}
	_, err = t.open()
	return t, err
}

// opener chooses the kind of credential that the configuration names.
func opener(cfg Config, opts Options, shared azcore.ClientOptions, private bool) (opens, error) {
	switch {
	case cfg.CertificateFile != "":
		return certificate(cfg, shared, private), nil
	case cfg.FederatedTokenFile != "" || cfg.WorkloadIdentity:
		return workload(cfg, opts, shared, private)
	}
	return func() (azcore.TokenCredential, error) {
		secret := opts.Secret
		if secret == "" {
			raw, err := os.ReadFile(string(cfg.ClientSecretFile))
			if err != nil {
				return nil, fmt.Errorf("client_secret_file: %w", err)
			}
			if secret = strings.TrimSpace(string(raw)); secret == "" {
				return nil, errors.New("client_secret_file: the file is empty")
			}
		}
		return azidentity.NewClientSecretCredential(cfg.TenantID, cfg.ClientID, secret,
			&azidentity.ClientSecretCredentialOptions{ClientOptions: shared, DisableInstanceDiscovery: private})
	}, nil
}

func certificate(cfg Config, shared azcore.ClientOptions, private bool) opens {
	return func() (azcore.TokenCredential, error) {
		raw, err := os.ReadFile(string(cfg.CertificateFile))
		if err != nil {
			return nil, fmt.Errorf("certificate_file: %w", err)
		}
		var password []byte
		if cfg.CertificatePasswordFile != "" {
			if password, err = os.ReadFile(string(cfg.CertificatePasswordFile)); err != nil {
				return nil, fmt.Errorf("certificate_password_file: %w", err)
			}
			password = []byte(strings.TrimRight(string(password), "\r\n"))
		}
		certs, key, err := azidentity.ParseCertificates(raw, password)
		if err != nil { // The parser's message may contain the key.
			return nil, errors.New("certificate_file: the file has no certificate with its private key, or the password " +
				"is wrong")
		}
		return azidentity.NewClientCertificateCredential(cfg.TenantID, cfg.ClientID, certs, key,
			&azidentity.ClientCertificateCredentialOptions{ClientOptions: shared, DisableInstanceDiscovery: private})
	}
}

func workload(cfg Config, opts Options, shared azcore.ClientOptions, private bool) (opens, error) {
	getenv := opts.Getenv
	if getenv == nil {
		getenv = os.Getenv
	}
	file := cmp.Or(string(cfg.FederatedTokenFile), getenv("AZURE_FEDERATED_TOKEN_FILE"))
	if file == "" {
		return nil, errors.New("workload_identity: AZURE_FEDERATED_TOKEN_FILE is not set")
	}
	return func() (azcore.TokenCredential, error) {
		return azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{
			ClientOptions: shared, ClientID: cfg.ClientID, TenantID: cfg.TenantID, TokenFilePath: file,
			DisableInstanceDiscovery: private,
		})
	}, nil
}

// get returns a valid token other than the refused one.
func (t *tokens) get(ctx context.Context, refused string) (access, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token.text != "" && t.token.text != refused && time.Until(t.expires) > 2*time.Minute {
		return t.token, nil
	}
	credential, err := t.open()
	if err != nil { // As a secret that is refused: it is no fault of the object that needs the token.
		return access{}, fault.New(fault.Denied, remote.TokenOp, err)
	}
	token, err := credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{t.scope}})
	if err != nil {
		return access{}, classifyToken(ctx, err)
	}
	t.token, t.expires = readAccess(token.Token), token.ExpiresOn
	return t.token, nil
}

// classifyToken classifies a failed sign-in and adds advice.
func classifyToken(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return remote.Trouble(ctx, remote.TokenOp, err)
	}
	failed, ok := errors.AsType[*azidentity.AuthenticationFailedError](err)
	if !ok || failed.RawResponse == nil {
		// The library quotes an answer that it cannot read, which may contain a token or the secret.
		whole := remote.Clean(err.Error())
		text, _, _ := strings.Cut(whole, " raw message was:")
		if strings.Contains(whole, "AADSTS") {
			return fault.New(fault.Denied, remote.TokenOp, fmt.Errorf("%s: %s", text, tokenAdvice(whole)))
		}
		return fault.New(fault.Unavailable, remote.TokenOp, errors.New(text))
	}
	res := failed.RawResponse
	var body struct {
		Code        string `json:"error"`
		Description string `json:"error_description"`
	}
	if raw, err := runtime.Payload(res); err == nil {
		_ = json.Unmarshal(raw, &body)
	}
	message := remote.Clean(strings.Trim(body.Code+": "+body.Description, ": "), remote.FormSecrets(res)...)
	return remote.TokenRefused(res.StatusCode, res.Header, message, tokenAdvice(message), time.Now())
}

// tokenAdvice returns advice for the error codes of the sign-in service.
func tokenAdvice(message string) string {
	for _, a := range []struct{ code, advice string }{
		{"AADSTS7000215", "the client secret is wrong; use its value, not its id"},
		{"AADSTS7000222", "the client secret has expired; create a new one"},
		{"AADSTS700016", "check client_id; the tenant does not know the app, or no administrator consented to it"},
		{"AADSTS700027", "upload the certificate to the app registration, and check the clock of this machine"},
		{"AADSTS70021", "check the federated credential of the app registration: issuer, subject and audience"},
		{"AADSTS7000229", "an administrator of the tenant has to consent to the app"},
		{"AADSTS7000112", "the app is disabled in the tenant; enable it among the enterprise applications"},
		{"AADSTS53003", "a conditional access policy blocks the app; exclude it, or allow the address of the workers"},
		{"AADSTS90002", "check tenant_id and authority; the tenant does not exist"},
		{"AADSTS900", "check tenant_id and authority"},
	} {
		if strings.Contains(message, a.code) {
			return a.advice
		}
	}
	return "check tenant_id, client_id and the credentials of the app registration"
}
