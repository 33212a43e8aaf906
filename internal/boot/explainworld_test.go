package boot_test

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"rollcall/api"
	"rollcall/container"
	"rollcall/explain"
	"rollcall/internal/boot"
	"rollcall/internal/config"
	"rollcall/internal/redistest"
	"rollcall/internal/slapdtest"
	"rollcall/provider/all"
	google "rollcall/simulator/googleworkspace"
	"rollcall/simulator/graph"
	simulator "rollcall/simulator/scim"
	"rollcall/status"
	"rollcall/status/watch"
)

const (
	domain    = "example.org"
	corp      = container.ID("ldap:corp")
	workspace = container.ID("google_workspace:1")
	entra     = container.ID("microsoft_entra:1")
	scim      = container.ID("scim:1")
)

// office is a directory, two or three simulated tenants, Redis, a worker and the API, all in this process.
type office struct {
	testing.TB
	ldap   *slapdtest.Server
	tenant *google.Tenant
	graph  *graph.Tenant
	// third is a SCIM server. It is configured where the options ask for it.
	third *simulator.Tenant
	// containers are the source and the providers, in the order in which a change reaches them.
	containers []container.ID
	// servers of the tenants, to be closed by a test.
	googleServer, graphServer interface{ Close() }
	app                       *boot.App
	api                       http.Handler
	log                       *lockedBuffer
	// dir has the files of the configuration.
	dir string
	// rest ends the worker, when all that it had in hand is done.
	rest func()
}

// lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

var (
	serviceKey = sync.OnceValue(func() *rsa.PrivateKey {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		return key
	})
	authority = sync.OnceValue(func() *graph.Authority {
		a, err := graph.NewAuthority("127.0.0.1")
		if err != nil {
			panic(err)
		}
		return a
	})
)

// officeOptions describe an office. Lines are further lines of the configuration, as "key: value".
type officeOptions struct {
	// ldif is the content of the directory, which is a slapd, or a file where file is set.
	ldif string
	file bool
	// syncProv has the directory tell its changes.
	syncProv bool
	// behind is another server with the same data, which is asked where the directory does not answer.
	behind                      *slapdtest.Server
	source, google, entra, both []string
	// scim adds a SCIM server, with the lines of both.
	scim bool
	// redis is the URL of Redis. Empty means one of its own.
	redis string
}

const officeConfiguration = `sources:
  ldap:
    - slug: corp
      server_uri: %[1]s
      base_dn: dc=example,dc=org
      additional_user_dn: ou=people
      additional_group_dn: ou=groups
      group_object_filter: (objectClass=groupOfNames)%[2]s
providers:
  google_workspace:
    - id: 1
      name: Example tenant
      delegated_subject: admin@example.org
      credentials_file: google.json
      default_group_email_domain: example.org
      max_requests_per_second: 100000
      endpoint: %[3]s/
      user_property_mappings:
        organizations.title: ldap.title
        phones.work: ldap.vendorToken%[4]s
  microsoft_entra:
    - id: 1
      name: Example tenant
      tenant_id: %[5]s
      client_id: %[6]s
      client_secret_file: secret
      authority: %[7]s/
      endpoint: %[7]s/v1.0
      ca_file: ca.pem
      max_requests_per_second: 100000
      max_writes_per_second: 100000%[8]s
`

// scimConfiguration is the SCIM server of an office.
const scimConfiguration = `  scim:
    - id: 1
      name: Example server
      endpoint: %s
      token_file: token
      default_group_email_domain: example.org
      max_requests_per_second: 100000
      max_writes_per_second: 100000
      max_user_writes_per_second: 100000
      max_user_creates_per_second: 100000%s
`

