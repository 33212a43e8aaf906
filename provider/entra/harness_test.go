package entra_test

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/internal/testclock"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/entra"
	"rollcall/provider/pace"
	"rollcall/provider/remote"
	"rollcall/simulator/graph"
	"rollcall/simulator/graph/csdltest"
)

// sharedAuthority is one authority for all tests, because key generation is slow.
var sharedAuthority = sync.OnceValue(func() *graph.Authority {
	a, err := graph.NewAuthority()
	if err != nil {
		panic(err)
	}
	return a
})

// world is a simulated tenant with a Provider. All traffic is checked against Graph's metadata.
type world struct {
	*entra.Provider
	t      *testing.T
	tenant *graph.Tenant
	clock  *testclock.Clock
	cache  provider.Cache
	// requests counts HTTP requests to Graph.
	requests *counter
	opts     entra.Options
	cfg      entra.Config
}

// counter counts requests by path.
type counter struct {
	mu    sync.Mutex
	paths []string
}

func (c *counter) wrap(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.URL.Path) > 6 && r.URL.Path[:6] == "/v1.0/" {
			c.mu.Lock()
			c.paths = append(c.paths, r.Method+" "+r.URL.Path[5:])
			c.mu.Unlock()
		}
		h.ServeHTTP(w, r)
	})
}

// take returns the requests since the last call.
func (c *counter) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	paths := c.paths
	c.paths = nil
	return paths
}

type setup struct {
	tenant graph.Config
	config func(*entra.Config)
	caller func(*testclock.Clock) remote.Caller
	// uncached makes the Provider keep nothing.
	uncached bool
	// unchecked permits requests that a test makes wrong on purpose.
	unchecked bool
	strained  func(context.Context, float64)
	// wrap stands before the tenant.
	wrap func(http.Handler) http.Handler
}

func open(t *testing.T, s setup) *world {
	t.Helper()
	w := &world{t: t, clock: testclock.New(), requests: &counter{}}
	s.tenant.Now = w.clock.Now
	w.tenant = graph.New(s.tenant)
	handler := w.requests.wrap(w.tenant.Handler())
	if !s.unchecked {
		handler = csdltest.Wrap(t, handler)
	}
	if s.wrap != nil {
		handler = s.wrap(handler)
	}
	server := sharedAuthority().Start(handler)
	t.Cleanup(server.Close)
	w.cfg = config(server.URL, w.tenant.TenantID(), w.tenant.ClientID())
	if s.config != nil {
		s.config(&w.cfg)
	}
	if err := w.cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	w.opts = entra.Options{Secret: w.tenant.ClientSecret(), Strained: s.strained,
		Options: remote.Options{Now: w.clock.Now, Transport: server.Client().Transport}}
	if !s.uncached {
		w.cache = new(blobs)
		w.opts.Cache = w.cache
	}
	if s.caller != nil {
		w.opts.Caller = s.caller(w.clock)
	}
	w.restart()
	return w
}

// blobs is a provider.Cache in memory.
type blobs struct{ sync.Map }

func (b *blobs) Load(_ context.Context, name string) ([]byte, error) {
	blob, _ := b.Map.Load(name)
	text, _ := blob.([]byte)
	return bytes.Clone(text), nil
}

func (b *blobs) Save(_ context.Context, name string, blob []byte) error {
	b.Store(name, bytes.Clone(blob))
	return nil
}

// restart creates another Provider, as another process would.
func (w *world) restart() {
	w.t.Helper()
	var err error
	if w.Provider, err = entra.New(w.cfg, w.opts); err != nil {
		w.t.Fatal(err)
	}
}

func config(url, tenant, client string) entra.Config {
	return entra.Config{
		Settings: provider.Settings{ID: 1,
			Name: "Example"}, TenantID: tenant, ClientID: client, ClientSecretFile: "secret",
		Authority: url + "/", Endpoint: url + "/v1.0",
	}
}

