package boot

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/container"
	"rollcall/fault"
	"rollcall/internal/config"
	"rollcall/internal/secret"
	"rollcall/provider"
)

// Embedded begins the URL of a Redis inside this process, as package embedded returns it. The demo and `rollcall plan`
// use it.
const Embedded = config.Embedded

// Connect connects to Redis by a URL with the scheme redis, rediss, redis-cluster, redis-sentinel (with
// ?master_name=) or embedded. It returns after the first answer of Redis, and warns about settings that can lose
// tasks.
func Connect(ctx context.Context, p config.Process, log *slog.Logger) (rdb redis.UniversalClient, closeFunc func(),
	err error) {
	redis.SetLogger(quiet{log})
	if p.RedisURL == Embedded {
		return nil, nil, fault.Errorf(fault.Invalid, "ROLLCALL_REDIS_URL: %s is for one process, and the API and the worker "+
			"are two: give both a Redis, or run `rollcall demo`", Embedded)
	}
	if addr, is := strings.CutPrefix(p.RedisURL, Embedded); is {
		rdb = redis.NewClient(&redis.Options{Addr: addr})
		return rdb, func() { _ = rdb.Close() }, nil
	}
	pass, warning, err := passwordFile(p)
	if err != nil {
		return nil, nil, err
	}
	if warning != "" {
		log.WarnContext(ctx, warning)
	}
	trust, err := redisTLS(p)
	if err != nil {
		return nil, nil, err
	}
	if rdb, err = client(p.RedisURL, pass, trust); err != nil {
		return nil, nil, err
	}
	ping, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := rdb.Ping(ping).Err(); err != nil {
		_ = rdb.Close()
		return nil, nil, fault.Errorf(fault.Unavailable, "redis at %s: %w", hostOf(p.RedisURL), err)
	}
	if err := subscribes(ping, rdb); err != nil {
		_ = rdb.Close()
		return nil, nil, fault.Errorf(fault.Denied, "redis at %s: %w", hostOf(p.RedisURL), err)
	}
	warn(ctx, rdb, log)
	return rdb, func() { _ = rdb.Close() }, nil
}

// credentials gives a new connection its user and password.
type credentials func(context.Context) (user, password string, err error)

// passwordFile returns a reader of ROLLCALL_REDIS_PASSWORD_FILE for a user; nil if the variable is not set. The file
// is read for every connection, so that a password can be replaced without a restart. Add the new one to Redis, write
// the file, and remove the old one from Redis.
func passwordFile(p config.Process) (of func(user string) credentials, warning string, err error) {
	if p.RedisPasswordFile == "" {
		return nil, "", nil
	}
	read := func() (secret.Value, string, error) {
		v, warning, err := secret.FromFile(p.RedisPasswordFile, p.StrictFiles)
		if err != nil {
			return "", "", fault.Errorf(fault.Invalid, "ROLLCALL_REDIS_PASSWORD_FILE: %w", err)
		}
		return v, warning, nil
	}
	if _, warning, err = read(); err != nil {
		return nil, "", err
	}
	return func(user string) credentials {
		return func(context.Context) (string, string, error) {
			v, _, err := read()
			return user, v.Reveal(), err
		}
	}, warning, nil
}

// redisTLS returns what the settings for certificates do to the configuration of a rediss:// URL; nil without TLS.
func redisTLS(p config.Process) (func(*tls.Config), error) {
	var own []tls.Certificate
	var authorities *x509.CertPool
	if p.RedisCertFile != "" {
		pair, err := tls.LoadX509KeyPair(p.RedisCertFile, string(p.RedisKeyFile))
		if err != nil {
			return nil, fault.Errorf(fault.Invalid, "ROLLCALL_REDIS_CERT_FILE and ROLLCALL_REDIS_KEY_FILE: %w", err)
		}
		own = []tls.Certificate{pair}
	}
	if p.RedisCAFile != "" {
		text, err := os.ReadFile(p.RedisCAFile)
		if err != nil {
			return nil, fault.Errorf(fault.Invalid, "ROLLCALL_REDIS_CA_FILE: %w", err)
		}
		if authorities = x509.NewCertPool(); !authorities.AppendCertsFromPEM(text) {
			return nil, fault.Errorf(fault.Invalid, "ROLLCALL_REDIS_CA_FILE: %s has no certificate", p.RedisCAFile)
		}
	}
	return func(c *tls.Config) {
		if c != nil {
			c.Certificates, c.RootCAs = own, authorities
		}
	}, nil
}

