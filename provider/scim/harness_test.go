package scim_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/internal/secret"
	"rollcall/internal/testclock"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/pace"
	"rollcall/provider/remote"
	"rollcall/provider/scim"
	simulator "rollcall/simulator/scim"
	"rollcall/simulator/scim/rfctest"
)

// badge and note are fields of schemas that RFC 7643 does not have.
const (
	badge = "urn:example:params:scim:schemas:extension:2.0:User:badge"
	note  = "urn:example:params:scim:schemas:extension:2.0:Group:note"
)

var extensions = []simulator.Extension{
	{URN: "urn:example:params:scim:schemas:extension:2.0:User", Name: "Example", Attributes: []string{"badge"}},
	{URN: "urn:example:params:scim:schemas:extension:2.0:Group", Name: "Example", Attributes: []string{"note"},
		Group: true},
}

// world is a tenant with a Provider.
type world struct {
	*scim.Provider
	t      *testing.T
	tenant *simulator.Tenant
	clock  *testclock.Clock
	cfg    scim.Config
}

// setup changes the tenant and the configuration before the Provider is opened.
type setup func(*simulator.Config, *scim.Config)

func open(t *testing.T, setups ...setup) *world {
	t.Helper()
	w := &world{t: t, clock: testclock.New()}
	tenant := simulator.Config{Extensions: extensions, Now: w.clock.Now}
	w.cfg = scim.Config{}
	w.cfg.ID, w.cfg.Name = 1, "SCIM"
	w.cfg.UserPropertyMappings = map[string]string{badge: "employeeNumber"}
	w.cfg.GroupPropertyMappings = map[string]string{note: "cn"}
	for _, s := range setups {
		s(&tenant, &w.cfg)
	}
	w.tenant = simulator.New(tenant)
	server := httptest.NewServer(letters(t, w.tenant, tenant.Behaviours))
	t.Cleanup(server.Close)
	w.cfg.Endpoint = server.URL + "/scim/v2"
	if w.cfg.Username == "" && w.cfg.ClientID == "" {
		w.cfg.TokenFile = secretFile(t, w.tenant.Token())
	}
	if w.cfg.TokenURL != "" {
		w.cfg.TokenURL = server.URL + w.cfg.TokenURL
	}
	w.Provider = w.again()
	return w
}

// letters checks each answer of a tenant against the RFCs, unless the tenant is told to deviate from their schemas.
func letters(t *testing.T, tenant *simulator.Tenant, b simulator.Behaviours) http.Handler {
	inner := tenant.Handler()
	if b.TextBooleans || b.OtherCase || b.NoMeta || b.EmptyCreate {
		return inner
	}
	checker := rfctest.New()
	for _, e := range extensions {
		checker.Extend(e.URN, e.Attributes...)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/oauth/") {
			inner.ServeHTTP(w, r)
			return
		}
		copied := &copier{ResponseWriter: w}
		inner.ServeHTTP(copied, r) // An answer that is cut or lost ends the handler here.
		for _, wrong := range checker.Check(r.Method, copied.status, w.Header(), copied.body.Bytes()) {
			if !strings.HasSuffix(wrong, "has no totalResults") { // Some tests ask for such lists.
				t.Errorf("%s %s: %s: %.500s", r.Method, r.URL, wrong, &copied.body)
			}
		}
	})
}

// copier keeps a copy of an answer.
type copier struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