// mapUsers returns a setup with a mapping of user fields and of the description of groups.
func mapUsers(names ...string) setup {
	return setup{config: func(c *entra.Config) {
		c.UserPropertyMappings = map[string]string{}
		for _, n := range names {
			c.UserPropertyMappings[n] = `ldap["` + n + `"]`
		}
		c.GroupPropertyMappings = map[string]string{"description": "description"}
	}}
}

// again makes a bounded number of attempts, and moves the clock instead of waiting.
type again struct {
	times int
	clock *testclock.Clock
}

func (a again) Call(ctx context.Context, _ string, _ pace.Cost, fn func(context.Context) error) (err error) {
	for range a.times {
		if err = fn(ctx); err == nil || !fault.KindOf(err).Retryable() {
			return err
		}
		a.clock.Advance(max(time.Second, fault.RetryAfter(err)))
	}
	return err
}

func patient(times int) func(*testclock.Clock) remote.Caller {
	return func(c *testclock.Clock) remote.Caller { return again{times, c} }
}

// do applies one change and returns its result.
func (w *world) do(c plan.Change) provider.Result {
	w.t.Helper()
	r := w.Apply(w.t.Context(), []plan.Change{c})
	if len(r) != 1 {
		w.t.Fatalf("Apply() gave %d results, want 1", len(r))
	}
	return r[0]
}

// must applies one change that must succeed, and returns the remote id.
func (w *world) must(c plan.Change) string {
	w.t.Helper()
	r := w.do(c)
	if r.Err != nil {
		w.t.Fatalf("%s: %v", c.Op, r.Err)
	}
	return r.RemoteID
}

// read reads everything.
func (w *world) read(q provider.Query) plan.State {
	w.t.Helper()
	if q.Now.IsZero() {
		q.Now = w.clock.Now()
	}
	state, err := w.Read(w.t.Context(), q)
	if err != nil {
		w.t.Fatal(err)
	}
	return state
}

// object returns the object with the remote id from a full read.
func (w *world) object(id string) plan.Object {
	w.t.Helper()
	o, ok := find(w.read(provider.Query{}), id)
	if !ok {
		w.t.Fatalf("no object %s in the state", id)
	}
	return o
}

func find(s plan.State, id string) (plan.Object, bool) {
	i := slices.IndexFunc(s.Objects, func(o plan.Object) bool { return o.RemoteID == id })
	if i < 0 {
		return plan.Object{}, false
	}
	return s.Objects[i], true
}

func user(id directory.ID) directory.Ref  { return directory.Ref{Kind: directory.User, ID: id} }
func group(id directory.ID) directory.Ref { return directory.Ref{Kind: directory.Group, ID: id} }

func fields(pairs ...string) []plan.FieldChange {
	var out []plan.FieldChange
	for i := 0; i < len(pairs); i += 2 {
		f := plan.FieldChange{Name: pairs[i]}
		if pairs[i+1] != "" {
			f.After = []string{pairs[i+1]}
		}
		out = append(out, f)
	}
	return out
}

// newUser is a Create of a user with a name and further fields.
func newUser(id directory.ID, address string, more ...string) plan.Change {
	return plan.Change{Op: plan.Create, Ref: user(id), Address: address,
		Fields: fields(append([]string{"displayName", "Liz Smith"}, more...)...)}
}

func newGroup(id directory.ID) plan.Change {
	return plan.Change{Op: plan.Create, Ref: group(id), Fields: fields("displayName", "Sales")}
}

// change is a change of one object.
func change(op plan.Op, ref directory.Ref, remote string, pairs ...string) plan.Change {
	return plan.Change{Op: op, Ref: ref, RemoteID: remote, Fields: fields(pairs...)}
}

func rename(ref directory.Ref, remote, address string, pairs ...string) plan.Change {
	c := change(plan.Update, ref, remote, append([]string{plan.AddressField, address}, pairs...)...)
	c.Address = address
	return c
}

func membership(op plan.Op, g directory.ID, groupID string, member directory.Ref, memberID string) plan.Change {
	return plan.Change{Op: op, Ref: group(g), RemoteID: groupID, Member: &member, MemberRemoteID: memberID}
}

func kind(err error) fault.Kind { return fault.KindOf(err) }
