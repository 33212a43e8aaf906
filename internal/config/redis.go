package config

import (
	"errors"
	"net"
	"net/url"
	"slices"
	"strings"

	"rollcall/internal/problem"
)

// RedisIsLocal reports whether Redis is in this process, behind a socket or on this machine. A host:port without a host
// is this machine.
func (p *Process) RedisIsLocal() bool {
	u, err := url.Parse(p.RedisURL)
	switch {
	case strings.HasPrefix(p.RedisURL, Embedded):
		return true
	case err != nil:
		return false
	}
	hosts := append([]string{u.Host}, u.Query()["addr"]...)
	return u.Scheme == "unix" || !slices.ContainsFunc(hosts, func(host string) bool {
		return !strings.HasPrefix(host, ":") && !IsLoopback(host) &&
			!IsLoopback(net.JoinHostPort(strings.Trim(host, "[]"), "0"))
	})
}

// checkRedisAccess refuses a Redis that another machine can read or change, unless the operator permits it.
func (p *Process) checkRedisAccess() error {
	var errs []error
	fail := func(name, text string) { errs = append(errs, problem.Field(variable(name), "%s", text)) }
	encrypted := strings.HasPrefix(p.RedisURL, "rediss")
	password := carriesPassword(p.RedisURL) || p.RedisPasswordFile != "" || p.RedisCertFile != ""
	const advice = ", or set ROLLCALL_REDIS_INSECURE=true if only Rollcall can reach it"
	switch {
	case p.RedisIsLocal() || p.RedisInsecure || checkRedis(p.RedisURL) != nil:
	case !encrypted:
		fail("REDIS_URL", "Redis is on another machine and the connection has no TLS: use rediss://"+advice)
	case !password:
		fail("REDIS_URL", "Redis is on another machine and has no password: set ROLLCALL_REDIS_PASSWORD_FILE"+advice)
	}
	if u, err := url.Parse(p.RedisURL); err == nil && u.Query().Has("skip_verify") {
		fail("REDIS_URL", "skip_verify is not supported: name the authority in ROLLCALL_REDIS_CA_FILE")
	}
	if (p.RedisCertFile == "") != (p.RedisKeyFile == "") {
		fail("REDIS_CERT_FILE", "it and ROLLCALL_REDIS_KEY_FILE go together")
	}
	if !encrypted && (p.RedisCAFile != "" || p.RedisCertFile != "") {
		fail("REDIS_CA_FILE", "it and ROLLCALL_REDIS_CERT_FILE need a rediss:// URL")
	}
	return errors.Join(errs...)
}