// WriteHeader implements http.ResponseWriter.
func (c *copier) WriteHeader(status int) {
	c.status = status
	c.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (c *copier) Write(data []byte) (int, error) {
	c.body.Write(data)
	return c.ResponseWriter.Write(data)
}

// Unwrap is for http.ResponseController.
func (c *copier) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// again returns another Provider of the same tenant, as after a restart.
func (w *world) again() *scim.Provider {
	w.t.Helper()
	p, err := scim.New(w.cfg, scim.Options{Now: w.clock.Now})
	if err != nil {
		w.t.Fatal(err)
	}
	w.Provider = p
	return p
}

func secretFile(t *testing.T, text string) secret.File {
	t.Helper()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return secret.File(file)
}

// behaving gives the tenant deviations.
func behaving(b simulator.Behaviours) setup {
	return func(c *simulator.Config, _ *scim.Config) { c.Behaviours = b }
}

// configured sets keys of the configuration.
func configured(change func(*scim.Config)) setup {
	return func(_ *simulator.Config, c *scim.Config) { change(c) }
}

func (w *world) read(q provider.Query) plan.State {
	w.t.Helper()
	q.Now = w.clock.Now()
	state, err := w.Read(w.t.Context(), q)
	if err != nil {
		w.t.Fatalf("Read() = %v", err)
	}
	return state
}

func (w *world) readFails(want fault.Kind) error {
	w.t.Helper()
	state, err := w.Read(w.t.Context(), provider.Query{Now: w.clock.Now()})
	if err == nil || fault.KindOf(err) != want {
		w.t.Errorf("Read() = %d objects, %v (%v), want %v", len(state.Objects), err, fault.KindOf(err), want)
	}
	return err
}

func (w *world) object(id string) plan.Object {
	w.t.Helper()
	state := w.read(provider.Query{})
	i := slices.IndexFunc(state.Objects, func(o plan.Object) bool { return o.RemoteID == id })
	if i < 0 {
		w.t.Fatalf("no object %s", id)
	}
	return state.Objects[i]
}

func (w *world) apply(changes ...plan.Change) []provider.Result {
	w.t.Helper()
	return w.Apply(w.t.Context(), changes)
}

func (w *world) must(c plan.Change) string {
	w.t.Helper()
	r := w.apply(c)[0]
	if r.Err != nil {
		w.t.Fatalf("Apply(%s %s) = %v (%v)", c.Op, c.Ref, r.Err, fault.KindOf(r.Err))
	}
	return r.RemoteID
}

func (w *world) refused(c plan.Change, want fault.Kind) error {
	w.t.Helper()
	r := w.apply(c)[0]
	if r.Err == nil || fault.KindOf(r.Err) != want {
		w.t.Errorf("Apply(%s %s) = %v (%v), want %v", c.Op, c.Ref, r.Err, fault.KindOf(r.Err), want)
	}
	return r.Err
}

func userRef(id directory.ID) directory.Ref  { return directory.Ref{Kind: directory.User, ID: id} }
func groupRef(id directory.ID) directory.Ref { return directory.Ref{Kind: directory.Group, ID: id} }

func newUser(id directory.ID, name string, fields ...plan.FieldChange) plan.Change {
	return plan.Change{Op: plan.Create, Ref: userRef(id), Address: name, Fields: fields}
}

func newGroup(id directory.ID, name string) plan.Change {
	return plan.Change{Op: plan.Create, Ref: groupRef(id), Label: name,
		Fields: []plan.FieldChange{field("displayName", name)}}
}

func field(name, value string) plan.FieldChange {
	f := plan.FieldChange{Name: name}
	if value != "" {
		f.After = []string{value}
	}
	return f
}

func change(op plan.Op, ref directory.Ref, id string, fields ...plan.FieldChange) plan.Change {
	return plan.Change{Op: op, Ref: ref, RemoteID: id, Fields: fields}
}

func member(op plan.Op, group directory.ID, groupID string, user directory.ID, userID string) plan.Change {
	ref := userRef(user)
	return plan.Change{Op: op, Ref: groupRef(group), RemoteID: groupID, Member: &ref, MemberRemoteID: userID}
}

// unlimited repeats calls without a limit.
func unlimited() remote.Caller {
	return pace.NewCaller(pace.CallerConfig{First: time.Millisecond, Longest: time.Millisecond})
}

var _ remote.Caller = callerFunc(nil)

type callerFunc func(ctx context.Context, op string, cost pace.Cost, fn func(context.Context) error) error

// Call implements remote.Caller.
func (f callerFunc) Call(ctx context.Context, op string, cost pace.Cost, fn func(context.Context) error) error {
	return f(ctx, op, cost, fn)
}
