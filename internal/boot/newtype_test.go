package boot_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rollcall/container"
	"rollcall/internal/boot"
	"rollcall/internal/config"
	"rollcall/internal/metrics"
	"rollcall/internal/redistest"
	"rollcall/internal/secret"
	"rollcall/mapping"
	"rollcall/plan"
	port "rollcall/provider"
	"rollcall/provider/all"
)

// acme is a type of provider that no list knows.
type acme struct {
	port.Settings `yaml:",inline"`

	KeyFile secret.File `yaml:"key_file"`
}

func (c *acme) Mapping() (*mapping.Mapping, error) {
	return mapping.Compile(mapping.Spec{UserAddress: "mail"}, mapping.Options{})
}

func (*acme) Quotas() []port.Quota {
	return []port.Quota{{Rates: map[string]float64{"calls": 5}},
		{Name: "acme.writes", Rates: map[string]float64{"calls": 1}}}
}

func (*acme) Open(env port.Env) (port.Tenant, error) {
	if env.Limiters != nil && (env.Limiters[""] == nil || env.Limiters["acme.writes"] == nil) {
		panic("a quota is missing")
	}
	return acmeTenant{}, nil
}

type acmeTenant struct{ port.Provider }

func (acmeTenant) Capabilities() plan.Capabilities { return plan.Capabilities{} }

func (acmeTenant) Check(context.Context) ([]string, error) { return []string{"acme is there"}, nil }

func withAcme() []port.Type {
	return append(all.Types(), port.Type{
		Name: "acme", Title: "Acme", Secret: "key", New: func() port.Config { return new(acme) },
	})
}

const acmeConfiguration = `sources:
  ldap:
    - slug: corp
      server_uri: ldaps://ldap.example.com
      base_dn: dc=example,dc=com
providers:
  acme:
    - id: 7
      name: The acme tenant
      key_file: key
`

// loadAcme loads a configuration with one tenant of the type. Its key file has the given mode.
func loadAcme(t *testing.T, mode os.FileMode) (*config.Config, []string) {
	t.Helper()
	dir := t.TempDir()
	file, key := filepath.Join(dir, "rollcall.yaml"), filepath.Join(dir, "key")
	for path, text := range map[string]string{file: acmeConfiguration, key: "hunter2"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(key, mode); err != nil {
		t.Fatal(err)
	}
	cfg, warnings, err := config.Load(file, config.Options{Types: withAcme()})
	if err != nil {
		t.Fatal(err)
	}
	return cfg, warnings
}

// TestNewType checks that a type in the list has its configuration, container id, check, routes, schemas and metrics.
func TestNewType(t *testing.T) {
	t.Parallel()
	cfg, warnings := loadAcme(t, 0o600)
	if len(warnings) > 0 || !slices.Equal(cfg.Containers(), []container.ID{"ldap:corp", "acme:7"}) {
		t.Fatalf("containers %v, warnings %q", cfg.Containers(), warnings)
	}
	key := cfg.Provider("acme:7").Config.(*acme).KeyFile
	if !filepath.IsAbs(string(key)) {
		t.Errorf("key_file = %q, want it absolute", key)
	}
	if _, warnings := loadAcme(t, 0o644); len(warnings) != 1 ||
		!strings.Contains(warnings[0], "providers.acme[0].key_file") {
		t.Errorf("warnings %q, want one of a key that others may read", warnings)
	}
	p := config.Process{RedisURL: redistest.URL(t)}
	app, err := boot.With(t.Context(), p, cfg, os.Getenv, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(app.Close)
	containers, err := app.Containers()
	if err != nil || len(containers) != 2 || containers[1].Name != "acme:7" {
		t.Errorf("Containers() = %v, %v", containers, err)
	}
	for _, probe := range boot.Probes(p, cfg, os.Getenv) {
		if lines, err := probe.Try(t.Context()); probe.Name == "acme:7" &&
			(err != nil || !slices.Equal(lines, []string{"acme is there"})) {
			t.Errorf("%s: %q, %v", probe.Name, lines, err)
		}
	}
	srv, err := app.API(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	get := func(path string) (out map[string]any) {
		w := httptest.NewRecorder()
		srv.Handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/api/v3"+path,
			nil))
		if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil || w.Code != http.StatusOK {
			t.Fatalf("GET %s = %d %s, %v", path, w.Code, w.Body, err)
		}
		return out
	}
	got := get("/providers/acme/7/")
	if got["verbose_name"] != "Acme Provider" || got["key"] != secret.Redacted || got["container"] != "acme:7" {
		t.Errorf("resource = %v", got)
	}
	document := get("/schema/")
	paths := document["paths"].(map[string]any)
	schemas := document["components"].(map[string]any)["schemas"].(map[string]any)
	if paths["/providers/acme/{id}/sync/status/"] == nil || schemas["AcmeProvider"] == nil ||
		schemas["PaginatedAcmeProviderList"] == nil {
		t.Error("the schema lacks the type")
	}
	values := map[string][]string{}
	for _, s := range metrics.Catalogue(cfg.Types) {
		for _, m := range s.Metrics {
			for _, l := range m.Labels {
				values[l.Name] = append(values[l.Name], l.Values...)
			}
		}
	}
	if !slices.Contains(values["kind"], "acme") || !slices.Contains(values["lane"], "acme.writes") {
		t.Errorf("kinds %v, lanes %v", values["kind"], values["lane"])
	}
}
