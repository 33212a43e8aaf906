package config

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kelseyhightower/envconfig"

	"rollcall/internal/problem"
	"rollcall/internal/secret"
)

// Prefix begins the name of every environment variable.
const Prefix = "ROLLCALL"

// Process is what the environment says of one process. The comments of its fields are also the meanings in
// docs/configuration.md.
type Process struct {
	// Where Redis is: redis://, rediss:// (TLS), redis-cluster://, redis-sentinel://host:port?master_name=name, or
	// embedded: for one inside the process (for a first look: it forgets everything at exit).
	RedisURL string `envconfig:"REDIS_URL" default:"redis://127.0.0.1:6379/0"`
	// A file with the password of Redis, in place of one in ROLLCALL_REDIS_URL. It is read for every new connection, so
	// that it can be changed while processes run. A secret file.
	RedisPasswordFile string `envconfig:"REDIS_PASSWORD_FILE"`
	// Certificate authorities (PEM) to trust for a rediss:// URL; the system's where it is empty. Certificates are
	// always verified.
	RedisCAFile string `envconfig:"REDIS_CA_FILE"`
	// A certificate (PEM) to present to Redis. It goes with ROLLCALL_REDIS_KEY_FILE.
	RedisCertFile string `envconfig:"REDIS_CERT_FILE"`
	// Its private key. A secret file.
	RedisKeyFile secret.File `envconfig:"REDIS_KEY_FILE"`
	// Permit a Redis on another machine without a password or without TLS, as in a private network of containers.
	RedisInsecure bool `envconfig:"REDIS_INSECURE" default:"false"`
	// The key that signs decisions, pins and held sets on Redis (openssl rand -hex 32), the same for the API and all
	// workers. A second line may have the key before it, for a replacement. Without it, decisions.key beside the
	// configuration is used if it is there. If Redis is on this machine, a key is else made in the user's configuration
	// folder. A secret file, read again when it changes.
	DecisionsKeyFile secret.File `envconfig:"DECISIONS_KEY_FILE"`
	// The file with sources and providers.
	Config string `envconfig:"CONFIG" default:"rollcall.yaml"`
	// Where the API listens.
	Listen string `envconfig:"LISTEN" default:"127.0.0.1:8080"`
	// Where metrics and health are served: by default 127.0.0.1:9464 in the API process and 127.0.0.1:9465 in a worker;
	// off serves none.
	MetricsListen string `envconfig:"METRICS_LISTEN"`
	// Who may call the API; see Tokens file.
	TokensFile string `envconfig:"TOKENS_FILE"`
	// Serve the API to every client that can connect. Without a tokens file the API does not start unless this is true.
	InsecureNoTokens bool `envconfig:"INSECURE_NO_TOKENS" default:"false"`
	// The OpenID provider at which people sign in, such as https://login.example.com/realms/staff. See Sign-in of
	// people.
	OIDCIssuer string `envconfig:"OIDC_ISSUER"`
	// The client's id at the provider, which is also the audience of ID tokens.
	OIDCClientID string `envconfig:"OIDC_CLIENT_ID"`
	// The client's secret. Without it the client is public, and PKCE alone protects the sign-in. A secret file, read
	// for each sign-in.
	OIDCSecretFile secret.File `envconfig:"OIDC_CLIENT_SECRET_FILE"`
	// The address of /login/callback as browsers reach it, such as https://rollcall.example.com/login/callback.
	OIDCRedirectURL string `envconfig:"OIDC_REDIRECT_URL"`
	// The claim of the ID token with the groups that lines of the tokens file name: a text or a list of texts. The
	// claim email counts only if the provider has verified it.
	OIDCClaim string `envconfig:"OIDC_CLAIM" default:"groups"`
	// The scopes that are asked for, separated by spaces.
	OIDCScopes string `envconfig:"OIDC_SCOPES" default:"openid profile email"`
	// Where the API records who did what, one JSON object per line; a new file is begun at 64 MiB. Each API process
	// needs a file of its own. Without it the records go to standard error.
	AuditFile string `envconfig:"AUDIT_FILE"`
	// How long earlier files of the audit log are kept.
	AuditKeep time.Duration `envconfig:"AUDIT_KEEP" default:"8760h"`
	// The certificate chain (PEM) with which the API and the metrics are served. It is read again when it changes.
	TLSCertFile string `envconfig:"TLS_CERT_FILE"`
	// Its private key. A secret file.
	TLSKeyFile secret.File `envconfig:"TLS_KEY_FILE"`
	// Certificate authorities (PEM). Only clients with a certificate of one of them can connect.
	TLSClientCAFile string `envconfig:"TLS_CLIENT_CA_FILE"`
	// A reverse proxy or a private network stands in front of the listeners. They may then be open to other hosts
	// without TLS.
	BehindProxy bool `envconfig:"BEHIND_PROXY" default:"false"`
	// Addresses and prefixes of reverse proxies, separated by commas. Only from these is X-Forwarded-For accepted: a
	// client has the last address in it that is not a trusted proxy. Without it, the proxies on this machine are
	// trusted if ROLLCALL_BEHIND_PROXY is true, and none otherwise.
	TrustedProxies string `envconfig:"TRUSTED_PROXIES"`
	// How long the sync of a single object is waited for before the API answers 202.
	ObjectWait time.Duration `envconfig:"OBJECT_WAIT" default:"20s"`
	// How many syncs of single objects of one provider may wait or run. Beyond it the API answers 503 with Retry-After.
	// Set it for the API.
	MaxOpenJobs int `envconfig:"MAX_OPEN_JOBS" default:"10000"`
	// debug, info, warn or error.
	LogLevel string `envconfig:"LOG_LEVEL" default:"info"`
	// json or text.
	LogFormat string `envconfig:"LOG_FORMAT" default:"json"`
	// Refuse secret files that others can read; otherwise that is a warning. Files that others can write are always
	// refused.
	StrictFiles bool `envconfig:"STRICT_FILES" default:"false"`
}

