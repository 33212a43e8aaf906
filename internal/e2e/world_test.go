package e2e

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/internal/redistest"
	"rollcall/internal/slapdtest"
	"rollcall/internal/testclock"
	"rollcall/internal/tokens"
	simulator "rollcall/simulator/googleworkspace"
	"rollcall/simulator/googleworkspace/discoverytest"
)

const (
	domain  = "example.org"
	subject = "admin@" + domain
	corp    = "/sources/ldap/corp/"
	google  = "/providers/google_workspace/1/"
)

// options say in what a world differs from the usual one.
type options struct {
	slapd slapdtest.Options
	// uri is the source's server_uri in place of slapd's own.
	uri func(*slapdtest.Server) string
	// reader binds as slapdtest.Reader, which limits and access rules apply to.
	reader bool
	// source and provider are further lines of their configuration, as "key: value".
	source, provider []string
	tenant           simulator.Config
	// env is further environment of both programs.
	env []string
	// workers is how many workers run; -1 is none, 0 is one.
	workers int
	// spy stands in front of the tenant. way returns the URL of the tenant for the programs in place of its own, and
	// apiRedis that of Redis for the API.
	spy           func(http.Handler) http.Handler
	way, apiRedis func(url string) string
	// redis are further arguments of redis-server. redisURL starts another one, which it returns the URL of.
	redis    []string
	redisURL func() (url string, client redis.UniversalClient)
}

// world is the whole installation, with a directory, a tenant, Redis and the two programs.
type world struct {
	testing.TB
	ldap    *slapdtest.Server
	tenant  *simulator.Tenant
	redis   redis.UniversalClient
	addr    string // of Redis
	serving busy   // the tenant
	// killRedis ends it for good.
	killRedis func()
	// env is the environment of both programs, apiEnv further one of the API.
	env, apiEnv []string
	token       string // of the requests; at first one with all rights
	reader      string // a token that may only read
	api         *process
	base        string // of the API
	workers     []*process
	// request is called with the method of each request to the tenant before anything is done about it.
	request atomic.Pointer[func(method string)]

	mu  sync.Mutex
	uri []string
}

// tenantKey is the service account's key of all tenants, because making one takes a while.
var tenantKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func newWorld(t testing.TB, o options) *world {
	t.Helper()
	w := &world{TB: t}
	var url string
	if o.redisURL != nil {
		url, w.redis = o.redisURL()
	} else {
		w.addr, w.killRedis = redistest.TCP(t, o.redis...)
		url, w.redis = "redis://"+w.addr, redis.NewClient(&redis.Options{Addr: w.addr})
	}
	t.Cleanup(func() { _ = w.redis.Close() })
	o.slapd.LDIF = orgUnits + o.slapd.LDIF
	w.ldap = slapdtest.Start(t, o.slapd)
	o.tenant.Key, o.tenant.Domains, o.tenant.OrgUnits = tenantKey(), []string{domain}, []string{"/sales", "/engineering"}
	o.tenant.OnRequest = func(method string) {
		if f := w.request.Load(); f != nil {
			(*f)(method)
		}
	}
	w.tenant = simulator.New(o.tenant)
	handler := w.serving.wrap(w.record(discoverytest.Wrap(t, w.tenant.Handler())))
	if o.spy != nil {
		handler = o.spy(handler)
	}
	srv := httptest.NewServer(handler)
	t.Cleanup(srv.Close)
	if o.way != nil {
		srv.URL = o.way(srv.URL)
	}
	w.configure(t.TempDir(), srv.URL, url, &o)
	if o.apiRedis != nil {
		w.apiEnv = []string{"ROLLCALL_REDIS_URL=" + o.apiRedis(url)}
	}
	w.startAPI()
	for range max(1, o.workers) + min(0, o.workers) {
		w.startWorker()
	}
	return w
}

