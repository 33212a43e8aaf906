package boot

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"rollcall/internal/config"
)

// reread is a value of files that are read again when one of them changes. If the new files are wrong, the earlier
// value stays in use and failed is told why.
type reread[T any] struct {
	files  []string
	read   func() (T, error)
	failed func(error)

	mu    sync.Mutex
	seen  []fileStamp
	value *T
}

type fileStamp struct {
	time time.Time
	size int64
}

// get returns the value by the files as they are now.
func (r *reread[T]) get() (T, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := make([]fileStamp, len(r.files))
	for i, path := range r.files {
		if info, err := os.Stat(path); err == nil {
			seen[i] = fileStamp{info.ModTime(), info.Size()}
		}
	}
	if r.value != nil && slices.Equal(seen, r.seen) {
		return *r.value, nil
	}
	r.seen = seen
	switch fresh, err := r.read(); {
	case err == nil:
		r.value = &fresh
	case r.value == nil:
		return fresh, err
	default:
		r.failed(err)
	}
	return *r.value, nil
}

// serverTLS returns the TLS settings of the listeners, or nil without a certificate. A renewed certificate needs no
// restart.
func (a *App) serverTLS() (*tls.Config, error) {
	p := a.Process
	if p.TLSCertFile == "" {
		return nil, nil
	}
	c := &reread[*tls.Config]{files: []string{p.TLSCertFile, string(p.TLSKeyFile), p.TLSClientCAFile},
		read: func() (*tls.Config, error) { return readTLS(&p) },
		failed: func(err error) {
			a.Log.Error("the TLS files cannot be read again: the earlier ones stay in use", "err", err)
		}}
	if _, err := c.get(); err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.get() },
	}, nil
}

func readTLS(p *config.Process) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(p.TLSCertFile, string(p.TLSKeyFile))
	if err != nil {
		return nil, fmt.Errorf("ROLLCALL_TLS_CERT_FILE and ROLLCALL_TLS_KEY_FILE: %w", err)
	}
	out := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2", "http/1.1"}}
	if p.TLSClientCAFile == "" {
		return out, nil
	}
	text, err := os.ReadFile(p.TLSClientCAFile)
	if err != nil {
		return nil, fmt.Errorf("ROLLCALL_TLS_CLIENT_CA_FILE: %w", err)
	}
	out.ClientCAs, out.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
	if !out.ClientCAs.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("ROLLCALL_TLS_CLIENT_CA_FILE: %s has no certificate", p.TLSClientCAFile)
	}
	return out, nil
}

// checkListener refuses a listener that other hosts can reach without TLS, unless the operator said that a proxy or the
// network protects it.
func checkListener(p config.Process, variable, addr string) error {
	if addr == "" || p.TLSCertFile != "" || p.BehindProxy || config.IsLoopback(addr) {
		return nil
	}
	return fmt.Errorf("%s: %s is open to other hosts without TLS: set ROLLCALL_TLS_CERT_FILE and "+
		"ROLLCALL_TLS_KEY_FILE, or "+
		"ROLLCALL_BEHIND_PROXY=true if a proxy or a private network stands in front of it", variable, addr)
}

// checkOpen refuses an API without tokens that other hosts can reach.
func checkOpen(p config.Process) error {
	if config.IsLoopback(p.Listen) {
		return nil
	}
	return errors.New("ROLLCALL_LISTEN: " + p.Listen + ": without a tokens file the API listens on loopback only: " +
		"set ROLLCALL_TOKENS_FILE, or listen on 127.0.0.1")
}

// Finding is one point of the hardening of an installation.
type Finding struct {
	// Point is what was checked.
	Point string
	// Do says what to change; empty for a point that is met.
	Do string
}

// Hardening checks the settings of a process and the files that it names. It connects to nothing. The settings are
// those of this process, so it has to run with the environment of the API and with that of a worker.
func Hardening(p config.Process, cfg *config.Config) []Finding {
	var h hardening
	h.access(&p)
	h.listeners(&p)
	h.redis(&p)
	h.directories(cfg)
	h.files(&p, cfg)
	return h.found
}

type hardening struct{ found []Finding }