// client returns a client that observes the deadlines of contexts. By default, only its own timeouts end a command.
func client(target string, pass func(user string) credentials, trust func(*tls.Config)) (redis.UniversalClient, error) {
	scheme, rest, _ := strings.Cut(target, "://")
	set := func(user string, by *func(context.Context) (string, string, error), c *tls.Config, deadlines *bool) {
		if pass != nil {
			*by = pass(user)
		}
		trust(c)
		*deadlines = true
	}
	switch scheme {
	case "redis", "rediss", "unix":
		o, err := redis.ParseURL(target)
		if err != nil {
			return nil, badURL(err)
		}
		set(o.Username, &o.CredentialsProviderContext, o.TLSConfig, &o.ContextTimeoutEnabled)
		return redis.NewClient(o), nil
	case "redis-cluster", "rediss-cluster":
		o, err := redis.ParseClusterURL(strings.TrimSuffix(scheme, "-cluster") + "://" + rest)
		if err != nil {
			return nil, badURL(err)
		}
		set(o.Username, &o.CredentialsProviderContext, o.TLSConfig, &o.ContextTimeoutEnabled)
		return redis.NewClusterClient(o), nil
	case "redis-sentinel", "rediss-sentinel":
		o, err := redis.ParseFailoverURL(strings.TrimSuffix(scheme, "-sentinel") + "://" + rest)
		if err != nil {
			return nil, badURL(err)
		}
		set(o.Username, &o.CredentialsProviderContext, o.TLSConfig, &o.ContextTimeoutEnabled)
		return redis.NewFailoverClient(o), nil
	}
	return nil, fault.Errorf(fault.Invalid,
		"ROLLCALL_REDIS_URL: want redis://, rediss://, redis-cluster://, redis-sentinel:// or %s", Embedded)
}

// badURL leaves the URL, which may hold a password, out of the error.
func badURL(err error) error {
	if u, ok := err.(*url.Error); ok { //nolint:errorlint // the parser returns it bare
		err = u.Err
	}
	return fault.Errorf(fault.Invalid, "ROLLCALL_REDIS_URL: %w", err)
}

func hostOf(target string) string {
	if u, err := url.Parse(target); err == nil {
		return u.Host
	}
	return "the configured address"
}

// subscribes reports why messages cannot be subscribed to. Without them a cancelled run goes on for seconds, and asynq
// leaks a connection at each try.
func subscribes(ctx context.Context, rdb redis.UniversalClient) error {
	sub := rdb.Subscribe(ctx, "rollcall:cancel", "asynq:cancel")
	defer sub.Close()
	for range 2 { // one answer for each channel
		if _, err := sub.Receive(ctx); err != nil {
			return fmt.Errorf("it does not let this user subscribe: %w: allow the commands subscribe and publish, and the "+
				"channels rollcall:* and asynq:* (ACL SETUSER … +@pubsub &rollcall:* &asynq:*)", err)
		}
	}
	return nil
}

// warn says which settings of Redis lose tasks. One that may not be asked is not judged.
func warn(ctx context.Context, rdb redis.UniversalClient, log *slog.Logger) {
	setting := func(name string) string {
		v, err := rdb.ConfigGet(ctx, name).Result()
		if err != nil {
			return ""
		}
		return v[name]
	}
	if p := setting("maxmemory-policy"); p != "" && p != "noeviction" {
		log.WarnContext(ctx, "redis evicts keys when memory is short: runs and the local directory can get lost; set "+
			"maxmemory-policy to noeviction", "maxmemory_policy", p)
	}
	if setting("min-replicas-to-write") == "0" && replicated(ctx, rdb) {
		log.WarnContext(ctx, "redis has replicas and accepts writes without them. When it is cut off and a replica is "+
			"promoted, two workers may write at once; set min-replicas-to-write to 1 and min-replicas-max-lag to 10")
	}
	if a := setting("appendonly"); a == "no" {
		log.WarnContext(ctx, "redis keeps no append-only file: a restart costs one slow run; set appendonly to yes and "+
			"appendfsync to everysec")
	}
}

// replicated reports whether Redis says that it has replicas.
func replicated(ctx context.Context, rdb redis.UniversalClient) bool {
	text, err := rdb.Info(ctx, "replication").Result()
	return err == nil && strings.Contains(text, "role:master") && !strings.Contains(text, "connected_slaves:0")
}

// clocks returns what the engine of a provider asks after each read: which clocks disagree, as its tenant shows. The
// empty id means all tenants, for a source.
func (a *App) clocks(name container.ID) func() (string, bool) {
	return func() (string, bool) { return a.witnesses.Disagreement(string(name)) }
}

// askEvery is how often the tenants are asked for the time while the clock of this host differs from that of Redis.
const askEvery = time.Minute

// redisIsWrong returns what a worker asks while its clock differs from that of Redis: whether a tenant shows the time
// of this host. Without a recent answer the tenants are asked in the background, and a later call tells.
func (a *App) redisIsWrong() func(context.Context) bool {
	var mu sync.Mutex
	var asked time.Time
	told := false
	return func(ctx context.Context) bool {
		mu.Lock()
		defer mu.Unlock()
		if a.witnesses.Due() && time.Since(asked) > askEvery {
			asked = time.Now()
			for _, t := range a.tenants {
				go askTime(ctx, t)
			}
		}
		wrong := a.witnesses.RedisIsWrong()
		if wrong && !told {
			a.Log.ErrorContext(ctx, "the clock of the host of Redis is wrong: destructive changes wait until it is set",
				"ahead", -a.Clock.Offset().Round(time.Second))
		}
		told = wrong
		return wrong
	}
}

// askTime has a tenant answer. Each answer shows the time, a refusal too.
func askTime(ctx context.Context, t provider.Tenant) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second) //nolint:mnd // within askEvery
	defer cancel()
	_, _ = t.Check(ctx)
}