// configure writes the files that a person would write.
func (w *world) configure(dir, tenant, redisURL string, o *options) {
	w.Helper()
	key, err := w.tenant.CredentialsJSON(tenant)
	if err != nil {
		w.Fatal(err)
	}
	token, line, err := tokens.New("tester", tokens.Scopes()...)
	if err != nil {
		w.Fatal(err)
	}
	w.token = token
	reader, readerLine, err := tokens.New("reader", tokens.Read)
	if err != nil {
		w.Fatal(err)
	}
	w.reader = reader
	bind, password, uri := slapdtest.RootDN, w.ldap.PasswordFile, w.ldap.URL
	if o.reader {
		bind, password = slapdtest.Reader, w.ldap.ReaderPasswordFile
	}
	if o.uri != nil {
		uri = o.uri(w.ldap)
	}
	lines := func(l []string) string { return strings.Join(append([]string{""}, l...), "\n      ") }
	yaml := fmt.Sprintf(configuration, uri, bind, password, lines(o.source), tenant, lines(o.provider))
	files := map[string]string{"rollcall.yaml": yaml, "google.json": string(key), "tokens": line + "\n" + readerLine +
		"\n"}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			w.Fatal(err)
		}
	}
	w.env = append([]string{
		"ROLLCALL_REDIS_URL=" + redisURL, "ROLLCALL_CONFIG=" + filepath.Join(dir, "rollcall.yaml"),
		"ROLLCALL_TOKENS_FILE=" + filepath.Join(dir, "tokens"), "ROLLCALL_LISTEN=127.0.0.1:0",
	}, o.env...)
}

func (w *world) startAPI() {
	w.Helper()
	w.api = launch(w, "api", slices.Concat(w.env, w.apiEnv)...)
	w.base = "http://" + w.api.says(w, "api listens")["addr"].(string)
}

func (w *world) startWorker() *process {
	w.Helper()
	p := launch(w, "worker", w.env...)
	p.says(w, "worker runs")
	w.workers = append(w.workers, p)
	return p
}

// onRequest has f called with the method of each request to the tenant; nil has nothing called.
func (w *world) onRequest(f func(method string)) {
	if f == nil {
		w.request.Store(nil)
		return
	}
	w.request.Store(&f)
}

// busy counts the requests that a tenant is handling, one of which may outlive the worker that made it.
type busy struct{ atomic.Int64 }

func (b *busy) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		b.Add(1)
		defer b.Add(-1)
		next.ServeHTTP(rw, r)
	})
}

// ended waits until the tenant has done what it was asked to.
func (b *busy) ended(t testing.TB) {
	t.Helper()
	testclock.Eventually(t, 3*time.Minute, "the tenant has done what it was asked to",
		func() bool { return b.Load() == 0 })
}

// readBody reads the body of a request, and leaves it to be read again. A client that goes away in the middle gives the
// same error then.
func readBody(r *http.Request) []byte {
	data, err := io.ReadAll(r.Body)
	r.Body = io.NopCloser(io.MultiReader(bytes.NewReader(data), iotest.ErrReader(cmp.Or(err, io.EOF))))
	return data
}

// record keeps the requests that reach the tenant.
func (w *world) record(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		w.uri = append(w.uri, r.Method+" "+r.URL.RequestURI())
		w.mu.Unlock()
		next.ServeHTTP(rw, r)
	})
}

// recorded returns the requests since it was called last, as method and URI.
func (w *world) recorded() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.uri
	w.uri = nil
	return out
}

// configuration is an ordinary one but for the rate, because the simulated tenant has no quota of its own.
const configuration = `sources:
  ldap:
    - slug: corp
      name: Corporate directory
      server_uri: %s
      bind_cn: %s
      bind_password_file: %s
      base_dn: dc=example,dc=org
      additional_user_dn: ou=people
      additional_group_dn: ou=groups
      user_object_filter: (objectClass=inetOrgPerson)
      group_object_filter: (objectClass=groupOfNames)
      group_membership_field: member
      object_uniqueness_field: entryUUID%s
providers:
  google_workspace:
    - id: 1
      name: Example tenant
      sources: [corp]
      delegated_subject: admin@example.org
      credentials_file: google.json
      default_group_email_domain: example.org
      max_requests_per_second: 100000
      endpoint: %s/
      user_property_mappings:
        orgUnitPath: ou(dn, "ou=people,dc=example,dc=org")
        organizations.title: ldap.title
        phones.work: ldap.telephoneNumber%s
`

const orgUnits = `dn: ou=sales,ou=people,dc=example,dc=org
objectClass: organizationalUnit
ou: sales

dn: ou=engineering,ou=people,dc=example,dc=org
objectClass: organizationalUnit
ou: engineering

`
