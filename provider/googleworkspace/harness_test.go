package googleworkspace_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"rollcall/directory"
	"rollcall/internal/testclock"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/googleworkspace"
	simulator "rollcall/simulator/googleworkspace"
	"rollcall/simulator/googleworkspace/discoverytest"
)

// sharedKey is one key for all tests, because key generation is slow.
var sharedKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// world is a simulated tenant with a Provider. All traffic is checked against Google's discovery document.
type world struct {
	*googleworkspace.Provider
	t      *testing.T
	tenant *simulator.Tenant
	clock  *testclock.Clock
	cfg    googleworkspace.Config
	// restart replaces the Provider by one without any state.
	restart func()
}

type setup struct {
	tenant simulator.Config
	config func(*googleworkspace.Config)
	caller googleworkspace.Caller
	// observe is called for every request.
	observe func(op string, status int, err error)
	// unchecked permits requests that a test makes wrong on purpose.
	unchecked bool
}

func open(t *testing.T, s setup) *world {
	t.Helper()
	w := &world{t: t, clock: testclock.New()}
	s.tenant.Key = sharedKey()
	s.tenant.Now = w.clock.Now
	w.tenant = simulator.New(s.tenant)
	handler := discoverytest.Wrap(t, w.tenant.Handler())
	if s.unchecked {
		handler = w.tenant.Handler()
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	key, err := w.tenant.CredentialsJSON(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	cfg := config(server.URL)
	if s.config != nil {
		s.config(&cfg)
	}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	w.cfg = cfg
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	w.restart = func() {
		w.Provider, err = googleworkspace.New(cfg, googleworkspace.Options{Credentials: key, Caller: s.caller,
			Observe: s.observe, Now: w.clock.Now, Transport: transport})
		if err != nil {
			t.Fatal(err)
		}
	}
	w.restart()
	return w
}

func config(url string) googleworkspace.Config {
	return googleworkspace.Config{
		Settings:         provider.Settings{ID: 1, Name: "Example"},
		DelegatedSubject: "admin@example.com", CredentialsFile: "key.json", DefaultGroupEmailDomain: "example.com",
		Endpoint: url,
	}
}

// mapUsers returns a setup with a mapping of user fields.
func mapUsers(names ...string) setup {
	return setup{config: func(c *googleworkspace.Config) {
		c.UserPropertyMappings = map[string]string{}
		for _, n := range names {
			c.UserPropertyMappings[n] = `ldap["` + n + `"]`
			if n == "includeInGlobalAddressList" {
				c.UserPropertyMappings[n] = "active"
			}
		}
	}}
}

// again makes up to three attempts, without pauses.
type again struct{ between func() }

func (a again) Call(ctx context.Context, _ string, fn func(context.Context) error) (err error) {
	for range 3 {
		if err = fn(ctx); err == nil || !kind(err).Retryable() {
			return err
		}
		if a.between != nil {
			a.between()
		}
	}
	return err
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
	for _, o := range s.Objects {
		if o.RemoteID == id {
			return o, true
		}
	}
	return plan.Object{}, false
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

// newUser is a Create of a user with names and further fields.
func newUser(id directory.ID, address string, more ...string) plan.Change {
	return plan.Change{
		Op: plan.Create, Ref: user(id), Address: address,
		Fields: fields(append([]string{"name.givenName", "Liz", "name.familyName", "Smith"}, more...)...),
	}
}

func newGroup(id directory.ID, address string) plan.Change {
	return plan.Change{Op: plan.Create, Ref: group(id), Address: address, Fields: fields("name", "Sales")}
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
