package boot

import (
	"fmt"
	"os"
	"strings"

	"rollcall/internal/config"
)

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
	h.want(p.TokensFile != "", "the API asks for tokens", "set ROLLCALL_TOKENS_FILE and unset ROLLCALL_INSECURE_NO_TOKENS")
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
