package provider

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"rollcall/directory"
	"rollcall/mapping"
	"rollcall/provider/pace"
)

// Type is one kind of tenant, with everything that the rest of the program needs to know of it. The list of types is in
// package all.
type Type struct {
	// Name is the key in the configuration, in container ids and in paths: google_workspace.
	Name string
	// Title is its name in the contract of the API: Google Workspace.
	Title string
	// Product is the vendor's name for it, where that is another one than the title.
	Product string
	// Secret is a field that clients of the contract expect in a provider. It is never shown; empty adds none.
	Secret string
	// Keys says what the keys of its configuration mean, without those of Settings.
	Keys map[string]string
	// Fields are what a mapping can set.
	Fields mapping.Spec
	// Starter is the beginning of a configuration.
	Starter Starter
	// Profile is an empty profile, a struct with yaml tags. Nil where the configuration can have none.
	Profile Profile
	// New returns an empty configuration, a pointer to a struct with yaml tags. A field of type secret.File or
	// secret.PublicFile names a file.
	New func() Config
	// EntryID reads the id of an entry out of the anchor that the tenant shows. Nil where both are the same text.
	EntryID func(anchor string) (directory.ID, bool)
}

// Starter is what `rollcall init` writes for a first provider of a type.
type Starter struct {
	// Settings are lines of YAML that the type needs. {domain} stands for the domain of the tenant.
	Settings []string
	// Mappings are an attribute of directories, the field that fits, and its expression, which is ldap.<attribute> where
	// it is empty. Of several for one field, the first that a directory fills is written.
	Mappings [][3]string
}

// ProductName returns the vendor's name for it.
func (t *Type) ProductName() string {
	return cmp.Or(t.Product, t.Title)
}

// Schema begins the names of its schemas in the OpenAPI document: GoogleWorkspace.
func (t *Type) Schema() string { return strings.ReplaceAll(t.Title, " ", "") }

// Lanes returns what its quotas are counted by.
func (t *Type) Lanes() []string {
	cfg := t.New()
	cfg.SetDefaults()
	var out []string
	for _, q := range cfg.Quotas() {
		for _, name := range slices.Sorted(maps.Keys(q.Rates)) {
			out = append(out, q.Lane(name))
		}
	}
	return out
}

// Config is the configuration of one tenant. It has six methods, as it is both what a file says and what opens the
// tenant.
type Config interface {
	// Common returns the settings that every provider has.
	Common() *Settings
	// SetDefaults fills in what was left out.
	SetDefaults()
	// Validate returns everything that is wrong as problem.Errors, the mappings included. It reads no file.
	Validate() error
	// Mapping compiles the scope and the mappings.
	Mapping() (*mapping.Mapping, error)
	// Quotas returns the limits of the tenant that all workers share.
	Quotas() []Quota
	// Open returns the tenant. It makes no request.
	Open(env Env) (Tenant, error)
}

// Profile is settings that providers of one type share. The file has them under profiles.<type>.<name>.
type Profile interface {
	// Validate returns everything that is wrong as problem.Errors.
	Validate(name string) error
}

// Profiled is a Config that names a profile.
type Profiled interface {
	// SetProfiles gives it the profiles of the file by name, before SetDefaults.
	SetProfiles(map[string]Profile)
}

// Tenant is a Provider that can be tried.
type Tenant interface {
	Provider
	// Check tries what a run needs, without writing: a line for each thing that is right, and what to do about the rest.
	Check(ctx context.Context) (good []string, err error)
}

// Prober is a Tenant that can find out how its server behaves. It writes objects of its own, which it deletes again, so
// it is only asked where a person wants that.
type Prober interface {
	// Probe returns a line for each thing that it saw, and then a text for the configuration that fits the server.
	Probe(ctx context.Context) (lines []string, err error)
}

// Quota is a limit of a tenant. The first of a tenant has no name.
type Quota struct {
	Name string
	// Rates are units a second.
	Rates map[string]float64
}

// Lane returns how a rate of the quota is called in metrics: a quota with a name has one rate.
func (q Quota) Lane(rate string) string {
	return cmp.Or(q.Name, rate)
}

// Cache keeps named blobs between runs. Losing one costs a read from the beginning and nothing else. A blob is saved
// whole or not at all: a token must never come with another state than its own.
type Cache interface {
	// Load returns a blob, nil where there is none.
	Load(ctx context.Context, name string) ([]byte, error)
	// Save replaces a blob.
	Save(ctx context.Context, name string, blob []byte) error
}

// Env is what a process gives to a tenant. The tenant of an empty Env makes each request at once, and repeats only
// those that the tenant throttled.
type Env struct {
	// Limiters are what limits the tenant, by the names of its quotas.
	Limiters map[string]pace.Limiter
	// Attempt is told of every attempt of a call.
	Attempt func(pace.Attempt)
	// Request is told of every request: the HTTP status of its response, zero without one, and its error.
	Request func(op string, status int, err error)
	// Wrap wraps the transport of the tenant's requests, those for a token included. Nil leaves it as it is.
	Wrap func(http.RoundTripper) http.RoundTripper
	// Cache keeps what was read between runs; nil keeps nothing.
	Cache Cache
	// Getenv reads the environment; os.Getenv when nil.
	Getenv func(string) string
}

// Pace returns how the calls are made that count in one quota. Each attempt may take the given time.
func (e *Env) Pace(quota string, timeout time.Duration) pace.CallerConfig {
	return pace.CallerConfig{Limiter: e.Limiters[quota], Timeout: timeout, Observe: e.Attempt,
		OnlyThrottled: e.Limiters == nil}
}
