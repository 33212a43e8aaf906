package api

import (
	"bytes"
	"cmp"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/google/uuid"

	"rollcall/container"
	"rollcall/fault"
	"rollcall/internal/redisfault"
	"rollcall/internal/secret"
	"rollcall/provider"
)

// Resource is one configured source or provider.
type Resource struct {
	Container container.ID
	// Name is the name for people.
	Name string
	// Disabled resources are shown and not synced.
	Disabled bool
	// Fields are the settings by their names in the configuration. Secret fields are redacted here again, by their
	// names.
	Fields map[string]any
}

// Called returns the name for people, or else that in the id.
func (r Resource) Called() string { return cmp.Or(r.Name, r.Container.Name()) }

// resource is a Resource in the form for responses.
type resource struct {
	Resource
	family *family
	shown  map[string]any
}

// registry lists every resource in the order of the configuration.
type registry []*resource

func newRegistry(in []Resource, families []*family) (registry, error) {
	var out registry
	var errs []error
	seen := map[container.ID]bool{}
	for _, r := range in {
		res, err := newResource(r, families)
		if err != nil {
			errs = append(errs, fmt.Errorf("api: resource %s: %w", r.Container, err))
			continue
		}
		if seen[r.Container] {
			errs = append(errs, fmt.Errorf("api: resource %s: there are two", r.Container))
		}
		seen[r.Container] = true
		out = append(out, res)
	}
	return out, errors.Join(errs...)
}

func newResource(r Resource, families []*family) (*resource, error) {
	if err := r.Container.Validate(); err != nil {
		return nil, err
	}
	r.Name = r.Called()
	text, err := json.Marshal(r.Fields)
	if err != nil {
		return nil, err
	}
	res := &resource{Resource: r}
	if err := json.Unmarshal(text, &res.shown); err != nil {
		return nil, err
	}
	for _, f := range families {
		if f.kind == r.Container.Kind() {
			res.family = f
		}
	}
	if res.family == nil {
		return nil, fmt.Errorf("there is no type %s", r.Container.Kind())
	}
	res.complete()
	return res, nil
}

// complete redacts the fields and adds the fields of the contract.
func (r *resource) complete() {
	shown, _ := redact("", r.shown).(map[string]any)
	if shown == nil {
		shown = map[string]any{}
	}
	maps.Copy(shown, map[string]any{
		"pk": r.pk(), "name": r.Name, "enabled": !r.Disabled, "container": r.Container.String(),
		"verbose_name": r.family.verbose, "verbose_name_plural": r.family.plural,
	})
	if r.Container.IsSource() {
		shown["slug"] = r.Container.Name()
	}
	if r.family.secret != "" { // clients expect the key
		shown[r.family.secret] = secret.Redacted
	}
	r.shown = shown
}

// pk returns the primary key for clients. This is the number of a provider or the UUID of a source.
func (r *resource) pk() any {
	if r.Container.IsSource() {
		return uuid.NewSHA1(uuid.NameSpaceURL, []byte("rollcall:"+r.Container.String())).String()
	}
	return json.Number(r.Container.Name())
}

// find returns the resource by its slug or number. A source is found by its UUID, too.
func (g registry) find(kind string, key string) *resource {
	at := slices.IndexFunc(g, func(r *resource) bool { return r.Container.Kind() == kind && r.Container.Name() == key })
	if at < 0 {
		at = slices.IndexFunc(g, func(r *resource) bool { return r.Container.Kind() == kind && r.pk() == any(key) })
	}
	if at < 0 {
		return nil
	}
	return g[at]
}

// containers returns the container ids of the resources.
func (g registry) containers() []container.ID {
	out := make([]container.ID, len(g))
	for i, r := range g {
		out[i] = r.Container
	}
	return out
}

// of returns the resources of one kind.
func (g registry) of(kind string) []*resource {
	var out []*resource
	for _, r := range g {
		if r.Container.Kind() == kind {
			out = append(out, r)
		}
	}
	return out
}

