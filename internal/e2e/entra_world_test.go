package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rollcall/simulator/graph"
	"rollcall/simulator/graph/csdltest"
)

const entra = "/providers/microsoft_entra/1/"

// entraWorld is a world with a Microsoft Entra tenant beside the other one. Every request to it, and every answer, is
// checked against Graph's metadata.
type entraWorld struct {
	*world
	graph *graph.Tenant
	// graphRequest is called with the method of each Graph request, items of batches included, before anything is done.
	graphRequest atomic.Pointer[func(method string)]
	paths        pathLog
	graphServing busy
	secretFile   string
}

// entraOptions say in what an entraWorld differs from the usual one.
type entraOptions struct {
	options
	graph graph.Config
	// spy stands in front of the tenant. way returns its URL for the programs in place of its own.
	spy func(http.Handler) http.Handler
	way func(url string) string
	// lines are further lines of the provider's configuration, as "key: value".
	lines []string
}

// entraAuthority signs for all tenants.
var entraAuthority = sync.OnceValue(func() *graph.Authority {
	a, err := graph.NewAuthority("127.0.0.1")
	if err != nil {
		panic(err)
	}
	return a
})

const bossAddress = "boss@" + domain

func newEntraWorld(t testing.TB, o entraOptions) *entraWorld {
	t.Helper()
	w := &entraWorld{}
	o.graph.Domains = []string{domain}
	o.graph.OnRequest = func(method string) {
		if f := w.graphRequest.Load(); f != nil {
			(*f)(method)
		}
	}
	w.graph = graph.New(o.graph)
	if _, err := w.graph.AddUser(graph.User{UserPrincipalName: bossAddress}); err != nil {
		t.Fatal(err)
	}
	if err := w.graph.SetAdmin(bossAddress, graph.GlobalAdministrator); err != nil {
		t.Fatal(err)
	}
	handler := w.graphServing.wrap(w.paths.wrap(csdltest.Wrap(t, w.graph.Handler())))
	if o.spy != nil {
		handler = o.spy(handler)
	}
	server := entraAuthority().Start(handler)
	t.Cleanup(server.Close)
	if o.way != nil {
		server.URL = o.way(server.URL)
	}
	dir := t.TempDir()
	w.secretFile = filepath.Join(dir, "secret")
	for name, data := range map[string]string{"ca.pem": string(entraAuthority().CA), "secret": w.graph.ClientSecret()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	lines := strings.Join(append([]string{""}, o.lines...), "\n      ")
	o.provider = append(o.provider, fmt.Sprintf(entraConfiguration, w.graph.TenantID(), w.graph.ClientID(), dir,
		server.URL, lines))
	w.world = newWorld(t, o.options)
	return w
}

// entraConfiguration goes below configuration. The rates are high because the simulated tenant has no quota of its own.
const entraConfiguration = `
  microsoft_entra:
    - id: 1
      name: Example tenant
      sources: [corp]
      tenant_id: %s
      client_id: %s
      client_secret_file: %[3]s/secret
      authority: %[4]s/
      endpoint: %[4]s/v1.0
      ca_file: %[3]s/ca.pem
      max_requests_per_second: 100000
      max_writes_per_second: 100000
      user_property_mappings:
        jobTitle: ldap.title
        businessPhones: ldap.telephoneNumber%[5]s
`

// onGraph has f called with the method of each Graph request; nil has nothing called.
func (w *entraWorld) onGraph(f func(method string)) {
	if f == nil {
		w.graphRequest.Store(nil)
		return
	}
	w.graphRequest.Store(&f)
}

// hop syncs the directory, then the Entra tenant.
func (w *entraWorld) hop() (source, provider run) {
	w.Helper()
	return w.sync(corp), w.sync(entra)
}

// all syncs the directory, then both tenants.
func (w *entraWorld) all() {
	w.Helper()
	w.both()
	w.sync(entra)
}

// graphWrites returns how many calls of each writing method the tenant granted since the last ResetCalls.
func (w *entraWorld) graphWrites() map[string]int {
	out := map[string]int{}
	for _, c := range w.graph.Calls().Log {
		if c.Write && !c.Refused {
			out[c.Method]++
		}
	}
	return out
}

// at starts an Entra sync and returns when the tenant has been asked for its nth write of a kind ("" is any). Writes
// are slowed down, so that much is left to do.
func (w *entraWorld) at(method string, n int64) (id string, release func()) {
	w.Helper()
	reached, free := make(chan struct{}), make(chan struct{})
	var count atomic.Int64
	w.onGraph(func(m string) {
		if !graphWriting(m) {
			return
		}
		if (method == "" || m == method) && count.Add(1) == n {
			close(reached)
			<-free // A busy machine kills slowly: nothing goes on until it has.
		}
		time.Sleep(3 * time.Millisecond)
	})
	id = w.start(entra).ID
	select {
	case <-reached:
	case <-time.After(3 * time.Minute):
		w.Fatalf("the tenant has seen %d of %s, want %d: %v", count.Load(), method, n, w.graph.Calls().ByMethod)
	}
	return id, sync.OnceFunc(func() { close(free) })
}

// graphWriting reports whether a method of Graph writes.
func graphWriting(method string) bool {
	switch method[strings.LastIndexByte(method, '.')+1:] {
	case "create", "update", "delete", "add", "remove", "restore", "destroy":
		return true
	}
	return false
}

// pathLog keeps the Graph requests over HTTP, a batch as one, and the items of batches with their queries.
type pathLog struct {
	mu           sync.Mutex
	paths, items []string
}

func (l *pathLog) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if path, ok := strings.CutPrefix(r.URL.Path, "/v1.0/"); ok {
			data := readBody(r)
			var batch struct {
				Requests []struct{ Method, URL string }
			}
			if path == "$batch" {
				_ = json.Unmarshal(data, &batch)
			}
			l.mu.Lock()
			l.paths = append(l.paths, r.Method+" "+path)
			for _, item := range batch.Requests {
				l.items = append(l.items, item.Method+" "+item.URL)
			}
			if path != "$batch" {
				l.items = append(l.items, r.Method+" /"+path+"?"+r.URL.RawQuery)
			}
			l.mu.Unlock()
		}
		next.ServeHTTP(rw, r)
	})
}

// take returns the requests since it was called last.
func (l *pathLog) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := l.paths
	l.paths, l.items = nil, nil
	return out
}

// requested returns the requests since the last call of take, with their queries. Batches are listed by their items.
func (l *pathLog) requested() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.items)
}