// want adds a point. do is needed only if it is not met.
func (h *hardening) want(met bool, point, do string) {
	if met {
		do = ""
	}
	h.found = append(h.found, Finding{point, do})
}

func (h *hardening) access(p *config.Process) {
	h.want(p.TokensFile != "", "the API asks for tokens",
		"set ROLLCALL_TOKENS_FILE and unset ROLLCALL_INSECURE_NO_TOKENS")
	h.want(p.OIDCIssuer != "", "people sign in with their own account",
		"set ROLLCALL_OIDC_ISSUER, so that the audit log names people and not shared tokens")
	h.want(p.AuditFile != "", "the audit log has a file", "set ROLLCALL_AUDIT_FILE for the API")
	h.want(p.StrictFiles, "secret files that others can read are refused", "set ROLLCALL_STRICT_FILES=true")
}

func (h *hardening) listeners(p *config.Process) {
	for name, addr := range map[string]string{"API": p.Listen, "metrics": p.MetricsAddr(config.APIMetrics)} {
		if addr == config.NoMetrics || config.IsLoopback(addr) {
			continue
		}
		h.want(p.TLSCertFile != "", "the "+name+" on "+addr+" has TLS", "set ROLLCALL_TLS_CERT_FILE and "+
			"ROLLCALL_TLS_KEY_FILE, or listen on 127.0.0.1 behind a proxy on this machine")
	}
	if p.BehindProxy {
		h.want(p.TrustedProxies != "", "the proxies that may name clients are listed",
			"set ROLLCALL_TRUSTED_PROXIES to their addresses")
	}
}

func (h *hardening) redis(p *config.Process) {
	path, _, err := keyPath(*p)
	if err == nil {
		_, err = os.Stat(path)
	}
	do := "make a key (openssl rand -hex 32) and set ROLLCALL_DECISIONS_KEY_FILE for the API and all workers"
	h.want(strings.HasPrefix(p.RedisURL, config.Embedded) || err == nil, "decisions on Redis are signed", do)
	if p.RedisIsLocal() {
		return
	}
	h.want(strings.HasPrefix(p.RedisURL, "rediss"), "the connection to Redis has TLS", "use a rediss:// URL")
	h.want(p.RedisPasswordFile != "" || p.RedisCertFile != "", "Redis asks for a password or a certificate from a file",
		"set ROLLCALL_REDIS_PASSWORD_FILE, or ROLLCALL_REDIS_CERT_FILE and ROLLCALL_REDIS_KEY_FILE")
	h.want(!p.RedisInsecure, "a Redis without TLS or password is refused", "unset ROLLCALL_REDIS_INSECURE")
}

func (h *hardening) directories(cfg *config.Config) {
	for i := range cfg.Sources.LDAP {
		s := &cfg.Sources.LDAP[i]
		h.want(!s.AllowPlaintext, "the password of ldap:"+s.Slug+" crosses no network in the clear",
			"use ldaps:// or start_tls, and remove allow_plaintext")
	}
	for i := range cfg.Providers {
		p := &cfg.Providers[i]
		h.want(len(p.Settings.Protected) > 0, "accounts of "+string(p.Container())+" for an emergency are protected",
			"list them under protected, so that no mistake suspends them")
	}
}

// files checks the modes of the configuration and of every secret.
func (h *hardening) files(p *config.Process, cfg *config.Config) {
	const othersRead, groupWrite, othersWrite = 0o004, 0o020, 0o002
	mode := func(path string, bits os.FileMode, chmod string) {
		info, err := os.Stat(path)
		if err != nil {
			return // The checks of the configuration say so.
		}
		h.want(info.Mode()&bits == 0, fmt.Sprintf("%s has a safe mode (%04o)", path, info.Mode().Perm()),
			"run chmod "+chmod+" on it")
	}
	mode(p.Config, groupWrite|othersWrite, "go-w")
	named := []string{p.TokensFile, p.RedisPasswordFile, string(p.RedisKeyFile), string(p.TLSKeyFile),
		string(p.DecisionsKeyFile), string(p.OIDCSecretFile)}
	for _, path := range append(named, cfg.SecretFiles...) {
		if path != "" {
			mode(path, groupWrite|othersWrite|othersRead, "g-w,o-rwx")
		}
	}
}