func newOffice(t testing.TB, opts officeOptions) *office {
	t.Helper()
	o := &office{TB: t, log: &lockedBuffer{}}
	dir := t.TempDir()
	o.dir = dir
	uri := "file://" + filepath.Join(dir, "people.ldif")
	if !opts.file {
		o.ldap = slapdtest.Start(t, slapdtest.Options{LDIF: opts.ldif, SyncProv: opts.syncProv, SessionLog: 1000})
		uri = o.ldap.URL
	}
	if opts.behind != nil {
		uri += "," + opts.behind.URL
	}
	o.tenant = google.New(google.Config{Key: serviceKey(), Domains: []string{domain}})
	o.graph = graph.New(graph.Config{Domains: []string{domain}})
	if _, err := o.graph.AddUser(graph.User{UserPrincipalName: "boss@" + domain}); err != nil {
		t.Fatal(err)
	}
	if err := o.graph.SetAdmin("boss@"+domain, graph.GlobalAdministrator); err != nil {
		t.Fatal(err)
	}
	googleServer := httptest.NewServer(o.tenant.Handler())
	graphServer := authority().Start(o.graph.Handler())
	o.googleServer, o.graphServer = googleServer, graphServer
	t.Cleanup(googleServer.Close)
	t.Cleanup(graphServer.Close)
	key, err := o.tenant.CredentialsJSON(googleServer.URL)
	if err != nil {
		t.Fatal(err)
	}
	lines := func(l []string) string { return strings.Join(append([]string{""}, l...), "\n      ") }
	text := fmt.Sprintf(officeConfiguration, uri, lines(opts.source), googleServer.URL,
		lines(append(opts.google, opts.both...)),
		o.graph.TenantID(), o.graph.ClientID(), graphServer.URL, lines(append(opts.entra, opts.both...)))
	o.third = simulator.New(simulator.Config{})
	o.containers = []container.ID{corp, workspace, entra}
	if opts.scim {
		o.containers = append(o.containers, scim)
		server := httptest.NewServer(o.third.Handler())
		t.Cleanup(server.Close)
		text += fmt.Sprintf(scimConfiguration, server.URL+"/scim/v2", lines(opts.both))
	}
	for name, content := range map[string]string{
		"token": o.third.Token(), "rollcall.yaml": text, "google.json": string(key), "secret": o.graph.ClientSecret(),
		"ca.pem": string(authority().CA), "people.ldif": opts.ldif,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o.open(filepath.Join(dir, "rollcall.yaml"), cmp.Or(opts.redis, redistest.URL(o)))
	return o
}

// open starts a worker and the API.
func (o *office) open(file, redis string) {
	o.Helper()
	none := func(key string) string { return map[string]string{"READER": slapdtest.ReaderPassword}[key] }
	cfg, _, err := config.Load(file, config.Options{Getenv: none})
	if err != nil {
		o.Fatal(err)
	}
	p := config.Process{RedisURL: redis, ObjectWait: 20 * time.Second}
	log := slog.New(slog.NewJSONHandler(o.log, &slog.HandlerOptions{Level: slog.LevelInfo}))
	if o.app, err = boot.With(o.Context(), p, cfg, none, log); err != nil {
		o.Fatal(err)
	}
	o.Cleanup(o.app.Close)
	worker, err := o.app.Worker("worker")
	if err != nil {
		o.Fatal(err)
	}
	if err := worker.Start(context.WithoutCancel(o.Context())); err != nil {
		o.Fatal(err)
	}
	o.rest = worker.Shutdown
	o.Cleanup(o.rest)
	srv, err := o.app.API(o.Context(), nil)
	if err != nil {
		o.Fatal(err)
	}
	o.api = srv.Handler
}

// call sends a request to the API and reads the answer.
func (o *office) call(method, path, body string, want int, to any) {
	o.Helper()
	r := httptest.NewRequestWithContext(o.Context(), method, "http://localhost/api/v3"+path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	w := httptest.NewRecorder()
	o.api.ServeHTTP(w, r)
	if w.Code != want {
		o.Fatalf("%s %s = %d, want %d: %s", method, path, w.Code, want, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), to); err != nil {
		o.Fatalf("%s %s: %v: %s", method, path, err, w.Body)
	}
}

var paths = map[container.ID]string{
	corp: "/sources/ldap/corp/", "ldap:other": "/sources/ldap/other/", workspace: "/providers/google_workspace/1/",
	entra: "/providers/microsoft_entra/1/", scim: "/providers/scim/1/",
}

// sync runs containers, one after the other, to their good end.
func (o *office) sync(names ...container.ID) {
	o.Helper()
	for _, name := range names {
		if run := o.begin(name); run.State != status.Completed {
			o.Fatalf("the run of %s is %s: %s", name, run.State, run.FailReason)
		}
	}
}

// begin starts a sync and waits for its end, however it comes.
func (o *office) begin(name container.ID) status.Run {
	o.Helper()
	var started struct {
		ID string `json:"id"`
	}
	o.call(http.MethodPost, paths[name]+"sync/", "", http.StatusAccepted, &started)
	return o.end(name, started.ID)
}

// end waits for the end of a run.
func (o *office) end(name container.ID, id string) status.Run {
	o.Helper()
	listener := watch.New(o.app.Status, 10*time.Millisecond).Run(name, id, "")
	defer listener.Close()
	patience := time.After(time.Minute)
	for {
		news, more, err := listener.Take()
		if err != nil {
			o.Fatalf("the run of %s: %v", name, err)
		}
		if news.Run.ID != "" && !news.Run.State.Open() {
			return news.Run
		}
		select {
		case <-more:
		case <-patience:
			o.Fatalf("the run of %s is %s after a minute", name, news.Run.State)
		}
	}
}

// explain asks and checks the answer against the API's document.
func (o *office) explain(by explain.By, value string) explain.Document {
	o.Helper()
	var doc explain.Document
	var raw any
	path := "/explain/?" + url.Values{string(by): {value}}.Encode()
	r := httptest.NewRequestWithContext(o.Context(), http.MethodGet, "http://localhost/api/v3"+path, nil)
	w := httptest.NewRecorder()
	o.api.ServeHTTP(w, r)
	if err := json.Unmarshal(w.Body.Bytes(), &raw); w.Code != http.StatusOK || err != nil {
		o.Fatalf("GET %s = %d, %v: %s", path, w.Code, err, w.Body)
	}
	if err := explanationSchema(o).VisitJSON(raw, openapi3.VisitAsResponse(), openapi3.MultiErrors()); err != nil {
		o.Errorf("GET %s is not what the document says: %v\n%s", path, err, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
		o.Fatal(err)
	}
	for _, secret := range []string{"hunter2", "PRIVATE KEY"} {
		if strings.Contains(w.Body.String(), secret) {
			o.Errorf("GET %s shows a secret: %s", path, w.Body)
		}
	}
	return doc
}

var document = sync.OnceValues(func() (*openapi3.T, error) {
	doc, err := api.Document(all.Types())
	if err != nil {
		return nil, err
	}
	return openapi3.NewLoader().LoadFromData(doc)
})

// explanationSchema refuses what it does not know.
func explanationSchema(t *office) *openapi3.Schema {
	t.Helper()
	doc, err := document()
	if err != nil {
		t.Fatal(err)
	}
	return doc.Components.Schemas["Explanation"].Value
}

// provider and source pick a part of a document.
func provider(t *testing.T, d explain.Document, name container.ID) explain.Provider {
	t.Helper()
	for _, p := range d.Providers {
		if p.Container == name {
			return p
		}
	}
	t.Fatalf("%s is not explained: %+v", name, d)
	return explain.Provider{}
}

func source(t *testing.T, d explain.Document) explain.Source {
	t.Helper()
	if len(d.Sources) != 1 {
		t.Fatalf("%d sources are explained, want one", len(d.Sources))
	}
	return d.Sources[0]
}

// says fails the test unless a provider's code, reason and verdict are these.
func says(t *testing.T, d explain.Document, name container.ID, code explain.Code, reason string,
	parts ...string) explain.Provider {
	t.Helper()
	p := provider(t, d, name)
	if p.Code != code || p.Reason != reason {
		t.Errorf("%s of %s: %s (%s), want %s (%s): %s", name, d.Query.Value, p.Code, p.Reason, code, reason, p.Verdict)
	}
	for _, part := range parts {
		if !strings.Contains(p.Verdict, part) {
			t.Errorf("%s of %s says %q, want %q in it", name, d.Query.Value, p.Verdict, part)
		}
	}
	return p
}