var (
	secretName = regexp.MustCompile(`(?i)passw|secret|credential|private_?key|api_?key|token`)
	// userInfo matches the credentials before the host of a URI.
	userInfo = regexp.MustCompile(`://[^/@\s]*@`)
)

// redact removes values that are secret by the name of their field. A path, the name of an environment variable and a
// boolean are not secret.
func redact(name string, v any) any {
	where := strings.HasSuffix(name, "_file") || strings.HasSuffix(name, "_env")
	hide := secretName.MatchString(name) && !where
	switch v := v.(type) {
	case map[string]any:
		if hide && len(v) > 0 {
			return secret.Redacted
		}
		out := make(map[string]any, len(v))
		for key, item := range v {
			out[key] = redact(key, item)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = redact(name, item)
		}
		return out
	case string:
		if hide && v != "" {
			return secret.Redacted
		}
		return userInfo.ReplaceAllString(v, "://"+secret.Redacted+"@")
	case float64:
		if hide {
			return secret.Redacted
		}
	}
	return v
}

// pagination is the position of a page in a list of the contract. Next and Previous are page numbers, 0 for none.
type pagination struct {
	Next       int `json:"next"`
	Previous   int `json:"previous"`
	Count      int `json:"count"`
	Current    int `json:"current"`
	TotalPages int `json:"total_pages"`
	StartIndex int `json:"start_index"`
	EndIndex   int `json:"end_index"`
}

type listPage struct {
	Pagination pagination       `json:"pagination"`
	Results    []map[string]any `json:"results"`
}

const defaultPageSize = 100

// list lists the resources of one kind.
func (a *API) list(r *request) (answer, error) {
	q := r.URL.Query()
	found := slices.DeleteFunc(a.resources.of(r.family.kind), func(res *resource) bool {
		name, search := q.Get("name"), strings.ToLower(q.Get("search"))
		slug := q.Get("slug")
		return !r.caller.reaches(res.Container) || name != "" && name != res.Name || slug != "" &&
			slug != res.Container.Name() ||
			!strings.Contains(strings.ToLower(res.Name), search) &&
				!strings.Contains(strings.ToLower(res.Container.Name()), search)
	})
	switch q.Get("ordering") {
	case "name":
		slices.SortStableFunc(found, byName)
	case "-name":
		slices.SortStableFunc(found, func(x, y *resource) int { return byName(y, x) })
	}
	size, err := strconv.Atoi(q.Get("page_size"))
	if err != nil || size < 1 { // the contract's server ignores it too
		size = defaultPageSize
	}
	p, ok1 := paginate(len(found), q.Get("page"), size)
	if !ok1 {
		return answer{status: http.StatusNotFound, body: detail{Detail: "Invalid page."}}, nil
	}
	out := listPage{Pagination: p, Results: []map[string]any{}}
	if p.Count > 0 {
		for _, res := range found[p.StartIndex-1 : p.EndIndex] {
			out.Results = append(out.Results, res.shown)
		}
	}
	return ok(out), nil
}

func byName(x, y *resource) int { return cmp.Compare(x.Name, y.Name) }

// paginate divides count items into pages and returns the requested one.
func paginate(count int, page string, size int) (pagination, bool) {
	pages := max(1, count/size)
	if count > pages*size {
		pages++
	}
	current := 1
	switch page {
	case "":
	case "last":
		current = pages
	default:
		n, err := strconv.Atoi(page)
		if err != nil || n < 1 || n > pages {
			return pagination{}, false
		}
		current = n
	}
	p := pagination{Count: count, Current: current, TotalPages: pages}
	if count > 0 {
		p.StartIndex = (current-1)*size + 1
		p.EndIndex = min(count, p.StartIndex-1+min(size, count))
	}
	if current > 1 {
		p.Previous = current - 1
	}
	if current < pages {
		p.Next = current + 1
	}
	return p, true
}

// retrieve returns one resource.
func (a *API) retrieve(r *request) (answer, error) { return ok(r.resource.shown), nil }