// mostOpenJobs is the largest MaxOpenJobs. The worker compares all open jobs with its queue every ten seconds.
const mostOpenJobs = 100_000

// Where metrics are served by default.
const (
	APIMetrics    = "127.0.0.1:9464"
	WorkerMetrics = "127.0.0.1:9465"
)

// NoMetrics is the value of METRICS_LISTEN that serves none.
const NoMetrics = "off"

// MetricsAddr returns the address for metrics. otherwise is the default of the program.
func (p *Process) MetricsAddr(otherwise string) string {
	if p.MetricsListen == "" {
		return otherwise
	}
	return p.MetricsListen
}

// LoadProcess reads the environment of the process. Where getenv says otherwise, as in a test, getenv is right. The
// error is of type Problems.
func LoadProcess(getenv func(string) string) (Process, error) {
	var p Process
	if err := envconfig.Process(Prefix, &p); err != nil {
		return Process{}, Problems{readable(err)}
	}
	err := problem.All(errors.Join(p.override(getenv), p.validate()))
	if len(err) == 0 {
		return p, nil
	}
	var problems Problems
	for _, e := range err {
		problems = append(problems, Problem{File: "environment", Field: e.Field, Message: e.Err.Error()})
	}
	return Process{}, problems
}

// override sets the variables from getenv, because the library reads only the environment of the process.
func (p *Process) override(getenv func(string) string) error {
	if getenv == nil {
		return nil
	}
	var errs []error
	t := reflect.TypeFor[Process]()
	for i := range t.NumField() {
		tag := t.Field(i).Tag
		name := variable(tag.Get("envconfig"))
		text := getenv(name)
		if text == os.Getenv(name) {
			continue
		}
		if err := set(value(p).Field(i), cmp.Or(text, tag.Get("default"))); err != nil {
			errs = append(errs, problem.Field(name, "%w", err))
		}
	}
	return errors.Join(errs...)
}

// set is what the library does with the text of a variable.
func set(v reflect.Value, text string) error {
	switch to := v.Addr().Interface().(type) {
	case *string:
		*to = text
	case *secret.File:
		*to = secret.File(text)
	case *bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return errors.New("want true or false")
		}
		*to = b
	case *int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return errors.New("want a whole number")
		}
		*to = n
	case *time.Duration:
		d, err := time.ParseDuration(text)
		if err != nil {
			return errors.New("want a duration such as 20s")
		}
		*to = d
	}
	return nil
}

// readable converts an error of the library, which contains Go types, into a problem of the variable. The value is
// omitted, because it may be the secret of another variable.
func readable(err error) Problem {
	e, ok := errors.AsType[*envconfig.ParseError](err)
	if !ok {
		return Problem{File: "environment", Message: err.Error()}
	}
	want := "a text"
	switch e.TypeName {
	case "bool":
		want = "true or false"
	case "int":
		want = "a whole number"
	case "time.Duration":
		want = "a duration such as 20s"
	}
	return Problem{File: "environment", Field: e.KeyName, Message: "want " + want}
}

func variable(name string) string { return Prefix + "_" + name }

// redisSchemes are those that internal/boot can connect to.
var redisSchemes = []string{"redis", "rediss", "redis-cluster", "rediss-cluster", "redis-sentinel", "rediss-sentinel",
	"unix"}

// Embedded begins the Redis URL of one inside the process, with its address.
const Embedded = "embedded:"

