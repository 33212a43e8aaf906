package deploy_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"rollcall/internal/config"
	"rollcall/simulator/googleworkspace"
)

// settings are the variables that a file sets for a process, by the name of the compose service or container.
func settings(t *testing.T, path string) map[string]map[string]string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]map[string]string{}
	d := yaml.NewDecoder(strings.NewReader(string(text)))
	for {
		var doc struct {
			Services map[string]struct{ Environment map[string]string }
			Spec     struct {
				Template struct {
					Spec struct {
						Containers []struct {
							Name string
							Env  []struct{ Name, Value string }
						}
					}
				}
			}
		}
		if err := d.Decode(&doc); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		for name, s := range doc.Services {
			out[name] = s.Environment
		}
		for _, c := range doc.Spec.Template.Spec.Containers {
			out[c.Name] = map[string]string{}
			for _, e := range c.Env {
				out[c.Name][e.Name] = e.Value
			}
		}
	}
	if len(out) == 0 {
		t.Fatalf("%s sets nothing", path)
	}
	return out
}

// Every variable that is set is one that the programs know, and metrics are where Prometheus looks for them.
func TestVariablesAreKnown(t *testing.T) {
	t.Parallel()
	known := []string{"ROLLCALL_API", "ROLLCALL_TOKEN_FILE", "ROLLCALL_INSECURE"} // those of the client
	for f := range reflect.TypeFor[config.Process]().Fields() {
		known = append(known, config.Prefix+"_"+f.Tag.Get("envconfig"))
	}
	for _, path := range []string{"../docker-compose.yml", "kubernetes/base/api.yaml", "kubernetes/base/worker.yaml"} {
		for service, vars := range settings(t, path) {
			for name := range vars {
				if strings.HasPrefix(name, config.Prefix) && !slices.Contains(known, name) {
					t.Errorf("%s: %s: no program knows %s", path, service, name)
				}
			}
			want := map[string]string{"api": config.APIMetrics, "worker": config.WorkerMetrics}[service]
			if got := "127.0.0.1" + vars["ROLLCALL_METRICS_LISTEN"]; want != "" && got != want {
				t.Errorf("%s: %s serves metrics on %s, want the port of %s", path, service, got, want)
			}
		}
	}
}

// The jobs are called as the alerts have them, and look where the services serve.
func TestPrometheusScrapesBoth(t *testing.T) {
	t.Parallel()
	var file struct {
		Scrape []struct {
			Name string `yaml:"job_name"`
			DNS  []struct {
				Names []string
				Type  string
				Port  string
			} `yaml:"dns_sd_configs"`
		} `yaml:"scrape_configs"`
	}
	text, err := os.ReadFile("prometheus/prometheus.yml")
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	services := settings(t, "../docker-compose.yml")
	found := 0
	for _, s := range file.Scrape {
		name, ours := strings.CutPrefix(s.Name, "rollcall-")
		if !ours {
			continue
		}
		found++
		if len(s.DNS) != 1 || !slices.Equal(s.DNS[0].Names, []string{name}) || s.DNS[0].Type != "A" || ":"+
			s.DNS[0].Port != services[name]["ROLLCALL_METRICS_LISTEN"] {
			t.Errorf("%s looks for %+v, and the service %s listens on %q", s.Name, s.DNS, name,
				services[name]["ROLLCALL_METRICS_LISTEN"])
		}
	}
	if found != 2 {
		t.Errorf("%d jobs are ours, want the API and the workers", found)
	}
}

// Alertmanager's inhibitions name alerts that there are.
func TestInhibitionsNameAlerts(t *testing.T) {
	t.Parallel()
	rules, err := os.ReadFile("prometheus/rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("alertmanager/alertmanager.yml")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`Rollcall[A-Z][A-Za-z]+`).FindAllString(string(text), -1)
	if len(names) < 5 {
		t.Fatalf("only %v are named", names)
	}
	for _, name := range names {
		if !strings.Contains(string(rules), "alert: "+name+"\n") {
			t.Errorf("there is no alert %s", name)
		}
	}
}

// The configurations to begin with have no mistake, once the files that they name are there.
func TestExamplesLoad(t *testing.T) {
	t.Parallel()
	key, err := googleworkspace.New(googleworkspace.Config{}).CredentialsJSON("https://127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"config/rollcall.example.yaml", "kubernetes/overlays/example/rollcall.yaml"} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		// What is commented out is shown to be used.
		all := strings.NewReplacer("  # microsoft_entra:", "  microsoft_entra:", "\n  #   ", "\n    ").Replace(string(text))
		for name, yaml := range map[string]string{"as it is": string(text), "all of it": all} {
			top := t.TempDir()
			dir := filepath.Join(top, "config")
			files := map[string]string{"rollcall.yaml": yaml}
			for file, data := range map[string]string{"ldap-password": "x", "google.json": string(key), "entra-secret": "x"} {
				files[file], files["../secrets/"+file] = data, data
			}
			if err := errors.Join(os.Mkdir(dir, 0o700), os.Mkdir(filepath.Join(top, "secrets"), 0o700)); err != nil {
				t.Fatal(err)
			}
			for file, data := range files {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(data), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			c, warnings, err := config.Load(filepath.Join(dir, "rollcall.yaml"), config.Options{Strict: true})
			if err != nil || len(warnings) != 0 {
				t.Errorf("%s, %s: %v %v", path, name, err, warnings)
				continue
			}
			entra := 0
			for _, p := range c.Providers {
				if p.Type.Name == "microsoft_entra" {
					entra++
				}
			}
			if want := map[string]int{"as it is": 0, "all of it": 1}[name]; entra != want {
				t.Errorf("%s, %s: %d Entra tenants, want %d", path, name, entra, want)
			}
		}
	}
}

// Grafana's dashboards are where it looks, and ask the source of data that it has.
func TestGrafanaFindsWhatItIsGiven(t *testing.T) {
	t.Parallel()
	var sources struct{ Datasources []struct{ UID, URL string } }
	text, err := os.ReadFile("grafana/provisioning/datasources/prometheus.yml")
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &sources); err != nil {
		t.Fatal(err)
	}
	if len(sources.Datasources) == 0 || sources.Datasources[0].UID != "prometheus" {
		t.Errorf("the sources of data are %v, want prometheus first", sources)
	}
	var providers struct {
		Providers []struct{ Options struct{ Path string } }
	}
	if text, err = os.ReadFile("grafana/provisioning/dashboards/rollcall.yml"); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &providers); err != nil {
		t.Fatal(err)
	}
	compose, err := os.ReadFile("../docker-compose.yml")
	if err != nil {
		t.Fatal(err)
	}
	home := settings(t, "../docker-compose.yml")["grafana"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
	if _, err := os.Stat("grafana/dashboards/" + filepath.Base(home)); err != nil {
		t.Errorf("Grafana's home: %v", err)
	}
	if len(providers.Providers) != 1 || !strings.Contains(string(compose),
		"source: ./deploy/grafana/dashboards\n        target: "+providers.Providers[0].Options.Path+"\n") {
		t.Errorf("the dashboards are looked for in %v, where docker-compose.yml mounts nothing", providers)
	}
}