// health is the body of both probes. It names components and no other details.
type health struct {
	Status     string            `json:"status"`
	Components map[string]string `json:"components,omitempty"`
}

// livez reports that the process runs. It asks no other system, so that a failure of Redis causes no restart.
func (a *API) livez(*request) (answer, error) { return ok(health{Status: "ok"}), nil }

// readyz reports whether requests can be served. Redis has to answer and to accept writes. Missing workers are
// reported, but are not a failure, because runs are accepted and wait.
func (a *API) readyz(r *request) (answer, error) {
	const patience = 2 * time.Second
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	var workers []string
	err := a.cfg.Status.Writable(ctx, a.resources.containers()...)
	if err == nil {
		workers, err = a.cfg.Status.Workers(ctx)
	}
	switch {
	case err != nil:
		a.cfg.Log.WarnContext(ctx, "not ready", "component", "redis", "err", err)
		return answer{status: http.StatusServiceUnavailable, body: health{
			Status: "unavailable", Components: map[string]string{"redis": cmp.Or(redisfault.Refusal(err),
				fault.KindOf(err).String())},
		}}, nil
	}
	components := map[string]string{"redis": "ok", "workers": "ok"}
	if len(workers) == 0 {
		components["workers"] = "none"
	}
	for _, c := range a.resources.containers() {
		found, err := a.cfg.Status.Configured(ctx, c)
		if err == nil && a.cfg.Notice != nil && a.cfg.Notice(c, found) != "" {
			// The status of the container has the text, which names hosts.
			components["configuration"] = "differs between processes"
		}
	}
	return ok(health{Status: "ok", Components: components}), nil
}

// parts are the templates of the document, embedded, so that a binary serves the document of its own version.
//
//go:embed openapi/*.tmpl
var parts embed.FS

// documented has the values of a family for the templates.
type documented struct {
	Base, Key, Tag, Word, Verbose, Schema, Secret, Description string
	// Operation is the prefix of operation ids.
	Operation string
	Source    bool
}

// Document returns the OpenAPI document of the API. It contains the contract's paths unchanged. The paths of sources
// and of each type of provider come from one template.
func Document(types []provider.Type) ([]byte, error) {
	templates, err := template.ParseFS(parts, "openapi/*.tmpl")
	if err != nil {
		return nil, fmt.Errorf("api: document: %w", err)
	}
	data := struct {
		Families             []documented
		Products, Containers string
	}{}
	var products []string
	containers := []string{"ldap:<slug>"}
	for i, f := range families(types) {
		d := documented{
			Base: f.base, Key: f.key, Tag: "sources", Word: "source", Verbose: f.verbose, Schema: "LDAPSource",
			Secret:      f.secret,
			Description: "An LDAP directory", Source: f.kind == container.LDAP,
			Operation: strings.ReplaceAll(strings.Trim(f.base, "/"), "/", "_"),
		}
		if !d.Source {
			t := &types[i-1]
			d.Tag, d.Word = "providers", "provider"
			d.Schema, d.Description = t.Schema()+"Provider", "A "+t.ProductName()+" tenant"
			products, containers = append(products, t.ProductName()), append(containers, t.Name+":<id>")
		}
		data.Families = append(data.Families, d)
	}
	data.Products, data.Containers = enumerate(products, "and"), enumerate(containers, "or")
	var text, out bytes.Buffer
	if err := templates.ExecuteTemplate(&text, "document.json.tmpl", data); err != nil {
		return nil, fmt.Errorf("api: document: %w", err)
	}
	if err := json.Indent(&out, bytes.TrimSpace(text.Bytes()), "", " "); err != nil {
		return nil, fmt.Errorf("api: document: %w", err)
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// enumerate returns "a, b and c".
func enumerate(list []string, last string) string {
	if len(list) < 2 {
		return strings.Join(list, "")
	}
	n := len(list) - 1
	return strings.Join(list[:n], ", ") + " " + last + " " + list[n]
}

// schema answers with the document. It is no secret, and it needs no token.
func (a *API) schema(*request) (answer, error) { return ok(json.RawMessage(a.document)), nil }