func (p *Process) validate() error {
	var errs []error
	fail := func(name, format string, args ...any) {
		errs = append(errs, problem.Field(variable(name), format, args...))
	}
	if err := checkRedis(p.RedisURL); err != nil {
		fail("REDIS_URL", "%w", err)
	}
	if p.RedisPasswordFile != "" && carriesPassword(p.RedisURL) {
		fail("REDIS_PASSWORD_FILE", "it and a password in %s exclude each other", variable("REDIS_URL"))
	}
	errs = append(errs, p.checkRedisAccess(), p.checkOIDC())
	if err := checkListen(p.Listen); err != nil {
		fail("LISTEN", "%w", err)
	}
	if err := checkListen(p.MetricsListen); err != nil && p.MetricsListen != "" && p.MetricsListen != NoMetrics {
		fail("METRICS_LISTEN", "%w, or off", err)
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, p.LogLevel) {
		fail("LOG_LEVEL", "%q: want debug, info, warn or error", p.LogLevel)
	}
	if p.LogFormat != "json" && p.LogFormat != "text" {
		fail("LOG_FORMAT", "%q: want json or text", p.LogFormat)
	}
	if p.ObjectWait < 0 || p.ObjectWait > 5*time.Minute {
		fail("OBJECT_WAIT", "%v: want 0s to 5m", p.ObjectWait)
	}
	if p.MaxOpenJobs < 1 || p.MaxOpenJobs > mostOpenJobs {
		fail("MAX_OPEN_JOBS", "%d: want 1 to %d", p.MaxOpenJobs, mostOpenJobs)
	}
	if p.AuditKeep < 24*time.Hour {
		fail("AUDIT_KEEP", "%v: want at least 24h", p.AuditKeep)
	}
	if (p.TLSCertFile == "") != (p.TLSKeyFile == "") {
		fail("TLS_CERT_FILE", "it and %s go together", variable("TLS_KEY_FILE"))
	}
	if p.TLSClientCAFile != "" && p.TLSCertFile == "" {
		fail("TLS_CLIENT_CA_FILE", "needs %s", variable("TLS_CERT_FILE"))
	}
	if _, err := p.Proxies(); err != nil {
		fail("TRUSTED_PROXIES", "%w", err)
	}
	if p.TokensFile != "" && p.InsecureNoTokens {
		fail("INSECURE_NO_TOKENS", "it and %s exclude each other", variable("TOKENS_FILE"))
	}
	return errors.Join(errs...)
}

// checkRedis never shows the URL, which may hold a password.
func checkRedis(s string) error {
	if strings.HasPrefix(s, Embedded) {
		return nil
	}
	scheme, _, ok := strings.Cut(s, "://")
	if !ok || !slices.Contains(redisSchemes, scheme) {
		return errors.New("want embedded: or a URL with redis://, rediss://, redis-cluster://, redis-sentinel:// or " +
			"unix://, such as redis://127.0.0.1:6379/0")
	}
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return errors.New("is no URL")
	case scheme == "unix" && u.Path == "":
		return errors.New("names no socket")
	case scheme != "unix" && u.Host == "":
		return errors.New("names no host")
	case strings.HasSuffix(scheme, "-sentinel") && u.Query().Get("master_name") == "":
		return errors.New("names no master: add ?master_name=")
	}
	return nil
}

func carriesPassword(redisURL string) bool {
	u, err := url.Parse(redisURL)
	if err != nil || u.User == nil {
		return false
	}
	_, has := u.User.Password()
	return has
}

func checkListen(s string) error {
	_, port, err := net.SplitHostPort(s)
	if err != nil || port == "" {
		return fmt.Errorf("%q: want host:port such as 127.0.0.1:8080, or :8080 for all interfaces", s)
	}
	return nil
}

// IsLoopback reports whether only this machine can reach a listener.
func IsLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	return err == nil && secret.StaysHere(host)
}

// Misspelt warns about variables with our prefix that are similar to a known one. Other variables with the prefix are
// accepted, because bind_password_env can name any variable.
func Misspelt(environ []string) []string {
	// Those of the API's client.
	known := []string{variable("API"), variable("TOKEN"), variable("TOKEN_FILE"), variable("INSECURE")}
	var warnings []string
	for f := range reflect.TypeFor[Process]().Fields() {
		known = append(known, variable(f.Tag.Get("envconfig")))
	}
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, Prefix+"_") || slices.Contains(known, name) {
			continue
		}
		if near := problem.Nearest(name, known); near != "" {
			warnings = append(warnings, fmt.Sprintf("environment: %s: unknown variable: did you mean %s?", name, near))
		}
	}
	slices.Sort(warnings)
	return warnings
}
